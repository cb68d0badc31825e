"""
Out: what django-oauth-toolkit asks before it lets anybody in, mended where its own answer is not strict enough. Each
method says what went wrong without it; `tests/sso/` has an attack for every one.
"""

from __future__ import annotations

import hashlib
import json
import time
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from jwcrypto import jwk, jws, jwt
from jwcrypto.common import JWException
from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2.rfc6749 import errors

from accounts import audit
from accounts.models import AuditEntry, Client, User
from accounts.services import end_family_of, lock_user, note_spent_code

# Where the session's user stands among the headers that oauthlib is given. No header of a request can have this name.
_SESSION_USER, _SESSION = "unified session user", "unified session"
NO_RESOURCES = "Tokens are for this service's own API; leave resource out."
SIGNED_IN_AT = "signed_in_at"  # in a session: when, in seconds since 1970
GRANTS = ("authorization_code", "refresh_token")
# What the columns hold; more of it ended in an error of the database.
_LENGTHS = {"nonce": 255, "code_challenge": 128, "state": 2_000, "scope": 1_000, "claims": 4_000, "redirect_uri": 2_000}


class Backend(OAuthLibCore):
    def extract_headers(self, request: Any) -> dict[str, Any]:
        """
        With the session's user: `prompt=none` has to know them, and the library does not hand them on. Only for pages;
        DRF's request would authenticate itself while it is being authenticated.
        """
        headers: dict[str, Any] = super().extract_headers(request)
        if isinstance(request, HttpRequest):
            headers[_SESSION_USER] = getattr(request, "user", None)
            headers[_SESSION] = getattr(request, "session", None)
        return headers


class Validator(OAuth2Validator):
    # --- Who the person is -------------------------------------------------------------------------------------------

    def get_additional_claims(self) -> dict[str, Any]:
        """
        `sub` is the user_id, not the row's number; name and e-mail with their scopes. (There is no `email_verified`:
        nothing here depends on an e-mail, and nothing there should.)
        """
        return {
            "sub": lambda request: request.user.user_id,
            "name": lambda request: request.user.username,
            "email": lambda request: request.user.email,
        }

    def get_oidc_claims(self, token: Any, token_handler: Any, request: Any) -> dict[str, Any]:
        """Without claims that are empty (OpenID Connect Core 1.0, section 5.3.2)."""
        claims: dict[str, Any] = super().get_oidc_claims(token, token_handler, request)
        return {name: value for name, value in claims.items() if value not in ("", None)}

    # --- The authorization request -----------------------------------------------------------------------------------

    def validate_silent_login(self, request: Any) -> bool:
        """`prompt=none` for whoever has a session here. The library has none of it, and answered 500."""
        user = request.headers.get(_SESSION_USER)
        if user is None or not user.is_authenticated or not user.is_active:
            return False
        if is_too_old(user, request.headers.get(_SESSION), request.max_age):
            return False
        request.user = user
        return True

    def validate_silent_authorization(self, request: Any) -> bool:
        """Without asking: for our own apps, and for what the person has allowed this client before."""
        if request.client.skip_authorization:
            return True
        tokens = get_access_token_model().objects.filter(user=request.user, application=request.client)
        return any(token.is_valid(request.scopes) for token in tokens)

    def validate_user_match(self, id_token_hint: Any, scopes: Any, claims: Any, request: Any) -> bool:
        """Whoever the app believes to be here has to be (OpenID Connect Core 1.0, section 3.1.2.1, id_token_hint)."""
        if not id_token_hint:
            return True
        user = request.headers.get(_SESSION_USER)
        hinted = read_hint(id_token_hint)
        return bool(hinted and user and user.is_authenticated and hinted["sub"] == user.user_id)

    def save_authorization_code(self, client_id: str, code: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        for name, longest in _LENGTHS.items():
            if len(str(getattr(request, name, None) or "")) > longest:
                raise errors.InvalidRequestError(description=f"{name} is too long.", request=request)
        if getattr(request, "resource", None):
            raise errors.CustomOAuth2Error("invalid_target", NO_RESOURCES, request=request)
        if not request.code_challenge:  # the library misses one that is there and empty: its code is good for nothing
            raise errors.InvalidRequestError(description="Code challenge required.", request=request)
        with transaction.atomic():
            self._require_session(request)
            super().save_authorization_code(client_id, code, request, *args, **kwargs)

    def _require_session(self, request: Any) -> None:
        """
        Raises LoginRequired where the session has ended since the request began: nothing that ends what a person has
        may be outlived by a code that was on its way. Locks: the person's row, which those who end things lock too.
        """
        member, session = lock_user(user=request.user), request.headers.get(_SESSION)
        is_there = session is not None and Session.objects.filter(pk=session.session_key).exists()
        if not is_there or not member.is_active or member.session_epoch != request.user.session_epoch:
            raise errors.LoginRequired(request=request)

    # --- The token request -------------------------------------------------------------------------------------------

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Any, *a: Any, **kw: Any
    ) -> bool:
        """Codes and refresh tokens, whatever a client's row says: each further way to a token is one to be attacked."""
        return grant_type in GRANTS and super().validate_grant_type(client_id, grant_type, client, request, *a, **kw)

    def validate_code(self, client_id: str, code: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """
        Refuses a person who is locked out. A code that comes a second time ends what the first one gave (RFC 6749,
        section 4.1.2); of two at once, one waits. Locks: the person's row, then the code's.
        """
        grants = get_grant_model().objects
        grant = grants.filter(code=code, application=client).select_related("user").first()
        if grant is not None and not lock_user(user=grant.user).is_active:
            return False
        if grant is None or not grants.select_for_update(of=("self",)).filter(pk=grant.pk).exists():
            end_family_of(code=code, client=client)
            return False
        return bool(super().validate_code(client_id, code, client, request, *args, **kwargs))

    def validate_refresh_token(self, refresh_token: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """
        Refuses a person who is locked out, and notes a token that is used twice: the library then ends its family. Of
        two at once, one waits and is the second. Locks: the person's row, then the token's.
        """
        tokens = get_refresh_token_model().objects
        checksum = hashlib.sha256(refresh_token.encode()).hexdigest()
        kept = tokens.filter(token_checksum=checksum, application=client).select_related("user").first()
        if kept is None or not lock_user(user=kept.user).is_active:
            return False
        locked = tokens.select_for_update(of=("self",)).get(pk=kept.pk)
        family = tokens.filter(token_family=locked.token_family, revoked=None)
        if locked.revoked is not None and family.exists():  # else it has ended with the others, and is no theft
            audit.record(AuditEntry.Event.TOKEN_REUSED, subject=kept.user, app=client.app, client_id=client.client_id)
        return bool(super().validate_refresh_token(refresh_token, client, request, *args, **kwargs))

    def _check_and_set_request_resource(self, request: Any) -> None:
        """There is one API here, and tokens are for it: one that is restricted to another would be taken by ours."""
        if getattr(request, "resource", None):
            raise errors.CustomOAuth2Error("invalid_target", NO_RESOURCES, request=request)
        super()._check_and_set_request_resource(request)

    def _create_refresh_token(self, request: Any, code: str, access_token: Any, previous: Any) -> Any:
        made = super()._create_refresh_token(request, code, access_token, previous)
        if request.grant_type == "authorization_code":
            note_spent_code(code=request.code, client=request.client, token_family=made.token_family)
        return made

    # --- What is shown as a token ------------------------------------------------------------------------------------

    def validate_bearer_token(self, token: str, scopes: Any, request: Any) -> bool:
        """Not of a person who is locked out, nor of none at all. (The API asks `authenticate_token` instead.)"""
        if not super().validate_bearer_token(token, scopes, request):
            return False
        return request.user is not None and request.user.is_active

    def validate_jwt_bearer_token(self, token: str, scopes: Any, request: Any) -> bool:
        """An ID token says who somebody is, to the app; it is no key to anything. The library took it for one."""
        return False

    def validate_id_token(self, token: str, scopes: Any, request: Any) -> bool:
        return False


def is_too_old(user: Any, session: Any, max_age: str | None) -> bool:
    """Whether the app wants a sign-in that is fresher than the session's (OpenID Connect Core 1.0, section 3.1.2.1)."""
    if not max_age or not max_age.isascii() or not max_age.isdigit() or not user.is_authenticated:
        return False
    signed_in = (session or {}).get(SIGNED_IN_AT) or (user.last_login.timestamp() if user.last_login else 0)
    return time.time() - float(signed_in) > int(max_age[:12])


@cache
def _published(pem: str) -> jwk.JWK:
    """Reading a key takes longer than checking a signature with it."""
    return jwk.JWK.from_pem(pem.encode())


def read_hint(token: str) -> dict[str, Any] | None:
    """
    The claims of an ID token that we have signed, with any of the published keys, however long ago; or None for
    anything else. To be told who or what is meant, never to let anybody in.

    The library looks it up in a table from which a sign-out removes it, and knows the signing key only: whoever signed
    out of the second app, or after the keys had changed, was answered 400.
    """
    for pem in settings.OIDC_SIGNING_KEYS:
        try:
            checked = jwt.JWT(key=_published(pem), jwt=token, algs=["RS256"], check_claims={}, expected_type="JWS")
            claims = json.loads(checked.claims)
        except (JWException, jws.InvalidJWSObject, ValueError, TypeError, KeyError):
            continue
        issuer = settings.OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"]
        if isinstance(claims, dict) and claims.get("iss") == issuer and isinstance(claims.get("sub"), str):
            return claims
    return None


def client_of(claims: dict[str, Any]) -> Client | None:
    """The client that an ID token was made for."""
    audience = claims.get("aud")
    return Client.objects.filter(client_id=audience).first() if isinstance(audience, str) else None


def user_of(claims: dict[str, Any]) -> User | None:
    return User.objects.filter(user_id=claims["sub"]).first()
