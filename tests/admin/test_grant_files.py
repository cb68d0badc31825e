"""Credits for many people from a file: what is refused and why, the dry run, and running it step by step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, User
from credits import services as credits
from credits.models import Account, AdjustmentLimit, Grant, GrantFile, GrantLine, LedgerEntry
from tests.admin.conftest import notices
from tests.conftest import make_user
from tests.credits.books import broken
from tests.sso.conftest import browser_of
from unified import services
from unified.admin import grants

REASON = "May, for everybody who helped"
HEADING = "user_id,amount\n"


def in_role(name: str, role: str) -> User:
    user = make_user(name, initial_credits=0)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    return User.objects.get(pk=user.pk)


@pytest.fixture
def fiona(db: None) -> User:
    return in_role("fiona", "Finance")


@pytest.fixture
def finance(fiona: User) -> Browser:
    return browser_of(fiona)


def send(browser: Browser, content: str | bytes, *, name: str = "may.csv", **fields: str) -> Any:
    data = content.encode() if isinstance(content, str) else content
    form = {"file": SimpleUploadedFile(name, data, content_type="text/csv"), "reason": REASON, **fields}
    return browser.post(reverse("admin:grants"), form)


def sent(browser: Browser, content: str | bytes, **fields: str) -> GrantFile:
    answer = send(browser, content, **fields)
    assert answer.status_code == 302, answer.context["form"].errors
    file = GrantFile.objects.latest("pk")
    assert answer["Location"] == reverse("admin:grant-file", args=[file.pk])
    return file


def page(browser: Browser, file: GrantFile, **query: str) -> str:
    answer = browser.get(reverse("admin:grant-file", args=[file.pk]), query)
    assert answer.status_code == 200
    return answer.content.decode()


def start(browser: Browser, file: GrantFile, **fields: str) -> Any:
    filled_in = {"total": str(file.total), **fields}  # asked for above a thousand credits
    return browser.post(reverse("admin:grant-file-start", args=[file.pk]), filled_in, follow=True)


def step(browser: Browser, file: GrantFile) -> Any:
    return browser.post(reverse("admin:grant-file-step", args=[file.pk]), headers={"Accept": "application/json"})


def outcomes(file: GrantFile) -> list[tuple[int, str, str]]:
    return list(file.lines.order_by("number").values_list("number", "outcome", "problem"))


def balance(user: User) -> int:
    return Account.objects.get(user=user).balance


def entries_by(actor: User) -> list[tuple[str, int]]:
    found = LedgerEntry.objects.filter(actor=actor).order_by("created_at", "account__user__user_id")
    return list(found.values_list("account__user__user_id", "amount"))


def many(count: int) -> list[str]:
    """User ids of so many people, made at once."""
    plan = make_user("pattern").plan
    User.objects.bulk_create(
        (User(user_id=f"{10**20 + n}", username=f"Person {n}", email="", plan=plan) for n in range(count)),
        batch_size=5_000,
    )
    with connection.cursor() as cursor:  # plans of when there was hardly anybody would read them all for each line
        cursor.execute("ANALYZE accounts_user")
    return [f"{10**20 + n}" for n in range(count)]


# --- a file in order -------------------------------------------------------------------------------------------------


def test_a_file_is_checked_started_and_run(alice: User, bob: User, finance: Browser, fiona: User) -> None:
    file = sent(finance, f"{HEADING}alice,30\nbob,7\n")

    assert (file.state, file.line_count, file.total, file.actor, file.reason) == ("checked", 2, 37, fiona, REASON)
    shown = page(finance, file)
    assert "Nothing has happened yet" in shown
    assert "Give 37 credits to 2 people" in shown
    assert all(f">{figure}<" in shown for figure in (50, 80, 57))  # before and after
    assert not LedgerEntry.objects.filter(actor=fiona).exists()

    assert start(finance, file).status_code == 200
    file.refresh_from_db()
    assert file.state == "running"
    assert file.started_at is not None
    answer = step(finance, file)

    assert answer.json() == {"state": "done", "done": 2, "failed": 0, "waiting": 0, "total": 2}
    assert (balance(alice), balance(bob)) == (80, 57)
    entry = LedgerEntry.objects.get(account=alice.pk, actor=fiona)
    assert (entry.type, entry.description, entry.idempotency_key) == ("adjustment", REASON, f"file-{file.pk}-2")
    file.refresh_from_db()
    assert file.finished_at is not None
    done = page(finance, file)
    assert "all 2 lines granted" in done
    assert reverse("admin:credits_ledgerentry_change", args=[entry.pk]) in done
    assert AuditEntry.objects.get(event="credits-adjusted", subject=alice).reason == REASON
    assert broken() == {}


def test_it_is_written_down_who_sent_and_who_started_it_and_why(alice: User, finance: Browser, fiona: User) -> None:
    file = sent(finance, f"{HEADING}alice,30\n")
    start(finance, file)

    checked, started = AuditEntry.objects.filter(event__startswith="file-").order_by("id")
    assert (checked.event, checked.actor, checked.reason) == ("file-checked", fiona, REASON)
    assert checked.details == {
        "file": file.pk,
        "sha256": bytes(file.digest).hex(),
        "state": "checked",
        "lines": 1,
        "wrong": 0,
        "total": 30,
    }
    assert (started.event, started.actor, started.reason) == ("file-started", fiona, REASON)
    assert started.details == {"file": file.pk, "lines": 1, "total": 30, "again": False}
    assert started.ip == "127.0.0.1"


def test_credits_of_a_file_can_expire(alice: User, finance: Browser) -> None:
    tomorrow = (timezone.now() + timedelta(days=1)).replace(second=0, microsecond=0)

    file = sent(finance, f"{HEADING}alice,30\n", expires_at=f"{tomorrow:%Y-%m-%dT%H:%M}")
    start(finance, file)
    step(finance, file)

    assert (file.expires_at, Grant.objects.get().expires_at) == (tomorrow, tomorrow)


@pytest.mark.parametrize(
    "content",
    [
        "user_id,amount\nalice,30\nbob,7\n",
        "user_id,amount\r\nalice,30\r\nbob,7\r\n",
        "user_id,amount\ralice,30\rbob,7",
        "\ufeffuser_id,amount\r\nalice,30\r\nbob,7",
        "user_id;amount\nalice;30\nbob;7\n",
        '"user_id","amount"\n"alice","30"\n"bob","7"\n',
        " User_ID , Amount \n alice , 030 \n bob ,7\n",
        "\n\nuser_id,amount\n\nalice,30\n,\n   \nbob,7\n\n\n",
    ],
    ids=["LF", "CRLF", "CR", "BOM", "semicolons", "quoted", "padded", "blank lines"],
)
def test_what_a_spreadsheet_may_write_is_read(alice: User, bob: User, finance: Browser, content: str) -> None:
    file = sent(finance, content)

    assert (file.state, file.line_count, file.total) == ("checked", 2, 37)
    assert list(file.lines.values_list("user", "amount", "outcome")) == [
        (alice.pk, 30, "waiting"),
        (bob.pk, 7, "waiting"),
    ]


def test_lines_are_numbered_as_an_editor_numbers_them(alice: User, finance: Browser) -> None:
    file = sent(finance, f'{HEADING}\n"two\nlines",1\n\nalice,0\n')

    assert [number for number, _, _ in outcomes(file)] == [3, 6]


# --- what is no such file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf", "The file is empty."),
        (b" \r\n \n", "The file is empty."),
        (b"user_id,amount\n", "There is nothing below the heading."),
        (b"user_id,amount\n\n,\n", "There is nothing below the heading."),
        (b"alice,30\nbob,7\n", "has to be the heading"),
        (b"user,credits\nalice,30\n", "“user,credits”"),
        (b"amount,user_id\n30,alice\n", "has to be the heading"),
        (b"user_id,amount,why\nalice,30,x\n", "has to be the heading"),
        (b"user_id\tamount\nalice\t30\n", "has to be the heading"),
        (HEADING.encode("utf-16"), "UTF-16"),
        (HEADING.encode("utf-32"), "UTF-32"),
        (b"user_id,amount\nalice,30\nJos\xe9,7\n", "line 3 has the byte 0xe9"),
        (b"user_id,amount\nali\0ce,30\n", "no text file"),
        (b"PK\x03\x04\x14\x00\x06\x00", "workbook"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no text file"),
        (b'user_id,amount\nalice,30\n"bob,7\n', "Line 3 cannot be read as CSV"),
        (b'user_id,amount\n"alice"x,30\n', "Line 2 cannot be read as CSV"),
        (b"user_id,amount\n" + b"a" * 140_000 + b",1\n", "Line 2 cannot be read as CSV"),
        (b"user_id,amount\n" + b"alice,1\n" * 700_000, "larger than 5 MB"),
        (b"user_id,amount\n" + b"a,1\n" * 50_001, "more than 50,000 lines"),
    ],
)
def test_what_is_no_such_file_is_refused_with_the_reason_and_not_kept(
    finance: Browser, content: bytes, message: str
) -> None:
    answer = send(finance, content)

    assert answer.status_code == 400
    assert message in str(answer.context["form"].errors["file"])
    assert not GrantFile.objects.exists()
    assert not AuditEntry.objects.filter(event="file-checked").exists()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": "   "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"expires_at": "2020-01-01T00:00"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "99999-01-01T00:00"}, "expires_at"),
    ],
)
def test_a_wrong_field_is_said_in_the_form(alice: User, finance: Browser, fields: dict[str, str], wrong: str) -> None:
    answer = send(finance, f"{HEADING}alice,30\n", **fields)

    assert (answer.status_code, list(answer.context["form"].errors)) == (400, [wrong])
    assert not GrantFile.objects.exists()


def test_a_form_without_a_file_says_so(finance: Browser) -> None:
    answer = finance.post(reverse("admin:grants"), {"reason": REASON})

    assert (answer.status_code, list(answer.context["form"].errors)) == (400, ["file"])


def test_a_file_name_that_is_markup_or_very_long_does_no_harm(alice: User, finance: Browser) -> None:
    file = sent(finance, f"{HEADING}alice,30\n", name=f"<script>alert(1)<script>{'x' * 300}.csv")

    assert len(file.name) <= 255
    assert "<script>alert" not in page(finance, file)


# --- wrong lines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("bob,0", "The amount is 0"),
        ("bob,000", "The amount is 0"),
        ("bob,-5", "takes none"),
        ("bob,-0.5", "takes none"),
        ("bob,1.5", "whole credits"),
        ('bob,"1,5"', "whole credits"),
        ('bob,"1,000"', "whole credits"),
        ("bob,1e3", "no number"),
        ("bob,0x10", "no number"),
        ("bob,ten", "no number"),
        ("bob,+5", "no number"),
        ("bob,٣", "no number"),
        ("bob,NaN", "no number"),
        ("bob,=1+1", "no number"),
        ("bob,1 000", "no number"),
        ("bob,1000001", "1,000,000 at the most"),
        (f"bob,{'9' * 5_000}", "1,000,000 at the most"),
        ("bob,", "The amount is missing"),
        (",5", "The user id is missing"),
        ("bob", "this line has 1"),
        ("bob,5,x", "this line has 3"),
        ("bob;5", "this line has 1"),
        ("nobody,5", "There is nobody with the user id “nobody”"),
        ("Bob,5", "There is nobody"),
        (f"{'x' * 1_000},5", "There is nobody"),
        ("gone,5", "This person has left"),
        ("fiona,5", "This is you"),
        ("alice,5", "The same person as in line 2"),
    ],
)
def test_a_wrong_line_refuses_the_file_and_says_where_and_why(
    alice: User, bob: User, finance: Browser, line: str, problem: str
) -> None:
    services.delete_member(user=make_user("gone"))

    file = sent(finance, f"{HEADING}alice,30\n{line}\n")

    assert (file.state, file.line_count) == ("refused", 2)
    ((number, outcome, text),) = outcomes(file)
    assert (number, outcome) == (3, "wrong")
    assert problem in text
    shown = page(finance, file)
    assert "not accepted" in shown
    assert problem in shown
    assert "Nothing was started" in notices(start(finance, file))[0]
    assert step(finance, file).json()["waiting"] == 0
    file.refresh_from_db()
    assert (file.state, balance(alice)) == ("refused", 50)


def test_every_wrong_line_is_told_and_the_first_two_hundred_shown(alice: User, finance: Browser) -> None:
    content = HEADING + "alice,30\n" + "".join(f"nobody-{n},1\n" for n in range(250))

    file = sent(finance, content)

    assert (file.line_count, file.total, file.lines.filter(outcome="wrong").count()) == (251, 30, 250)
    shown = page(finance, file)
    assert "The first 200 of 250 are shown" in shown
    assert "nobody-199" in shown
    assert "nobody-200" not in shown
    export = finance.get(reverse("admin:export", args=["credits", "grantline"]), {"file__id__exact": file.pk})
    assert b"".join(export).decode().count("\r\n") == 251


# --- limits of the role ----------------------------------------------------------------------------------------------


def test_what_the_role_may_not_give_one_person_is_a_wrong_line(alice: User, finance: Browser) -> None:
    AdjustmentLimit.objects.filter(group__name="Finance").update(per_adjustment=20)

    file = sent(finance, f"{HEADING}alice,21\n")

    assert outcomes(file) == [(2, "wrong", "The amount is 21; you may give one person 20 at the most.")]


def test_more_than_is_left_today_is_said_at_the_dry_run_and_cannot_be_started(
    alice: User, bob: User, finance: Browser, fiona: User
) -> None:
    AdjustmentLimit.objects.filter(group__name="Finance").update(per_adjustment=20, per_day=30)
    credits.adjust(user=bob, amount=5, reason="Earlier", actor=fiona, idempotency_key="earlier")

    file = sent(finance, f"{HEADING}alice,20\nbob,6\n")

    assert "it comes to 26 credits, and Fiona can give 25 more" in page(finance, file)
    assert "you can give 25 more" in notices(start(finance, file))[0]
    file.refresh_from_db()
    assert (file.state, balance(alice)) == ("checked", 50)


def test_a_limit_that_is_used_up_meanwhile_fails_lines_and_the_rest_goes_on(
    alice: User, bob: User, finance: Browser, fiona: User
) -> None:
    AdjustmentLimit.objects.filter(group__name="Finance").update(per_adjustment=20, per_day=30)
    file = sent(finance, f"{HEADING}alice,20\nbob,4\n")
    start(finance, file)
    credits.adjust(user=bob, amount=11, reason="Meanwhile", actor=fiona, idempotency_key="meanwhile")

    answer = step(finance, file)

    assert answer.json() == {"state": "done", "done": 1, "failed": 1, "waiting": 0, "total": 2}
    assert outcomes(file) == [
        (2, "failed", "At most 20 at a time, 19 left in these 24 hours."),
        (3, "granted", ""),
    ]
    assert "1 failed" in page(finance, file)
    assert "nobody" not in page(finance, file, outcome="failed")
    assert broken() == {}


# --- what happens between check and run ------------------------------------------------------------------------------


def test_who_has_left_meanwhile_gets_nothing_and_the_rest_goes_on(alice: User, bob: User, finance: Browser) -> None:
    file = sent(finance, f"{HEADING}alice,30\nbob,7\n")
    start(finance, file)
    services.delete_member(user=alice)

    step(finance, file)

    assert outcomes(file) == [(2, "failed", "This person has left."), (3, "granted", "")]
    assert (balance(alice), balance(bob)) == (50, 57)
    assert not AuditEntry.objects.filter(event="credits-adjusted", subject=alice).exists()
    assert broken() == {}


@pytest.mark.parametrize("loss", ["role", "staff", "locked out"])
def test_who_has_lost_their_rights_meanwhile_gives_nothing(alice: User, fiona: User, loss: str) -> None:
    file = sent(browser_of(fiona), f"{HEADING}alice,30\n")
    start(browser_of(fiona), file)
    if loss == "role":
        fiona.groups.set([Group.objects.get(name="Support")])
    else:
        User.objects.filter(pk=fiona.pk).update(**{"is_staff" if loss == "staff" else "is_active": False})

    answer = step(browser_of(in_role("frank", "Finance")), file)

    assert answer.json()["failed"] == 1
    assert balance(alice) == 50


def test_credits_that_would_have_expired_are_not_given(alice: User, bob: User, finance: Browser) -> None:
    soon = f"{timezone.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    late, started = (sent(finance, f"{HEADING}{name},30\n", expires_at=soon) for name in ("alice", "bob"))
    start(finance, started)
    GrantFile.objects.update(expires_at=timezone.now())

    assert "expired already" in notices(start(finance, late))[0]
    step(finance, started)

    assert outcomes(started) == [(2, "failed", "Credits must expire in the future.")]
    assert (balance(alice), balance(bob)) == (50, 50)


def test_starting_twice_starts_once(alice: User, finance: Browser) -> None:
    file = sent(finance, f"{HEADING}alice,30\n")

    for _ in range(2):
        start(finance, file)
    step(finance, file)
    start(finance, file)
    answer = step(finance, file)

    assert answer.json() == {"state": "done", "done": 1, "failed": 0, "waiting": 0, "total": 1}
    assert balance(alice) == 80
    assert AuditEntry.objects.filter(event="file-started").count() == 1


def test_the_same_file_is_run_again_only_if_that_is_meant(alice: User, finance: Browser) -> None:
    first, second, other = (sent(finance, f"{HEADING}alice,{amount}\n") for amount in (30, 30, 31))
    assert "was run before" not in page(finance, second)
    start(finance, first)
    step(finance, first)

    assert "was run before" in page(finance, second)
    assert "was run before" not in page(finance, other)
    assert "Tick the box" in notices(start(finance, second))[0]
    assert balance(alice) == 80
    start(finance, second, again="1")
    step(finance, second)

    assert balance(alice) == 110
    assert AuditEntry.objects.filter(event="file-started").latest("pk").details["again"] is True


# --- running ---------------------------------------------------------------------------------------------------------


def test_a_crash_between_two_lines_loses_and_doubles_nothing(
    finance: Browser, fiona: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: without the transaction around a line, what the killed one had written stayed."""
    ids = many(10)
    file = sent(finance, HEADING + "".join(f"{user_id},5\n" for user_id in ids))
    start(finance, file)
    save, saved = GrantLine.save, []

    def dies_at_the_fourth(line: GrantLine, **options: Any) -> None:
        save(line, **options)
        saved.append(line.number)
        if len(saved) == 4:
            raise ConnectionError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(GrantLine, "save", dies_at_the_fourth)
        assert step(finance, file).status_code == 500

    assert credits.progress_of(file) == {"wrong": 0, "waiting": 7, "granted": 3, "failed": 0}
    assert entries_by(fiona) == [(user_id, 5) for user_id in ids[:3]]
    assert step(finance, file).json() == {"state": "done", "done": 10, "failed": 0, "waiting": 0, "total": 10}
    assert entries_by(fiona) == [(user_id, 5) for user_id in ids]
    assert broken() == {}


def test_a_step_is_bounded_and_says_how_far_the_file_is(finance: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    file = sent(finance, HEADING + "".join(f"{user_id},5\n" for user_id in many(50)))
    start(finance, file)
    monkeypatch.setattr(grants, "STEP_SECONDS", 0)

    assert step(finance, file).json() == {"state": "running", "done": 20, "failed": 0, "waiting": 30, "total": 50}
    shown = page(finance, file)
    assert '<progress id="grant-bar" max="50" value="20">' in shown
    assert "20 of 50 lines are run" in shown
    assert "grants.js" in shown
    assert "person 3" in page(finance, file, outcome="granted").lower()


def test_without_scripts_the_button_does_a_step(alice: User, finance: Browser) -> None:
    file = sent(finance, f"{HEADING}alice,30\n")
    start(finance, file)
    assert ">Continue<" in page(finance, file) or 'value="Continue"' in page(finance, file)

    answer = finance.post(reverse("admin:grant-file-step", args=[file.pk]), headers={"Accept": "text/html,*/*;q=0.8"})

    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:grant-file", args=[file.pk]))
    assert balance(alice) == 80


def test_a_checked_file_is_not_run_by_a_step_nor_by_the_sweep(alice: User, finance: Browser) -> None:
    file = sent(finance, f"{HEADING}alice,30\n")

    assert step(finance, file).json() == {"state": "checked", "done": 0, "failed": 0, "waiting": 1, "total": 1}
    call_command("sweep")

    assert balance(alice) == 50


def test_the_sweep_finishes_what_was_started_and_left(finance: Browser, fiona: User) -> None:
    file = sent(finance, HEADING + "".join(f"{user_id},5\n" for user_id in many(130)))
    start(finance, file)

    call_command("sweep")

    file.refresh_from_db()
    assert (file.state, len(entries_by(fiona))) == ("done", 130)
    assert broken() == {}


def test_a_file_of_fifty_thousand_lines(finance: Browser, django_assert_max_num_queries: Any) -> None:
    ids = many(50_000)
    file = sent(finance, "\ufeff" + HEADING + "".join(f"{user_id},5\r\n" for user_id in ids))

    assert (file.state, file.line_count, file.total) == ("checked", 50_000, 250_000)
    with django_assert_max_num_queries(20):
        assert "Page 1 of 500" in page(finance, file)
    assert ids[-1] in page(finance, file, page="500")
    start(finance, file)
    assert credits.run_lines(file=file, limit=300) == 300
    assert credits.progress_of(file) == {"wrong": 0, "waiting": 49_700, "granted": 300, "failed": 0}
    assert broken() == {}


# --- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "sends", "looks"),
    [("Viewer", 403, 200), ("Support", 403, 200), ("Finance", 302, 200), ("Admin", 302, 200)],
)
def test_who_may_send_start_and_look(alice: User, fiona: User, role: str, sends: int, looks: int) -> None:
    running = sent(browser_of(fiona), f"{HEADING}alice,30\n")
    start(browser_of(fiona), running)
    someone = in_role("someone", role)
    browser = browser_of(someone)

    assert browser.get(reverse("admin:grants")).status_code == (403 if sends == 403 else 200)
    assert send(browser, f"{HEADING}alice,1\n").status_code == sends
    for name in ("grant-file-start", "grant-file-step"):
        assert browser.post(reverse(f"admin:{name}", args=[running.pk])).status_code == sends
    assert browser.get(reverse("admin:grant-file", args=[running.pk])).status_code == looks


def test_a_colleague_continues_a_file_in_the_name_of_who_sent_it_but_does_not_start_it(
    alice: User, finance: Browser, fiona: User
) -> None:
    frank = browser_of(in_role("frank", "Finance"))
    file = sent(finance, f"{HEADING}alice,30\n")

    assert "Only Fiona" in page(frank, file)
    assert "Only the person who has sent a file" in notices(start(frank, file))[0]
    start(finance, file)
    assert step(frank, file).json()["done"] == 1

    assert LedgerEntry.objects.get(account=alice.pk, type="adjustment").actor == fiona


def test_nobody_else_gets_in(alice: User, finance: Browser) -> None:
    file = sent(finance, f"{HEADING}alice,30\n")
    for browser in (Browser(), browser_of(alice)):
        for name, args in (("grants", []), ("grant-file", [file.pk])):
            answer = browser.get(reverse(f"admin:{name}", args=args))
            assert (answer.status_code, "/admin/login/" in answer["Location"]) == (302, True)


def test_forms_are_protected_and_reading_changes_nothing(alice: User, fiona: User, finance: Browser) -> None:
    file = sent(finance, f"{HEADING}alice,30\n")
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(fiona)

    for name in ("grant-file-start", "grant-file-step"):
        assert strict.post(reverse(f"admin:{name}", args=[file.pk])).status_code == 403
        assert finance.get(reverse(f"admin:{name}", args=[file.pk])).status_code == 405
    assert finance.post(reverse("admin:grant-file-step", args=[file.pk + 1])).status_code == 404
    file.refresh_from_db()
    assert file.state == "checked"


def test_the_list_of_files_leads_to_each_files_page(alice: User, finance: Browser) -> None:
    file = sent(finance, f"{HEADING}alice,30\n")

    shown = finance.get(reverse("admin:credits_grantfile_changelist")).content.decode()

    assert reverse("admin:grant-file", args=[file.pk]) in shown
    assert reverse("admin:grants") in shown
    assert reverse("admin:grant-file", args=[file.pk]) in finance.get(reverse("admin:grants")).content.decode()


@pytest.mark.parametrize("said", ["", "1000", "900000", "many"])
def test_a_file_of_many_credits_is_confirmed_by_typing_them(
    said: str, staff: Browser, alice: User, settings: Any
) -> None:
    settings.STAFF_CONFIRM_ABOVE = 1_000
    file = sent(staff, "user_id,amount\nalice,1001\n")
    assert "To be sure, type 1,001 once more" in page(staff, file)

    answer = start(staff, file, total=said)

    assert "type the 1,001 credits of the file once more" in answer.content.decode()
    file.refresh_from_db()
    assert file.state == GrantFile.State.CHECKED
    assert start(staff, file, total="1,001").status_code == 200
    file.refresh_from_db()
    assert file.state != GrantFile.State.CHECKED
