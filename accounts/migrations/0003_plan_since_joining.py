"""Who was there before plans had months has been on their plan since they joined."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_plan_since")]

    operations = [
        migrations.RunSQL("UPDATE accounts_user SET plan_since = date_joined", migrations.RunSQL.noop),
    ]
