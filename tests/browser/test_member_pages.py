"""
A person's own pages in Chromium, under production's policy: they follow what the apps do meanwhile, survive the end of
a session and the want of scripts, and can be used by everybody, on a phone as on a desk.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS
from tests.browser.stack import Stack
from tests.browser.visitor import Visitor

PAGES = ("/projects/", "/projects/?view=list", "/storage/", "/credits/", "/plans/", "/account/", "/account/delete/")
THEMES = ("light", "dark")
WIDTHS = (360, 768, 1440)
AT_ONCE_MS = 5_000  # two seconds, on a machine that does other things as well


def sign_in(visitor: Visitor, demo: Stack, sub: str, onwards: str = "/") -> Page:
    """Somebody of their own, by way of Google's stand-in."""
    page = visitor.open(f"{demo.unified.url}/signin/?next={onwards}")
    visitor.click("Continue with Google")
    page.get_by_text("Be somebody else").click()
    page.get_by_label("Any number or name").fill(sub)
    visitor.click("Continue")
    return page


def sign_in_as_demo(visitor: Visitor, demo: Stack, onwards: str = "/") -> Page:
    page = visitor.open(f"{demo.unified.url}/signin/?next={onwards}")
    visitor.click("Continue with Google")
    page.get_by_role("button", name="Demo User").first.click()
    expect(page.locator(".who .name")).to_have_text("Demo User")
    return page


def api(demo: Stack, route: str, app: str = "penora", **body: Any) -> dict[str, Any]:
    answer = demo.unified.call("POST", route, body, key=demo.unified.facts["app_keys"][app])
    told: dict[str, Any] = json.loads(answer.body)
    assert answer.status < 300, told
    return told


def save(demo: Stack, sub: str, title: str, app: str = "penora") -> str:
    made = api(demo, "save-project", app, user_id=sub, app_source=app, project_type="page", title=title, content=title)
    return str(made["project_code"])


def spend(demo: Stack, sub: str, amount: int) -> None:
    api(demo, "deduct-credits", user_id=sub, amount=amount, app_name="penora", description="Pages")


def tiles(page: Page) -> Any:
    return page.locator("#found li")


def test_in_and_what_the_apps_do_meanwhile_appears(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "live-1")
    expect(page).to_have_url(f"{demo.unified.url}/projects/")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    expect(page.locator(".balance")).to_have_text(re.compile("^50 credits$"))

    save(demo, "live-1", "Made by Penora")
    expect(page.get_by_text("Made by Penora", exact=True).first).to_be_visible(timeout=AT_ONCE_MS)
    save(demo, "live-1", "Made by ImageGene", app="imagegene")
    expect(tiles(page)).to_have_count(2, timeout=AT_ONCE_MS)
    spend(demo, "live-1", 49)
    expect(page.locator(".balance")).to_have_text(re.compile("^1 credit$"), timeout=AT_ONCE_MS)


def test_nothing_is_asked_while_nobody_looks_and_at_once_when_they_do(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "live-2")
    expect(page.locator(".balance")).to_have_text(re.compile("^50 credits$"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/live/?" in request.url else None)
    hide = """hidden => {
      Object.defineProperty(document, 'visibilityState', {value: hidden ? 'hidden' : 'visible', configurable: true});
      document.dispatchEvent(new Event('visibilitychange'));
    }"""
    with page.expect_response(re.compile(r"/live/\?")):
        pass
    page.evaluate(hide, True)
    spend(demo, "live-2", 10)
    before = len(asked)
    page.evaluate("() => new Promise(resolve => setTimeout(resolve, 3500))")  # what must not happen has no event
    assert len(asked) == before
    page.evaluate(hide, False)
    expect(page.locator(".balance")).to_have_text(re.compile("^40 credits$"))


def test_the_network_goes_and_comes_back(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "live-3")
    expect(page.locator(".balance")).to_have_text(re.compile("^50 credits$"))
    visitor.context.set_offline(True)
    expect(page.locator("#connection")).to_be_visible()
    spend(demo, "live-3", 10)
    visitor.context.set_offline(False)
    expect(page.locator(".balance")).to_have_text(re.compile("^40 credits$"))
    expect(page.locator("#connection")).to_be_hidden()
    visitor.complaints[:] = [one for one in visitor.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


def test_search_bookmark_and_back(visitor: Visitor, demo: Stack) -> None:
    page = sign_in_as_demo(visitor, demo, "/projects/")
    everything = tiles(page).count()
    first = page.locator("#found .title").first.inner_text()

    page.get_by_label("Search").fill(first)
    expect(page).to_have_url(re.compile(r"[?&]q="))
    expect(tiles(page)).not_to_have_count(everything)
    some = tiles(page).count()
    bookmark = page.url

    page.go_back()
    expect(page).to_have_url(f"{demo.unified.url}/projects/")
    expect(tiles(page)).to_have_count(everything)
    expect(page.get_by_label("Search")).to_have_value("")

    visitor.open(bookmark)
    expect(tiles(page)).to_have_count(some)
    expect(page.get_by_label("Search")).to_have_value(first)


@pytest.mark.parametrize("who_asks", ["a part that somebody wants", "the page, for what is new"])
def test_a_session_that_ends_while_a_page_is_open_leads_to_the_sign_in_and_back(
    visitor: Visitor, demo: Stack, who_asks: str
) -> None:
    address = f"{demo.unified.url}/projects/?sort=title"
    page = sign_in(visitor, demo, "ending", "/projects/%3Fsort%3Dtitle")
    save(demo, "ending", "Something to look for")
    visitor.open(address)
    expect(tiles(page).first).to_be_visible()
    if who_asks == "a part that somebody wants":
        page.route("**/live/?v=*", lambda route: route.fulfill(status=204))
        page.reload()
        visitor.context.clear_cookies(name="sessionid")
        page.get_by_label("Search").fill("anything")
    else:
        visitor.context.clear_cookies(name="sessionid")

    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Unified")
    expect(page.locator("h1")).to_have_count(1)
    visitor.click("Continue with Google")
    page.get_by_text("Be somebody else").click()
    page.get_by_label("Any number or name").fill("ending")
    visitor.click("Continue")
    expect(page).to_have_url(address)


def test_without_scripts(chromium: Any, demo: Stack, policy: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE_MS)
    visitor = Visitor(context, stack=demo, policy=policy)
    page = sign_in(visitor, demo, "scriptless")
    for number in range(26):
        save(demo, "scriptless", f"Page {number:02}", app="imagegene" if number == 7 else "penora")
    visitor.open(f"{demo.unified.url}/projects/?sort=title")
    expect(tiles(page)).to_have_count(24)
    page.locator("nav.pages a").last.click()
    expect(tiles(page)).to_have_count(2)

    page.get_by_label("Search").fill("Page 07")
    page.locator("form.finder button").last.click()
    expect(tiles(page)).to_have_count(1)
    expect(page).to_have_url(re.compile("q=Page"))
    page.locator(".who summary").click()
    visitor.click("Sign out")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    context.close()
    assert visitor.complaints == []


def test_the_menu_by_the_keyboard(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "keyboard")
    menu = page.locator("details.menu")
    page.locator(".who summary").focus()
    page.keyboard.press("Enter")
    expect(menu.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(menu.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(page.locator(".who summary")).to_be_focused()
    page.keyboard.press("Enter")
    menu.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")


def test_everything_is_taken_along_and_the_account_deleted(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {400}
    page = sign_in(visitor, demo, "leaver", "/account/")
    code = save(demo, "leaver", "My diary")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download everything").click()
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        assert archive.testzip() is None
        (project,) = json.loads(archive.read("manifest.json"))["projects"]
        assert (project["code"], archive.read(project["file"])) == (code, b"My diary")
        assert "transactions.csv" in archive.namelist()

    page.get_by_role("link", name="Delete account").click()
    expect(page.get_by_text("Your 1 project, from every app")).to_be_visible()
    asked_for = page.locator(".confirm strong").inner_text()
    page.get_by_role("textbox", name="Type").fill("something else")
    visitor.click("Delete my account for good")
    expect(page.get_by_role("alert").filter(has_text="Nothing was deleted")).to_be_visible()
    page.get_by_role("textbox", name="Type").fill(asked_for)
    visitor.click("Delete my account for good")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account is deleted")
    visitor.open(f"{demo.unified.url}/projects/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Unified")


def test_out_of_one_app(visitor: Visitor, demo: Stack) -> None:
    page = visitor.open(f"{demo.penora}/")
    visitor.click("Sign in with Unified", "link")
    visitor.click("Continue with Google")
    page.get_by_text("Be somebody else").click()
    page.get_by_label("Any number or name").fill("two-minds")
    visitor.click("Continue")
    expect(page).to_have_url(f"{demo.penora}/")
    visitor.open(f"{demo.unified.url}/account/")
    page.get_by_text("What it may do").click()
    expect(page.get_by_text("Spend your credits")).to_be_visible()
    visitor.click("Sign out of Penora")
    expect(page.get_by_text("Penora is signed out.")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out of Penora")).to_have_count(0)


@pytest.mark.parametrize("person", ["with everything", "with nothing"])
def test_everybody_can_use_every_page(visitor: Visitor, demo: Stack, person: str) -> None:
    """axe-core finds nothing, and nothing is off to the side: in both themes, on a phone as on a desk."""
    if person == "with everything":
        page = sign_in_as_demo(visitor, demo)
        project = page.evaluate("document.querySelector('#found li a').getAttribute('href')")
        pages = (*PAGES, project)
    else:
        page, pages = sign_in(visitor, demo, "empty-handed"), PAGES
    wrong = []
    for address in pages:
        visitor.open(f"{demo.unified.url}{address}")
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                wide = page.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    wrong.append(f"{address}: {wide} wide at {width}")
            wrong += [f"{address}, {theme}: {problem}" for problem in violations(page)]
    assert wrong == []


def violations(page: Page) -> list[str]:
    # (What axe would load before it looks takes styles of its own, which the policy refuses.)
    found = Axe().run(page, options={"preload": False}).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]
