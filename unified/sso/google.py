"""
In: Google, or any OpenID Connect issuer that the configuration names, says who a person is. Its `sub` is our user_id;
an e-mail never identifies anybody (CVE-2025-61783: an account was handed over to whoever brought its e-mail).
"""

from __future__ import annotations

import unicodedata
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from social_core.backends.open_id_connect import OpenIdConnectAuth
from social_core.exceptions import AuthAssociationError, AuthPolicyError, AuthResponseError

from accounts.models import User
from accounts.services import InvalidUserId, check_user_id
from unified import services

NAME_MAX_LENGTH = 255
EMAIL_MAX_LENGTH = 254


class SignedInAsAnother(AuthAssociationError):
    """Somebody is signed in here, and has picked an account of somebody else."""


class SignsInWithPassword(AuthPolicyError):
    """The account has a password of its own: no issuer's word opens it."""


class GoogleSignIn(OpenIdConnectAuth):
    """The library's own backend for Google has the issuer written into it; this one takes it from the settings."""

    name = "google"
    title = "Google"
    DEFAULT_USE_PKCE = True

    def get_user(self, user_id: Any) -> User | None:
        """Whom a session is of, asked at each request: nobody who is locked out, whatever the library would say."""
        return User.objects.filter(pk=user_id, is_active=True).first()


def refuse_another_account(*, backend: Any, uid: str, user: User | None = None, **kwargs: Any) -> None:
    """
    Raises SignedInAsAnother: the library would link the account to whoever happens to be signed in. AuthResponseError
    for a `sub` that cannot be a user id, before it is looked up.
    """
    try:
        check_user_id(uid)
    except InvalidUserId:
        raise AuthResponseError(backend, claim="sub", code="invalid_claim", stage="pipeline") from None
    if user is not None and user.user_id != uid:
        raise SignedInAsAnother(backend, code="identity_in_use", stage="pipeline", context={"member": user})


def find_member(
    *, backend: Any, uid: str, details: dict[str, Any], social: Any = None, user: User | None = None, **kwargs: Any
) -> dict[str, Any]:
    """
    The person whose user_id is the issuer's `sub`, made if this is their first time here, with what every new person
    is given. An app may have made them before; then they are left as they are.

    Raises SignsInWithPassword. Locks: as `create_member`.
    """
    email = _email(details.get("email"))
    member, created = services.create_member(
        user_id=uid,
        username=_name(details, email) or uid,
        email=email,
        initial_credits=settings.INITIAL_CREDITS_DEFAULT,
    )
    if member.has_usable_password():
        raise SignsInWithPassword(
            backend, code="authentication_disallowed", stage="pipeline", context={"member": member}
        )
    return {"user": member, "is_new": created}


def _email(claim: Any) -> str:
    """An address to write to, or nothing."""
    if not isinstance(claim, str) or len(claim) > EMAIL_MAX_LENGTH:
        return ""
    try:
        validate_email(claim)
    except ValidationError:
        return ""
    return claim


def _name(details: dict[str, Any], email: str) -> str:
    """What the issuer calls the person, without what cannot be shown; else what stands before the @; or nothing."""
    for claim in (details.get("fullname"), details.get("username"), email.partition("@")[0]):
        if isinstance(claim, str):
            name = "".join(letter for letter in claim if unicodedata.category(letter) not in ("Cc", "Cs")).strip()
            if name:
                return name[:NAME_MAX_LENGTH]
    return ""
