"""The keys of the issuer: made for their owner only, published in time, changed without anybody noticing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from jwcrypto import jwk, jwt
from oauth2_provider.settings import oauth2_settings

from tests.sso.flow import LOGOUT, RelyingParty
from unified import signing_keys

JWKS, DISCOVERY = "/o/.well-known/jwks.json", "/o/.well-known/openid-configuration"


def published() -> dict[str, jwk.JWK]:
    keys = Browser().get(JWKS).json()["keys"]
    return {key["kid"]: jwk.JWK(**key) for key in keys}


def signs_with(settings: Any, *pems: str) -> None:
    settings.OIDC_SIGNING_KEYS = list(pems)
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_RSA_PRIVATE_KEY": pems[0],
        "OIDC_RSA_PRIVATE_KEYS_INACTIVE": list(pems[1:]),
    }
    oauth2_settings.reload()


def thumbprint(pem: str) -> str:
    return str(jwk.JWK.from_pem(pem.encode()).thumbprint())


@pytest.mark.django_db
def test_both_keys_are_published_without_their_private_half(settings: Any) -> None:
    keys = Browser().get(JWKS).json()["keys"]

    assert [key["kid"] for key in keys] == [thumbprint(pem) for pem in settings.OIDC_SIGNING_KEYS]
    assert len(keys) == 2
    for key in keys:
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        assert {"d", "p", "q", "dp", "dq", "qi", "k"}.isdisjoint(key)
    assert "PRIVATE" not in Browser().get(JWKS).content.decode()


@pytest.mark.django_db
def test_after_a_change_the_new_first_key_signs_and_what_the_old_one_has_signed_is_still_known(
    settings: Any, alices: Browser, by_penora: RelyingParty
) -> None:
    before = by_penora.signs_in(alices)["id_token"]
    old, second = settings.OIDC_SIGNING_KEYS
    known_before = published()

    signs_with(settings, second, old)

    after = by_penora.signs_in(alices)["id_token"]
    header = json.loads(jws_header(after))
    assert header["kid"] == thumbprint(second)
    assert header["alg"] == "RS256"
    assert header["kid"] in known_before  # apps knew the key before it signed
    for token in (before, after):
        jwt.JWT(jwt=token, key=published()[json.loads(jws_header(token))["kid"]])
    sent = {"id_token_hint": before, "post_logout_redirect_uri": by_penora.goodbye}
    assert alices.get(LOGOUT, sent)["Location"] == by_penora.goodbye


def jws_header(token: str) -> bytes:
    import base64

    head = token.partition(".")[0]
    return base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))


@pytest.mark.django_db
def test_discovery_says_what_is_so_whatever_host_is_asked() -> None:
    documents = [Browser(headers={"Host": host}).get(DISCOVERY) for host in ("testserver", "localhost", "127.0.0.1")]

    for answer in documents:
        said = answer.json()
        assert said["issuer"] == "http://127.0.0.1:8000/o"
        assert all(said[name].startswith(said["issuer"]) for name in said if name.endswith(("_endpoint", "_uri")))
        assert said["id_token_signing_alg_values_supported"] == ["RS256"]
        assert said["response_types_supported"] == ["code"]
        assert said["code_challenge_methods_supported"] == ["S256"]
        assert "device_authorization_endpoint" not in said
        assert "registration_endpoint" not in said
    assert Browser(headers={"Host": "evil.example"}).get(DISCOVERY).status_code == 400


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "new" / "key.pem"

    out = io.StringIO()
    call_command("signingkey", str(file), stdout=out)

    assert file.stat().st_mode & 0o777 == 0o600
    assert signing_keys.problem_with(file.read_text()) is None
    assert "OIDC_SIGNING_KEYS" in out.getvalue()
    assert "PRIVATE" not in out.getvalue()
    assert [one.name for one in file.parent.iterdir()] == ["key.pem"]


def test_the_command_never_writes_over_a_key(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    call_command("signingkey", str(file), stdout=io.StringIO())
    before = file.read_bytes()

    with pytest.raises(CommandError, match="is there already"):
        call_command("signingkey", str(file), stdout=io.StringIO())

    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["key.pem"]


def test_a_key_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CommandError, match="cannot be written"):
        call_command("signingkey", str(tmp_path / "file" / "key.pem"), stdout=io.StringIO())


# --- the checks ------------------------------------------------------------------------------------------------------


def refusals() -> dict[str, str]:
    """What `manage.py check` refuses, each with its hint."""
    return {str(message.id): str(message.hint) for message in checks.run_checks() if message.is_serious()}


def pem_of(key: Any, password: bytes | None = None) -> str:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    return str(key.private_bytes(*form).decode())


@pytest.fixture
def in_production(settings: Any) -> Any:
    settings.DATABASE_URL, settings.PUBLIC_URL = "postgres://localhost/unified", "https://unified.example"
    settings.ALLOWED_HOSTS = ["unified.example"]
    assert refusals() == {}
    return settings


@pytest.mark.parametrize(
    "address", ["", "http://unified.example", "https://", "https://unified.example/o", "https://unified.example?x", "x"]
)
def test_an_address_that_is_none_is_refused(in_production: Any, address: str) -> None:
    in_production.PUBLIC_URL = address

    assert "UNIFIED_URL=https://" in refusals()["unified.E010"]


def test_fewer_than_two_keys_are_refused(in_production: Any) -> None:
    for keys in ([], in_production.OIDC_SIGNING_KEYS[:1]):
        in_production.OIDC_SIGNING_KEYS = keys
        assert "signingkey" in refusals()["unified.E011"]


def test_half_of_googles_credentials_are_refused(in_production: Any) -> None:
    in_production.GOOGLE_CLIENT_ID, in_production.SOCIAL_AUTH_GOOGLE_SECRET = "x", ""

    assert "Set both" in refusals()["unified.E012"]


def test_a_key_that_cannot_sign_is_refused(in_production: Any) -> None:
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    public_pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    bad = [
        *("", "nonsense", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----", public_pem.decode()),
        pem_of(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505  it is to be refused
        pem_of(ec.generate_private_key(ec.SECP256R1())),
        pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048), password=b"secret"),
    ]
    good = in_production.OIDC_SIGNING_KEYS[0]

    for pem in bad:
        in_production.OIDC_SIGNING_KEYS = [good, pem]
        assert "signingkey" in refusals()["unified.E013"]


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="OIDC_SIGNING_KEYS names a file that cannot be read"):
        signing_keys.read([str(tmp_path / "none.pem")])
