"""The staff's admin and the API's documentation, as they are under the policy of production."""

from __future__ import annotations

import json
from urllib.parse import urljoin

from playwright.sync_api import expect

from tests.browser.stack import Stack
from tests.browser.visitor import Visitor
from unified.seed import DEMO_USER_ID


def expect_no_wider(visitor: Visitor, width: int) -> None:
    """On a phone, nothing of the page is off to the side."""
    visitor.page.set_viewport_size({"width": width, "height": 800})
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == width


def test_every_list_of_the_admin_and_every_form_to_add_something(staff: Visitor) -> None:
    page = staff.page
    index = page.url
    links = page.locator("#content .model-group a, #content .module th a, #content .module .addlink").all()
    addresses = {urljoin(index, str(link.get_attribute("href"))) for link in links}
    assert len(addresses) > 25, addresses
    for address in sorted(addresses):
        page.goto(address)
        expect(page.locator("#changelist-form, #content-main form").first).to_be_visible()
    assert len(set(staff.pages_of_unified)) > 25


def test_a_person_is_found_and_changed(staff: Visitor, demo: Stack) -> None:
    page = staff.open(f"{demo.unified.url}/admin/accounts/user/")
    page.locator("#searchbar").fill(DEMO_USER_ID)
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#result_list tbody th a").click()
    page.get_by_role("link", name="Profile and rights").click()
    # The script that makes two lists of one, for rights, has run.
    expect(page.locator(".selector .selector-chosen").first).to_be_visible()
    page.get_by_label("Name:").fill("Demo User")
    page.get_by_label("Reason").fill("To see that it works")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist .success")).to_be_visible()


def test_a_key_is_shown_once(staff: Visitor, demo: Stack) -> None:
    page = staff.open(f"{demo.unified.url}/admin/accounts/appkey/add/")
    page.get_by_label("App").select_option(label="Penora")
    page.get_by_label("Label").fill("browser")
    # The date picker is made by scripts, and its icons and styles are files.
    page.get_by_role("link", name="Choose a Date").click()
    expect(page.locator(".calendarbox")).to_be_visible()
    page.locator(".calendarbox").get_by_role("link", name="Tomorrow").click()
    page.get_by_role("link", name="Now", exact=True).click()
    page.get_by_label("Reason").fill("To see that it works")
    page.get_by_role("button", name="Save", exact=True).click()
    key = page.locator("#content input[readonly]").input_value()
    assert key.startswith("uni_live_")
    expect_no_wider(staff, 390)
    assert demo.unified.call("GET", f"user-info?user_id={DEMO_USER_ID}", key=key).status == 200
    staff.click("Done", "link")
    expect(page.get_by_text("browser", exact=True)).to_be_visible()
    assert key not in page.content()


def test_a_client_is_made_and_its_secret_shown_once(staff: Visitor, demo: Stack) -> None:
    page = staff.open(f"{demo.unified.url}/admin/accounts/client/add/")
    page.get_by_label("App").select_option(label="ImageGene")
    page.get_by_label("Name").fill("A second one")
    page.get_by_label("Client type").select_option("confidential")
    page.get_by_label("Redirect URIs:", exact=True).fill(f"{demo.imagegene}/second")
    page.get_by_label("Reason").fill("To see that it works")
    page.get_by_role("button", name="Save", exact=True).click()
    secret = page.locator("#content input[readonly]").input_value()
    assert len(secret) == 64
    expect_no_wider(staff, 390)
    staff.click("Done", "link")
    page.get_by_role("link", name="A second one").click()
    assert secret not in page.content()


def test_what_happened_can_be_read(staff: Visitor, demo: Stack) -> None:
    page = staff.open(f"{demo.unified.url}/admin/accounts/auditentry/")
    expect(page.locator("#result_list tbody tr").first).to_be_visible()
    expect(page.locator("#changelist-filter")).to_be_visible()
    page.locator("#changelist-filter").get_by_role("link", name="Today").click()
    expect(page.locator("#result_list tbody tr").first).to_be_visible()
    page.locator("#result_list tbody th a").first.click()
    expect(page.locator("#content .readonly").first).to_be_visible()


def test_the_api_is_tried_out_on_its_documentation(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {401}
    page = visitor.open(f"{demo.unified.url}/api/docs/")
    operation = page.locator(".opblock", has_text="/api/unified/pricing").first
    operation.locator("button.opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    status = operation.locator(".live-responses-table tbody .response-col_status").first
    expect(status).to_contain_text("401")

    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".modal-ux")
    dialog.locator("input").first.fill(demo.unified.facts["app_keys"]["penora"])
    dialog.get_by_role("button", name="Apply credentials").first.click()
    dialog.get_by_role("button", name="Close").first.click()
    with page.expect_response(lambda response: response.url.endswith("/api/unified/pricing")) as answer:
        operation.get_by_role("button", name="Execute").click()
    assert answer.value.status == 200
    assert json.loads(answer.value.text())["success"] is True
    expect(status).to_contain_text("200")
