"""
What a member of staff does all day, in Chromium under production's policy: find somebody by a project code, adjust,
refund, clean up. Every page on the way is looked at: by axe-core, by the Tab key, at two widths in two themes. The
pictures are kept in `var/screenshots/admin/`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.stack import Stack
from tests.browser.visitor import Visitor
from tests.quickstart.service import PROJECT
from unified.seed import DEMO_USER_ID

PICTURES = PROJECT / "var" / "screenshots" / "admin"
WIDTHS = (1280, 390)
THEMES = ("light", "dark")
BAD = ("serious", "critical")
REASON = "Agreed on the telephone"
# Everything that can be seen and used; of a group of radio buttons one is enough, as it is for the Tab key.
CONTROLS = """
() => {
  const seen = new Set();
  return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter(e => !e.disabled && e.type !== 'hidden')
    .filter(e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}))
    .filter(e => e.type !== 'radio' || !seen.has(e.name) && seen.add(e.name))
    .map((e, i) => { e.dataset.reached = 'no'; if (e.type === 'radio') e.dataset.group = e.name; return i; }).length;
}
"""
NOTE_FOCUS = """
() => {
  document.activeElement?.blur();
  window.scrollTo(0, 0);
  if (window.notesFocus) return;
  window.notesFocus = true;
  document.addEventListener('focusin', ({target: e}) => {
    const first = e.type === 'radio' ? document.querySelector(`[data-group="${CSS.escape(e.name)}"]`) : e;
    if (first) first.dataset.reached = 'yes';
  });
}
"""
MISSED = "() => [...document.querySelectorAll('[data-reached=no]')].map(e => e.outerHTML.slice(0, 200))"


class Walk:
    """One way through the admin. `look` is called wherever somebody would."""

    def __init__(self, visitor: Visitor, demo: Stack) -> None:
        self.visitor, self.demo, self.page = visitor, demo, visitor.page
        self.problems: list[str] = []

    def look(self, name: str, *, keyboard: bool = True) -> None:
        """A picture in each theme and width; what axe-core finds; and whether Tab comes to every control."""
        for theme in THEMES:
            self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            for width in WIDTHS:
                self.page.set_viewport_size({"width": width, "height": 900})
                # (Hiding the caret would take a style of Playwright's own, which the policy refuses.)
                picture = PICTURES / f"{name}-{theme}-{width}.png"
                self.page.screenshot(path=picture, full_page=True, caret="initial")
                wide = self.page.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    self.problems.append(f"{name}: {wide} wide at {width}")
            self.problems += [f"{name}, {theme}: {problem}" for problem in found_by_axe(self.page)]
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": 1280, "height": 900})
        if keyboard:
            self.problems += [f"{name}: Tab does not come to {control}" for control in not_reached(self.page)]

    def api(self, method: str, route: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        key = self.demo.unified.facts["app_keys"]["imagegene"]
        answer = self.demo.unified.call(method, route, body, key=key)
        told: dict[str, Any] = json.loads(answer.body)
        assert answer.status < 300, told
        return told


def found_by_axe(page: Page) -> list[str]:
    # (What axe would load before it looks takes styles of its own, which the policy refuses.)
    violations = Axe().run(page, options={"preload": False}).response["violations"]
    return [
        f"{one['impact']} {one['id']}: {node['html'][:160]}"
        for one in violations
        if one["impact"] in BAD
        for node in one["nodes"]
    ]


def not_reached(page: Page) -> list[str]:
    controls = page.evaluate(CONTROLS)
    page.evaluate(NOTE_FOCUS)
    missed: list[str] = page.evaluate(MISSED)
    for nth in range(controls * 2 + 20):  # a date field has three stops, and the browser has some of its own
        page.keyboard.press("Tab")
        if nth % 10 == 9 and not (missed := page.evaluate(MISSED)):
            break
    return missed


@pytest.fixture
def walk(staff: Visitor, demo: Stack) -> Iterator[Walk]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    going = Walk(staff, demo)
    yield going
    assert not going.problems, "\n".join(going.problems)


def found_by(walk: Walk, text: str) -> Page:
    page = walk.page
    page.get_by_role("search", name="Find a person").get_by_role("searchbox").fill(text)
    page.get_by_role("button", name="Find", exact=True).click()
    return page


def balance(walk: Walk) -> int:
    return int(walk.api("GET", f"user-info?user_id={DEMO_USER_ID}")["credits"])


def test_the_dashboard(walk: Walk) -> None:
    page = walk.page
    page.get_by_role("button", name="Bring up to date").click()
    expect(page.get_by_text("The figures are up to date.")).to_be_visible()
    walk.look("dashboard")
    page.get_by_role("link", name="90 days").click()
    expect(page).to_have_url(re.compile("days=90"))
    page.get_by_text("The numbers").first.click()
    expect(page.get_by_role("columnheader", name="Penora").first).to_be_visible()


def test_somebody_is_found_by_a_project_code_and_given_credits(walk: Walk) -> None:
    code = walk.api("GET", f"projects?user_id={DEMO_USER_ID}&limit=1")["all_projects"][0]["code"]
    before = balance(walk)

    page = found_by(walk, f" {code.lower()} ")

    expect(page.get_by_role("heading", level=1)).to_contain_text("Demo User")
    walk.look("person")
    page.get_by_role("link", name="Adjust credits").click()
    page.get_by_label("Credits", exact=False).first.fill("1500")
    page.get_by_role("button", name="See what it would do").click()
    expect(page.locator(".errorlist").first).to_be_visible()  # without a reason
    walk.look("adjust-refused")
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_text(f"{before + 1500:,}").first).to_be_visible()
    walk.look("adjust-preview")
    page.get_by_label("To be sure").fill("1500")
    filled_in = page.evaluate(
        """() => Object.fromEntries(new FormData(document.querySelector('form:has(button[value=confirm])')))"""
    )
    address = page.url
    page.locator("button[value=confirm]").click()
    expect(page.locator(".messagelist .success")).to_be_visible()
    assert balance(walk) == before + 1500
    again = page.request.post(address, form={**filled_in, "step": "confirm"}, headers={"Referer": address})
    assert again.ok
    assert balance(walk) == before + 1500  # sent twice, done once


def test_a_transaction_is_refunded_once(walk: Walk) -> None:
    spent = walk.api(
        "POST",
        "deduct-credits",
        {"user_id": DEMO_USER_ID, "app_name": "imagegene", "amount": 3, "description": "A picture that failed"},
    )
    before = balance(walk)

    page = found_by(walk, spent["transaction_id"])
    row = page.get_by_role("row", name=re.compile("A picture that failed"))
    row.get_by_role("link", name="Refund").click()
    walk.look("refund")
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="See what it would do").click()
    walk.look("refund-preview")
    page.locator("button[value=confirm]").click()

    expect(page.locator(".messagelist .success")).to_be_visible()
    assert balance(walk) == before + 3
    found_by(walk, spent["transaction_id"])
    expect(page.get_by_text(REASON).first).to_be_visible()


def test_room_is_made_and_given_back(walk: Walk) -> None:
    saved = walk.api(
        "POST",
        "save-project",
        {
            "user_id": DEMO_USER_ID,
            "app_source": "imagegene",
            "project_type": "note",
            "title": "Long",
            "content": "x" * 300_000,
        },
    )
    code = saved["project_code"]

    page = found_by(walk, DEMO_USER_ID)
    page.get_by_role("link", name="Clean up").first.click()
    walk.look("clean-up")
    page.get_by_label("These projects only").fill(code)
    page.get_by_label("Reason").fill(REASON)
    page.locator("button[value=preview]").click()
    expect(page.get_by_role("row", name=re.compile(code))).to_be_visible()
    walk.look("clean-up-preview")
    page.locator("button[value=confirm]").click()
    expect(page.locator(".messagelist .success")).to_be_visible()
    trash = walk.api("GET", f"trash?user_id={DEMO_USER_ID}")["projects"]
    assert code in [project["code"] for project in trash]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("people", "accounts/user/"),
        ("ledger", "credits/ledgerentry/"),
        ("storage", "workspace/storage/"),
        ("projects", "workspace/project/"),
        ("audit", "accounts/auditentry/"),
        ("prices", "credits/operation/"),
        ("keys", "accounts/appkey/"),
        ("new-plan", "accounts/plan/add/"),
        ("grants", "grants/"),
        ("second-factor", "second-factor/"),
    ],
)
def test_other_pages_are_fit_to_be_seen_and_used(walk: Walk, name: str, path: str) -> None:
    walk.visitor.open(f"{walk.demo.unified.url}/admin/{path}")

    walk.look(name)


def test_the_watcher_finds_what_is_wrong(walk: Walk) -> None:
    """That these tests can fail: a field without a name, and a button that Tab passes over."""
    walk.page.evaluate(
        """() => document.querySelector('#content').insertAdjacentHTML('beforeend',
            '<input type=text class=nameless><button type=button tabindex=-1>Nobody comes here</button>')"""
    )
    assert any("nameless" in problem for problem in found_by_axe(walk.page))
    assert any("Nobody comes here" in control for control in not_reached(walk.page))


def test_the_pictures_are_kept(walk: Walk) -> None:
    walk.look("index", keyboard=False)

    assert {path.name for path in Path(PICTURES).glob("index-*.png")} == {
        f"index-{theme}-{width}.png" for theme in THEMES for width in WIDTHS
    }
