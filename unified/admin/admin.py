"""The people's list: what `accounts` has of it, with what only the other domains know."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import F, Model, QuerySet
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.filters import date_range, number_range
from accounts.admin.people import UserAdmin
from accounts.models import User
from accounts.templatetags.figures import counted, on_day, size, whole
from credits.services.adjustments import MOST_PEOPLE
from unified.admin import finding

LONGEST_SHOWN = 24  # characters of a name or an id in the list


class PeopleList(ChangeList):
    """Every row leads to the person's page."""

    def url_for_result(self, result: Model) -> str:
        return reverse("admin:person", args=[result.pk])


@admin.register(User)
class MemberAdmin(UserAdmin):
    """
    The list of people and the form of one's name and rights; everything else of a person is on `admin:person`.

    Balance and held are as the books have them: what has expired, and what has not been tidied up since, is in them for
    up to a sweep longer than on the person's own page. The whole list costs one query for its rows.
    """

    list_display: tuple[str, ...] = (
        *("name", "identifier", "standing", "balance", "held", "room", "plan", "active_on", "date_joined", "address"),
    )
    list_filter: ClassVar[Any] = (
        *("is_active", "is_staff", "plan", "groups"),
        date_range("date_joined", "day of joining"),
        number_range("in_account", "balance", unit="credits"),
    )
    list_select_related = ("plan", "account", "storage", "last_active")
    search_fields = ("user_id",)  # what is searched is in `get_search_results`; without any, there would be no field
    search_help_text = finding.HELP
    actions = (*UserAdmin.actions, "adjust_credits")
    actions_that_ask: ClassVar = ("adjust_credits",)
    # No name and no e-mail: a file that leaves the house is to tell how much, not who. The user id is what finds them.
    export_columns = (*("user_id", "plan", "balance", "held", "used_bytes", "limit_bytes", "date_joined", "is_active"),)

    def get_changelist(self, request: Any, **kwargs: Any) -> type[ChangeList]:
        return PeopleList

    def get_queryset(self, request: Any) -> QuerySet[User]:
        """With the balance under a name of its own, for the filter: an address may not ask across tables."""
        return super().get_queryset(request).annotate(in_account=F("account__balance"))  # type: ignore[no-any-return]

    def get_search_results(self, request: Any, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        return (queryset.filter(finding.matching(text)) if text else queryset), False

    @admin.display(description="name", ordering="username")
    def name(self, user: User) -> SafeString:
        return _in_short(user.username or "(no name)")

    @admin.display(description="user id", ordering="user_id")
    def identifier(self, user: User) -> SafeString:
        return _in_short(user.user_id)

    @admin.display(description="e-mail", ordering="email")
    def address(self, user: User) -> SafeString:
        return _in_short(user.email or "–")

    @admin.display(description="state")
    def standing(self, user: User) -> SafeString:
        return format_html('<span class="tag {}">{}</span>', *standing_of(user)[0])

    @admin.display(description="balance", ordering="account__balance")
    def balance(self, user: User) -> int:
        return self.of_account(user, "balance")

    @admin.display(description="held", ordering="account__held")
    def held(self, user: User) -> int:
        return self.of_account(user, "held")

    @admin.display(description="room", ordering="storage__used_bytes")
    def room(self, user: User) -> SafeString | str:
        storage = getattr(user, "storage", None)
        if storage is None:
            return "–"
        text = f"{size(storage.used_bytes)} of {size(storage.limit_bytes)}"
        return format_html(
            '<meter class="room" min="0" max="{}" value="{}" title="{}">{}</meter> <span class="quiet">{}</span>',
            max(storage.limit_bytes, 1),
            storage.used_bytes,
            f"{counted(storage.used_bytes, 'byte')} of {whole(storage.limit_bytes)}",
            text,
            text,
        )

    @admin.display(description="last active", ordering="last_active__day")
    def active_on(self, user: User) -> SafeString | str:
        last = getattr(user, "last_active", None)
        return on_day(last.day if last else None)

    @admin.display(description="used bytes")
    def used_bytes(self, user: User) -> int:
        storage = getattr(user, "storage", None)
        return int(storage.used_bytes) if storage else 0

    @admin.display(description="limit bytes")
    def limit_bytes(self, user: User) -> int:
        storage = getattr(user, "storage", None)
        return int(storage.limit_bytes) if storage else 0

    @staticmethod
    def of_account(user: User, column: str) -> int:
        """Nothing, of who has no account yet: staff who came by `createsuperuser`."""
        account = getattr(user, "account", None)
        return int(getattr(account, column)) if account else 0

    def has_adjust_permission(self, request: Any) -> bool:
        return bool(request.user.has_perm("credits.adjust_account"))

    @admin.action(description="Adjust credits…", permissions=["adjust"])
    def adjust_credits(self, request: Any, queryset: QuerySet[User]) -> HttpResponseRedirect | None:
        """Leads to the page that asks how much and why."""
        chosen = list(queryset.order_by("pk").values_list("pk", flat=True)[: MOST_PEOPLE + 1])
        if len(chosen) > MOST_PEOPLE:
            messages.error(
                request,
                f"Nothing was done: {MOST_PEOPLE} people can be adjusted at once. For more of them, give the credits "
                "from a file, under “Grants from a file”.",
            )
            return None
        people = ",".join(str(pk) for pk in chosen)
        return HttpResponseRedirect(f"{reverse('admin:adjust-many')}?people={people}")


def standing_of(user: User) -> list[tuple[str, str]]:
    """How the person stands with us, as (class of a tag, word); the first is what matters most."""
    if user.deleted_at is not None:
        return [("bad", "left")]
    first = ("good", "active") if user.is_active else ("bad", "locked out")
    if user.is_superuser:
        return [first, ("warn", "superuser")]
    return [first, ("warn", "staff")] if user.is_staff else [first]


def _in_short(text: str) -> SafeString:
    """So that no name, id or e-mail pushes the rest out of sight; the whole of it on hover."""
    short = text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
    return format_html('<bdi title="{}">{}</bdi>', text, short)
