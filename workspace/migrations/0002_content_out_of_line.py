"""Content is kept out of line and as it is: the server should not spend time on compressing pictures again."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("workspace", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE workspace_projectcontent ALTER COLUMN body SET STORAGE EXTERNAL",
            "ALTER TABLE workspace_projectcontent ALTER COLUMN body SET STORAGE EXTENDED",
        )
    ]
