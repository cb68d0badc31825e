"""
The staff's roles, which are groups. What each may do stands here once; staff change it in the admin, and a later version
adds to it in a migration of its own. Django makes permissions only after all migrations, so those that are named here
are made here, as Django would.
"""

from django.db import migrations

VIEW = {
    "accounts": ("user", "plan", "app", "appkey", "client", "auditentry"),
    "credits": (
        *("account", "ledgerentry", "grant", "lotuse", "hold", "lotclaim", "operation"),
        *("adjustmentlimit", "grantfile", "grantline"),
    ),
    "workspace": ("storage", "appstorage", "reservation", "storagewarning", "project", "projectcontent"),
    "figures": ("creditday", "serviceday", "failedcalls", "verification", "lastactive"),
}
SIGN_INS = ("accesstoken", "refreshtoken", "idtoken", "grant")

VIEWER = [f"{label}.view_{model}" for label, models in VIEW.items() for model in models]
SUPPORT = [
    *VIEWER,
    *(f"oauth2_provider.view_{model}" for model in SIGN_INS),
    "accounts.change_user",
    "accounts.switch_plan",
    "credits.adjust_account",
    "credits.refund_ledgerentry",
    "workspace.resize_storage",
    "workspace.clean_up_storage",
    "workspace.inspect_projectcontent",
]
FINANCE = [
    *VIEWER,
    "accounts.export_lists",
    "accounts.switch_plan",
    "accounts.add_plan",
    "accounts.change_plan",
    "credits.adjust_account",
    "credits.refund_ledgerentry",
    "credits.add_operation",
    "credits.add_grantfile",
]
ADMIN = [
    *SUPPORT,
    *FINANCE,
    *(f"accounts.{verb}_{model}" for verb in ("add", "change") for model in ("app", "appkey", "client")),
    "accounts.view_spentcode",
    "accounts.assign_roles",
    "accounts.reset_second_factor",
    "credits.add_adjustmentlimit",
    "credits.change_adjustmentlimit",
    "auth.view_group",
    "api.view_idempotencyrecord",
]
ROLES = {"Viewer": VIEWER, "Support": SUPPORT, "Finance": FINANCE, "Admin": ADMIN}
# Credits in one adjustment, and in any 24 hours.
LIMITS = {"Support": (500, 5_000), "Finance": (1_000_000, 1_000_000_000), "Admin": (1_000_000, 1_000_000_000)}


def make_roles(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    for name, permissions in ROLES.items():
        # Whoever is in a group that happens to be called so must not be given powers by it: it keeps what it has, under
        # another name.
        for earlier in Group.objects.filter(name=name):
            earlier.name = f"{name} (earlier, {earlier.pk})"
            earlier.save()
        role = Group.objects.create(name=name)
        role.permissions.add(*(permission(apps, label) for label in dict.fromkeys(permissions)))
        if name in LIMITS:
            per_adjustment, per_day = LIMITS[name]
            apps.get_model("credits", "AdjustmentLimit").objects.create(
                group_id=role.pk, per_adjustment=per_adjustment, per_day=per_day
            )


def permission(apps, label):
    """The permission "app.codename", made if there is none yet."""
    app_label, _, codename = label.partition(".")
    verb, _, model_name = codename.partition("_")
    custom = [
        (model, name)
        for model in apps.get_app_config(app_label).get_models()
        for known, name in model._meta.permissions
        if known == codename
    ]
    model, name = custom[0] if custom else (apps.get_model(app_label, model_name), None)
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label=app_label, model=model._meta.model_name
    )
    return apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=kind,
        codename=codename,
        defaults={"name": name or f"Can {verb} {model._meta.verbose_name}"},
    )[0]


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_staff"),
        ("api", "0002_whose_answer"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("credits", "0006_staff"),
        ("figures", "0001_initial"),
        ("oauth2_provider", "0022_refreshtoken_token_family_index"),
        ("workspace", "0005_staff"),
    ]

    # Undone, the roles stay: people are in them. (Done again, they are the earlier ones.)
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
