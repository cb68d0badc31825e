"""
Sign in with Unified: OpenID Connect by discovery, authorization code with PKCE, state and nonce, all by Authlib.

What Authlib leaves to an app is here: trying without a prompt first, renewing tokens one at a time, and signing out.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, cast

import requests
from authlib.integrations.flask_client import OAuth
from authlib.integrations.flask_client import OAuthError as FlaskOAuthError
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from flask import Flask, request
from flask import session as flask_session
from joserfc.errors import JoseError
from werkzeug.wrappers import Response

from examples.shared.sessions import Session

SCOPES = "openid profile email credits.read credits.spend workspace.read workspace.write"
EARLY_SECONDS = 30  # a token that is about to end is renewed before it is refused
TIMEOUT_SECONDS = 10

# What a provider answers to `prompt=none` when it would have to show something. No failure: there is nobody yet.
NOBODY_YET = {"login_required", "interaction_required", "consent_required", "account_selection_required"}

session = cast("Session", flask_session)  # MemorySessions makes no others


class SignedOut(Exception):
    """There is no token, or it is refused and cannot be renewed."""


class SignInFailed(Exception):
    """The provider answered with something that is no sign-in. The message is for the person."""


class SignIn:
    def __init__(
        self, app: Flask, *, unified_url: str, app_url: str, client_id: str, client_secret: str | None
    ) -> None:
        self._callback_url = f"{app_url}/callback"
        self._home_url = f"{app_url}/"
        self._client_id = client_id
        self._client_secret = client_secret  # None for a public client: PKCE alone protects its codes
        self._provider = OAuth(app).register(
            "unified",
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=f"{unified_url}/o/.well-known/openid-configuration",
            client_kwargs={
                "scope": SCOPES,
                "code_challenge_method": "S256",
                "default_timeout": TIMEOUT_SECONDS,
            },
        )

    # Coming in

    def start(self, *, silently: bool = False) -> Response:
        """
        Sends the browser to Unified. Silently means: come back at once, with somebody or with nobody.

        The whole page goes there, not a hidden frame: browsers keep a frame's cookies of another site from it.
        """
        session["asked"] = True
        prompt = {"prompt": "none"} if silently else {}
        response: Response = self._provider.authorize_redirect(self._callback_url, **prompt)
        return response

    def finish(self) -> None:
        """Takes the answer that the browser brings back from Unified."""
        if error := request.args.get("error"):
            if error in NOBODY_YET:
                return
            raise SignInFailed("The sign-in was cancelled." if error == "access_denied" else "Unified refused that.")
        try:
            # Compares the state, redeems the code with the PKCE verifier, and proves the ID token: its signature,
            # issuer, audience, time and nonce.
            token = self._provider.authorize_access_token()
        except FlaskOAuthError as problem:
            if problem.error == "mismatching_state":
                raise SignInFailed("That sign-in was not begun in this browser, or is already over.") from None
            raise SignInFailed("Unified did not accept that sign-in. Please try once more.") from None
        except JoseError:
            raise SignInFailed("Unified's answer could not be verified. Please try once more.") from None
        who = token.get("userinfo")
        if not who:
            raise SignInFailed("Unified's answer does not say who you are. Please try once more.")
        if session.get("who", {}).get("sub") != who["sub"]:
            session.clear()  # somebody else now: what was left here is not theirs
        session.renew()
        session["who"] = {name: who.get(name) for name in ("sub", "name", "email")}
        session["token"] = _kept(token)

    # Being in

    @property
    def signed_in(self) -> bool:
        return "token" in session

    def access_token(self, *, refused: str | None = None) -> str:
        """
        A token for the API. `refused` is the one that the API did not take, if that is why another is wanted.

        A refresh token works once, and using it again ends the whole sign-in. So one request at a time renews, and
        those that waited for it find the new token.
        """
        with session.lock:
            token = session.get("token")
            if token is None:
                raise SignedOut
            if token["access_token"] == refused or token["expires_at"] < time.time() + EARLY_SECONDS:
                token = session["token"] = self._renewed(token)
            return str(token["access_token"])

    def _renewed(self, token: dict[str, Any]) -> dict[str, Any]:
        if not token.get("refresh_token"):
            raise SignedOut
        try:
            with self._client() as client:
                new = client.refresh_token(self._endpoint("token_endpoint"), refresh_token=token["refresh_token"])
        except OAuthError as problem:
            if problem.error != "invalid_grant":  # Unified is busy, or this app is set up wrongly: nobody signed out
                raise requests.RequestException(f"no new token: {problem}") from None
            raise SignedOut from None  # used, ended or cut, perhaps because its person signed out of another app
        return _kept({**token, **new})

    # Going out

    def forget(self) -> None:
        """Lets go of tokens that are good for nothing any more."""
        session.pop("token", None)

    def sign_out(self) -> Response:
        """Ends the sign-in at Unified, and with it in every app; Unified then sends the browser back to us."""
        token = session.get("token")
        session.clear()
        session.renew()
        session["asked"] = True  # who has just left is not brought back without being asked
        hint = {}
        if token is not None:
            hint = {"id_token_hint": token["id_token"]}
            # Our own tokens are cut first, so that they are gone even if the browser never arrives at Unified.
            with suppress(OAuthError, requests.RequestException), self._client() as client:
                client.revoke_token(self._endpoint("revocation_endpoint"), token["refresh_token"])
        response: Response = self._provider.logout_redirect(self._home_url, client_id=self._client_id, **hint)
        return response

    def is_back_from_signing_out(self) -> bool:
        """Whether this request is Unified's answer to `sign_out`, and not just a link that looks like it."""
        try:
            self._provider.validate_logout_response()
        except FlaskOAuthError:
            return False
        return True

    def _client(self) -> OAuth2Session:
        return OAuth2Session(self._client_id, self._client_secret, default_timeout=TIMEOUT_SECONDS)

    def _endpoint(self, name: str) -> str:
        return str(self._provider.load_server_metadata()[name])


def _kept(token: dict[str, Any]) -> dict[str, Any]:
    return {name: token.get(name) for name in ("access_token", "refresh_token", "expires_at", "id_token")}
