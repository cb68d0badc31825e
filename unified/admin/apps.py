from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class UnifiedAdminConfig(AdminConfig):
    default_site = "unified.admin.site.UnifiedAdminSite"


class StaffConfig(AppConfig):
    """The staff's roles, and the pages that need more than one domain."""

    name = "unified.admin"
    label = "staff"
    verbose_name = "Staff"
