import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Account",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="account",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("balance", models.PositiveBigIntegerField(default=0, help_text="Sum of all entries, in credits.")),
                (
                    "held",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Part of the balance that live holds have claimed."
                    ),
                ),
                ("seq", models.PositiveBigIntegerField(default=0, help_text="Number of the newest entry.")),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("held__gte", 0)), name="account_held_not_negative"),
                    models.CheckConstraint(
                        condition=models.Q(("balance__gte", models.F("held"))), name="account_balance_covers_held"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Operation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slug", models.SlugField(max_length=64)),
                ("version", models.PositiveIntegerField(default=1)),
                ("name", models.CharField(max_length=100)),
                ("unit", models.CharField(help_text="What one of it is: page, image…", max_length=30)),
                ("credits", models.PositiveIntegerField(help_text="Credits per unit.")),
                (
                    "starts_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When this version's price begins to hold.",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True, help_text="Unset to withdraw the operation from this version on."
                    ),
                ),
                (
                    "app",
                    models.ForeignKey(
                        help_text="Whose price list shows it.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="operations",
                        to="accounts.app",
                    ),
                ),
            ],
            options={
                "ordering": ("app_id", "id"),
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("seq", models.PositiveBigIntegerField()),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("grant", "Grant"),
                            ("deduction", "Deduction"),
                            ("refund", "Refund"),
                            ("adjustment", "Adjustment"),
                            ("expiry", "Expiry"),
                        ],
                        max_length=10,
                    ),
                ),
                ("amount", models.BigIntegerField(help_text="Signed, in credits: a deduction of 2 is -2.")),
                (
                    "balance_after",
                    models.PositiveBigIntegerField(help_text="The account's balance once this entry counts."),
                ),
                ("description", models.CharField(max_length=500)),
                ("project_code", models.CharField(max_length=64, null=True)),
                ("quantity", models.PositiveIntegerField(null=True)),
                ("metadata", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="credits.account",
                    ),
                ),
                (
                    "app",
                    models.ForeignKey(
                        db_index=False,
                        help_text="Empty for staff and system.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.app",
                    ),
                ),
                (
                    "related",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="corrections",
                        to="credits.ledgerentry",
                    ),
                ),
                (
                    "operation",
                    models.ForeignKey(
                        db_index=False,
                        help_text="The price list line charged by.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="credits.operation",
                    ),
                ),
            ],
            options={
                "verbose_name": "ledger entry",
                "verbose_name_plural": "ledger entries",
                "ordering": ("-created_at",),
            },
        ),
        migrations.AddConstraint(
            model_name="operation",
            constraint=models.UniqueConstraint(fields=("slug", "version"), name="operation_version_unique"),
        ),
        migrations.AddConstraint(
            model_name="operation",
            constraint=models.CheckConstraint(
                condition=models.Q(("credits__gte", 1), ("credits__lte", 1000000)), name="operation_price_range"
            ),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["created_at"], name="entry_created_at"),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(
                condition=models.Q(("related__isnull", False)), fields=["related"], name="entry_corrections"
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.UniqueConstraint(fields=("account", "seq"), name="entry_account_seq_unique"),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(condition=models.Q(("seq__gte", 1)), name="entry_seq_from_one"),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("balance_after__gte", 0)), name="entry_balance_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("amount__gt", 0), ("type__in", ("grant", "refund"))),
                    models.Q(("amount__lt", 0), ("type__in", ("deduction", "expiry"))),
                    models.Q(("type", "adjustment"), models.Q(("amount", 0), _negated=True)),
                    _connector="OR",
                ),
                name="entry_sign_fits_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("operation", None), ("quantity", None)),
                    models.Q(("operation__isnull", False), ("quantity__gte", 1), ("quantity__isnull", False)),
                    _connector="OR",
                ),
                name="entry_operation_with_quantity",
            ),
        ),
    ]
