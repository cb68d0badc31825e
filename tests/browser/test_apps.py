"""Two apps, one sign-in, as a person has it: everything by clicking, in Chromium, under the policy of production."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.stack import Stack
from tests.browser.visitor import Visitor

DEMO, SECOND = "Demo User", "Second Demo User"
SUBS = {DEMO: "101902121794505144784", SECOND: "101902121794505144785"}
HOSTILE = (
    "<script>document.title = 'it ran'</script>",
    '"><img src=x onerror="document.title = \'it ran\'">',
    "{{ 7 * 7 }} javascript:alert(1) &lt;b&gt;",
)


def sign_in(visitor: Visitor, app: str, person: str) -> Page:
    """From an app's page, by Google's stand-in, back to the app's page."""
    page = visitor.open(f"{app}/")
    visitor.click("Sign in with Unified", "link")
    visitor.click("Continue with Google")
    page.get_by_role("button", name=person).first.click()
    expect(page).to_have_url(f"{app}/")
    return page


def sign_in_as_newcomer(visitor: Visitor, app: str, sub: str) -> Page:
    """The same, by somebody whom the stand-in does not list: 50 credits, an empty workspace."""
    page = visitor.open(f"{app}/")
    visitor.click("Sign in with Unified", "link")
    visitor.click("Continue with Google")
    page.get_by_text("Be somebody else").click()
    page.get_by_label("Any number or name").fill(sub)
    visitor.click("Continue")
    expect(page).to_have_url(f"{app}/")
    return page


def generate(page: Page, prompt: str) -> None:
    page.get_by_label("What should the").fill(prompt)
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("status")).to_contain_text("left for both apps")


def credits_on(page: Page) -> int:
    return int(page.locator(".figures .figure").first.inner_text())


def codes_on(page: Page) -> list[str]:
    return sorted(page.locator(".projects code").all_inner_texts())


def ask_api(demo: Stack, sub: str) -> tuple[int, list[str]]:
    """Credits and the codes of all projects, as an app's server is told."""
    key = demo.unified.facts["app_keys"]["penora"]
    person = demo.unified.call("GET", f"user-info?user_id={sub}", key=key).json()
    projects = demo.unified.call("GET", f"projects?user_id={sub}", key=key).json()
    return person["credits"], sorted(project["code"] for project in projects["all_projects"])


def expect_pictures(page: Page) -> int:
    """All pictures of the page are there and can be seen. How many previews there are among them."""
    pictures = page.locator("img").all()
    assert all(width_of(picture) > 0 for picture in pictures)
    return page.locator("img.preview").count()


def width_of(picture: Locator) -> int:
    """Its own, in pixels, once it is there; an error, if it cannot be shown."""
    picture.scroll_into_view_if_needed()  # those farther down are loaded when they come into view
    return int(picture.evaluate("async picture => { await picture.decode(); return picture.naturalWidth; }"))


def expect_signed_out(page: Page) -> None:
    expect(page.get_by_role("link", name="Sign in with Unified")).to_be_visible()


@pytest.mark.parametrize(("person", "first"), [(DEMO, "penora"), (SECOND, "imagegene")])
def test_in_by_one_app_and_out_by_it(visitor: Visitor, demo: Stack, person: str, first: str) -> None:
    """The other app needs no click to be in, pays from the same pool, shows the same things, and is out as well."""
    apps = {"penora": demo.penora, "imagegene": demo.imagegene}
    second = next(url for slug, url in apps.items() if slug != first)
    page = sign_in(visitor, apps[first], person)
    before = credits_on(page)

    visitor.open(f"{second}/")
    expect(page).to_have_url(f"{second}/")
    expect(page.locator(".who .name")).to_have_text(person)
    assert credits_on(page) == before

    visitor.open(f"{demo.penora}/")
    generate(page, "How tides work")
    visitor.open(f"{demo.imagegene}/")
    generate(page, "A lake at dawn")
    seen = []
    for app in apps.values():
        visitor.open(f"{app}/")
        seen.append((credits_on(page), codes_on(page)))
        assert expect_pictures(page) >= 1
    assert seen[0] == seen[1] == ask_api(demo, SUBS[person])
    assert seen[0][0] == before - 1 - 2

    # What one made is opened in the other.
    visitor.open(f"{demo.penora}/")
    visitor.click("A lake at dawn", "link")
    assert width_of(page.locator("article img")) == 768
    visitor.open(f"{demo.imagegene}/")
    visitor.click("How tides work", "link")
    expect(page.locator("article .text")).to_contain_text("“How tides work”")

    other = visitor.context.new_page()
    other.goto(f"{second}/")
    visitor.open(f"{apps[first]}/")
    visitor.click("Sign out")
    expect(page.get_by_role("status")).to_contain_text("You are signed out of Unified and of every app")
    expect_signed_out(page)
    other.reload()
    expect_signed_out(other)
    expect(other.get_by_role("status")).to_contain_text("You have been signed out of Unified")


def test_out_by_the_app_that_was_entered_second(visitor: Visitor, demo: Stack) -> None:
    first = sign_in_as_newcomer(visitor, demo.penora, "crosswise-1")
    second = visitor.context.new_page()
    second.goto(f"{demo.imagegene}/")
    second.get_by_role("button", name="Sign out").click()
    expect_signed_out(second)
    first.reload()
    expect_signed_out(first)
    # And both can be entered again, by somebody else.
    page = sign_in_as_newcomer(visitor, demo.imagegene, "crosswise-2")
    expect(page.locator(".who .name")).to_have_attribute("title", "crosswise-2")


def test_two_tabs_both_sign_out(visitor: Visitor, demo: Stack) -> None:
    """Whoever is out already and presses the button again is out, and told so; nothing breaks."""
    page = sign_in_as_newcomer(visitor, demo.penora, "two-tabs")
    other = visitor.context.new_page()
    other.goto(f"{demo.imagegene}/")
    visitor.click("Sign out")
    expect_signed_out(page)
    other.get_by_role("button", name="Sign out").click()
    expect_signed_out(other)


def test_cancelled_at_google(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {401, 403}
    page = visitor.open(f"{demo.penora}/")
    visitor.click("Sign in with Unified", "link")
    visitor.click("Continue with Google")
    visitor.click("Cancel")
    expect(page.get_by_role("heading", level=1)).to_have_text("You were not signed in")
    visitor.click("Back to sign-in", "link")
    expect(page.get_by_text("to go on to Penora")).to_be_visible()  # where they were going to is not forgotten
    visitor.click("Continue with Google")
    page.get_by_role("button", name=SECOND).click()
    expect(page.locator(".who .name")).to_have_text(SECOND)


def test_what_somebody_types_is_never_run(visitor: Visitor, new_visitor: Callable[[], Visitor], demo: Stack) -> None:
    sub = "hostile"
    page = sign_in_as_newcomer(visitor, demo.penora, sub)
    for app in (demo.penora, demo.imagegene):
        visitor.open(f"{app}/")
        generate(page, " ".join(HOSTILE))
        _expect_only_text(page)
    # By the API too, each alone and as a text, as another app could.
    key = demo.unified.facts["app_keys"]["penora"]
    for title in HOSTILE:
        body = {"user_id": sub, "app_source": "penora", "project_type": "page", "title": title, "content": title}
        assert demo.unified.call("POST", "save-project", body, key=key).status == 201
    for app in (demo.penora, demo.imagegene):
        visitor.open(f"{app}/")
        _expect_only_text(page)
        for title in HOSTILE:
            expect(page.locator(".projects .title").get_by_text(title, exact=True)).to_be_visible()
    for path in [link.get_attribute("href") for link in page.locator(".projects a").all()]:
        visitor.open(f"{demo.penora}{path}")
        _expect_only_text(page)

    staff = new_visitor()
    staff.open(f"{demo.unified.url}/admin/workspace/project/?q={sub}")
    admin = demo.unified.facts["admin"]
    staff.page.get_by_label("User id").fill(admin["user_id"])
    staff.page.get_by_label("Password", exact=True).fill(admin["password"])
    staff.click("Sign in")
    expect(staff.page.locator("#result_list tbody tr")).to_have_count(5)
    _expect_only_text(staff.page)
    staff.page.locator("#result_list tbody th a").first.click()
    _expect_only_text(staff.page)


def _expect_only_text(page: Page) -> None:
    assert page.title() != "it ran"
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("script:not([src])").count() == 0


def test_no_credits_no_picture(visitor: Visitor, demo: Stack) -> None:
    """The last credit is spent, and the next wish says what is missing and charges nothing."""
    page = sign_in_as_newcomer(visitor, demo.imagegene, "spender")
    key = demo.unified.facts["app_keys"]["imagegene"]
    body: dict[str, Any] = {"user_id": "spender", "amount": 49, "app_name": "imagegene", "description": "A lot"}
    assert demo.unified.call("POST", "deduct-credits", body, key=key).status == 200
    page.get_by_label("What should the").fill("One too many")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("1 credit short. Nothing was charged."))
    assert ask_api(demo, "spender") == (1, [])
