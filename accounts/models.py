"""
Who there is: people, the apps that serve them, the keys those apps call with, and the plans people are on.

Kept here: a `user_id` names one person for ever (it is the subject that the identity provider gives them), a key's
secret is never stored, only its digest, and what is written down of who did what to whose access stays.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from oauth2_provider.models import AbstractApplication
from oauth2_provider.validators import AllowedURIValidator

from accounts import scopes

MAX_MONTHLY_CREDITS = 1_000_000  # what one entry can bring in
USER_ID_MAX_LENGTH = 255
LABEL_MAX_LENGTH = 100
REASON_MAX_LENGTH = 500
ALL_KEY_SCOPES = scopes.written(scopes.KEY_SCOPES)

# A slug becomes part of key names in answers (`<slug>_projects`, `<slug>_mb`), so it has to be a plain identifier and
# must not collide with the names that are there already.
APP_SLUG_PATTERN = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
RESERVED_APP_SLUGS = frozenset({"all", "available", "limit", "next", "reserved", "total", "unified", "used"})


class Plan(models.Model):
    """What a person may have: room in the workspace (bytes) and credits each month."""

    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    storage_limit_bytes = models.PositiveBigIntegerField()
    monthly_credits = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(MAX_MONTHLY_CREDITS)],
        help_text="Credits for each month on the plan; they expire with the month.",
    )
    rank = models.PositiveSmallIntegerField(help_text="Higher is more: upgrades are the plans of a higher rank.")
    is_default = models.BooleanField(default=False, help_text="The plan new people start on; exactly one.")
    is_offered = models.BooleanField(default=True, help_text="Offered to people as an upgrade.")

    class Meta:
        ordering = ("rank", "slug")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="plan_one_default"),
            models.CheckConstraint(
                condition=Q(monthly_credits__lte=MAX_MONTHLY_CREDITS), name="plan_monthly_credits_range"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(user_id=username)

    def create_superuser(self, *, user_id: str, username: str, email: str, password: str | None) -> User:
        """A member of staff with every permission; `manage.py createsuperuser` calls this."""
        user = User(
            user_id=user_id,
            username=username,
            email=self.normalize_email(email),
            plan=Plan.objects.get(is_default=True),
            is_staff=True,
            is_superuser=True,
        )
        user.set_password(password)
        user.save(using=self._db, force_insert=True)
        return user


class User(AbstractBaseUser, PermissionsMixin):  # type: ignore[django-manager-missing]  # the library's base class is unknown to mypy
    """A person, or a member of staff. Made by `services.get_or_create_user`; staff by `createsuperuser`."""

    user_id = models.CharField(
        "user id",
        max_length=USER_ID_MAX_LENGTH,
        unique=True,
        db_collation="C",
        help_text="The subject (sub) that the identity provider gives this person. Case-sensitive; never changes.",
    )
    username = models.CharField("name", max_length=255, help_text="What the person is called; not unique.")
    email = models.EmailField("e-mail", max_length=254, db_index=True, help_text="For contact; never identifies.")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="users")
    plan_since = models.DateTimeField(
        db_default=Now(), editable=False, help_text="From when the months of their plan are counted."
    )
    is_active = models.BooleanField(default=True, help_text="Unset this instead of deleting: the person is locked out.")
    deleted_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the person left; their entries in the ledger stay."
    )
    may_return = models.BooleanField(
        default=True, db_default=True, editable=False, help_text="Unset if they were locked out when they were deleted."
    )
    is_staff = models.BooleanField(default=False, help_text="May sign in to the admin.")
    date_joined = models.DateTimeField(db_default=Now(), editable=False)
    session_epoch = models.PositiveIntegerField(
        default=0, db_default=0, editable=False, help_text="Counted up to end every session of the person at once."
    )

    objects = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "user_id"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["username", "email"]

    class Meta:
        permissions: ClassVar = [
            ("switch_plan", "Can put somebody on another plan"),
            ("assign_roles", "Can give and take staff roles"),
            ("reset_second_factor", "Can take away a member of staff's second factor"),
            ("export_lists", "Can export lists as CSV"),
        ]
        constraints: ClassVar = [models.CheckConstraint(condition=~Q(user_id=""), name="user_id_not_empty")]

    def __str__(self) -> str:
        return f"{self.username} ({self.user_id})"

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session has to know to go on: the password as Django has it, and the count of the sessions ended."""
        return salted_hmac(
            "accounts.User.session", f"{self.password}{self.session_epoch}", secret=secret, algorithm="sha256"
        ).hexdigest()

    def get_full_name(self) -> str:
        return self.username

    def get_short_name(self) -> str:
        return self.username


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


class AuditEntry(models.Model):
    """
    One thing that was done to somebody's or some app's access, credits or room, or to what all of them stand on, by
    staff or by signing in. Append-only: the database refuses
    anything else, but that the address of a person who leaves is taken out. `accounts.audit` writes it.
    """

    class Event(models.TextChoices):
        SIGNED_IN = "signed-in", "signed in"
        SIGN_IN_REFUSED = "sign-in-refused", "sign-in refused"
        SIGNED_OUT = "signed-out", "signed out"
        ACCESS_CHANGED = "access-changed", "rights changed"
        CUT_OFF = "cut-off", "signed out everywhere"
        KEY_CREATED = "key-created", "key created"
        KEY_ROTATED = "key-rotated", "key rotated"
        KEY_REVOKED = "key-revoked", "key revoked"
        CLIENT_REGISTERED = "client-registered", "client registered"
        CLIENT_CHANGED = "client-changed", "client changed"
        CODE_REPLAYED = "code-replayed", "code used twice"
        TOKEN_REUSED = "token-reused", "refresh token used twice"
        # What staff do.
        ADDED = "added", "added"
        CHANGED = "changed", "changed"
        REMOVED = "removed", "removed"
        CREDITS_ADJUSTED = "credits-adjusted", "credits adjusted"
        CREDITS_REFUNDED = "credits-refunded", "credits refunded"
        FILE_CHECKED = "file-checked", "grant file checked"
        FILE_STARTED = "file-started", "grant file started"
        PLAN_CHANGED = "plan-changed", "put on another plan"
        LIMIT_CHANGED = "limit-changed", "given another limit"
        CLEANED_UP = "cleaned-up", "projects put into the trash"
        CONTENT_OPENED = "content-opened", "content opened"
        LIST_EXPORTED = "list-exported", "list exported"
        SECOND_FACTOR_SET = "second-factor-set", "second factor set up"
        SECOND_FACTOR_RESET = "second-factor-reset", "second factor taken away"
        SECOND_FACTOR_REFUSED = "second-factor-refused", "second factor refused"

    event = models.CharField(max_length=30, choices=Event.choices)
    actor = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, related_name="+", help_text="Who did it; the system, if nobody."
    )
    subject = models.ForeignKey(
        User,
        null=True,
        on_delete=models.PROTECT,
        related_name="audit",
        db_index=False,
        help_text="Whose access, credits or room it is about.",
    )
    app = models.ForeignKey(App, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(
        max_length=REASON_MAX_LENGTH, blank=True, default="", db_default="", help_text="Why, in the actor's words."
    )
    details = models.JSONField(
        default=dict, help_text="Of a change, `before` and `after`; of a row, `what` and `which` it is."
    )
    ip = models.GenericIPAddressField("IP address", null=True)
    request_id = models.CharField(max_length=128, blank=True)
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        ordering = ("-id",)
        indexes: ClassVar = [models.Index(fields=["subject", "-id"], name="audit_of_subject")]

    def __str__(self) -> str:
        return f"{self.get_event_display()} {self.created_at:%Y-%m-%d %H:%M:%S}"
