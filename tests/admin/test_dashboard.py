"""
The front page: every figure on it is what plain SQL over the data says, every chart what its table says, in at most
twelve queries however much there is, for who may see it.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from accounts.models import App, User
from accounts.services import note_sign_in
from credits import pricing
from credits import services as credits
from tests.admin.conftest import FIRST_PAGE_QUERIES, GIFT
from tests.client import ApiClient
from tests.concurrency.crowd import held
from tests.conftest import make_user
from tests.figures.days import days_pass
from tests.sso.conftest import browser_of
from tests.workspace.contents import content_of
from unified import services
from unified.figures import failures
from unified.figures.models import CreditDay, FailedCalls, ServiceDay, Verification
from unified.figures.rollups import roll_up
from workspace import services as workspace
from workspace.models import Storage

INDEX = "/admin/"


def megabytes(size_bytes: Any) -> str:
    return f"{float(size_bytes) / 1024 / 1024:.2f}".rstrip("0").rstrip(".")


class Page(HTMLParser):
    """What the page says: its tables as rows of texts, its key figures, and its charts, by the title above them."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        assert response.status_code == 200
        self.html = response.content.decode()
        self.tables: dict[str, list[list[str]]] = {}
        self.figures: dict[str, str] = {}
        self.bars: dict[str, list[tuple[str, float]]] = {}  # colour and height of each
        self.ticks: dict[str, int] = {}  # the highest
        self.titles: dict[str, list[str]] = {}
        self._section = self._term = ""
        self._text: list[str] = []
        self._heading = self._in_cell = False
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "section":
            self._section, self._heading = "", True
        elif tag == "tr":
            self.tables.setdefault(self._section, []).append([])
        elif tag == "rect" and given.get("height") != "1":
            bar = (str(given["class"]), float(str(given["height"])))
            self.bars.setdefault(self._section, []).append(bar)
        self._in_cell |= tag in ("th", "td", "dt", "dd")
        if tag in ("th", "td", "dt", "dd", "title") or (tag == "span" and not self._in_cell):
            self._text = []
        self._text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        text = " ".join("".join(self._text).split())
        self._in_cell &= tag not in ("th", "td", "dt", "dd")
        if tag == "section":
            self._section = "below"
        elif tag in ("th", "td") and self.tables.get(self._section):
            self.tables[self._section][-1].append(text)
        elif tag == "dt":
            self._term = text
        elif tag == "dd":
            self.figures[self._term] = text
        elif tag == "span" and self._heading:
            self._section, self._heading = text, False
        elif tag == "span" and self._section and self._section not in self.ticks and re.fullmatch(r"[\d,]+", text):
            self.ticks[self._section] = int(text.replace(",", ""))
        elif tag == "title" and self._section:
            self.titles.setdefault(self._section, []).append(text)

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    @property
    def words(self) -> str:
        return " ".join(re.sub(r"<[^>]+>", " ", self.html).split())


def page(browser: Browser, query: str = "") -> Page:
    return Page(browser.get(INDEX + query))


def asked(sql: str, *parameters: Any) -> list[Any]:
    """The first column of what plain SQL finds."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] if len(row) == 1 else row for row in cursor.fetchall()]


def number(text: str) -> int:
    """As a person reads it: "−1,200" is -1200."""
    return int(text.replace("−", "-").replace("+", "").replace(",", ""))


def signed_in_as(role: str | None) -> Browser:
    """A member of staff with this role."""
    user = make_user(f"staff-{role}")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return browser_of(User.objects.get(pk=user.pk))


def buys(user: User, operation: str, quantity: int) -> Any:
    line, price = pricing.price(operation=operation, quantity=quantity)
    terms: dict[str, Any] = {"amount": price, "operation": line, "quantity": quantity}
    return credits.deduct(user=user, app=line.app, description=line.name, **terms)[0]


@pytest.fixture
def weeks(db: None, penora: App, imagegene: App, superuser: User) -> list[User]:
    """
    Fifteen weeks, in some of which the sweep counted: people who come and go, spend, get refunds, keep projects, nearly
    fill their rooms, and let gifts expire; calls that fail.
    """
    failures.forget()
    people = [make_user(f"person-{n}", initial_credits=300) for n in range(14)]
    for n, person in enumerate(people[:-1]):
        text = content_of("x" * (1 + n * 80_000), compression="none")
        app = (penora, imagegene)[n % 2]
        workspace.save_project(user=person, app=app, project_type="page", title="Page", content=text, metadata={})
    for round in range(5):
        tomorrow = timezone.now() + timedelta(days=1)
        for n, person in enumerate(people[: 4 + 2 * round]):
            entry = buys(person, ("page", "basic_art", "advanced_art")[n % 3], 1 + (n * round) % 4)
            if n % 4 == 0:
                credits.refund(entry=entry, reason="Blank")
        credits.deduct(user=people[0], app=penora, amount=1 + round, description="Without a price")
        if round % 2:
            note_sign_in(user=people[-1 - round], method="google")
            credits.adjust(user=people[1], amount=9, reason="Up", actor=superuser, idempotency_key=f"{round}")
            credits.adjust(user=people[2], amount=-4, reason="Down", actor=superuser, idempotency_key=f"{round}")
            roll_up()
        credits.grant(user=people[3], amount=6, source=GIFT, description="A day's", expires_at=tomorrow)
        days_pass(21)
        credits.settle(user=people[3])
    for n in (1, 2, 3, 5, 7):
        buys(people[n], "style_transfer", n)
    services.reserve(user=people[4], app=penora, amount=5, description="Later", expires_in_seconds=7_200)
    code = people[0].projects.get().code
    workspace.delete_project(user=people[0], code=code)
    client = ApiClient(key=accounts.create_key(app=penora, label="tests")[1])
    for _ in range(3):
        client.get("user-info", user_id="nobody")
    ApiClient().get("pricing")
    failures.write()
    today = timezone.now().astimezone(UTC).date()
    FailedCalls.objects.create(day=today - timedelta(days=6), app=penora, code="user_not_found", calls=1_000)
    FailedCalls.objects.create(day=today - timedelta(days=7), app=penora, code="throttled", calls=7)
    assert roll_up()
    return people


DAY_OF = "(created_at AT TIME ZONE 'UTC')::date"
TODAY = "(NOW() AT TIME ZONE 'UTC')::date"


def test_key_figures_are_what_plain_sql_says(weeks: list[User], staff: Browser) -> None:
    found = page(staff).figures

    [people] = asked("SELECT COUNT(*) FROM accounts_user WHERE deleted_at IS NULL")
    [spent] = asked(f"SELECT -SUM(amount) FROM credits_ledgerentry WHERE type = 'deduction' AND {DAY_OF} = {TODAY}")
    [outstanding] = asked("SELECT SUM(balance) FROM credits_account")
    [used] = asked("SELECT SUM(size_bytes) FROM workspace_project WHERE deleted_at IS NULL")
    [projects] = asked("SELECT COUNT(*) FROM workspace_project WHERE deleted_at IS NULL")
    seen = (
        "SELECT COUNT(DISTINCT who) FROM ("
        "SELECT account_id AS who, created_at FROM credits_ledgerentry WHERE app_id IS NOT NULL"
        " UNION SELECT user_id, updated_at FROM workspace_project"
        " UNION SELECT subject_id, created_at FROM accounts_auditentry WHERE event = 'signed-in') seen"
        f" WHERE {DAY_OF} > {TODAY} - %s"
    )
    [active], [in_month] = asked(seen, 1), asked(seen, 30)
    assert active == 5
    assert active < in_month < people
    assert found == {
        "People": f"{people} who have not left",
        "Active": f"{active} today; {in_month} in 30 days",
        "Credits spent": f"{spent} today",
        "Outstanding": f"{outstanding:,} credits in all accounts",
        "Held": "5 of them, in live holds",
        "Storage used": f"{megabytes(used)} MB {projects} projects",
    }


def test_credits_of_today_of_thirty_days_and_ever_are_what_plain_sql_says(weeks: list[User], staff: Browser) -> None:
    rows = page(staff).tables["Credits"]

    assert rows[0][1:] == ["Today", "30 days", "Ever"]
    told = {name: [number(text) for text in numbers] for name, *numbers in rows[1:]}
    kinds = {
        "Granted": "type = 'grant'",
        "Spent": "type = 'deduction'",
        "Refunded": "type = 'refund'",
        "Expired": "type = 'expiry'",
        "Adjusted up": "type = 'adjustment' AND amount > 0",
        "Adjusted down": "type = 'adjustment' AND amount < 0",
        "Change": "TRUE",
    }
    sums = "SELECT COALESCE(SUM(amount), 0)::bigint FROM credits_ledgerentry WHERE {} AND {}"
    periods = (f"{DAY_OF} = {TODAY}", f"{DAY_OF} > {TODAY} - 30", "TRUE")
    assert told == {name: [asked(sums.format(kind, of))[0] for of in periods] for name, kind in kinds.items()}
    assert all(numbers[2] for numbers in told.values())


@pytest.mark.parametrize(("query", "days"), [("", 30), ("?days=90", 90)])
def test_credits_spent_a_day_are_what_plain_sql_says_in_chart_and_table(
    query: str, days: int, weeks: list[User], staff: Browser
) -> None:
    shown = page(staff, query)

    head, *rows, totals = shown.tables["Credits spent a day"]
    assert head == ["Day", "Penora", "ImageGene", "All"]
    spent = {
        (f"{day.day} {day:%b %Y}", app): credits
        for day, app, credits in asked(
            f"SELECT {DAY_OF.replace('created_at', 'e.created_at')}, a.name, -SUM(amount)::bigint"
            " FROM credits_ledgerentry e JOIN accounts_app a ON a.id = e.app_id WHERE type = 'deduction'"
            f" AND {DAY_OF.replace('created_at', 'e.created_at')} > {TODAY} - %s GROUP BY 1, 2",
            days,
        )
    }
    last = timezone.now().astimezone(UTC).date()
    names = [f"{day.day} {day:%b %Y}" for day in (last - timedelta(days=back) for back in range(days))]
    assert [row[0] for row in rows] == names
    for name, *numbers in rows:
        each = [spent.get((name, "Penora"), 0), spent.get((name, "ImageGene"), 0)]
        assert [number(text) for text in numbers] == [*each, sum(each)]
    assert [number(text) for text in totals[1:]] == [
        *(sum(value for (_, app), value in spent.items() if app == wanted) for wanted in ("Penora", "ImageGene")),
        sum(spent.values()),
    ]
    # The chart: each bar's title, and its height.
    assert sorted(shown.titles["Credits spent a day"]) == sorted(
        f"{name}, {app}: {credits:,} credit{'s' * (credits != 1)}" for (name, app), credits in spent.items()
    )
    top, colours = shown.ticks["Credits spent a day"], {"series-1": "Penora", "series-2": "ImageGene"}
    drawn = Counter(
        (colours[colour], round(height * top / 100)) for colour, height in shown.bars["Credits spent a day"]
    )
    assert drawn == Counter((app, credits) for (_, app), credits in spent.items())


def test_top_operations_are_what_plain_sql_says(weeks: list[User], staff: Browser) -> None:
    for days in (30, 90):
        rows = page(staff, f"?days={days}").tables[f"Top operations, {days} days"][1:]

        assert [(what, number(times), number(spent)) for what, times, spent in rows] == asked(
            "SELECT COALESCE(o.slug, 'Not by the price list') || ' ' || a.name, COUNT(*), -SUM(e.amount)::bigint"
            " FROM credits_ledgerentry e JOIN accounts_app a ON a.id = e.app_id"
            " LEFT JOIN credits_operation o ON o.id = e.operation_id WHERE e.type = 'deduction'"
            " AND (e.created_at AT TIME ZONE 'UTC')::date > (NOW() AT TIME ZONE 'UTC')::date - %s"
            " GROUP BY o.slug, a.name ORDER BY 3 DESC, COALESCE(o.slug, '') COLLATE \"C\" LIMIT 10",
            days,
        )


def test_storage_by_app_and_how_full_it_is_are_what_plain_sql_says(weeks: list[User], staff: Browser) -> None:
    shown = page(staff)

    parts = asked(
        "SELECT a.name, COUNT(*), SUM(p.size_bytes)::bigint FROM workspace_project p"
        " JOIN accounts_app a ON a.id = p.app_id WHERE p.deleted_at IS NULL GROUP BY a.name ORDER BY 3 DESC"
    )
    rows = shown.tables["Storage used"][1:]
    assert [(name, int(projects)) for name, projects, _ in rows[:2]] == [part[:2] for part in parts]
    assert [size for _, _, size in rows[:2]] == [f"{megabytes(size)} MB" for _, _, size in parts]
    assert rows[2][:2] == ["All", str(sum(part[1] for part in parts))]
    assert rows[3] == ["Trash (not counted)", "", "1 byte"]

    percents = asked("SELECT 100.0 * used_bytes / limit_bytes FROM workspace_storage")
    expected = [sum(percent == 0 for percent in percents)]
    expected += [sum(low < percent <= low + 10 for percent in percents) for low in range(0, 90, 10)]
    expected += [sum(90 < percent < 100 for percent in percents), sum(percent == 100 for percent in percents)]
    rows = shown.tables["How full workspaces are"][1:]
    assert [number(people) for _, people in rows] == [*expected, len(percents)]
    top = shown.ticks["How full workspaces are"]
    drawn = [round(height * top / 100) for _, height in shown.bars["How full workspaces are"]]
    assert drawn == [people for people in expected if people]
    assert len(drawn) > 6


def test_who_is_near_their_limit_is_read_as_it_is_now(weeks: list[User], staff: Browser) -> None:
    workspace.change_limit(user=weeks[5], limit_bytes=400_001)  # full, since the figures were counted
    workspace.change_limit(user=weeks[6], limit_bytes=500_000)  # 96 %
    shown = page(staff)

    rows = shown.tables["Near their limit"][1:]
    near = asked(
        "SELECT u.username, ROUND(100.0 * used_bytes / limit_bytes, 2)::float FROM workspace_storage s"
        " JOIN accounts_user u ON u.id = s.user_id WHERE 100 * used_bytes >= 80 * limit_bytes ORDER BY"
        " CASE WHEN used_bytes >= limit_bytes THEN 3 WHEN 100 * used_bytes >= 95 * limit_bytes THEN 2 ELSE 1 END"
        " DESC, u.id"
    )
    assert [(name, float(percent)) for name, _, _, percent in rows] == near
    assert [name for name, _ in near[:2]] == ["Person-5", "Person-6"]
    for person in (weeks[5], weeks[6]):
        assert reverse("admin:person", args=[person.pk]) in shown.html
    Storage.objects.update(warned_percent=80)
    shown = page(staff)
    assert len(shown.tables["Near their limit"]) == 11
    assert "Near their limit More" in shown.words


def test_failed_calls_of_seven_days_by_code_and_app(weeks: list[User], staff: Browser) -> None:
    rows = page(staff).tables["Failed calls, 7 days"]

    assert rows == [
        ["Answer", "Penora", "Unknown caller", "All"],
        ["User not found user_not_found", "1,003", "0", "1,003"],
        ["Authentication required not_authenticated", "0", "1", "1"],
    ]


# --- the proof of the books, and how old all this is -----------------------------------------------------------------


def proof(hours: float = 0, broken: int = 0) -> None:
    invariants = [{"domain": "credits", "name": "sums are sums", "violations": broken, "examples": []}]
    Verification.objects.create(
        as_of=timezone.now() - timedelta(hours=hours),
        is_right=not broken,
        violations=broken,
        result={"invariants": invariants},
    )


def loud(shown: Page) -> list[str]:
    return re.findall(r'class="notice bad"[^>]*>\s*(?:<p>)?<strong>([^<]*)', shown.html)


@pytest.mark.parametrize(
    ("runs", "said", "quietly"),
    [
        ([], ["The books have never been proved."], "Never proved"),
        ([(1, 0)], [], "Right 1 hour ago: all 1 invariants held."),
        ([(25, 0)], ["The books have not been proved for more than a day"], "Right 1 day ago"),
        ([(1, 3)], ["The books are not right."], "Not right 1 hour ago: 1 of 1 invariants broken."),
        ([(3, 3), (1, 0)], [], "Right 1 hour ago"),
        ([(1, 3), (3, 0)], ["The books are not right."], "Not right 1 hour ago"),
    ],
)
def test_the_last_proof_is_told_and_loudly_if_it_is_bad_old_or_missing(
    runs: list[tuple[float, int]], said: list[str], quietly: str, staff: Browser
) -> None:
    for hours, broken in runs:
        proof(hours, broken)
    shown = page(staff)

    assert loud(shown) == said
    assert quietly.replace(" ", "") in shown.words.replace(" ", "")
    if said == ["The books are not right."]:
        assert "credits: sums are sums (3)" in shown.words


def test_old_figures_say_so_and_name_their_day(weeks: list[User], staff: Browser) -> None:
    assert "These figures are old" not in page(staff).html
    days_pass(2)
    shown = page(staff)

    assert "These figures are old." in shown.html
    day = ServiceDay.objects.order_by("-day")[0].day
    assert shown.tables["Credits"][0][1] == f"{day.day} {day:%b %Y}"
    assert "today" not in shown.figures["Credits spent"]


# --- bringing them up to date ----------------------------------------------------------------------------------------


def test_the_button_brings_the_figures_up_to_date(weeks: list[User], staff: Browser) -> None:
    before = number(page(staff).figures["Credits spent"].split()[0])
    buys(weeks[1], "basic_art", 3)
    assert number(page(staff).figures["Credits spent"].split()[0]) == before

    response = staff.post(reverse("admin:refresh"), follow=True)

    assert "The figures are up to date." in response.content.decode()
    assert number(Page(response).figures["Credits spent"].split()[0]) == before + 6


def test_it_needs_a_post_with_a_token(superuser: User) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(superuser)

    assert browser.get(reverse("admin:refresh")).status_code == 405
    assert browser.post(reverse("admin:refresh")).status_code == 403
    assert not ServiceDay.objects.exists()


def test_two_at_once_do_it_once(committed_db: None) -> None:
    browser = browser_of(
        User.objects.create_superuser(user_id="root", username="Root", email="root@example.com", password=None)
    )
    with held("SELECT pg_advisory_xact_lock(6006001)") as release:
        response = browser.post(reverse("admin:refresh"), follow=True)
        release()

    assert "being brought up to date just now" in response.content.decode()
    assert not ServiceDay.objects.exists()


def test_what_takes_longer_than_a_page_may_is_left_to_the_sweep(committed_db: None, settings: Any) -> None:
    browser = browser_of(
        User.objects.create_superuser(user_id="root", username="Root", email="root@example.com", password=None)
    )
    settings.STATEMENT_TIMEOUT_MS = 200
    with held("LOCK TABLE figures_serviceday IN EXCLUSIVE MODE"):
        response = browser.post(reverse("admin:refresh"), follow=True)

    assert "takes longer than a page may" in response.content.decode()
    assert not ServiceDay.objects.exists()


# --- who sees it, and at what cost -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["Viewer", "Support", "Finance", "Admin"])
def test_every_role_sees_the_figures_and_its_lists(role: str, alice: User) -> None:
    roll_up()
    browser = signed_in_as(role)
    shown = page(browser)

    assert set(shown.figures) == {"People", "Active", "Credits spent", "Outstanding", "Held", "Storage used"}
    assert "Near their limit" in shown.words
    assert reverse("admin:credits_ledgerentry_changelist") in shown.html
    assert browser.post(reverse("admin:refresh")).status_code == 302


def test_without_the_permission_there_is_the_list_of_models_alone(alice: User) -> None:
    roll_up()
    browser = signed_in_as(None)

    with CaptureQueriesContext(connection) as asked_for:
        shown = page(browser)
    assert (shown.figures, shown.bars) == ({}, {})
    assert not [query for query in asked_for if "figures_" in query["sql"]]
    assert "Users, credits and storage" in shown.html
    assert browser.post(reverse("admin:refresh")).status_code == 403
    assert browser_of(alice).post(reverse("admin:refresh")).status_code == 302  # to sign in


def test_people_near_their_limit_are_for_who_may_see_storage(alice: User) -> None:
    browser = signed_in_as("Viewer")
    Group.objects.get(name="Viewer").permissions.remove(
        *Group.objects.get(name="Viewer").permissions.filter(codename="view_storage")
    )

    assert "Near their limit" not in page(browser).words


def test_it_costs_at_most_twelve_queries_however_much_there_is(weeks: list[User]) -> None:
    browser = signed_in_as("Support")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(browser, "?days=90")
        return len(queries)

    cost()
    little = cost()
    today = ServiceDay.objects.order_by("-day")[0].day
    apps = [App.objects.create(slug=f"app{n}", name=f"App {n}") for n in range(8)]
    Storage.objects.update(warned_percent=95)
    for back in range(120):
        day = today - timedelta(days=back)
        CreditDay.objects.bulk_create(
            CreditDay(day=day, app=app, type="deduction", is_addition=False, operation=f"op{n}", entries=9, credits=-9)
            for app in apps
            for n in range(5)
        )
        FailedCalls.objects.bulk_create(
            FailedCalls(day=day, app=app, code=f"code{n}", calls=3) for app in apps for n in range(5)
        )
    for _ in range(20):
        proof()

    assert cost() == little <= FIRST_PAGE_QUERIES
    assert "series-rest" in page(browser).html  # beyond four apps, one colour


# --- nothing, and nonsense -------------------------------------------------------------------------------------------


def test_an_empty_service_has_a_front_page(staff: Browser) -> None:
    shown = page(staff)
    assert "Nothing has been counted yet." in shown.words
    assert shown.figures == {}

    roll_up()
    shown = page(staff)

    assert shown.figures["Outstanding"] == "0 credits in all accounts"
    assert "Nothing was spent in these 30 days." in shown.words
    assert "Nobody has a workspace yet." in shown.words
    assert "Nobody has reached 80 % of their room." in shown.words
    assert "No call has failed." in shown.words


def test_a_period_that_there_is_not_is_the_shorter_one(alice: User, staff: Browser) -> None:
    roll_up()
    for days in ("abc", "", "0", "-30", "31", "1e9", "9" * 400, "30.0", "٣٠", "<b>", "90 days"):
        assert len(Page(staff.get(INDEX, {"days": days})).tables["Credits spent a day"]) == 32, days


def test_names_are_text(alice: User, staff: Browser, imagegene: App) -> None:
    App.objects.filter(pk=imagegene.pk).update(name="<b>'\"&</b>")
    User.objects.filter(pk=alice.pk).update(username="<script>alert(1)</script>")
    buys(alice, "basic_art", 1)
    roll_up()
    Storage.objects.update(warned_percent=80)

    html = staff.get(INDEX).content.decode()

    assert "<b>'" not in html
    assert "<script>alert" not in html
    assert html.count("&lt;b&gt;") >= 3
    assert "&lt;script&gt;alert" in html


def test_nothing_on_it_needs_an_exception_from_the_policy(weeks: list[User], staff: Browser) -> None:
    html = staff.get(INDEX).content.decode()

    assert " style=" not in html
    assert not re.search(r"\son[a-z]+=", html)
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>\s*\S", html)


# --- far pages of the lists ------------------------------------------------------------------------------------------


def test_a_far_page_has_the_rows_that_a_near_one_would_have(staff: Browser) -> None:
    """In the same order, none left out and none twice, with the filters that are set."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_auditentry (event, details, request_id)"
            " SELECT CASE n % 2 WHEN 0 THEN 'signed-in' ELSE 'signed-out' END, '{}', n FROM generate_series(1, 2500) n"
        )
    path = reverse("admin:accounts_auditentry_changelist")
    for query in ({}, {"event__exact": "signed-in"}):
        seen: list[int] = []
        last = 1
        number = 1
        while number <= last:
            listed = staff.get(path, {**query, "p": number}).context["cl"]
            seen += [row.pk for row in listed.result_list]
            last, number = listed.paginator.num_pages, number + 1
        assert last > 12
        kind = "event = 'signed-in'" if query else "TRUE"
        assert seen == asked(f"SELECT id FROM accounts_auditentry WHERE {kind} ORDER BY id DESC")
