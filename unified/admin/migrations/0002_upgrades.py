"""
Every role sees people's wishes for a bigger plan. To decide one takes what it takes to put somebody on another plan,
which Support, Finance and Admin have.
"""

from importlib import import_module

from django.db import migrations

ROLES = ("Viewer", "Support", "Finance", "Admin")
_permission = import_module("unified.admin.migrations.0001_roles").permission


def show_wishes(apps, schema_editor):
    view = _permission(apps, "accounts.view_upgraderequest")
    for role in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        role.permissions.add(view)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_upgrades"), ("staff", "0001_roles")]

    operations = [migrations.RunPython(show_wishes, migrations.RunPython.noop)]
