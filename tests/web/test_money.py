"""The page of credits: what can be spent, is held, expires, has happened, and costs what."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import App, User
from credits import pricing
from credits import services as credits
from credits.models import LedgerEntry
from tests.clock import let_pass
from tests.conftest import make_user
from tests.sso.conftest import browser_of
from tests.workspace.contents import content_of
from unified import services
from workspace import services as workspace

pytestmark = pytest.mark.django_db
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(1)>"
HTMX = {"HX-Request": "true", "HX-Target": "history"}
GIFT = LedgerEntry.Source.PROMOTION


@pytest.fixture
def alices(alice: User) -> Browser:
    return browser_of(alice)


def text_of(response: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def purse_of(response: Any) -> str:
    html: str = response.content.decode()
    return html[html.index('id="purse"') :].split("</section>", maxsplit=1)[0]


def table_of(response: Any) -> list[tuple[str, str, str]]:
    """What stands in the history: what, the change, the balance after it."""
    body = response.content.decode().split('<table class="history">')[-1].split("</table>")[0]
    found = []
    for row in body.split("<tr>")[2:]:
        what, change, balance = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        found.append((re.findall(r'<bdi class="what">(.*?)</bdi>', what, re.DOTALL)[0], change, balance))
    return found


def spend(user: User, app: App, amount: int, text: str, **more: Any) -> None:
    credits.deduct(user=user, app=app, amount=amount, description=text, **more)


def kept(user: User, app: App) -> str:
    text = content_of("x")
    return workspace.save_project(user=user, app=app, project_type="page", title="t", content=text, metadata={})[0].code


def test_it_says_what_can_be_spent_is_held_and_for_what_and_what_expires(
    alice: User, penora: App, imagegene: App, alices: Browser
) -> None:
    now = timezone.now()
    for days, amount in ((20, 7), (3, 5)):
        credits.grant(
            user=alice, amount=amount, source=GIFT, description="Gift", expires_at=now + timedelta(days=days, hours=1)
        )
    services.reserve(user=alice, app=imagegene, amount=2, description="A picture of a cat")
    line, _ = pricing.price(operation="page", quantity=1)
    services.reserve(user=alice, app=penora, amount=1, operation=line, quantity=1)
    gone, _ = services.reserve(user=alice, app=penora, amount=9, description="Given up")
    services.release(hold=gone)

    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", purse_of(alices.get("/credits/")))).split())

    assert "To spend 59 credits" in text
    assert "Held 3 credits" in text
    assert re.search(r"A picture of a cat 2 credits ImageGene free again in \d+ minutes", text)
    assert "Single page generation 1 credit Penora" in text
    assert "Given up" not in text
    assert "Expiring 9 credits 2 credits in 3 days 7 credits in 20 days 50 credits never" in text


def test_a_hold_that_is_over_is_held_no_more(alice: User, penora: App, alices: Browser) -> None:
    services.reserve(user=alice, app=penora, amount=2, description="Forgotten", expires_in_seconds=60)
    let_pass(timedelta(minutes=2))

    assert "Forgotten" not in alices.get("/credits/now/").content.decode()
    assert "50</strong> credits" in alices.get("/credits/now/").content.decode()


def test_the_history_is_newest_first_with_the_balance_after_each(alice: User, penora: App, alices: Browser) -> None:
    spend(alice, penora, 1, "First page")
    spend(alice, penora, 12, "A book")

    page = alices.get("/credits/")

    assert table_of(page) == [
        ("A book", "−12", "37"),
        ("First page", "−1", "49"),
        ("Welcome credits", "+50", "50"),
    ]
    assert "3 transactions" in text_of(page)


def test_it_is_filtered_by_app_and_kind_in_the_address(
    alice: User, penora: App, imagegene: App, alices: Browser
) -> None:
    spend(alice, penora, 1, "A page")
    spend(alice, imagegene, 2, "A picture")

    def found(query: str) -> list[str]:
        return [what for what, _, _ in table_of(alices.get(f"/credits/{query}"))]

    assert found("?app=penora") == ["A page"]
    assert found("?kind=deduction") == ["A picture", "A page"]
    assert found("?app=imagegene&kind=deduction") == ["A picture"]
    assert found("?kind=grant") == ["Welcome credits"]
    assert found("?app=nobody&kind=nothing&before=x") == ["A picture", "A page", "Welcome credits"]
    assert found(f"?before={'9' * 19}") == ["A picture", "A page", "Welcome credits"]
    none = alices.get("/credits/?app=penora&kind=grant")
    assert "None of your transactions matches." in text_of(none)
    assert '<option value="grant" selected>' in none.content.decode()


def test_pages_go_on_where_the_last_ended_and_keep_the_filter(alice: User, penora: App, alices: Browser) -> None:
    for number in range(1, 31):
        spend(alice, penora, 1, f"Page {number}")

    first = alices.get("/credits/?kind=deduction")
    older = re.findall(r'href="(/credits/[^"]*before[^"]*)"', first.content.decode())
    spend(alice, penora, 1, "Meanwhile")
    second = alices.get(unescape(older[0]))

    assert [what for what, _, _ in table_of(first)] == [f"Page {number}" for number in range(30, 5, -1)]
    assert [what for what, _, _ in table_of(second)] == [f"Page {number}" for number in range(5, 0, -1)]
    assert 'href="/credits/?kind=deduction"' in second.content.decode()
    assert "There is nothing older." in text_of(alices.get("/credits/?before=1"))


def test_a_part_is_given_to_htmx_and_the_page_to_whoever_comes_back(alices: Browser) -> None:
    part = alices.get("/credits/?kind=grant", headers=HTMX).content.decode()
    assert "<html" not in part
    assert part.lstrip().startswith('<div id="history"')
    assert 'hx-get="/credits/?kind=grant"' in part

    back = alices.get("/credits/", headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert b"<html" in back.content


def test_a_code_leads_to_the_project_while_it_is_there(alice: User, bob: User, penora: App, alices: Browser) -> None:
    mine, gone, others = kept(alice, penora), kept(alice, penora), kept(bob, penora)
    typed = f"{mine[:3].lower()}-{mine[3:].lower()}"
    for code in (mine, typed, gone, others, "no code", "a/../b"):
        spend(alice, penora, 1, "A page", project_code=code)
    workspace.delete_project(user=alice, code=gone)

    html = alices.get("/credits/").content.decode()

    assert html.count(f'href="/projects/{mine}/"') == 2
    assert re.findall(r'href="/projects/([^"]+)"', html) == [f"{mine}/"] * 2
    for code in (gone, others, "no code", "a/../b"):
        assert f"<bdi>{code}</bdi>" in html


def test_what_apps_write_never_runs(alice: User, penora: App, alices: Browser) -> None:
    spend(alice, penora, 1, HOSTILE, project_code=HOSTILE)
    services.reserve(user=alice, app=penora, amount=1, description=HOSTILE)

    html = alices.get("/credits/").content.decode()

    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert html.count("&lt;script&gt;") == 3
    assert not re.search(r"\sstyle=|<style|\son\w+=", html.replace("onerror=alert(1)&gt;", ""))


def csv_of(browser: Browser, query: str = "") -> list[dict[str, str]]:
    response = browser.get(f"/credits/transactions.csv{query}")
    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    file: bytes = response.getvalue()
    assert file.startswith(b"\xef\xbb\xbfWhen (UTC),What,Kind,")  # by these three bytes, Excel knows that it is UTF-8
    return list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline="")))


def test_the_file_has_what_the_filters_choose_and_no_formula(
    alice: User, penora: App, imagegene: App, alices: Browser
) -> None:
    spend(alice, penora, 1, '=HYPERLINK("https://evil.example")', project_code="+1")
    spend(alice, imagegene, 2, "A picture")

    rows = csv_of(alices, "?app=penora&kind=deduction")

    assert [(row["Change"], row["Balance"]) for row in rows] == [("-1", "49")]
    assert rows[0]["What"] == '\'=HYPERLINK("https://evil.example")'
    assert rows[0]["Project"] == "'+1"
    html = alices.get("/credits/?app=penora&kind=deduction").content.decode()
    assert 'href="/credits/transactions.csv?app=penora&amp;kind=deduction"' in html


def test_the_file_is_the_page_newest_first_in_its_words(alice: User, imagegene: App, alices: Browser) -> None:
    line, amount = pricing.price(operation="basic_art", quantity=3)
    spend(alice, imagegene, amount, "Trois étés", operation=line, quantity=3, project_code="7K3M9Q")
    credits.grant(user=alice, amount=5, source=GIFT, description="")

    first, second, third = csv_of(alices)

    assert (first["What"], first["Kind"], first["App"], first["Change"]) == ("Received", "Received", "", "5")
    entry = LedgerEntry.objects.get(type="deduction")
    assert second == {
        "When (UTC)": f"{entry.created_at:%Y-%m-%d %H:%M:%S}",
        "What": "Trois étés",
        "Kind": "Spent",
        "App": "ImageGene",
        "Quantity": "3",
        "Project": "7K3M9Q",
        "Change": "-6",
        "Balance": "44",
    }
    assert third["What"] == "Welcome credits"
    assert [(row["What"], row["Balance"]) for row in (first, second, third)] == [
        (what, balance) for what, _, balance in table_of(alices.get("/credits/"))
    ]


def test_the_file_is_named_for_what_it_has_and_the_day(alices: Browser) -> None:
    def name_of(query: str) -> str:
        return str(alices.get(f"/credits/transactions.csv{query}")["Content-Disposition"])

    day = f"{timezone.now():%Y-%m-%d}"

    assert name_of("") == f'attachment; filename="credits-{day}.csv"'
    assert name_of("?app=penora&kind=deduction") == f'attachment; filename="credits-penora-spent-{day}.csv"'
    assert name_of("?kind=adjustment") == f'attachment; filename="credits-adjusted-by-staff-{day}.csv"'


def test_the_price_list_is_that_of_both_apps(penora: App, alices: Browser) -> None:
    pricing.change_price(slug="page", credits=4)
    pricing.change_price(slug="multi_page", credits=9, is_active=False)

    text = text_of(alices.get("/credits/"))

    assert "Single page generation 4 credits per page" in text
    assert re.search(r"Penora What Credits .* ImageGene What Credits ", text)
    assert "Basic AI art generation 2 credits per image" in text
    assert "Multi-page generation" not in text


def test_nobody_sees_another_persons_credits(alice: User, bob: User, penora: App) -> None:
    spend(alice, penora, 1, "Secret page")
    browser = browser_of(bob)

    for address in ("/credits/", "/credits/now/"):
        assert "Secret page" not in browser.get(address).content.decode()
    assert [row["What"] for row in csv_of(browser)] == ["Welcome credits"]


def test_signed_out_one_is_sent_to_sign_in(client: Browser) -> None:
    assert client.get("/credits/?kind=grant")["Location"] == "/signin/?next=/credits/%3Fkind%3Dgrant"
    assert client.get("/credits/transactions.csv").status_code == 302
    answer = client.get("/credits/", headers={**HTMX, "HX-Current-URL": "http://testserver/credits/?kind=grant"})
    assert answer["HX-Redirect"].startswith("/signin/?next=%2Fcredits%2F%3Fkind")
    assert answer.content == b""


def test_somebody_new_is_told_that_nothing_has_happened() -> None:
    page = browser_of(make_user("new", initial_credits=0)).get("/credits/")

    assert "Nothing has happened yet" in text_of(page)
    assert "To spend 0 credits" in text_of(page)


def test_exact_times_are_told_on_demand_and_stay_while_the_page_follows_changes(alices: Browser) -> None:
    """By a tick, not on hover alone. It is in no form, which it would send, and in no part that is replaced."""
    page = alices.get("/credits/").content.decode()
    before, _, after = page.partition('id="exact-times"')

    assert after
    assert 'id="purse"' not in before
    assert 'id="history"' not in before
    assert '<form class="finder"' not in before
    assert re.search(r'<time datetime="[^"]+" title="\d+ \w+ \d{4}, [\d:]+ UTC">', after)


def test_it_costs_the_same_with_much_as_with_little(alice: User, penora: App, alices: Browser) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            alices.get("/credits/")
        return len(captured)

    def fill(count: int) -> None:
        for _ in range(count):
            spend(alice, penora, 1, "A page", project_code=kept(alice, penora))
            services.reserve(user=alice, app=penora, amount=1, description="Another")

    fill(1)
    little = cost()
    fill(20)

    assert cost() == little <= 15
