"""
What each endpoint answers. Every shape stands here twice, side by side: the function that builds it, and the serializer
that describes it in the OpenAPI document. The tests validate every answer against that document.

Serializers are not used to build answers: they cost more than the work that they would wrap.
"""

from unified.api.outputs.credits import (
    CaptureCreditsAnswer,
    DeductCreditsAnswer,
    PricingAnswer,
    QuoteAnswer,
    RefundCreditsAnswer,
    ReleaseCreditsAnswer,
    ReserveCreditsAnswer,
    TransactionsAnswer,
    captured,
    deducted,
    pricing,
    quoted,
    refunded,
    released,
    reserved,
    transaction,
    transactions,
)
from unified.api.outputs.users import (
    CreateUserAnswer,
    UserInfoAnswer,
    created_user,
    user_info,
)
from unified.api.outputs.workspace import (
    ProjectsAnswer,
    SaveProjectAnswer,
    StorageStatsAnswer,
    largest,
    project,
    projects,
    saved_project,
    storage,
)

__all__ = [
    "CaptureCreditsAnswer",
    "CreateUserAnswer",
    "DeductCreditsAnswer",
    "PricingAnswer",
    "ProjectsAnswer",
    "QuoteAnswer",
    "RefundCreditsAnswer",
    "ReleaseCreditsAnswer",
    "ReserveCreditsAnswer",
    "SaveProjectAnswer",
    "StorageStatsAnswer",
    "TransactionsAnswer",
    "UserInfoAnswer",
    "captured",
    "created_user",
    "deducted",
    "largest",
    "pricing",
    "project",
    "projects",
    "quoted",
    "refunded",
    "released",
    "reserved",
    "saved_project",
    "storage",
    "transaction",
    "transactions",
    "user_info",
]
