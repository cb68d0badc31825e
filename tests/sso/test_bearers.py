"""What is shown as a bearer, at the API and at userinfo: an access token of ours that is good now, and nothing else."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.test import RequestFactory
from django.utils import timezone
from jwcrypto import jwk, jwt
from oauth2_provider.models import get_access_token_model
from oauth2_provider.views.mixins import OAuthLibMixin

from accounts import services as accounts
from accounts.models import App, User
from tests.client import BASE, ApiClient
from tests.conftest import make_user
from tests.sso.flow import USERINFO, RelyingParty, bearer, calls_api, claims_of, userinfo

pytestmark = pytest.mark.django_db


def assert_refused_everywhere(token: str) -> None:
    at_api, at_userinfo = calls_api(token), userinfo(token)
    assert at_api.status_code == 401, at_api.content
    assert at_api["WWW-Authenticate"].startswith("Bearer")
    assert (at_api.json()["success"], at_api.json()["code"]) == (False, "not_authenticated")
    assert at_userinfo.status_code in {400, 401}
    assert b"alice" not in at_userinfo.content


def encoded(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def library_takes(token: str) -> bool:
    """Whether a view of the library's kind would let somebody in with it."""
    request = RequestFactory().get("/", headers=bearer(token))
    return bool(OAuthLibMixin.get_oauthlib_core().verify_request(request, scopes=[])[0])


def test_an_id_token_is_no_bearer(alices: Browser, by_penora: RelyingParty) -> None:
    """Neither to the views that there are, nor to one that asks the library, as any view that is added would."""
    token = by_penora.signs_in(alices)["id_token"]

    assert_refused_everywhere(token)
    assert not library_takes(token)


def test_neither_is_one_that_we_have_signed_ourselves_for_longer(
    alices: Browser, by_penora: RelyingParty, settings: Any
) -> None:
    claims = claims_of(by_penora.signs_in(alices)["id_token"])
    key = jwk.JWK.from_pem(settings.OIDC_SIGNING_KEYS[0].encode())
    token = jwt.JWT(header={"alg": "RS256"}, claims={**claims, "exp": claims["exp"] + 10_000, "scope": "credits.read"})
    token.make_signed_token(key)

    assert_refused_everywhere(token.serialize())


def jwt_like() -> list[str]:
    none, rs = encoded({"alg": "none", "typ": "JWT"}), encoded({"alg": "RS256"})
    bodies = [
        {"sub": "alice"},
        {"aud": "penora"},
        {"aud": None},
        {"aud": 5},
        {"aud": ["x"]},
        {"jti": "x"},
        [],
        "x",
        None,
    ]
    return [
        *(f"{rs}.{encoded(body)}.{encoded(b'signature')}" for body in bodies),
        *(f"{none}.{encoded(body)}." for body in bodies),
        *(
            "ey.ey.ey",
            "eyJ.e30.",
            "eyJhbGciOiJSUzI1NiJ9..",
            "eyJhbGciOiJSUzI1NiJ9.e30.AA",
            "eyé.eyé.eyé",
            "ey....",
            "..",
            "ey",
        ),
        f"{rs}.{encoded(b'{not json')}.AA",
        f"{encoded(b'{not json')}.{encoded({})}.AA",
        f"{rs}.{encoded(b'[' * 5_000)}.AA",
        f"{encoded(b'[' * 5_000)}.e30.AA",
        f"{rs}.{encoded('é'.encode('latin-1'))}.AA",
        f"{encoded({'alg': 'dir', 'enc': 'A128GCM'})}..AA.AA.AA",
        f"{encoded({'alg': 'RS256', 'crit': ['x']})}.e30.AA",
        "ey" + "x" * 10_000 + ".e30.AA",
    ]


@pytest.mark.parametrize("token", jwt_like(), ids=lambda token: token[:40])
def test_a_malformed_jwt_is_a_401_and_no_error_of_ours(alice: User, token: str) -> None:
    """
    Stock 3.4.1 took each of them apart to find its client. Seen with `validate_jwt_bearer_token` and
    `validate_id_token` taken out: the ID token was a bearer to the library, and many of these were errors of ours.
    """
    assert_refused_everywhere(token)
    assert not library_takes(token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "uut_",
        "uut_x_00000000",
        "uni_live_x",
        "null",
        "Bearer",
        "é",
        "a b",
        "'",
        "x" * 10_000,
        "\x7f",
        "=" * 10,
    ],
)
def test_what_is_no_token_at_all_is_a_401(alice: User, token: str) -> None:
    assert_refused_everywhere(token)


def test_a_token_in_the_query_or_the_form_is_no_bearer(alices: Browser, by_penora: RelyingParty) -> None:
    """RFC 9700, section 4.3.2: addresses end up in logs."""
    token = by_penora.signs_in(alices)["access_token"]
    nobody = Browser(raise_request_exception=False)

    assert nobody.get(USERINFO, {"access_token": token}).status_code in {400, 401}
    assert nobody.get(f"{BASE}user-info", {"access_token": token, "user_id": "alice"}).status_code == 401


def test_a_session_is_no_bearer(alices: Browser) -> None:
    assert alices.get(USERINFO).status_code == 401
    assert alices.get(f"{BASE}user-info").status_code == 401


def test_a_token_that_has_run_out_is_a_401(alices: Browser, by_penora: RelyingParty) -> None:
    token = by_penora.signs_in(alices)["access_token"]
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))

    assert_refused_everywhere(token)


def test_userinfo_is_for_tokens_that_may_say_who_it_is(alices: Browser, by_penora: RelyingParty) -> None:
    by_penora.scope = "credits.read"
    token = by_penora.signs_in(alices)["access_token"]

    refused = userinfo(token)

    assert refused.status_code in {401, 403}
    assert b"alice" not in refused.content


def test_userinfo_says_what_the_scopes_allow(alices: Browser, by_penora: RelyingParty) -> None:
    for scope, told in (
        ("openid", {"sub": "alice"}),
        ("openid profile", {"sub": "alice", "name": "Alice"}),
        ("openid email", {"sub": "alice", "email": "alice@example.com"}),
    ):
        answer = userinfo(by_penora.signs_in(alices, scope=scope)["access_token"])
        assert answer.json() == told
        assert "no-store" in answer["Cache-Control"]


def test_an_app_key_is_no_bearer_of_a_person(by_penora: RelyingParty, penora_key: str) -> None:
    assert userinfo(penora_key).status_code == 401
    assert by_penora.introspects(penora_key).json() == {"active": False}


# --- sentry#112605: ids of others in the input -----------------------------------------------------------------------


def test_a_persons_token_names_nobody_else_anywhere_in_the_input(alices: Browser, by_penora: RelyingParty) -> None:
    """sentry#112605, as the note has it: an id in the input was looked up without asking whose it is."""
    make_user("victim")
    token = by_penora.signs_in(alices, scope="openid credits.read credits.spend workspace.read workspace.write")
    by_token = ApiClient(key=token["access_token"])

    for user_id in ("victim", "VICTIM", " victim", "nobody", "1"):
        for answer in (
            by_token.get("user-info", user_id=user_id),
            by_token.get("transactions", user_id=user_id),
            by_token.get("projects", user_id=user_id),
            by_token.post(
                "deduct-credits", user_id=user_id, amount=1, app_name="penora", description="d", operation=None
            ),
        ):
            assert answer.status_code in {403, 404, 400}, answer.content
            assert b"victim@example.com" not in answer.content


def test_unknown_and_foreign_people_are_told_apart_by_nobody(alices: Browser, by_penora: RelyingParty) -> None:
    make_user("victim")
    by_token = ApiClient(key=by_penora.signs_in(alices)["access_token"])

    foreign, unknown = (by_token.get("user-info", user_id=user_id) for user_id in ("victim", "nobody"))

    assert foreign.status_code == unknown.status_code
    assert foreign.json()["code"] == unknown.json()["code"]
    assert foreign.json()["error"].replace("victim", "") == unknown.json()["error"].replace("nobody", "")


def test_a_token_acts_as_its_own_app_only(alices: Browser, by_penora: RelyingParty, imagegene: App) -> None:
    token = by_penora.signs_in(alices, scope="openid credits.spend")["access_token"]

    answer = ApiClient(key=token).post(
        "deduct-credits", user_id="alice", amount=1, app_name="imagegene", description="theirs"
    )

    assert answer.status_code == 403
    assert calls_api(by_penora.signs_in(alices)["access_token"]).json()["credits"] == 50


@pytest.mark.parametrize("scope", ["openid", "openid credits.read", "openid workspace.read"])
def test_a_token_spends_nothing_without_the_scope(alices: Browser, by_penora: RelyingParty, scope: str) -> None:
    token = by_penora.signs_in(alices, scope=scope)["access_token"]

    answer = ApiClient(key=token).post("deduct-credits", user_id="alice", amount=1, app_name="penora", description="no")

    assert answer.status_code == 403


@pytest.mark.parametrize("scope", ["users.write", "openid users.write", "openid admin", "*", "openid%20users.write"])
def test_nobody_can_give_an_app_more_than_people_have(alices: Browser, by_penora: RelyingParty, scope: str) -> None:
    answer = by_penora.asks(alices, scope=scope)

    assert "error=invalid_scope" in answer["Location"]


def test_was_a_credential_knows_tokens_that_have_run_out(alices: Browser, by_penora: RelyingParty) -> None:
    token = by_penora.signs_in(alices)["access_token"]
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))

    assert accounts.authenticate_token(token) is None
    assert accounts.was_a_credential(token)
    assert not accounts.was_a_credential("uut_never_was")
    assert bearer(token)["Authorization"] == f"Bearer {token}"
