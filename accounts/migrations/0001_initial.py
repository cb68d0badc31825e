import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="App",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "slug",
                    models.CharField(
                        help_text="Names the app in the API (`app_name`, `<slug>_projects`); cannot be changed later.",
                        max_length=30,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z][a-z0-9]*(_[a-z0-9]+)*$",
                                "Lower-case letters, digits and single underscores only.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "colour",
                    models.CharField(
                        default="#64748b",
                        max_length=7,
                        validators=[
                            django.core.validators.RegexValidator("^#[0-9a-fA-F]{6}$", "A colour such as #3366cc.")
                        ],
                    ),
                ),
                ("home_url", models.URLField(blank=True, help_text="Where the app lives.")),
                (
                    "project_url",
                    models.URLField(
                        blank=True,
                        help_text="Opens a project in the app; {code} stands for its code, e.g. https://app.example/p/{code}",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(default=True, help_text="Unset this to refuse all of the app's calls."),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
            ],
            options={
                "ordering": ("id",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("slug__regex", "^[a-z][a-z0-9]*(_[a-z0-9]+)*$")),
                        name="app_slug_is_an_identifier",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("slug__in", ["all", "available", "limit", "next", "reserved", "total", "unified", "used"]),
                            _negated=True,
                        ),
                        name="app_slug_is_not_reserved",
                        violation_error_message="This slug means something else in the API; choose another.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AppKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key_id", models.CharField(db_collation="C", editable=False, max_length=16, unique=True)),
                (
                    "mode",
                    models.CharField(
                        choices=[("live", "live"), ("test", "test")],
                        default="live",
                        help_text="Shown in the key's text.",
                        max_length=4,
                    ),
                ),
                ("digest", models.BinaryField(max_length=32)),
                (
                    "label",
                    models.CharField(help_text="Where the key is used, so that it can be found again.", max_length=100),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "last_used_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="To within a few minutes, so that a call need not write.",
                        null=True,
                    ),
                ),
                (
                    "app",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="keys", to="accounts.app"
                    ),
                ),
                (
                    "replaced_by",
                    models.OneToOneField(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="replaces",
                        to="accounts.appkey",
                    ),
                ),
            ],
            options={
                "verbose_name": "app key",
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slug", models.SlugField(unique=True)),
                ("name", models.CharField(max_length=100)),
                ("storage_limit_bytes", models.PositiveBigIntegerField()),
                ("monthly_credits", models.PositiveIntegerField(default=0)),
                (
                    "rank",
                    models.PositiveSmallIntegerField(
                        help_text="Higher is more: upgrades are the plans of a higher rank."
                    ),
                ),
                (
                    "is_default",
                    models.BooleanField(default=False, help_text="The plan new people start on; exactly one."),
                ),
                ("is_offered", models.BooleanField(default=True, help_text="Offered to people as an upgrade.")),
            ],
            options={
                "ordering": ("rank", "slug"),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_default", True)), fields=("is_default",), name="plan_one_default"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "user_id",
                    models.CharField(
                        db_collation="C",
                        help_text="The subject (sub) that the identity provider gives this person. Case-sensitive; never changes.",
                        max_length=255,
                        unique=True,
                        verbose_name="user id",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        help_text="What the person is called; not unique.", max_length=255, verbose_name="name"
                    ),
                ),
                (
                    "email",
                    models.EmailField(
                        db_index=True, help_text="For contact; never identifies.", max_length=254, verbose_name="e-mail"
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True, help_text="Unset this instead of deleting: the person is locked out."
                    ),
                ),
                ("is_staff", models.BooleanField(default=False, help_text="May sign in to the admin.")),
                (
                    "date_joined",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="users", to="accounts.plan"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("user_id", ""), _negated=True), name="user_id_not_empty")
                ],
            },
        ),
    ]
