"""
What people can spend, and how it came to be.

Kept here, by the database itself and not only by the code that writes:
- `balance >= held >= 0` and `balance >= in_lots >= 0` on every account;
- `amount >= remaining >= held >= 0` on every lot;
- what has been entered stays: a trigger refuses UPDATE, DELETE and TRUNCATE of entries, lot uses and lot claims, and
  DELETE and TRUNCATE of lots and holds; no foreign key cascades;
- `(account, seq)` is unique; `seq` runs 1, 2, 3… because it is taken from the locked account row.
"""

from credits.models.holds import Hold, LotClaim
from credits.models.ledger import Account, LedgerEntry, Source
from credits.models.limits import (
    DEFAULT_PRIORITY,
    DESCRIPTION_MAX_LENGTH,
    IDEMPOTENCY_KEY_MAX_LENGTH,
    MAX_AMOUNT,
    MAX_PRIORITY,
    PROJECT_CODE_MAX_LENGTH,
)
from credits.models.lots import Grant, LotUse
from credits.models.prices import Operation
from credits.models.staff import AdjustmentLimit, GrantFile, GrantLine

__all__ = [
    "DEFAULT_PRIORITY",
    "DESCRIPTION_MAX_LENGTH",
    "IDEMPOTENCY_KEY_MAX_LENGTH",
    "MAX_AMOUNT",
    "MAX_PRIORITY",
    "PROJECT_CODE_MAX_LENGTH",
    "Account",
    "AdjustmentLimit",
    "Grant",
    "GrantFile",
    "GrantLine",
    "Hold",
    "LedgerEntry",
    "LotClaim",
    "LotUse",
    "Operation",
    "Source",
]
