"""Trash, versions of projects, thumbnails, texts compressed at rest, and warnings of a workspace that fills up."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_plan_since_joining"),
        ("workspace", "0003_reservations"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # The digest rewrites the table of contents, which takes as long as it takes (12 s a GB on two cores): nothing
        # is served meanwhile.
        migrations.RunSQL("SET LOCAL statement_timeout = 0", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="StorageWarning",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("percent", models.PositiveSmallIntegerField(help_text="Of the limit: 80, 95 or 100.")),
                ("used_bytes", models.PositiveBigIntegerField(help_text="As it was then.")),
                ("limit_bytes", models.PositiveBigIntegerField(help_text="As it was then.")),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
            ],
        ),
        migrations.RemoveIndex(
            model_name="project",
            name="project_user_newest",
        ),
        migrations.RemoveIndex(
            model_name="project",
            name="project_user_largest",
        ),
        migrations.AddField(
            model_name="project",
            name="deleted_at",
            field=models.DateTimeField(editable=False, help_text="Since when it is in the trash.", null=True),
        ),
        migrations.AddField(
            model_name="project",
            name="height",
            field=models.PositiveIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="project",
            name="is_lossless",
            field=models.BooleanField(
                editable=False, help_text="Whether every pixel of a picture is as it was sent.", null=True
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="version",
            field=models.PositiveIntegerField(
                default=1, db_default=1, editable=False, help_text="One more with every edit."
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="width",
            field=models.PositiveIntegerField(editable=False, help_text="Of a picture, in pixels.", null=True),
        ),
        migrations.AddField(
            model_name="projectcontent",
            name="digest",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Func(models.F("body"), function="sha256"),
                help_text="SHA-256 of `body`, by the database; tells versions apart without reading them.",
                output_field=models.BinaryField(),
            ),
        ),
        migrations.AddField(
            model_name="projectcontent",
            name="encoding",
            field=models.CharField(
                blank=True, choices=[("", "as it is"), ("br", "Brotli")], db_default="", default="", max_length=2
            ),
        ),
        migrations.AddField(
            model_name="projectcontent",
            name="thumbnail",
            field=models.BinaryField(
                help_text="Of a picture: AVIF, at most 256 pixels a side; not counted.", null=True
            ),
        ),
        migrations.AddField(
            model_name="storage",
            name="trash_bytes",
            field=models.PositiveBigIntegerField(
                default=0, db_default=0, help_text="In the trash; not part of what is used."
            ),
        ),
        migrations.AddField(
            model_name="storage",
            name="trash_count",
            field=models.PositiveIntegerField(default=0, db_default=0),
        ),
        migrations.AddField(
            model_name="storage",
            name="warned_percent",
            field=models.PositiveSmallIntegerField(
                default=0,
                db_default=0,
                help_text="The highest mark (80, 95, 100) that used has reached and not fallen below since.",
            ),
        ),
        migrations.AlterField(
            model_name="projectcontent",
            name="body",
            field=models.BinaryField(help_text="At rest: a text may be compressed, a picture is as it is served."),
        ),
        migrations.AlterField(
            model_name="storage",
            name="project_count",
            field=models.PositiveIntegerField(default=0, help_text="Without the trash."),
        ),
        migrations.AddIndex(
            model_name="project",
            index=models.Index(condition=models.Q(("deleted_at", None)), fields=["user", "-id"], name="project_newest"),
        ),
        migrations.AddIndex(
            model_name="project",
            index=models.Index(
                condition=models.Q(("deleted_at", None)), fields=["user", "-size_bytes"], name="project_largest"
            ),
        ),
        migrations.AddIndex(
            model_name="project",
            index=models.Index(
                condition=models.Q(("deleted_at", None), _negated=True),
                fields=["user", "deleted_at"],
                name="project_trash",
            ),
        ),
        migrations.AddIndex(
            model_name="project",
            index=models.Index(
                condition=models.Q(("deleted_at", None), _negated=True), fields=["deleted_at"], name="project_past_undo"
            ),
        ),
        migrations.AddField(
            model_name="storagewarning",
            name="storage",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="warnings", to="workspace.storage"
            ),
        ),
        migrations.AddConstraint(
            model_name="storagewarning",
            constraint=models.CheckConstraint(
                condition=models.Q(("percent__in", (80, 95, 100))), name="storage_warning_percent"
            ),
        ),
        # Who is past a mark already has crossed it before there were warnings.
        migrations.RunSQL(
            """
            UPDATE workspace_storage s SET warned_percent = (
                SELECT COALESCE(MAX(m), 0) FROM UNNEST(ARRAY[80, 95, 100]) AS m
                WHERE 100 * s.used_bytes >= m * GREATEST(s.limit_bytes, 1)
            )
            """,
            migrations.RunSQL.noop,
        ),
        # As for the body: it is compressed already.
        migrations.RunSQL(
            "ALTER TABLE workspace_projectcontent ALTER COLUMN thumbnail SET STORAGE EXTERNAL",
            migrations.RunSQL.noop,
        ),
        # Back only without loss: the version before would list what is in the trash, and serve what is compressed.
        migrations.RunSQL(
            migrations.RunSQL.noop,
            """
            DO $$ BEGIN
                IF EXISTS (SELECT FROM workspace_project WHERE deleted_at IS NOT NULL)
                   OR EXISTS (SELECT FROM workspace_projectcontent WHERE encoding <> '') THEN
                    RAISE EXCEPTION 'There is a trash, or there are compressed texts, which the version before cannot read.';
                END IF;
            END $$
            """,
        ),
    ]
