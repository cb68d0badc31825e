"""Users, apps, keys, plans and the audit for staff."""

from accounts.admin import people, registry, trail  # noqa: F401  register what they have
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.registry import ClientAdmin
from accounts.admin.trail import GrantAdmin, RefreshTokenAdmin, TokenAdmin

__all__ = ["ClientAdmin", "GrantAdmin", "ReadOnlyAdmin", "RefreshTokenAdmin", "TokenAdmin"]
