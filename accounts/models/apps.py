"""Apps, and what they come with: keys, and OpenID Connect clients."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from oauth2_provider.models import AbstractApplication
from oauth2_provider.validators import AllowedURIValidator

from accounts import scopes

LABEL_MAX_LENGTH = 100
ALL_KEY_SCOPES = scopes.written(scopes.KEY_SCOPES)

# A slug becomes part of key names in answers (`<slug>_projects`, `<slug>_mb`), so it has to be a plain identifier and
# must not collide with the names that are there already.
APP_SLUG_PATTERN = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
RESERVED_APP_SLUGS = frozenset({"all", "available", "limit", "next", "reserved", "total", "unified", "used"})


class App(models.Model):  # type: ignore[django-manager-missing]
    """An app that shares the pool and the workspace. Adding a row is all it takes for a further app to join."""

    slug = models.CharField(
        max_length=30,
        unique=True,
        validators=[RegexValidator(APP_SLUG_PATTERN, "Lower-case letters, digits and single underscores only.")],
        help_text="Names the app in the API (`app_name`, `<slug>_projects`); cannot be changed later.",
    )
    name = models.CharField(max_length=100)
    colour = models.CharField(
        max_length=7, default="#64748b", validators=[RegexValidator(r"^#[0-9a-fA-F]{6}$", "A colour such as #3366cc.")]
    )
    home_url = models.URLField(blank=True, help_text="Where the app lives.")
    project_url = models.URLField(
        blank=True,
        help_text="Opens a project in the app; {code} stands for its code, e.g. https://app.example/p/{code}",
    )
    is_active = models.BooleanField(default=True, help_text="Unset this to refuse all of the app's calls.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(slug__regex=APP_SLUG_PATTERN), name="app_slug_is_an_identifier"),
            models.CheckConstraint(
                condition=~Q(slug__in=sorted(RESERVED_APP_SLUGS)),
                name="app_slug_is_not_reserved",
                violation_error_message="This slug means something else in the API; choose another.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AppKey(models.Model):
    """
    A server-to-server credential of one app. The secret is shown once, when the key is made; only its SHA-256 is kept
    (a random 256-bit secret needs no slow hash). `accounts.keys` knows the format.
    """

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="keys")
    key_id = models.CharField(max_length=16, unique=True, db_collation="C", editable=False)
    mode = models.CharField(
        max_length=4, choices=[("live", "live"), ("test", "test")], default="live", help_text="Shown in the key's text."
    )
    digest = models.BinaryField(max_length=32, editable=False)
    label = models.CharField(
        max_length=LABEL_MAX_LENGTH, help_text="Where the key is used, so that it can be found again."
    )
    scopes = models.CharField(
        max_length=200,
        blank=True,
        default=ALL_KEY_SCOPES,
        db_default=ALL_KEY_SCOPES,
        help_text=f"What the key may do, with spaces between: {ALL_KEY_SCOPES}",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    replaced_by = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaces", editable=False
    )
    last_used_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="To within a few minutes, so that a call need not write."
    )

    class Meta:
        verbose_name = "app key"
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.key_id} ({self.label})"

    def clean(self) -> None:
        unknown = scopes.parse(self.scopes) - set(scopes.KEY_SCOPES)
        if unknown:
            raise ValidationError({"scopes": f"There is no scope '{min(unknown)}'."})
        self.scopes = scopes.written(scopes.parse(self.scopes))

    def state(self, now: datetime) -> str:
        """`active`, `rotating` (replaced, in its overlap), `expired` or `revoked`, as of `now`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active" if self.replaced_by_id is None else "rotating"


class ClientManager(models.Manager["Client"]):
    def get_queryset(self) -> models.QuerySet[Client]:
        return super().get_queryset().select_related("app")  # each use asks whether the app is still switched on

    def get_by_natural_key(self, client_id: str) -> Client:
        return self.get(client_id=client_id)


class Client(AbstractApplication):  # type: ignore[misc]  # the library has no types
    """
    An app as OpenID Connect knows it: the id (and, for a server, the secret) with which it sends people here to sign
    in, and the addresses that they may be sent back to. Its tokens act as `app`. Only the authorization code flow
    exists here, with PKCE and RS256 (RFC 9700, section 2.1).
    """

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="clients")

    objects = ClientManager()

    class Meta(AbstractApplication.Meta):  # type: ignore[misc]
        verbose_name = "OpenID Connect client"
        ordering = ("id",)
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(authorization_grant_type=AbstractApplication.GRANT_AUTHORIZATION_CODE),
                name="client_uses_the_code_flow",
            ),
            models.CheckConstraint(
                condition=Q(algorithm=AbstractApplication.RS256_ALGORITHM), name="client_is_signed_for_with_rs256"
            ),
            models.CheckConstraint(condition=Q(hash_client_secret=True), name="client_secret_is_kept_as_a_digest"),
            models.UniqueConstraint(
                fields=["app", "name"],
                name="client_name_unique_in_app",
                violation_error_message="This app has a client of this name already.",
            ),
        ]

    def clean(self) -> None:
        """The library's own looks at every address but those of `post_logout_redirect_uris`."""
        super().clean()
        validate = AllowedURIValidator(self.get_allowed_schemes(), "post logout redirect uri", True, True)
        try:
            for address in self.post_logout_redirect_uris.split():
                validate(address)
        except ValidationError as refusal:
            raise ValidationError({"post_logout_redirect_uris": refusal}) from None

    def is_usable(self, request: Any) -> bool:
        """Asked by the library before any use."""
        return bool(self.app.is_active)

    def addresses(self) -> list[str]:
        """Everywhere that a person may be sent back to."""
        return [*self.redirect_uris.split(), *self.post_logout_redirect_uris.split()]


class SpentCode(models.Model):
    """
    An authorization code that was exchanged, by its SHA-256, and the family of tokens that came of it: whoever brings
    the code again has stolen it, or was stolen from, and the family ends (RFC 6749, section 4.1.2).
    """

    digest = models.BinaryField(max_length=32, unique=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    token_family = models.UUIDField()
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return f"code of {self.client_id}, exchanged {self.created_at}"
