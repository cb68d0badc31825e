"""
A person's own pages in Chromium, under production's policy: they follow what the apps do meanwhile, survive the end of
a session and the want of scripts, and can be used by everybody, on a phone as on a desk.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import APIResponse, Page, Route, expect

from tests.accounts.test_figures import SIZES
from tests.browser.conftest import PATIENCE_MS
from tests.browser.members import AT_ONCE_MS, save, sign_in, spend, tiles
from tests.browser.stack import Stack
from tests.browser.visitor import Visitor
from unified.web.projects import PAGE_SIZE

PAGES = ("/projects/", "/projects/?view=list", "/storage/", "/credits/", "/plans/", "/account/", "/account/delete/")
WIDTHS = (360, 390, 768, 1440)
ASKED_AT = (390, 1440)


def sign_in_as_demo(visitor: Visitor, demo: Stack, onwards: str = "/") -> Page:
    page = visitor.open(f"{demo.unified.url}/signin/?next={onwards}")
    visitor.click("Continue with Google")
    page.get_by_role("button", name="Demo User").first.click()
    expect(page.locator(".who .name")).to_have_text("Demo User")
    return page


def answered(**answer: Any) -> Callable[[Route], None]:
    """Whoever asks is answered so, in the place of the service."""
    return lambda route: route.fulfill(**answer)


def wait_for(page: Page, has_happened: Callable[[], bool]) -> None:
    """Something that the test itself is told of, as when a request comes into its hands: while it talks to the page."""
    ends = time.monotonic() + PATIENCE_MS / 1000
    while not has_happened():
        assert time.monotonic() < ends
        page.evaluate("new Promise(requestAnimationFrame)")


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


def test_a_change_while_parts_are_on_their_way_is_not_missed(visitor: Visitor, demo: Stack) -> None:
    """
    The answers of the first change come late, with what was true when they were made. Without the wait, the second
    one's question was dropped or went with the part that the first replaced, and the page was wrong until a third.
    """
    page = sign_in(visitor, demo, "live-4")
    expect(page.locator(".balance")).to_have_text(re.compile("^50 credits$"))
    save(demo, "live-4", "Nearly all of it", content="x" * 950_000)
    banner = page.locator("#notices .notice")
    expect(banner).to_contain_text("90 % full", timeout=AT_ONCE_MS)
    banner.evaluate("element => { element.dataset.since = 'before' }")
    held: list[tuple[Route, APIResponse]] = []
    parts = re.compile(r"/live/bar/|/projects/$")
    is_slow = True
    page.route(parts, lambda route: held.append((route, route.fetch())) if is_slow else route.continue_())
    asked: list[str] = []

    save(demo, "live-4", "The first")
    wait_for(page, lambda: len(held) == 2)
    spend(demo, "live-4", 1)
    save(demo, "live-4", "The second")
    page.on("request", lambda request: asked.append(request.url) if "/live/?v=" in request.url else None)
    page.evaluate("dispatchEvent(new Event('focus'))")  # it would be asked at once
    page.evaluate("fetch('/live/').then(answer => answer.text())")
    assert asked == []
    is_slow = False
    for route, made in held:
        route.fulfill(response=made)

    expect(page.locator(".balance")).to_have_text(re.compile("^49 credits$"), timeout=AT_ONCE_MS)
    expect(tiles(page)).to_have_count(3, timeout=AT_ONCE_MS)
    expect(banner).to_have_attribute("data-since", "before")  # it says the same, and is not read out again


def test_a_part_that_does_not_come_is_told_and_asked_for_again(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {503}
    page = sign_in(visitor, demo, "live-5")
    expect(page.locator(".balance")).to_have_text(re.compile("^50 credits$"))
    page.route("**/live/bar/*", answered(status=503))
    spend(demo, "live-5", 1)

    expect(page.locator("#connection")).to_be_visible(timeout=PATIENCE_MS)  # it is asked for less and less often
    expect(page.locator("#trouble")).to_be_hidden()  # nobody has pressed anything
    page.unroute("**/live/bar/*")
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.locator("#connection")).to_be_hidden(timeout=PATIENCE_MS)
    expect(page.locator(".balance")).to_have_text(re.compile("^49 credits$"))
    visitor.complaints[:] = [one for one in visitor.complaints if "Status Error Code 503" not in one]  # htmx says it


def test_a_part_that_is_given_up_for_a_click_is_not_missed(visitor: Visitor, demo: Stack) -> None:
    """Nothing has failed when somebody turns the page while its part is on its way; and what is new comes after all."""
    page = sign_in(visitor, demo, "live-8")
    expect(page.locator(".balance")).to_have_text(re.compile("^50 credits$"))
    for number in range(PAGE_SIZE):
        save(demo, "live-8", f"Number {number}")
    expect(tiles(page)).to_have_count(PAGE_SIZE, timeout=AT_ONCE_MS)
    held: list[Route] = []
    is_slow = True

    def hold(route: Route) -> None:
        is_part = route.request.headers.get("hx-trigger") == "found"  # and nothing that somebody has pressed
        if is_slow and is_part:
            held.append(route)
        else:
            route.continue_()

    save(demo, "live-8", "One more than a page holds")
    expect(page.get_by_role("link", name="Next page")).to_be_visible(timeout=AT_ONCE_MS)
    page.route(re.compile("/projects/"), hold)
    spend(demo, "live-8", 1)
    for turn, (name, number) in enumerate((("Next page", 2), ("Previous page", 1)), start=1):
        wait_for(page, lambda: len(held) == turn)  # noqa: B023  # it is asked here and now
        visitor.click(name, "link")
        expect(page.locator("nav.pages")).to_contain_text(f"Page {number} of 2")
    wait_for(page, lambda: len(held) == 3)  # it is still on its way: nothing can have taken the notice away

    expect(page.locator("#connection")).to_be_hidden()
    expect(page.locator("#trouble")).to_be_hidden()
    is_slow = False
    held[-1].continue_()
    save(demo, "live-8", "Made afterwards")
    expect(tiles(page).first).to_contain_text("Made afterwards", timeout=AT_ONCE_MS)
    expect(page.locator("#connection")).to_be_hidden()
    # htmx says of each that it was given up, by two events.
    given_up = [one for one in visitor.complaints if re.search("htmx:(afterRequest|sendAbort)", one)]
    assert len(given_up) == 4
    visitor.complaints[:] = [one for one in visitor.complaints if one not in given_up]


def test_what_did_not_work_is_told_once_and_until_something_works(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {503}
    page = sign_in(visitor, demo, "live-6")
    save(demo, "live-6", "Something to look for")
    expect(tiles(page)).to_have_count(1, timeout=AT_ONCE_MS)
    expect(page.get_by_role("button", name="Find")).to_be_hidden()
    page.route("**/projects/?*q=*", answered(status=503))
    page.get_by_label("Search").fill("anything")

    told = page.get_by_role("alert")
    expect(told).to_have_text(re.compile("^That did not work"))
    expect(page.locator(".told")).to_be_empty()
    spend(demo, "live-6", 1)
    expect(page.locator(".balance")).to_have_text(re.compile("^49 credits$"), timeout=AT_ONCE_MS)
    expect(told).to_be_visible()  # what is new has come, what they looked for has not
    page.unroute("**/projects/?*q=*")
    page.get_by_label("Search").fill("nothing like it")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    expect(told).to_be_hidden()
    visitor.complaints[:] = [one for one in visitor.complaints if "Status Error Code 503" not in one]


def test_times_pass_while_a_page_is_open(visitor: Visitor, demo: Stack) -> None:
    """By the service's clock, which its answers tell."""
    page = sign_in(visitor, demo, "live-7")
    save(demo, "live-7", "Just made")
    made = page.locator("#found time")
    expect(made).to_have_text("just now", timeout=AT_ONCE_MS)
    exactly = made.get_attribute("title")
    page.evaluate("""document.querySelector('#found').insertAdjacentHTML('beforebegin',
        `<time id="ends" title="x" datetime="${new Date(Date.now() + 86400000).toISOString()}">in 1 day</time>`)""")
    for later, text, ends in ((61, "1 minute ago", "in 1 day"), (3600 * 5 + 61, "5 hours ago", "in 19 hours")):
        date = formatdate(datetime.now(UTC).timestamp() + later, usegmt=True)
        page.route("**/live/?v=*", answered(status=204, headers={"Date": date}))
        expect(made).to_have_text(text)
        expect(page.locator("#ends")).to_have_text(ends)  # to the nearest: it said "in 23 hours" and "in 18 hours"
    expect(made).to_have_attribute("title", exactly or "")


def test_what_is_ticked_frees_what_the_service_says(visitor: Visitor, demo: Stack) -> None:
    """The page counts for itself when something is ticked: in the same words, halves of a unit included."""
    page = sign_in(visitor, demo, "counting")
    save(demo, "counting", "Of many sizes")
    visitor.open(f"{demo.unified.url}/storage/")
    page.get_by_role("checkbox", name="Of many sizes").check()
    expect(page.locator("[data-sum]")).to_have_text(re.compile("^1 ticked, frees "))

    told = page.evaluate(TICKED, [size_bytes for size_bytes, _ in SIZES])

    assert told == [text.replace(" ", "\u00a0") for _, text in SIZES]


TICKED = """sizes => sizes.map(size => {
  const box = document.querySelector('[data-ticks] [data-code]');
  box.dataset.bytes = size;
  box.dispatchEvent(new Event('change', {bubbles: true}));
  return document.querySelector('[data-sum]').textContent.match(/ frees (.+): then /)[1];
})"""


def test_without_htmx_the_filters_have_their_button(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {404}
    page = sign_in(visitor, demo, "half-scripted")
    save(demo, "half-scripted", "Alpha")
    save(demo, "half-scripted", "Bravo")
    page.route("**/htmx*.js", answered(status=404, content_type="text/javascript"))
    visitor.open(f"{demo.unified.url}/projects/")
    expect(tiles(page)).to_have_count(2)
    page.get_by_label("Search").fill("Bravo")
    visitor.click("Find")
    expect(tiles(page)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"[?&]q=Bravo"))


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
        page.route("**/live/?v=*", answered(status=204))
        page.reload()
        visitor.context.clear_cookies(name="sessionid")
        page.get_by_label("Search").fill("anything")
        address = f"{demo.unified.url}/projects/?q=anything&app=&kind=&sort=title&view="
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

    tiles(page).get_by_role("link").click()
    page.get_by_text("Rename", exact=True).click()
    page.get_by_role("textbox", name="Title").fill("Chapter seven")
    visitor.click("Save")
    expect(page.get_by_role("status").filter(has_text="It is called “Chapter seven” now.")).to_be_visible()
    visitor.click("Delete")
    deleted = page.get_by_role("status").filter(has_text="“Chapter seven” is in the trash.")
    deleted.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status").filter(has_text="“Chapter seven” is back.")).to_be_visible()

    visitor.open(f"{demo.unified.url}/storage/")
    page.get_by_role("checkbox", name="Chapter seven").check()
    page.get_by_role("checkbox", name="Page 08").check()
    visitor.click("Move to the trash")
    expect(page.get_by_role("heading", name="Move 2 projects to the trash?")).to_be_visible()
    visitor.click("Move to the trash")
    expect(page.get_by_role("status").filter(has_text="2 projects are in the trash")).to_be_visible()
    visitor.open(f"{demo.unified.url}/storage/trash/")
    expect(page.locator("#bin .title")).to_have_count(2)
    page.locator(".tile").filter(has_text="Chapter seven").get_by_role("button", name="Restore").click()
    expect(page.get_by_role("status").filter(has_text="“Chapter seven”: back among your projects.")).to_be_visible()
    expect(page.locator("#bin .title")).to_have_text(["Page 08"])

    visitor.open(f"{demo.unified.url}/plans/")
    visitor.click("Ask for Plus")
    expect(page.get_by_role("status").filter(has_text="You have asked for Plus.")).to_be_visible()
    expect(page.get_by_role("button", name="Withdraw")).to_be_visible()
    page.locator(".who summary").click()
    visitor.click("Sign out")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    context.close()
    assert visitor.complaints == []


def test_the_menu_by_the_keyboard(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "keyboard")
    expect(page).to_have_url(f"{demo.unified.url}/projects/")
    page.wait_for_load_state("load")  # its scripts are there
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


def test_the_account_is_deleted_by_who_types_what_is_asked_for(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {400}
    page = sign_in(visitor, demo, "leaver", "/account/")
    save(demo, "leaver", "My diary")

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


@pytest.mark.parametrize(("width", "height"), [(1024, 600), (1024, 320), (390, 500)])
def test_what_has_the_focus_is_never_beneath_the_bar(visitor: Visitor, demo: Stack, width: int, height: int) -> None:
    """Back from the end of a long page with Shift and Tab; where the bar would take half of the screen, it scrolls."""
    page = sign_in_as_demo(visitor, demo)
    page.set_viewport_size({"width": width, "height": height})
    for address in ("/storage/", "/credits/"):
        visitor.open(f"{demo.unified.url}{address}")
        page.wait_for_load_state("load")
        page.locator("main :is(a, button, input, summary):visible").last.focus()
        for _ in range(40):
            page.keyboard.press("Shift+Tab")
            assert page.evaluate(BENEATH) == "", address


BENEATH = """() => {
  const [bar, deed] = ['header.bar', '.deed'].map(one => document.querySelector(one));
  const focused = document.activeElement;
  if (bar.contains(focused) || deed?.contains(focused) || !document.querySelector('main').contains(focused)) return '';
  const box = focused.getBoundingClientRect(), top = Math.max(0, bar.getBoundingClientRect().bottom);
  const isSticky = deed && getComputedStyle(deed).position === 'sticky';
  const bottom = isSticky ? deed.getBoundingClientRect().top : innerHeight;
  return box.top < top || box.top >= bottom ? `${focused.outerHTML.slice(0, 120)} at ${box.top}` : '';
}"""


def test_everybody_can_use_every_page_of_somebody_with_everything(visitor: Visitor, demo: Stack) -> None:
    page = sign_in_as_demo(visitor, demo)
    project = page.evaluate("document.querySelector('#found li a').getAttribute('href')")
    assert [problem for address in (*PAGES, project) for problem in problems_of(visitor, demo, address)] == []


def test_everybody_can_use_every_page_of_somebody_with_nothing(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {404}
    sign_in(visitor, demo, "empty-handed")
    empty = ("/projects/", "/storage/", "/storage/trash/", "/credits/", "/projects/ZZZZZZ/")
    assert [problem for address in empty for problem in problems_of(visitor, demo, address)] == []


def test_everybody_can_use_every_page_of_somebody_whose_workspace_is_full(visitor: Visitor, demo: Stack) -> None:
    """And what opens, asks or has just been told."""
    page = sign_in(visitor, demo, "full-handed")
    large, small = (save(demo, "full-handed", f"{size} letters", content="x" * size) for size in (900_000, 148_576))
    visitor.open(f"{demo.unified.url}/projects/{small}/")
    visitor.click("Delete")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    wrong = problems_of(visitor, demo)
    save(demo, "full-handed", "The rest", content="x" * 148_576)
    steps: list[tuple[str, str]] = [
        ("/projects/?q=nothing+like+it", ""),
        (f"/projects/{large}/", ".renaming summary"),
        ("/storage/", "#exactly summary"),
        (f"/storage/make-room/?project={large}-1", ""),
        ("/storage/trash/", "#bin .tile label"),
        ("/storage/trash/empty/", ""),
        (f"/storage/trash/remove/?code={small}", ""),
    ]
    for address, opened in steps:
        wrong += problems_of(visitor, demo, address, opened)
    expect(page.locator("#notices")).to_contain_text("Your workspace is full.")
    page.set_viewport_size({"width": 390, "height": 900})
    page.locator(".who summary").click()
    wrong += violations(page, within=".who")  # what lies beneath the menu is no smaller for it
    assert wrong == []


def test_everybody_can_use_what_stands_before_and_after(visitor: Visitor, demo: Stack) -> None:
    """The sign-in, the ways out, and what is said when something does not work; and both ends of a row of projects."""
    visitor.expected = {400, 403, 404}
    before = ("/", "/signin/", "/signin/signed-out/", "/signin/switched-off/", "/o/authorize/?client_id=x", "/goodbye/")
    wrong = [problem for address in before for problem in problems_of(visitor, demo, address)]
    wrong += problems_of(visitor, demo, "/signin/", "summary")
    page = sign_in(visitor, demo, "looker")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    codes = [save(demo, "looker", title) for title in ("The last", "The first")]
    after = ("/o/logout/", "/nowhere/", "/admin/", *(f"/projects/{code}/" for code in codes))
    wrong += [problem for address in after for problem in problems_of(visitor, demo, address)]
    assert wrong == []


def problems_of(visitor: Visitor, demo: Stack, address: str = "", opened: str = "") -> list[str]:
    """
    What axe-core finds on a phone and on a desk, target sizes included, and in the dark the colours again, which are
    all that differs; and what is off to the side, at each width.
    """
    page = visitor.page
    if address:
        visitor.open(f"{demo.unified.url}{address}")
    if opened:
        page.locator(opened).first.click()
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{wide} wide at {width}")
        if width in ASKED_AT:
            found += [f"{problem} at {width}" for problem in violations(page, rules={"target-size": {"enabled": True}})]
    page.emulate_media(color_scheme="dark")
    found += [f"{problem} in the dark" for problem in violations(page, runOnly=["color-contrast"])]
    page.emulate_media(color_scheme="light")
    return [f"{address}: {problem}" for problem in found]


def violations(page: Page, within: str | None = None, **options: Any) -> list[str]:
    # (What axe would load before it looks takes styles of its own, which the policy refuses.)
    found = Axe().run(page, within, {"preload": False, "resultTypes": ["violations"], **options}).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]
