import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Project",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(db_collation="C", editable=False, max_length=6, unique=True)),
                ("title", models.CharField(max_length=200)),
                ("project_type", models.CharField(max_length=64)),
                ("content_type", models.CharField(help_text="Media type of the kept content.", max_length=100)),
                (
                    "size_bytes",
                    models.PositiveBigIntegerField(help_text="What a person would download, and what counts."),
                ),
                ("original_bytes", models.PositiveBigIntegerField(help_text="What was sent, before any re-encoding.")),
                ("metadata", models.JSONField(default=dict)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "app",
                    models.ForeignKey(
                        db_index=False,
                        help_text="Which app made it.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.app",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="projects",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="ProjectContent",
            fields=[
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="content",
                        serialize=False,
                        to="workspace.project",
                    ),
                ),
                ("body", models.BinaryField()),
            ],
            options={
                "verbose_name": "project content",
            },
        ),
        migrations.CreateModel(
            name="Storage",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="storage",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("limit_bytes", models.PositiveBigIntegerField()),
                ("used_bytes", models.PositiveBigIntegerField(default=0)),
                (
                    "reserved_bytes",
                    models.PositiveBigIntegerField(default=0, help_text="Claimed by holds, not yet used."),
                ),
                ("project_count", models.PositiveIntegerField(default=0)),
            ],
            options={
                "verbose_name_plural": "storage",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "limit_bytes__gte",
                                django.db.models.expressions.CombinedExpression(
                                    models.F("used_bytes"), "+", models.F("reserved_bytes")
                                ),
                            )
                        ),
                        name="storage_within_limit",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reserved_bytes__gte", 0), ("used_bytes__gte", 0)),
                        name="storage_counters_not_negative",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AppStorage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("used_bytes", models.PositiveBigIntegerField(default=0)),
                ("project_count", models.PositiveIntegerField(default=0)),
                (
                    "app",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.app"
                    ),
                ),
                (
                    "storage",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="by_app",
                        to="workspace.storage",
                    ),
                ),
            ],
            options={
                "verbose_name": "storage by app",
                "verbose_name_plural": "storage by app",
            },
        ),
        migrations.AddIndex(
            model_name="project",
            index=models.Index(fields=["user", "-id"], name="project_user_newest"),
        ),
        migrations.AddIndex(
            model_name="project",
            index=models.Index(fields=["user", "-size_bytes"], name="project_user_largest"),
        ),
        migrations.AddConstraint(
            model_name="appstorage",
            constraint=models.UniqueConstraint(fields=("storage", "app"), name="app_storage_unique"),
        ),
    ]
