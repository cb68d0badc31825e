"""How staff find a person: by what they are called, or by something of theirs whose name is known."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from accounts.admin.base import uuid_of
from accounts.models import User
from credits.models import Hold, LedgerEntry
from workspace import codes
from workspace.models import Project

LONGEST = 255  # of a user id or a name; nothing that is searched is longer
WAYS = (
    "a user id, in full",
    "a part of a name or an e-mail address",
    "a project code, also of a project in the trash, and of one that is gone if credits went on it: small letters, "
    "hyphens and O for 0 do not matter",
    "the id of a transaction or a hold",
)
HELP = "User id, name, e-mail, project code, transaction id or hold id"


@dataclass(frozen=True, slots=True)
class Belonging:
    """
    Something of a person's that the text names: the section of their page that is about it, what it is called, and the
    page of its own.
    """

    user_id: int
    section: str
    name: str
    model: str  # as the admin calls its pages
    pk: object


def matching(text: str) -> Q:
    """People with this in their name or e-mail, or whose user id, project, transaction or hold it is."""
    text = text.strip().replace("\0", "")
    found = Q(user_id=text) | Q(username__icontains=text) | Q(email__icontains=text)
    belonging = named(text)
    return found | Q(pk=belonging.user_id) if belonging else found


def named(text: str) -> Belonging | None:
    """
    The one thing that has this project code (as typed, also in the trash), transaction id or hold id; or what was paid
    for a project with this code that is gone for good. No query for a text that can be neither; two at the most.
    Nothing that is found by them has two owners, nor two kinds.
    """
    code = codes.fold(text)
    if code is not None:
        project = Project.objects.filter(code=code).only("user", "deleted_at").first()
        if project is not None:
            where = "trash" if project.deleted_at else "projects"
            return Belonging(project.user_id, where, f"The project {code}", "workspace_project", project.pk)
        # (The code is what the app said: the account is that of whoever paid, latest first.)
        paid = LedgerEntry.objects.filter(project_code=code).order_by("-created_at")
        entry = paid.only("account").first()
        return _of(entry, f"The latest transaction for the project {code}, which is gone,") if entry else None
    identifier = uuid_of(text)
    if identifier is None:
        return None
    entry = LedgerEntry.objects.filter(pk=identifier).only("account").first()
    if entry is not None:
        return _of(entry, "That transaction")
    hold = Hold.objects.filter(pk=identifier).only("account").first()
    return Belonging(hold.account_id, "holds", "That hold", "credits_hold", hold.pk) if hold is not None else None


def _of(entry: LedgerEntry, name: str) -> Belonging:
    return Belonging(entry.account_id, "transactions", name, "credits_ledgerentry", entry.pk)


def people(text: str, *, most: int = 2) -> list[User]:
    """Up to `most` of the people who match."""
    return list(User.objects.filter(matching(text)).order_by("-pk")[:most])
