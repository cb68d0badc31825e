"""OpenID Connect clients, and the tokens that people's sign-ins have given them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from accounts import audit, keys, tokens
from accounts.models import App, AppKey, AuditEntry, Client, SpentCode, User


@transaction.atomic
def register_client(
    *,
    app: App,
    redirect_uris: Sequence[str],
    post_logout_redirect_uris: Sequence[str] = (),
    allowed_origins: Sequence[str] = (),
    confidential: bool = True,
    first_party: bool = True,
    name: str = "",
    new_secret: bool = False,
    must_be_new: bool = False,
    actor: User | None = None,
) -> tuple[Client, str | None, bool]:
    """
    The client of `app` with this name (the app's own, if none is given), made or (unless it `must_be_new`) brought to
    these addresses; its secret, if one was made just now, to be shown now or never; and whether the client was made. A
    client that is not `confidential` (a page or a phone) has no secret. One that is not `first_party` asks people for
    their consent.

    Raises ValidationError for an address that cannot be one, and for a client that must be new and is there. Locks: the
    client's row.
    """
    name = name or app.name
    client = Client.objects.select_for_update(of=("self",)).filter(app=app, name=name).first()
    created = client is None
    if must_be_new and not created:
        raise ValidationError({"name": f"There is a client '{name}' of this app already."})
    before = _facts(client)
    if client is None:
        client = Client(app=app, name=name, client_id=f"{app.slug}-{secrets.token_hex(8)}", client_secret="")
        client.authorization_grant_type = Client.GRANT_AUTHORIZATION_CODE
        client.algorithm = Client.RS256_ALGORITHM
    # What a public client has instead of a secret is the digest of an empty one: it must not become a server's.
    has_secret = client.client_type == Client.CLIENT_CONFIDENTIAL and bool(client.client_secret)
    client.client_type = Client.CLIENT_CONFIDENTIAL if confidential else Client.CLIENT_PUBLIC
    client.skip_authorization = first_party
    client.redirect_uris = " ".join(redirect_uris)
    client.post_logout_redirect_uris = " ".join(post_logout_redirect_uris)
    client.allowed_origins = " ".join(allowed_origins)
    secret = secrets.token_urlsafe(48) if confidential and (new_secret or not has_secret) else None
    if secret or not confidential:
        client.client_secret = secret or ""
    client.full_clean(exclude=["client_secret"])
    client.save()
    _note_change(client=client, before=before, created=created, new_secret=secret is not None, actor=actor)
    return client, secret, created


@transaction.atomic
def renew_secret(*, client: Client, actor: User | None = None) -> str:
    """A new secret in place of the client's, which ends at once: to be shown now or never. Locks: the client's row."""
    locked = Client.objects.select_for_update(of=("self",)).get(pk=client.pk)
    secret = secrets.token_urlsafe(48)
    locked.client_secret = secret
    locked.save()
    _note_change(client=locked, before=_facts(locked), created=False, new_secret=True, actor=actor)
    return secret


def _note_change(
    *, client: Client, before: dict[str, Any], created: bool, new_secret: bool = False, actor: User | None = None
) -> None:
    """Writes down what has become of a client, if anything has. Called in the transaction of the change."""
    after = _facts(client)
    changed = sorted(name for name in after if before.get(name) != after[name])
    if changed or new_secret:
        audit.record(
            AuditEntry.Event.CLIENT_REGISTERED if created else AuditEntry.Event.CLIENT_CHANGED,
            actor=actor,
            app=client.app,
            client_id=client.client_id,
            new_secret=new_secret,
            before={name: before.get(name) for name in changed},
            after={name: after[name] for name in changed},
        )


def _facts(client: Client | None) -> dict[str, Any]:
    """What of a client decides who gets in, its secret aside."""
    if client is None or client.pk is None:
        return {}
    return {
        "redirect_uris": client.redirect_uris,
        "post_logout_redirect_uris": client.post_logout_redirect_uris,
        "allowed_origins": client.allowed_origins,
        "client_type": client.client_type,
        "first_party": client.skip_authorization,
    }


def authenticate_token(text: str) -> Any | None:
    """
    The live access token that `text` is, with its user, their plan and its client's app, or None. One query, none for
    what cannot be a token. Not live is what has expired (by the database's clock), what is of a person or an app that
    is switched off, and what is of no person at all. An ID token is no access token and is not found here.
    """
    if not tokens.is_access_token(text):
        return None
    return (
        get_access_token_model()
        .objects.select_related("user__plan", "application__app")
        .filter(
            token_checksum=hashlib.sha256(text.encode()).hexdigest(),
            expires__gt=Now(),
            user__is_active=True,
            application__app__is_active=True,
        )
        .first()
    )


def was_a_credential(text: str) -> bool:
    """Whether there is an app key or an access token that this text is, or was until it ran out. One query."""
    parsed = keys.parse(text)
    if parsed is not None:
        return AppKey.objects.filter(key_id=parsed.key_id, digest=parsed.digest).exists()
    return bool(
        get_access_token_model().objects.filter(token_checksum=hashlib.sha256(text.encode()).hexdigest()).exists()
    )


def note_spent_code(*, code: str, client: Client, token_family: Any) -> None:
    """Remembers which tokens an authorization code was exchanged for. Called in the transaction of the exchange."""
    SpentCode.objects.create(digest=_digest(code), client=client, token_family=token_family)


@transaction.atomic
def end_family_of(*, code: str, client: Client) -> bool:
    """
    Ends all tokens that came of an authorization code which is brought a second time, and says whether there were any.
    Locks: the family's tokens.
    """
    spent = SpentCode.objects.filter(digest=_digest(code), client=client).first()
    if spent is None:
        return False
    refresh_tokens = get_refresh_token_model()
    live = refresh_tokens.objects.filter(token_family=spent.token_family, revoked=None).select_related("user").first()
    if live is None:
        return False  # it has ended already: nothing is stolen any more
    refresh_tokens.revoke_family(spent.token_family)
    audit.record(
        AuditEntry.Event.CODE_REPLAYED,
        subject=live.user,
        app=client.app,
        client_id=client.client_id,
    )
    return True


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
