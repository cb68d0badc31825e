"""People, the plans they are on, and their wishes for bigger ones."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

MAX_MONTHLY_CREDITS = 1_000_000  # what one entry can bring in
USER_ID_MAX_LENGTH = 255
REASON_MAX_LENGTH = 500


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
    checkout_url = models.URLField(
        blank=True,
        default="",
        db_default="",
        help_text="Where it is paid for; {user_id} stands for who pays. Empty: people ask, and staff decide.",
    )

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


class UpgradeRequest(models.Model):
    """A person's wish for a bigger plan. At most one of theirs is open; guarded by their row's lock."""

    class Status(models.TextChoices):
        OPEN = "open", "open"
        APPROVED = "approved", "approved"
        DECLINED = "declined", "declined"
        WITHDRAWN = "withdrawn", "withdrawn"

    DECIDED = (Status.APPROVED, Status.DECLINED)

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="upgrade_requests")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.OPEN)
    note = models.CharField(max_length=REASON_MAX_LENGTH, blank=True, help_text="To the person, who reads it.")
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True, help_text="When the person had read what was decided.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user"], condition=Q(status="open"), name="upgrade_request_one_open"),
            models.CheckConstraint(
                condition=Q(status="open", decided_at__isnull=True) | (~Q(status="open") & Q(decided_at__isnull=False)),
                name="upgrade_request_end_fits_status",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} wants {self.plan_id}: {self.status}"
