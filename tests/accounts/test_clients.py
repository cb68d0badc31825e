"""OpenID Connect clients: registered, changed, shown their secret once, by command and by staff."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client as Browser

from accounts import services as accounts
from accounts.models import App, Client, User
from tests.sso.conftest import browser_of
from tests.sso.flow import INTROSPECT, RelyingParty

pytestmark = pytest.mark.django_db
CALLBACK = "https://penora.example/callback"
BAD_ADDRESSES = [
    "",
    "x",
    "/callback",
    "javascript:alert(1)",
    "ftp://x.example/",
    "https://",
    "https://x.example/#f",
    "//x.example",
]


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("oidcclient", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def registered(*arguments: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(command("register", "penora", "--redirect-uri", CALLBACK, "--json", *arguments))
    return said


def knows(client_id: str, secret: str | None) -> bool:
    """Whether these are a server's credentials."""
    form = {"client_id": client_id, "token": "x", **({"client_secret": secret} if secret is not None else {})}
    return Browser().post(INTROSPECT, form).status_code == 200


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_registers_a_server_and_shows_its_secret_once() -> None:
    said = registered("--post-logout-uri", "https://penora.example/", "--origin", "https://penora.example")

    client = Client.objects.get()
    assert said == {"client_id": client.client_id, "client_secret": said["client_secret"], "created": True}
    assert (client.app.slug, client.client_type, client.skip_authorization) == ("penora", "confidential", True)
    assert (client.redirect_uris, client.post_logout_redirect_uris) == (CALLBACK, "https://penora.example/")
    assert client.allowed_origins == "https://penora.example"
    assert (client.authorization_grant_type, client.algorithm) == ("authorization-code", "RS256")
    assert len(said["client_secret"]) == 64
    assert said["client_secret"] not in client.client_secret
    assert client.client_secret.startswith("sha256_random$")
    assert knows(client.client_id, said["client_secret"])
    assert said["client_secret"] not in command("list")
    assert client.client_id in command("list")


def test_again_it_brings_the_client_to_the_new_addresses_and_keeps_its_secret() -> None:
    first = registered()

    second = json.loads(command("register", "penora", "--redirect-uri", "https://penora.example/new", "--json"))

    assert second == {"client_id": first["client_id"], "client_secret": None, "created": False}
    assert Client.objects.get().redirect_uris == "https://penora.example/new"
    assert knows(first["client_id"], first["client_secret"])


def test_a_new_secret_ends_the_old_one() -> None:
    first = registered()

    second = registered("--new-secret")

    assert second["created"] is False
    assert knows(first["client_id"], second["client_secret"])
    assert not knows(first["client_id"], first["client_secret"])


def test_a_public_client_has_no_secret() -> None:
    said = registered("--public")

    assert said["client_secret"] is None
    assert Client.objects.get().client_type == "public"
    for guess in (None, "", "x"):
        assert not knows(said["client_id"], guess)


@pytest.mark.parametrize("detour", [False, True])
def test_a_public_client_that_becomes_a_server_gets_a_secret(detour: bool) -> None:
    """
    Seen before: what it had instead of one is kept as the digest of an empty text. That was taken for a secret, none
    was made, and whoever sent no secret at all was the server.
    """
    old = registered()["client_secret"] if detour else None
    public = registered("--public")

    said = registered()

    assert said["client_id"] == public["client_id"]
    assert said["client_secret"]
    assert knows(said["client_id"], said["client_secret"])
    for guess in (None, "", old or "x"):
        assert not knows(said["client_id"], guess)


def test_a_server_that_becomes_public_keeps_no_secret() -> None:
    old = registered()

    registered("--public")

    assert not knows(old["client_id"], old["client_secret"])


def test_without_json_it_is_for_people() -> None:
    text = command("register", "penora", "--redirect-uri", CALLBACK, "--third-party", "--name", "Other")

    assert re.fullmatch(r"client id      penora-[0-9a-f]{16}\nclient secret  [\w-]{64}\n", text)
    assert Client.objects.get().skip_authorization is False


def test_an_app_that_there_is_not_is_told() -> None:
    with pytest.raises(CommandError, match="There is no app 'nobody'"):
        command("register", "nobody", "--redirect-uri", CALLBACK)


@pytest.mark.parametrize("option", ["--redirect-uri", "--post-logout-uri", "--origin"])
@pytest.mark.parametrize("address", BAD_ADDRESSES[1:])
def test_an_address_that_cannot_be_one_is_refused(option: str, address: str) -> None:
    """Seen before: anything at all could be registered to be sent to after signing out, and stood in the CSP."""
    with pytest.raises(CommandError):
        command("register", "penora", "--redirect-uri", CALLBACK, option, address)

    assert not Client.objects.exists()


@pytest.mark.parametrize("origin", ["https://penora.example/path", "https://penora.example?x", "*", "null"])
def test_an_origin_has_no_path(origin: str) -> None:
    with pytest.raises(CommandError):
        command("register", "penora", "--redirect-uri", CALLBACK, "--origin", origin)


def test_a_name_that_does_not_fit_is_refused(penora: App) -> None:
    with pytest.raises(ValidationError):
        accounts.register_client(app=penora, redirect_uris=[CALLBACK], name="x" * 300)


# --- the database has the last word ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"authorization_grant_type": "password"}, "client_uses_the_code_flow"),
        ({"authorization_grant_type": "client-credentials"}, "client_uses_the_code_flow"),
        ({"authorization_grant_type": "implicit"}, "client_uses_the_code_flow"),
        ({"algorithm": "HS256"}, "client_is_signed_for_with_rs256"),
        ({"algorithm": ""}, "client_is_signed_for_with_rs256"),
        ({"hash_client_secret": False}, "client_secret_is_kept_as_a_digest"),
    ],
)
def test_no_row_can_be_of_another_kind(change: dict[str, Any], constraint: str) -> None:
    registered()

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Client.objects.update(**change)


# --- staff -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def staff(db: None) -> Browser:
    root = User.objects.create_superuser(user_id="root", username="R", email="r@example.com", password=None)
    return browser_of(root)


def form(app: App, **changes: str) -> dict[str, str]:
    filled = {
        "app": str(app.pk),
        "name": "Penora",
        "client_type": "confidential",
        "skip_authorization": "on",
        "redirect_uris": CALLBACK,
        "post_logout_redirect_uris": "",
        "allowed_origins": "",
        "reason": "A new server",
    }
    return {**filled, **changes}


def secret_in(answer: Any) -> str:
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    (secret,) = set(
        re.findall(r"[A-Za-z0-9_-]{64}", re.sub(r"csrfmiddlewaretoken\S+ \S+", "", answer.content.decode()))
    )
    return str(secret)


def test_staff_register_a_client_and_see_its_secret_once(staff: Browser, penora: App) -> None:
    answer = staff.post("/admin/accounts/client/add/", form(penora), follow=True)

    secret = secret_in(answer)
    client = Client.objects.get()
    assert knows(client.client_id, secret)
    assert client.client_secret.startswith("sha256_random$")
    for page in ("", f"{client.pk}/change/", f"{client.pk}/history/"):
        text = staff.get(f"/admin/accounts/client/{page}").content.decode()
        assert secret not in text
        assert client.client_secret not in text
        assert client.client_secret.partition("$")[2] not in text
    assert not [entry for entry in LogEntry.objects.all() if secret in f"{entry.change_message}{entry.object_repr}"]


def test_staff_change_addresses_and_the_secret_stays(staff: Browser, penora: App) -> None:
    secret = secret_in(staff.post("/admin/accounts/client/add/", form(penora), follow=True))
    client = Client.objects.get()

    changed = form(penora, redirect_uris="https://penora.example/new", client_id="other", name="Other")
    assert staff.post(f"/admin/accounts/client/{client.pk}/change/", changed).status_code == 302

    after = Client.objects.get()
    assert (after.redirect_uris, after.client_id, after.name) == (
        "https://penora.example/new",
        client.client_id,
        "Penora",
    )
    assert knows(client.client_id, secret)


def test_staff_make_a_server_of_a_public_client(staff: Browser, penora: App) -> None:
    staff.post("/admin/accounts/client/add/", form(penora, client_type="public"))
    client = Client.objects.get()

    answer = staff.post(f"/admin/accounts/client/{client.pk}/change/", form(penora), follow=True)

    assert knows(client.client_id, secret_in(answer))
    assert not knows(client.client_id, "")


def test_staff_give_a_new_secret(staff: Browser, penora: App) -> None:
    old = secret_in(staff.post("/admin/accounts/client/add/", form(penora), follow=True))
    client = Client.objects.get()
    act = {"action": "new_secret", "_selected_action": [str(client.pk)], "reason": "Lost"}

    new = secret_in(staff.post("/admin/accounts/client/", act, follow=True))

    assert knows(client.client_id, new)
    assert not knows(client.client_id, old)
    staff.post(f"/admin/accounts/client/{client.pk}/change/", form(penora, client_type="public"))
    assert "has no secret" in staff.post("/admin/accounts/client/", act, follow=True).content.decode()


@pytest.mark.parametrize("field", ["redirect_uris", "post_logout_redirect_uris", "allowed_origins"])
@pytest.mark.parametrize("address", BAD_ADDRESSES[1:4])
def test_a_bad_address_is_told_in_the_form(staff: Browser, penora: App, field: str, address: str) -> None:
    answer = staff.post("/admin/accounts/client/add/", form(penora, **{field: address}))

    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert not Client.objects.exists()


def test_a_client_is_never_deleted(staff: Browser, penora: App) -> None:
    staff.post("/admin/accounts/client/add/", form(penora))
    client = Client.objects.get()

    assert staff.post(f"/admin/accounts/client/{client.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Client.objects.exists()


def test_two_of_the_same_name_in_one_app_are_one(penora: App, imagegene: App) -> None:
    first = accounts.register_client(app=penora, redirect_uris=[CALLBACK])[0]
    again = accounts.register_client(app=penora, redirect_uris=[CALLBACK])[0]
    other = accounts.register_client(app=imagegene, redirect_uris=[CALLBACK], name=penora.name)[0]

    assert first == again != other
    assert RelyingParty(first, None).redirect_uri == CALLBACK
