"""
Looking through what there is, in Chromium under production's policy: from one project to the next, by keys as well, and
where somebody without a mouse, or without eyes, is after each step.
"""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.members import AT_ONCE_MS, save, sign_in, tiles
from tests.browser.stack import Stack
from tests.browser.visitor import Visitor
from unified.web.projects import PAGE_SIZE


def showing(page: Page, title: str) -> None:
    """The project's page is there, and so are its scripts."""
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.wait_for_load_state("load")


def test_from_one_to_the_next_and_back_to_where_it_stands(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "leafer")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    for title in ("Alpha", "Bravo", "Delta", "Elsewhere"):
        code = save(demo, "leafer", title, app="imagegene" if title == "Elsewhere" else "penora")
    visitor.open(f"{demo.unified.url}/projects/?app=penora&sort=title")
    tiles(page).get_by_role("link", name="Bravo").click()
    showing(page, "Bravo")
    place = page.locator("#beside .quiet")
    expect(place).to_have_text("2 of 3")

    page.keyboard.press("ArrowRight")
    showing(page, "Delta")
    expect(page.get_by_role("link", name="Next project")).to_have_count(0)
    page.keyboard.press("ArrowRight")  # nothing is there
    page.keyboard.press("ArrowLeft")
    showing(page, "Bravo")
    visitor.click("Previous project: Alpha", "link")
    showing(page, "Alpha")
    page.get_by_text("Rename", exact=True).click()
    page.get_by_role("textbox", name="Title").press("ArrowRight")  # within the title
    expect(page.get_by_role("textbox", name="Title")).to_be_focused()

    code = save(demo, "leafer", "Awe")
    expect(page.get_by_role("link", name="Next project: Awe")).to_be_visible(timeout=AT_ONCE_MS)
    expect(place).to_have_text("1 of 4")
    page.get_by_role("textbox", name="Title").fill("Aardvark")
    visitor.click("Save")
    expect(page.locator(".notice").filter(has_text="It is called “Aardvark” now.")).to_be_focused()
    visitor.click("Next project: Awe", "link")
    showing(page, "Awe")

    visitor.click("Projects found", "link")

    expect(page).to_have_url(f"{demo.unified.url}/projects/?app=penora&sort=title#at-{code}")
    expect(page.locator("#found .title")).to_have_text(["Aardvark", "Awe", "Bravo", "Delta"])
    expect(page.locator(f"#at-{code}")).to_be_focused()


def test_reading_goes_on_where_something_has_happened(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "reader")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    for number in range(PAGE_SIZE + 1):
        save(demo, "reader", f"Number {number}")
    visitor.open(f"{demo.unified.url}/projects/?sort=oldest")

    page.get_by_role("link", name="Next page").press("Enter")
    expect(page.locator("#found")).to_be_focused()
    expect(page.locator("#count")).to_have_text(f"{PAGE_SIZE + 1} projects, page 2 of 2")
    page.keyboard.press("Tab")
    expect(tiles(page).get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    showing(page, f"Number {PAGE_SIZE}")

    page.get_by_role("button", name="Delete", exact=True).press("Enter")
    expect(page.locator(".notice").filter(has_text="is in the trash")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".notice").filter(has_text="is back")).to_be_focused()


def test_a_form_after_everything_of_the_session_is_gone(visitor: Visitor, demo: Stack) -> None:
    """The token's cookie as well as the session's: each form leads to the sign-in, and from there to its page."""
    page = sign_in(visitor, demo, "absentee")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    code = save(demo, "absentee", "Still here")
    page.route("**/live/?*", lambda route: route.fulfill(status=204))  # or it would notice first
    visitor.open(f"{demo.unified.url}/storage/")
    page.locator(f"#tick-{code}").check()
    cookies = visitor.context.cookies()
    visitor.context.clear_cookies()

    visitor.click("Move to the trash")

    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Unified")
    expect(page).to_have_url(f"{demo.unified.url}/signin/?next=%2Fstorage%2F")
    expect(page.get_by_role("status")).to_contain_text("You were signed out, and nothing was changed.")

    visitor.context.add_cookies(cookies)  # type: ignore[arg-type]  # as they came
    visitor.open(f"{demo.unified.url}/projects/{code}/?sort=title")
    visitor.context.clear_cookies()

    visitor.click("Delete")

    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Unified")
    expect(page).to_have_url(f"{demo.unified.url}/signin/?next=/projects/{code}/%3Fsort%3Dtitle")
    expect(page.get_by_role("status")).to_contain_text("You were signed out, and nothing was changed.")
