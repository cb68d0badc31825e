"""
What changes people, apps, plans, and who may do what. Each function owns its transaction and says which locks it takes.
"""

from accounts.services.access import (
    cut_off,
    end_tokens,
    forget_address,
    note_access_change,
    note_refused_sign_in,
    note_sign_in,
    set_active,
    sign_out,
    sweep_sign_ins,
)
from accounts.services.apps import (
    KeyNotActive,
    authenticate_key,
    create_key,
    register_app,
    revoke_key,
    rotate_key,
)
from accounts.services.clients import (
    authenticate_token,
    end_family_of,
    note_spent_code,
    register_client,
    renew_secret,
    was_a_credential,
)
from accounts.services.people import (
    DELETED_NAME,
    InvalidUserId,
    NoDefaultPlan,
    UserHasLeft,
    check_user_id,
    forget_user,
    get_or_create_user,
    lock_user,
    require_present,
    welcome_back,
)
from accounts.services.plans import change_plan, make_default_plan, set_up_plan

__all__ = [
    "DELETED_NAME",
    "InvalidUserId",
    "KeyNotActive",
    "NoDefaultPlan",
    "UserHasLeft",
    "authenticate_key",
    "authenticate_token",
    "change_plan",
    "check_user_id",
    "create_key",
    "cut_off",
    "end_family_of",
    "end_tokens",
    "forget_address",
    "forget_user",
    "get_or_create_user",
    "lock_user",
    "make_default_plan",
    "note_access_change",
    "note_refused_sign_in",
    "note_sign_in",
    "note_spent_code",
    "register_app",
    "register_client",
    "renew_secret",
    "require_present",
    "revoke_key",
    "rotate_key",
    "set_active",
    "set_up_plan",
    "sign_out",
    "sweep_sign_ins",
    "was_a_credential",
    "welcome_back",
]
