"""
What people come to their pages for, from the first click to the last, in Chromium under production's policy: something
deleted by mistake, a workspace that is full, a bigger plan, everything to take along. And what must not happen on the
way: that somebody sees what is another person's, or that anything runs that an app has brought.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Dialog, Download, Error, Locator, Page, Request, expect

from tests.browser.members import AT_ONCE_MS, api, call, save, sign_in, spend, tiles
from tests.browser.stack import Stack
from tests.browser.visitor import Visitor
from tests.quickstart.service import Answer
from tests.workspace.pictures import chunk, picture, png_with

MEGABYTE = 1_048_576
MOST_TABS = 40  # on the way to anything that is near the top


def titles(page: Page) -> Locator:
    return page.locator("#found .title")


def notice(page: Page, text: str) -> Locator:
    return page.get_by_role("status").filter(has_text=text)


def go_by_tab(page: Page, control: Locator) -> None:
    """To the control as somebody without a mouse comes there."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if control.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab does not come to {control}")


def saved_by_app(demo: Stack, sub: str, size_bytes: int) -> Answer:
    """What an app hears that saves so much."""
    body = {"user_id": sub, "app_source": "penora", "project_type": "page", "title": f"{size_bytes} letters"}
    return call(demo, "POST", "save-project", body={**body, "content": "x" * size_bytes})


def bytes_of(download: Download) -> bytes:
    return download.path().read_bytes()


def encoded(body: bytes) -> str:
    return base64.b64encode(body).decode()


# --- Deleting, renaming, finding --------------------------------------------------------------------------------------


def test_what_was_deleted_by_mistake_is_back_at_its_place(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "undoer")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    for title in ("Alpha", "Bravo", "Charlie"):
        save(demo, "undoer", title, content=f"All of {title}")
    address = visitor.open(f"{demo.unified.url}/projects/?sort=title").url

    tiles(page).get_by_role("link", name="Bravo").click()
    visitor.click("Delete")

    expect(page).to_have_url(address)
    expect(titles(page)).to_have_text(["Alpha", "Charlie"])
    notice(page, "“Bravo” is in the trash.").get_by_role("button", name="Undo").click()
    expect(notice(page, "“Bravo” is back.")).to_be_visible()
    expect(page).to_have_url(address)
    expect(titles(page)).to_have_text(["Alpha", "Bravo", "Charlie"])
    tiles(page).get_by_role("link", name="Bravo").click()
    expect(page.locator("#text")).to_have_text("All of Bravo")

    # The same without a mouse.
    go_by_tab(page, page.get_by_role("button", name="Delete", exact=True))
    page.keyboard.press("Enter")
    undo = notice(page, "“Bravo” is in the trash.").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    go_by_tab(page, undo)
    page.keyboard.press("Enter")
    expect(notice(page, "“Bravo” is back.")).to_be_visible()
    expect(titles(page)).to_have_text(["Alpha", "Bravo", "Charlie"])


def test_what_an_app_makes_of_it_while_somebody_renames_it_is_told(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {409}
    page = sign_in(visitor, demo, "renamer")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    code = save(demo, "renamer", "A draft")
    visitor.open(f"{demo.unified.url}/projects/{code}/")
    title, heading = page.get_by_role("textbox", name="Title"), page.get_by_role("heading", level=1)
    page.get_by_text("Rename", exact=True).click()
    title.fill("A story")
    visitor.click("Save")
    expect(notice(page, "It is called “A story” now.")).to_be_visible()
    expect(heading).to_have_text("A story")
    expect(page).to_have_title("A story · Unified")

    page.get_by_text("Rename", exact=True).click()
    title.fill("My own words")
    assert call(demo, "PATCH", f"projects/{code}", body={"user_id": "renamer", "title": "The app's"}).status == 200
    expect(heading).to_have_text("The app's", timeout=AT_ONCE_MS)
    expect(title).to_have_value("My own words")
    visitor.click("Save")

    alert = page.get_by_role("alert").filter(has_text="This project has been changed meanwhile.")
    expect(alert).to_contain_text("It is called “The app's” now")
    expect(heading).to_have_text("The app's")
    expect(title).to_have_value("My own words")
    visitor.click("Save")
    expect(heading).to_have_text("My own words")
    expect(alert).to_have_count(0)


def test_what_goes_into_the_trash_and_comes_back_does_so_on_open_pages(visitor: Visitor, demo: Stack) -> None:
    """Both on the page of the project, where somebody is writing its new title, and on the one that says it is away."""
    page = sign_in(visitor, demo, "waverer")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    code = save(demo, "waverer", "Here and away", content="All of it")
    visitor.open(f"{demo.unified.url}/projects/{code}/")
    title, heading = page.get_by_role("textbox", name="Title"), page.get_by_role("heading", level=1)
    page.get_by_text("Rename", exact=True).click()
    title.fill("Half a ti")

    assert call(demo, "DELETE", f"projects/{code}?user_id=waverer").status == 200
    expect(heading).to_have_text("This project is in the trash", timeout=AT_ONCE_MS)
    expect(title).to_be_focused()
    expect(title).to_have_value("Half a ti")
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    assert call(demo, "POST", f"projects/{code}/restore", body={"user_id": "waverer"}).status == 200
    expect(heading).to_have_text("Here and away", timeout=AT_ONCE_MS)
    expect(title).to_have_value("Half a ti")
    expect(page.get_by_role("button", name="Delete")).to_be_visible()

    assert call(demo, "DELETE", f"projects/{code}?user_id=waverer").status == 200
    visitor.expected = {404}
    visitor.open(f"{demo.unified.url}/projects/{code}/")
    expect(heading).to_have_text("This project is in the trash")
    assert call(demo, "POST", f"projects/{code}/restore", body={"user_id": "waverer"}).status == 200
    expect(heading).to_have_text("Here and away", timeout=AT_ONCE_MS)
    expect(page.locator("#connection")).to_be_hidden()


def test_by_app_and_by_kind_and_the_way_back(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "finder")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    for app in ("penora", "imagegene"):
        save(demo, "finder", f"{app}, a text", app)
        save(demo, "finder", f"{app}, a picture", app, content=encoded(picture()), kind="ai_art")
    address = visitor.open(f"{demo.unified.url}/projects/?sort=title").url
    by_app, by_kind = (page.get_by_role("combobox", name=name, exact=True) for name in ("App", "Kind"))
    of_both = ["imagegene, a picture", "imagegene, a text", "penora, a picture", "penora, a text"]
    steps: list[tuple[str, list[str], str, str]] = [(address, of_both, "", "")]
    expect(titles(page)).to_have_text(of_both)

    by_app.select_option("ImageGene")
    expect(titles(page)).to_have_text(of_both[:2])
    steps.append((page.url, of_both[:2], "imagegene", ""))
    by_kind.select_option("Pictures")
    expect(titles(page)).to_have_text(of_both[:1])
    steps.append((page.url, of_both[:1], "imagegene", "picture"))
    by_app.select_option("All apps")
    expect(titles(page)).to_have_text([of_both[0], of_both[2]])
    steps.append((page.url, [of_both[0], of_both[2]], "", "picture"))
    page.get_by_role("radio", name="List").check()
    expect(page.locator("#found ul.rows")).to_be_visible()
    assert len({*(step[0] for step in steps), page.url}) == 5

    for number in (3, 2, 1, 0, 1):
        (page.go_forward if number == 1 and page.url == address else page.go_back)()
        there, shown, app, kind = steps[number]
        expect(page).to_have_url(there)
        expect(titles(page)).to_have_text(shown)
        expect(by_app).to_have_value(app)
        expect(by_kind).to_have_value(kind)
        expect(page.get_by_role("radio", name="Grid")).to_be_checked()


# --- Room -------------------------------------------------------------------------------------------------------------


def test_a_full_workspace_says_what_to_do_and_has_room_again(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "full")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    for size_bytes in (400_000, 390_000, MEGABYTE - 790_000):
        assert saved_by_app(demo, "full", size_bytes).status == 201
    banner, bar = page.locator("#notices"), page.locator("#bar .fullness")
    expect(banner).to_contain_text("Your workspace is full. Nothing new can be kept", timeout=AT_ONCE_MS)
    expect(bar).to_have_text(re.compile("1 of 1 MB"))
    refused = saved_by_app(demo, "full", 300_000)
    assert (refused.status, refused.json()["code"]) == (413, "storage_limit_exceeded")

    banner.get_by_role("link", name="Make room").click()
    expect(page).to_have_url(f"{demo.unified.url}/storage/#going")
    expect(page.get_by_text("Nothing new can be kept. What you have stays as it is.")).to_be_visible()
    total, deed = page.locator("[data-sum]"), page.get_by_role("button", name="Move to the trash")
    expect(total).to_have_text("Tick what can go")
    expect(deed).to_be_disabled()
    page.get_by_role("checkbox", name="400000 letters").check()
    expect(total).to_have_text("1 ticked, frees 391 KB: then 61 % full")
    page.get_by_role("checkbox", name="390000 letters").check()
    expect(total).to_have_text("2 ticked, frees 771 KB: then 24 % full")
    page.get_by_role("checkbox", name="400000 letters").uncheck()
    expect(total).to_have_text("1 ticked, frees 381 KB: then 62 % full")
    page.get_by_role("checkbox", name="400000 letters").check()
    deed.click()

    told = notice(page, "2 projects are in the trash, 771 KB free again.")
    expect(told).to_be_focused()
    expect(banner).to_be_empty(timeout=AT_ONCE_MS)
    expect(bar).to_have_text(re.compile(r"0\.25 of 1 MB"))
    expect(page.locator("#going .title")).to_have_text([f"{MEGABYTE - 790_000} letters"])
    assert saved_by_app(demo, "full", 300_000).status == 201
    expect(bar).to_have_text(re.compile(r"0\.53 of 1 MB"), timeout=AT_ONCE_MS)
    expect(page.locator("#going .title")).to_have_text(["300000 letters", f"{MEGABYTE - 790_000} letters"])


# --- A bigger plan ----------------------------------------------------------------------------------------------------


def test_a_bigger_plan_from_the_wish_to_being_told(
    staff: Visitor, new_visitor: Callable[[], Visitor], demo: Stack
) -> None:
    """The person's page stays open all the while."""
    member = new_visitor()
    page = sign_in(member, demo, "upgrader", "/plans/")
    own, bar = page.locator(".plan.own h2"), page.locator("#bar")
    expect(own).to_have_text("Free Your plan")
    member.click("Ask for Plus")
    expect(notice(page, "You have asked for Plus.")).to_be_visible()
    expect(page.get_by_role("button", name="Withdraw")).to_be_visible()
    expect(bar).to_contain_text("50 credits")
    page.evaluate("document.body.dataset.opened = 'once'")

    admin = staff.open(f"{demo.unified.url}/admin/upgrades/")
    name = re.escape(page.locator(".who .name").inner_text())
    admin.get_by_role("link", name=re.compile(f"^Decide: {name}.*, Plus$")).click()
    admin.get_by_label("Reason").fill("")
    admin.get_by_label("Note to the person").fill("Enjoy the room")
    staff.click("Approve")
    expect(admin.get_by_text("Nothing was done.")).to_be_visible()
    expect(own).to_have_text("Free Your plan")
    admin.get_by_label("Reason").fill("Asked for on the plans page")
    staff.click("Approve")
    expect(admin.locator(".messagelist .success")).to_contain_text("is on the plan Plus now")

    told = notice(page, "You are on Plus now.")
    expect(told).to_contain_text("Enjoy the room", timeout=AT_ONCE_MS)
    expect(own).to_have_text("Plus Your plan")
    expect(bar).to_contain_text("250 credits")
    expect(bar).to_contain_text("of 10 MB")
    assert page.evaluate("document.body.dataset.opened") == "once"
    assert saved_by_app(demo, "upgrader", 2 * MEGABYTE).status == 201
    told.get_by_role("button", name="OK").click()
    expect(page.locator("#decided")).to_be_empty()
    member.open(f"{demo.unified.url}/credits/")
    expect(page.locator("#history tbody tr").first).to_contain_text("+200")
    expect(page.locator("#decided")).to_be_empty()


# --- What is another person's -----------------------------------------------------------------------------------------


def test_another_persons_code_is_as_if_there_were_none(visitor: Visitor, demo: Stack) -> None:
    visitor.expected = {401, 404}
    api(demo, "create-user", user_id="owner", username="The Owner", email="owner@example.com")
    secrets = {"prompt": "Whispered prompt"}
    text = save(demo, "owner", "Private title", content="Confidential words", metadata=secrets)
    drawn = save(demo, "owner", "Private picture", "imagegene", content=encoded(picture()), metadata=secrets)
    page = sign_in(visitor, demo, "curious")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    own = save(demo, "curious", "Something of my own")
    here = f"{demo.unified.url}/projects"

    def designed(heading: str = "There is no such project") -> str:
        """What the page says, which is one of ours with the ways on, and with nothing of the owner's."""
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(page.get_by_role("link", name="Projects", exact=True)).to_be_visible()
        source = page.content()
        assert not re.search("private|confidential|whispered|owner", source, re.IGNORECASE), source
        return page.title() + page.locator("main").inner_text()

    for deed in ("", "download/", "download/?as=png"):
        found = []
        for code in (text, drawn, "ZZZZZZ"):
            with page.expect_response(f"{here}/{code}/{deed}") as opened:
                visitor.open(f"{here}/{code}/{deed}")
            assert opened.value.status == 404
            found.append(designed())
        assert found[0] == found[1] == found[2]
    assert call(demo, "DELETE", f"projects/{drawn}?user_id=owner").status == 200
    visitor.open(f"{here}/{drawn}/")
    assert designed() == found[2]  # and not that it is in the trash
    for address in (f"make-room/?project={text}-1", f"trash/{drawn}/thumbnail/"):
        nothing = visitor.context.request.get(f"{demo.unified.url}/storage/{address}")
        assert (nothing.status, re.search("Private|Confidential|Whispered", nothing.text())) == (404, None)

    # The forms of one's own page, sent to where they do not belong.
    for deed, form in (("rename", "#renaming form"), ("delete", "form.away")):
        visitor.open(f"{here}/{own}/")
        page.locator(form).evaluate("(form, address) => { form.action = address }", f"{here}/{text}/{deed}/")
        with page.expect_response(f"{here}/{text}/{deed}/") as posted:
            page.locator(form).evaluate("form => form.requestSubmit()")
        assert posted.value.status == 404
        designed()
    visitor.open(f"{here}/{own}/")
    page.locator("form.away").evaluate("(form, to) => { form.action = to; form.submit() }", f"{here}/{text}/restore/")
    expect(notice(page, "It is not there any more")).to_be_visible()
    designed("Projects")
    for part in ("content", "thumbnail"):  # of the API: a session is no credential there, nor a code
        answer = visitor.context.request.get(f"{demo.unified.url}/api/unified/projects/{text}/{part}")
        assert (answer.status, answer.headers["content-type"]) == (401, "application/json")

    told = call(demo, "GET", f"projects/{text}?user_id=owner").json()["project"]
    assert (told["title"], told["content"], told["metadata"]) == ("Private title", "Confidential words", secrets)


# --- What strangers wrote ---------------------------------------------------------------------------------------------


def hostile(where: str) -> str:
    """Ends whatever it stands in, and calls."""
    return f"{where}</title></div>\"'><script>sprung('{where}')</script><img src=/sprung onerror=sprung('{where}')>"


DOCUMENT = """<!doctype html><html><head><meta http-equiv=refresh content="0;url=/sprung"><base href="/sprung/">
<link rel=stylesheet href=/sprung.css><script src=/sprung.js></script><script>sprung('document')</script></head>
<body onload="sprung('onload')"><h1>A forged page</h1><svg onload="sprung('svg')"></svg>
<iframe srcdoc="<script>parent.sprung('srcdoc')</script>"></iframe><form action=/sprung><button>x</button></form>
<div hx-get=/sprung hx-trigger=load data-copy=x></div><a href="javascript:sprung('link')">link</a>
{{ 7|add:7 }} {% debug %} </textarea></div></body></html>"""
XML = """<html xmlns="http://www.w3.org/1999/xhtml"><script>sprung('xml')</script></html>"""
# What stands in a page only if somebody's words have become more than words.
MARKUP = """() => [...document.querySelectorAll(
  '[onerror], [onload], [srcdoc], base, meta[http-equiv], iframe, [href^="javascript:" i], [src^="javascript:" i], '
  + '[src*=sprung], [href*=sprung]:not([href*="q="]), [action*=sprung], [hx-get*="/sprung"], script:not([src])')]
  .map(element => element.outerHTML)"""


class Traps:
    """Notices whatever a stranger's words do: call, ask for something, open a dialog, become a part of the page."""

    def __init__(self, visitor: Visitor) -> None:
        self.page = visitor.page
        self.sprung: list[str] = []
        visitor.context.expose_function("sprung", self._called)
        visitor.context.on("request", self._asked)
        visitor.page.on("dialog", self._opened)

    def none_sprung(self, *words: str) -> None:
        """On the page as it is, where these words can be read."""
        for word in words:
            expect(self.page.locator("main, body").filter(has_text=word).first).to_be_visible()
        assert self.page.evaluate(MARKUP) == [], self.page.url
        assert self.sprung == [], self.page.url

    def _called(self, where: str) -> None:
        self.sprung.append(where)

    def _opened(self, dialog: Dialog) -> None:
        self.sprung.append(dialog.message)
        dialog.dismiss()

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).path.startswith("/sprung"):
            self.sprung.append(request.url)


def test_nothing_runs_that_strangers_wrote(visitor: Visitor, demo: Stack) -> None:
    name = hostile("name")
    api(demo, "create-user", user_id="target", username=name, email="target@example.com")
    details = {
        "prompt": hostile("prompt"),
        "model": "javascript:sprung('model')",
        "style": hostile("style"),
        hostile("key"): [hostile("item")],
        "deep": {"a": [{hostile("inner"): DOCUMENT}]},
    }
    drawn = png_with(picture(), chunk(b"tEXt", b"Comment\0" + DOCUMENT.encode()))
    contents = {
        "text": (DOCUMENT, DOCUMENT.encode()),
        "html": (f"data:text/html,{quote(DOCUMENT)}", DOCUMENT.encode()),
        "xml": (f"data:text/xml,{quote(XML)}", XML.encode()),
        "script": ("data:text/javascript,sprung('script')", b"sprung('script')"),
        "picture": (encoded(drawn), drawn),
    }
    saved = {
        what: save(
            demo,
            "target",
            hostile(what),
            "imagegene" if what == "picture" else "penora",
            content=sent,
            kind=hostile("k")[:64],
            metadata=details,
            compression="none",
        )
        for what, (sent, _) in contents.items()
    }
    save(demo, "target", "javascript:sprung('title')", content="javascript:sprung('words')")
    spend(demo, "target", 1, hostile("spent"), project_code="<img src=/sprung>")
    refused = {"user_id": "target", "app_source": "penora", "project_type": "page", "title": "A document"}
    for kind in ("image/svg+xml", "application/xhtml+xml"):
        answer = call(demo, "POST", "save-project", body={**refused, "content": f"data:{kind},{quote(XML)}"})
        assert answer.status == 400, kind

    page = sign_in(visitor, demo, "target")
    traps = Traps(visitor)
    visitor.open(f"{demo.unified.url}/projects/?sort=oldest")
    expect(titles(page)).to_have_text([*map(hostile, contents), "javascript:sprung('title')"])
    expect(page.locator(".who .name")).to_have_text(name)
    traps.none_sprung(hostile("html"))
    page.get_by_role("radio", name="List").check()
    expect(page.locator("#found ul.rows")).to_be_visible()
    traps.none_sprung(hostile("html"))
    page.get_by_label("Search").fill(hostile("html"))
    expect(titles(page)).to_have_text([hostile("html")])
    traps.none_sprung()
    page.get_by_label("Search").fill(hostile("nothing")[:100])
    expect(page.get_by_text("Nothing found").first).to_be_visible()
    traps.none_sprung(hostile("nothing")[:100])
    visitor.open(page.url)  # what was looked for in the field, too
    traps.none_sprung(hostile("nothing")[:100])

    for what, (_, body) in contents.items():
        visitor.open(f"{demo.unified.url}/projects/{saved[what]}/")
        expect(page.get_by_role("heading", level=1)).to_have_text(hostile(what))
        assert page.title() == f"{hostile(what)} · Unified"
        if what != "picture":
            assert page.locator("#text").text_content() == body.decode()
        traps.none_sprung(hostile("prompt"), "javascript:sprung('model')", hostile("item"))
        with page.expect_download() as download:
            page.locator("#download").click()
        assert bytes_of(download.value) == body
        address = call(demo, "GET", f"projects/{saved[what]}?user_id=target").json()["project"]["content_url"]
        opened_by_itself(visitor, address, body, is_picture=what == "picture")
        traps.none_sprung()

    visitor.expected = {404}
    for address in ("/credits/", "/account/", "/storage/", "/projects/<img src=x onerror=sprung('code')>/"):
        visitor.open(f"{demo.unified.url}{address}")
        traps.none_sprung(name)
    visitor.open(f"{demo.unified.url}/credits/")
    expect(page.locator("#history .what").first).to_have_text(hostile("spent"))

    # Into the trash by both ways, and what is told of it.
    visitor.open(f"{demo.unified.url}/storage/make-room/?project={saved['html']}-1")
    traps.none_sprung(hostile("html"))
    visitor.open(f"{demo.unified.url}/storage/")
    page.locator(f"#tick-{saved['html']}").check()
    visitor.click("Move to the trash")
    traps.none_sprung(f"{hostile('html')} is in the trash")
    visitor.open(f"{demo.unified.url}/projects/{saved['text']}/")
    visitor.click("Delete")
    traps.none_sprung(f"“{hostile('text')}” is in the trash")
    visitor.open(f"{demo.unified.url}/projects/{saved['text']}/")
    traps.none_sprung(f"{hostile('text')} was deleted")
    visitor.open(f"{demo.unified.url}/storage/trash/")
    expect(page.locator("#coming .title")).to_have_count(2)
    traps.none_sprung(hostile("text"), hostile("html"))
    visitor.click("Empty the trash…", "link")
    traps.none_sprung(hostile("text"))


def opened_by_itself(visitor: Visitor, address: str, body: bytes, *, is_picture: bool) -> None:
    """The signed address of the content in the browser's own line: a picture is one, all else is but a file."""
    answer = visitor.context.request.get(address)
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    if is_picture:
        page = visitor.open(address)
        assert page.evaluate("document.contentType") == "image/png"
        # The policy refuses Playwright's scripts there, and the styles that Chromium itself gives to a picture.
        visitor.complaints[:] = [one for one in visitor.complaints if not one.endswith(f"({address})")]
        return
    with visitor.page.expect_download() as download, pytest.raises(Error, match="Download is starting"):
        visitor.open(address)
    assert bytes_of(download.value) == body


def test_no_cell_of_the_history_is_a_formula(visitor: Visitor, demo: Stack) -> None:
    formulas = [f"{start}HYPERLINK(\"https://evil.example\",'x')\n,1" for start in "=+-@\t\r\n"]
    page = sign_in(visitor, demo, "accountant")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    for formula in formulas:
        spend(demo, "accountant", 2, formula, project_code=formula.strip("\t\r\n")[:9])

    visitor.open(f"{demo.unified.url}/credits/?kind=deduction")
    with page.expect_download() as download:
        visitor.click("Download as CSV", "link")

    assert re.fullmatch(r"credits-spent-\d{4}-\d\d-\d\d\.csv", download.value.suggested_filename)
    rows = list(csv.DictReader(io.StringIO(bytes_of(download.value).decode("utf-8-sig"), newline="")))
    assert [row["What"] for row in rows] == [f"'{formula}" for formula in reversed(formulas)]
    assert [(row["Change"], row["Balance"]) for row in rows] == [("-2", str(n)) for n in range(36, 50, 2)]
    cells = [cell for row in rows for column, cell in row.items() if column != "Change"]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))] == []


# --- Everything to take along -----------------------------------------------------------------------------------------


def test_what_is_taken_along_is_all_of_it_to_the_byte(visitor: Visitor, demo: Stack) -> None:
    page = sign_in(visitor, demo, "mover")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    page_of_theirs, png = "<!doctype html><p>Grüße, 你好 🎈</p>\r\n", picture()
    bodies = {
        save(
            demo, "mover", "Grüße / 你好", content="Ein Text\r\nmit Zeilen 🎈\n"
        ): "Ein Text\r\nmit Zeilen 🎈\n".encode(),
        save(demo, "mover", "A page", content=f"data:text/html,{quote(page_of_theirs)}"): page_of_theirs.encode(),
        save(demo, "mover", "Data", "imagegene", content='data:application/json,{"a":1}'): b'{"a":1}',
        save(demo, "mover", "As sent", "imagegene", content=encoded(png), compression="none"): png,
        save(demo, "mover", "Long", content="0123456789" * 20_000): b"0123456789" * 20_000,
    }
    again = save(demo, "mover", "Made smaller", "imagegene", content=encoded(png), metadata={"prompt": "a gradient"})
    told = call(demo, "GET", f"projects/{again}?user_id=mover").json()["project"]
    bodies[again] = base64.b64decode(told["content"])
    thrown_away = save(demo, "mover", "Thrown away", content="But not gone")
    assert call(demo, "DELETE", f"projects/{thrown_away}?user_id=mover").status == 200
    for number in range(30):
        spend(demo, "mover", 1, f"Number {number}")

    visitor.open(f"{demo.unified.url}/account/")
    with page.expect_download() as download:
        visitor.click("Download everything", "link")

    with zipfile.ZipFile(io.BytesIO(bytes_of(download.value))) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        kept = {project["code"]: project for project in manifest["projects"]}
        found = {code: archive.read(project["file"]) for code, project in kept.items()}
        assert found == {**bodies, thrown_away: b"But not gone"}
        assert [code for code, project in kept.items() if project["deleted_at"]] == [thrown_away]
        assert {project["app_source"] for project in kept.values()} == {"penora", "imagegene"}
        assert json.loads(archive.read(kept[again]["details"]))["metadata"] == {"prompt": "a gradient"}
        named = {name for project in kept.values() for name in (project["file"], project["details"])}
        assert {*archive.namelist()} == {*named, "transactions.csv", "index.html", "manifest.json"}
        rows = list(csv.DictReader(io.StringIO(archive.read("transactions.csv").decode(), newline="")))
    history = call(demo, "GET", "transactions?user_id=mover&limit=100").json()["all_transactions"]
    assert [row["id"] for row in reversed(rows)] == [entry["id"] for entry in history]
    assert [row["seq"] for row in rows] == [str(seq) for seq in range(1, 32)]
    assert [row["description"] for row in rows[1:]] == [f"Number {number}" for number in range(30)]
    assert (manifest["credits"], rows[-1]["balance_after"]) == (20, "20")
