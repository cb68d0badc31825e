"""
What the page of one person shows of them: each section read in one to three queries, however much there is, and only
for who may see it. None reads what a project holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from social_django.models import UserSocialAuth

from accounts.models import AuditEntry, User
from credits.models import Grant, Hold, LedgerEntry
from credits.queries import position_of
from unified.admin.changes import changes_of, remarks_of
from unified.api.content_urls import thumbnail_url
from unified.api.figures import percentage
from workspace.models import AppStorage, Project, Reservation, StorageWarning
from workspace.queries import storage_of

MOST_ENTRIES = 15
MOST_PICTURES = 12
MOST = 10  # of everything else

Event = AuditEntry.Event
SIGN_INS = (
    *(Event.SIGNED_IN, Event.SIGN_IN_REFUSED, Event.SIGNED_OUT, Event.CODE_REPLAYED, Event.TOKEN_REUSED),
    *(Event.SECOND_FACTOR_SET, Event.SECOND_FACTOR_REFUSED),
)
REFUSED = (Event.SIGN_IN_REFUSED, Event.CODE_REPLAYED, Event.TOKEN_REUSED, Event.SECOND_FACTOR_REFUSED)


@dataclass(frozen=True, slots=True)
class Section:
    """`name` is its anchor and its template; `whole` is the list that has all of it, filtered by `by`."""

    name: str
    title: str
    permission: str
    read: Callable[[HttpRequest, User], dict[str, Any]]
    whole: str
    by: str
    is_wide: bool = False
    and_by: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """A section as the page has it."""

    section: Section
    address: str
    content: dict[str, Any]

    @property
    def template(self) -> str:
        return f"admin/person/{self.section.name}.html"


def sections_of(request: HttpRequest, member: User) -> list[Shown]:
    """Those that the viewer may see."""
    may_see: Any = request.user
    return [
        Shown(section, _whole(section, member), section.read(request, member))
        for section in SECTIONS
        if may_see.has_perm(section.permission)
    ]


def _whole(section: Section, member: User) -> str:
    query = "&".join(f"{name}={value}" for name, value in {section.by: member.pk, **section.and_by}.items())
    return f"{reverse(f'admin:{section.whole}_changelist')}?{query}"


def _some(rows: QuerySet[Any], most: int = MOST) -> dict[str, Any]:
    """The first of them, and whether there are more, in one query that reads no more than that."""
    found = list(rows[: most + 1])
    return {"rows": found[:most], "more": len(found) > most}


# --- Credits ---------------------------------------------------------------------------------------------------------


def position(request: HttpRequest, member: User) -> dict[str, Any]:
    """What can be spent, as the apps are told it: what has expired is not in it, entered or not."""
    account = getattr(member, "account", None)
    return {"position": position_of(member), "account": account}


def lots(request: HttpRequest, member: User) -> dict[str, Any]:
    """Open lots in the order in which they are spent; what never expires is spent after them."""
    open_lots = Grant.objects.filter(account=member.pk, remaining__gt=0).select_related("entry", "plan")
    account = getattr(member, "account", None)
    return {
        **_some(open_lots.order_by("priority", "expires_at", "created_at", "id")),
        "permanent": account.balance - account.in_lots if account else 0,
    }


def transactions(request: HttpRequest, member: User) -> dict[str, Any]:
    """The latest, each with what has been refunded of it, and what could be yet."""
    entries = LedgerEntry.objects.filter(account=member.pk).select_related("app", "actor", "operation")
    some = _some(entries.order_by("-seq"), MOST_ENTRIES)
    refunds = LedgerEntry.objects.filter(
        related__in=[entry.pk for entry in some["rows"]], type=LedgerEntry.Type.REFUND
    ).order_by()
    refunded = dict(refunds.values_list("related").annotate(Sum("amount")))
    may_refund = request.user.has_perm("credits.refund_ledgerentry")
    for entry in some["rows"]:
        entry.refunded = refunded.get(entry.pk, 0)
        entry.refundable = -entry.amount - entry.refunded if entry.type == LedgerEntry.Type.DEDUCTION else 0
    return {**some, "may_refund": may_refund}


def holds(request: HttpRequest, member: User) -> dict[str, Any]:
    """Those that are live by the database's clock, the first to end first, with the room that each keeps free."""
    live = Hold.objects.filter(account=member.pk, status=Hold.Status.ACTIVE, expires_at__gt=Now())
    some = _some(live.select_related("app", "operation").order_by("expires_at"))
    ids = [hold.pk for hold in some["rows"]]
    room = dict(Reservation.objects.filter(pk__in=ids, expires_at__gt=Now()).order_by().values_list("pk", "size_bytes"))
    for hold in some["rows"]:
        hold.room_bytes = room.get(hold.pk, 0)
    return some


# --- Workspace -------------------------------------------------------------------------------------------------------


def storage(request: HttpRequest, member: User) -> dict[str, Any]:
    """Room by app, as lengths of a bar of 100: what is reserved is in it after what is used."""
    room = storage_of(member)
    parts = list(AppStorage.objects.filter(storage=member.pk, project_count__gt=0).select_related("app"))
    parts.sort(key=lambda part: (-part.used_bytes, part.app_id))
    bar, start = [], 0.0
    for part in parts:
        length = percentage(part.used_bytes, room.limit_bytes)
        bar.append({"start": start, "length": length, "colour": part.app.colour, "part": part})
        start += length
    return {
        "room": room,
        "bar": bar,
        "used_percent": percentage(room.used_bytes, room.limit_bytes),
        "reserved": {"start": start, "length": percentage(room.reserved_bytes, room.limit_bytes)},
    }


def projects(request: HttpRequest, member: User) -> dict[str, Any]:
    """The newest, as pictures for who may see what people keep, else as what they are."""
    kept = Project.objects.kept().filter(user=member).select_related("app").defer("metadata")
    some = _some(kept.order_by("-id"), MOST_PICTURES)
    may_open = request.user.has_perm("workspace.inspect_projectcontent")
    for project in some["rows"]:
        project.picture = thumbnail_url(request, project) if may_open else None
    return {**some, "may_open": may_open}


def trash(request: HttpRequest, member: User) -> dict[str, Any]:
    in_trash = Project.objects.in_trash().filter(user=member).select_related("app").defer("metadata")
    return _some(in_trash.order_by("-deleted_at", "-id"))


def warnings(request: HttpRequest, member: User) -> dict[str, Any]:
    return _some(StorageWarning.objects.filter(storage=member.pk).order_by("-id"))


# --- Access ----------------------------------------------------------------------------------------------------------


def sign_ins(request: HttpRequest, member: User) -> dict[str, Any]:
    """How they came in and went, and what else they did to their own access; and who vouches for them."""
    some = _some(_audit_of(member).filter(Q(event__in=SIGN_INS) | Q(actor=member)))
    for entry in some["rows"]:
        entry.is_refusal = entry.event in REFUSED
        entry.method = entry.details.get("method") or entry.details.get("reason") or ""
    linked = list(UserSocialAuth.objects.filter(user=member).values("provider", "created"))
    return {**some, "linked": linked, "has_password": member.has_usable_password()}


def tokens(request: HttpRequest, member: User) -> dict[str, Any]:
    """What the apps can do as the person, now, and for how long they can renew it. The tokens are not read."""
    access = get_access_token_model().objects.filter(user=member, expires__gt=Now())
    some = _some(access.select_related("application__app").defer("token").order_by("-expires"))
    renewals: dict[str, Any] = {"rows": []}
    if request.user.has_perm("oauth2_provider.view_refreshtoken"):
        lifetime = timedelta(days=settings.REFRESH_TOKEN_DAYS)
        refresh = get_refresh_token_model().objects.filter(user=member, revoked=None, created__gt=Now() - lifetime)
        renewals = _some(refresh.select_related("application__app").defer("token").order_by("-created"))
        for token in renewals["rows"]:
            token.until = token.created + lifetime
    return {**some, "renewals": renewals}


def staff_actions(request: HttpRequest, member: User) -> dict[str, Any]:
    """What others did to the person's access, credits and room: staff, or the system where nobody is named."""
    some = _some(_audit_of(member).exclude(event__in=SIGN_INS).exclude(actor=member))
    for entry in some["rows"]:
        entry.changes = changes_of(entry.details)
        entry.remarks = remarks_of(entry.details)
    return some


def _audit_of(member: User) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(subject=member).select_related("actor", "app").order_by("-id")


SECTIONS = (
    Section("credits", "Credits", "credits.view_account", position, "credits_account", "user__exact"),
    Section("storage", "Storage", "workspace.view_storage", storage, "workspace_storage", "user__exact"),
    Section("lots", "Credits that expire", "credits.view_grant", lots, "credits_grant", "account__exact"),
    Section(
        name="transactions",
        title="Latest transactions",
        permission="credits.view_ledgerentry",
        read=transactions,
        whole="credits_ledgerentry",
        by="account__exact",
        is_wide=True,
    ),
    Section("holds", "Live holds", "credits.view_hold", holds, "credits_hold", "account__exact"),
    Section(
        name="warnings",
        title="Storage warnings",
        permission="workspace.view_storagewarning",
        read=warnings,
        whole="workspace_storagewarning",
        by="storage__exact",
    ),
    Section(
        name="projects",
        title="Newest projects",
        permission="workspace.view_project",
        read=projects,
        whole="workspace_project",
        by="user__exact",
        and_by={"trash": "out"},
        is_wide=True,
    ),
    Section(
        name="trash",
        title="Trash",
        permission="workspace.view_project",
        read=trash,
        whole="workspace_project",
        by="user__exact",
        and_by={"trash": "in"},
    ),
    Section(
        name="tokens",
        title="Open tokens",
        permission="oauth2_provider.view_accesstoken",
        read=tokens,
        whole="oauth2_provider_accesstoken",
        by="user__exact",
    ),
    Section(
        name="sign-ins",
        title="Sign-ins",
        permission="accounts.view_auditentry",
        read=sign_ins,
        whole="accounts_auditentry",
        by="subject__exact",
        is_wide=True,
    ),
    Section(
        name="staff-actions",
        title="What staff did",
        permission="accounts.view_auditentry",
        read=staff_actions,
        whole="accounts_auditentry",
        by="subject__exact",
        is_wide=True,
    ),
)
