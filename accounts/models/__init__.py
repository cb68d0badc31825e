"""
Who there is: people, the apps that serve them, the keys those apps call with, and the plans people are on.

Kept here: a `user_id` names one person for ever (it is the subject that the identity provider gives them), a key's
secret is never stored, only its digest, and what is written down of who did what to whose access stays.
"""

from accounts.models.apps import (
    ALL_KEY_SCOPES,
    APP_SLUG_PATTERN,
    LABEL_MAX_LENGTH,
    RESERVED_APP_SLUGS,
    App,
    AppKey,
    Client,
    SpentCode,
)
from accounts.models.people import (
    MAX_MONTHLY_CREDITS,
    REASON_MAX_LENGTH,
    USER_ID_MAX_LENGTH,
    Plan,
    UpgradeRequest,
    User,
)
from accounts.models.trail import AuditEntry

__all__ = [
    "ALL_KEY_SCOPES",
    "APP_SLUG_PATTERN",
    "LABEL_MAX_LENGTH",
    "MAX_MONTHLY_CREDITS",
    "REASON_MAX_LENGTH",
    "RESERVED_APP_SLUGS",
    "USER_ID_MAX_LENGTH",
    "App",
    "AppKey",
    "AuditEntry",
    "Client",
    "Plan",
    "SpentCode",
    "UpgradeRequest",
    "User",
]
