import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="IdempotencyRecord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("caller", models.CharField(db_collation="C", max_length=300)),
                ("route", models.CharField(db_collation="C", max_length=100)),
                ("key", models.CharField(db_collation="C", max_length=255)),
                ("request_digest", models.BinaryField(max_length=32)),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("body", models.TextField(default="", help_text="The answer, as JSON, to the byte.")),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("caller", "route", "key"), name="idempotency_key_unique")
                ],
            },
        ),
    ]
