"""Unified's own pages for people: signing in by keyboard, consent, signing out, and what is said when it goes wrong."""

from __future__ import annotations

from urllib.parse import urlencode

from authlib.common.security import generate_token
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from playwright.sync_api import Page, expect

from tests.browser.stack import Stack
from tests.browser.test_apps import sign_in_as_newcomer
from tests.browser.visitor import Visitor
from tests.sso.parties import query_of


def ask(demo: Stack, **more: str) -> str:
    """Where the partner sends people who want to sign in."""
    query = {
        "response_type": "code",
        "client_id": demo.partner_client,
        "redirect_uri": f"{demo.partner}/callback",
        "scope": "openid profile credits.read workspace.write",
        "state": "of the partner",
        "code_challenge": create_s256_code_challenge(generate_token(48)),
        "code_challenge_method": "S256",
        **more,
    }
    return f"{demo.unified.url}/o/authorize/?{urlencode(query)}"


def press(page: Page, key: str, *, until: str) -> None:
    """Presses Tab (or Shift+Tab) until what has the focus says `until`; it has to be seen that it has it."""
    for _ in range(15):
        page.keyboard.press(key)
        focused = page.locator(":focus")
        if focused.count() and until in (focused.inner_text() or focused.get_attribute("name") or ""):
            outline = focused.evaluate("it => getComputedStyle(it).outlineStyle + getComputedStyle(it).outlineWidth")
            assert outline.startswith("solid"), outline
            assert int(outline.removeprefix("solid").removesuffix("px")) >= 2
            return
    raise AssertionError(f"Fifteen times {key} does not lead to '{until}'.")


def test_in_without_a_mouse(visitor: Visitor, demo: Stack) -> None:
    page = visitor.open(f"{demo.penora}/")
    press(page, "Tab", until="Sign in with Unified")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Unified")
    press(page, "Tab", until="Continue with Google")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Choose an account")
    press(page, "Tab", until="Second Demo User")
    page.keyboard.press("Enter")
    expect(page.locator(".who .name")).to_have_text("Second Demo User")
    press(page, "Tab", until="Sign out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Sign in with Unified")).to_be_visible()


def test_staff_in_without_a_mouse(visitor: Visitor, demo: Stack) -> None:
    admin = demo.unified.facts["admin"]
    page = visitor.open(f"{demo.unified.url}/signin/")
    press(page, "Tab", until="Staff: sign in with a password")
    page.keyboard.press("Enter")
    press(page, "Tab", until="username")
    page.keyboard.type(admin["user_id"])
    press(page, "Tab", until="password")
    page.keyboard.type("a wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("User id")).to_have_value(admin["user_id"])
    page.get_by_label("Password", exact=True).focus()
    page.keyboard.type(admin["password"])
    page.keyboard.press("Enter")
    expect(page.locator(".ways")).to_be_visible()


def test_somebody_elses_app_asks_first(visitor: Visitor, demo: Stack) -> None:
    sign_in_as_newcomer(visitor, demo.penora, "asked-1")
    page = visitor.open(ask(demo))
    expect(page.get_by_role("heading", level=1)).to_contain_text("asks for access")
    expect(page.locator(".may")).to_contain_text("See your credits")
    expect(page.locator(".may")).to_contain_text("Keep, change and delete projects")
    expect(page.locator(".may")).not_to_contain_text("Spend your credits")
    expect(page.get_by_text(demo.partner.removeprefix("http://"))).to_be_visible()

    visitor.click("Deny")
    expect(page.get_by_role("heading")).to_have_text("Back at the partner")
    told = query_of(page.url)
    assert (told["error"], told["state"], "code" in told) == ("access_denied", "of the partner", False)

    visitor.open(ask(demo))
    visitor.click("Allow")
    expect(page.get_by_role("heading")).to_have_text("Back at the partner")
    told = query_of(page.url)
    assert (told["state"], told["iss"], "error" in told) == ("of the partner", f"{demo.unified.url}/o", False)
    assert told["code"]


def test_who_is_not_in_is_led_by_google_to_the_question(visitor: Visitor, demo: Stack) -> None:
    """Two forms whose answers lead on to other origins, one after the other: `form-action` has to allow both."""
    page = visitor.open(ask(demo))
    visitor.click("Continue with Google")
    page.get_by_role("button", name="Second Demo User").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("asks for access")
    visitor.click("Not you? Sign out")
    expect(page.get_by_role("button", name="Continue with Google")).to_be_visible()
    visitor.click("Continue with Google")
    page.get_by_role("button", name="Demo User").first.click()
    expect(page.get_by_text("Signed in as Demo User")).to_be_visible()
    visitor.click("Allow")
    expect(page.get_by_role("heading")).to_have_text("Back at the partner")
    assert query_of(page.url)["code"]


def test_out_after_being_asked(visitor: Visitor, demo: Stack) -> None:
    """A link that does not prove which app it is of does not sign anybody out; it asks."""
    sign_in_as_newcomer(visitor, demo.penora, "asked-2")
    page = visitor.open(f"{demo.unified.url}/o/logout/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign out of Unified?")
    visitor.click("Stay signed in", "link")
    expect(page.locator(".who .name")).to_have_text("asked-2")  # on their projects
    visitor.open(f"{demo.unified.url}/o/logout/")
    visitor.click("Sign out")
    visitor.open(f"{demo.unified.url}/")
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    visitor.open(f"{demo.penora}/")
    expect(page.get_by_role("link", name="Sign in with Unified")).to_be_visible()


def test_out_at_unified_itself(visitor: Visitor, demo: Stack) -> None:
    sign_in_as_newcomer(visitor, demo.penora, "leaving")
    page = visitor.open(f"{demo.unified.url}/")
    page.locator(".who summary", has_text="leaving").click()
    visitor.click("Sign out")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    visitor.click("Sign in again", "link")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Unified")


def test_links_that_do_not_work_say_so(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {400, 403}
    sign_in_as_newcomer(visitor, demo.imagegene, "mistaken")
    page = visitor.open(ask(demo, redirect_uri="http://127.0.0.1:1/elsewhere"))
    expect(page.get_by_role("heading", level=1)).to_have_text("This link from the app does not work")
    page = visitor.open(f"{demo.unified.url}/o/logout/?id_token_hint=nonsense")
    expect(page.get_by_role("heading", level=1)).to_have_text("This link from the app does not work")
    visitor.click("Stay signed in", "link")
    expect(page.locator(".who .name")).to_have_text("mistaken")
