"""
What changes credits: one function a deed, each owning its transaction. Every one of them works on `books.Books`, which
locks the account first, and writes entry, account and lots together or not at all.
"""

from credits.services.adjustments import (
    AdjustmentKeyReused,
    AdjustmentLimitExceeded,
    AdjustmentNotAllowed,
    ReasonNeeded,
    adjust,
    adjusted_today,
    limits_of,
)
from credits.services.books import InsufficientCredits, InvalidAmount, open_account, settle, users_to_settle
from credits.services.holds import (
    HoldNotActive,
    HoldNotFound,
    InvalidDuration,
    capture,
    find_hold,
    release,
    release_all,
    require_active,
    reserve,
)
from credits.services.plans import grant_plan_credits, has_plan_credits, users_to_give_plan_credits
from credits.services.refunds import (
    NotRefundable,
    RefundExceedsCharge,
    TransactionNotFound,
    find_transaction,
    refund,
)
from credits.services.spending import InvalidGrant, Quote, deduct, grant, quote, require

__all__ = [
    "AdjustmentKeyReused",
    "AdjustmentLimitExceeded",
    "AdjustmentNotAllowed",
    "HoldNotActive",
    "HoldNotFound",
    "InsufficientCredits",
    "InvalidAmount",
    "InvalidDuration",
    "InvalidGrant",
    "NotRefundable",
    "Quote",
    "ReasonNeeded",
    "RefundExceedsCharge",
    "TransactionNotFound",
    "adjust",
    "adjusted_today",
    "capture",
    "deduct",
    "find_hold",
    "find_transaction",
    "grant",
    "grant_plan_credits",
    "has_plan_credits",
    "limits_of",
    "open_account",
    "quote",
    "refund",
    "release",
    "release_all",
    "require",
    "require_active",
    "reserve",
    "settle",
    "users_to_give_plan_credits",
    "users_to_settle",
]
