"""The first lines of each text, so that a list of projects need not read their contents."""

import brotli
from django.db import migrations, models

BATCH = 200
LENGTH = 240


def fill_in(apps, schema_editor):
    Project = apps.get_model("workspace", "Project")
    Content = apps.get_model("workspace", "ProjectContent")
    texts = Content.objects.exclude(project__content_type__startswith="image/").defer("thumbnail", "digest")
    last = 0
    while batch := list(texts.filter(pk__gt=last).order_by("pk")[:BATCH]):
        for content in batch:
            body = bytes(content.body)
            if content.encoding == "br":
                body = brotli.decompress(body)
            lines = body[: 4 * LENGTH].decode(errors="ignore").replace("\0", "").splitlines()
            excerpt = "\n".join(line.strip() for line in lines if line.strip())[:LENGTH]
            Project.objects.filter(pk=content.pk).update(excerpt=excerpt)
        last = batch[-1].pk


class Migration(migrations.Migration):
    dependencies = [("workspace", "0005_staff")]

    operations = [
        migrations.AddField(
            "project",
            "excerpt",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="The first lines of a text, so that a list need not read it.",
                max_length=240,
            ),
        ),
        migrations.RunPython(fill_in, migrations.RunPython.noop),
    ]
