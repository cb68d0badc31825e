from django.contrib.admin.apps import AdminConfig


class UnifiedAdminConfig(AdminConfig):
    default_site = "unified.admin.site.UnifiedAdminSite"
