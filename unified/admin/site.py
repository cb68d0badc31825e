"""The staff's site: Django's own admin under the product's name."""

from django.contrib.admin import AdminSite


class UnifiedAdminSite(AdminSite):
    site_header = "Unified"
    site_title = "Unified"
    index_title = "Users, credits and storage"
    enable_nav_sidebar = False  # the tables need the width; the index is one click away
