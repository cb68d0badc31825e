"""
The staff's second factor: an authenticator, whose code changes every half minute (TOTP, RFC 6238), and ten recovery
codes, each good once. The library (django-otp) keeps either as a "device" of the person; of a recovery code there is
only the digest. A code is used up by being right, whatever it was asked for.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice, default_key

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.services.access import cut_off
from accounts.services.people import lock_user

RECOVERY_CODES = 10
_RECOVERY_BYTES = 10  # 80 bits, of which nobody finds one by trying; 16 characters, what the library's column holds
_TOTP = re.compile(r"[0-9]{6}")
_RECOVERY = re.compile(r"[a-z2-7]{16}")


class WrongCode(ValueError):
    """It is no code of the person's, or one that was used already."""


class TooManyCodes(Exception):
    """There were wrong codes before, and the next is looked at only from `until` on."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"No code is looked at before {until}.")
        self.until = until


class SecondFactorChanged(Exception):
    """The person has meanwhile another second factor than the one that was to be replaced."""


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """What a person has: `device` is the authenticator."""

    device: Any
    recovery_codes: int


def second_factor_of(user: User) -> SecondFactor | None:
    """Two queries, no locks."""
    device = TOTPDevice.objects.filter(user=user, confirmed=True).first()
    if device is None:
        return None
    return SecondFactor(device, StaticToken.objects.filter(device__user=user, device__confirmed=True).count())


def new_secret() -> str:
    """What an authenticator is set up with, in hexadecimal digits: 160 random bits."""
    return str(default_key())


def use_code(*, user: User, code: str) -> Any:
    """
    The device that has taken the code, which is used up by that. Spaces, hyphens and capitals in it do not matter.

    Raises WrongCode, which is written down, and TooManyCodes, which is not: nothing was looked at. Locks: the user's
    row, the device.
    """
    device = _try_code(user=user, code=code)
    if device is None:
        raise WrongCode
    return device


@transaction.atomic
def _try_code(*, user: User, code: str) -> Any:
    """As `use_code`, but None for a wrong one: an exception would undo that it was counted and written down."""
    member = lock_user(user=user)
    text = _plain(code)
    kind: Any = TOTPDevice if _TOTP.fullmatch(text) else StaticDevice if _RECOVERY.fullmatch(text) else None
    device = kind and kind.objects.select_for_update().filter(user=member, confirmed=True).first()
    if device is None:
        return None  # not even the form of a code that the person could have: nobody finds one that way
    is_allowed, why = device.verify_is_allowed()
    if not is_allowed:
        raise TooManyCodes(why["locked_until"])
    if device.verify_token(_digest(text) if kind is StaticDevice else text):
        return device
    audit.record(AuditEntry.Event.SECOND_FACTOR_REFUSED, actor=member, subject=member, method=method_of(device))
    return None


def method_of(device: Any) -> str:
    """What it is, as the audit has it."""
    return "authenticator" if isinstance(device, TOTPDevice) else "recovery code"


@transaction.atomic
def set_second_factor(*, user: User, secret: str, code: str, replaces: int | None) -> tuple[Any, list[str]]:
    """
    Makes the authenticator that has `secret`, and shows by its `code` that it has it, the person's second factor, in
    place of the device of this number (None: they have none so far). The device, and new recovery codes; all former
    ones end, and so does what they have opened.

    Raises WrongCode, SecondFactorChanged. Locks: the user's row, the devices.
    """
    member = lock_user(user=user)
    former = TOTPDevice.objects.select_for_update().filter(user=member).first()
    if (former.pk if former else None) != replaces:
        raise SecondFactorChanged
    text = _plain(code)
    device = TOTPDevice.objects.create(user=member, key=secret, name="Authenticator")
    if not _TOTP.fullmatch(text) or not device.verify_token(text):
        raise WrongCode
    TOTPDevice.objects.filter(user=member).exclude(pk=device.pk).delete()
    codes = _make_recovery_codes(member)
    before, after = ("set up", "another authenticator") if former else ("none", "set up")
    _note(AuditEntry.Event.SECOND_FACTOR_SET, member, actor=member, before=before, after=after)
    return device, codes


@transaction.atomic
def renew_recovery_codes(*, user: User) -> list[str]:
    """New ones for who has a second factor; all former ones end. Locks: the user's row, the device."""
    member = lock_user(user=user)
    left = StaticToken.objects.filter(device__user=member).count()
    codes = _make_recovery_codes(member)
    before, after = f"{left} recovery codes", f"{RECOVERY_CODES} others"
    _note(AuditEntry.Event.SECOND_FACTOR_SET, member, actor=member, before=before, after=after)
    return codes


@transaction.atomic
def reset_second_factor(*, user: User, actor: User | None = None) -> bool:
    """
    Takes away what the person has, and ends every session of theirs: the next one who signs in as them sets up another.
    Whether there was anything; if not, nothing is done. Locks: the user's row, their devices, codes and tokens.
    """
    member = lock_user(user=user)
    if not remove_second_factor(user=member):
        return False
    _note(AuditEntry.Event.SECOND_FACTOR_RESET, member, actor=actor, before="set up", after="none")
    cut_off(user=member, actor=actor)
    return True


def remove_second_factor(*, user: User) -> bool:
    """Whether there was one. Called with the user's row locked."""
    removed = [kind.objects.filter(user=user).delete()[0] for kind in (TOTPDevice, StaticDevice)]
    return any(removed)


def _make_recovery_codes(member: User) -> list[str]:
    StaticDevice.objects.filter(user=member).delete()
    device = StaticDevice.objects.create(user=member, name="Recovery codes")
    codes = [b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=_digest(code)) for code in codes)
    return codes


def _note(event: AuditEntry.Event, member: User, *, actor: User | None, before: str, after: str) -> None:
    audit.record(event, actor=actor, subject=member, before={"second factor": before}, after={"second factor": after})


def _plain(code: str) -> str:
    return re.sub(r"[\s-]", "", code).lower()


def _digest(code: str) -> str:
    """As much of the SHA-256 as the library's column holds, which is as much as there is in the code."""
    return b32encode(hashlib.sha256(code.encode()).digest()[:_RECOVERY_BYTES]).decode().lower()
