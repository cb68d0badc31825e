"""The shared credit pool: spending from it, its history, and the price list."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.queries import registered_apps, upgrades_for
from credits import pricing, queries, services
from unified.api import csv_export, inputs, outputs
from unified.api.authentication import caller_of
from unified.api.base import UnifiedViewSet, find_app
from unified.api.figures import described_offer
from unified.api.idempotency import Answer


class Credits(UnifiedViewSet):
    scopes: ClassVar = {
        "deduct": ("credits.spend",),
        "refund": ("credits.spend",),
        "quote": ("credits.read",),
        "transactions": ("credits.read",),
        "transactions_csv": ("credits.read",),
        "pricing": ("credits.read",),
    }
    keys_only = frozenset({"refund"})

    @extend_schema(
        tags=["Credits"],
        operation_id="deduct_credits",
        summary="Spend credits",
        description=(
            "Give `amount`, or `operation` with `quantity` and let the server price it. Who cannot pay gets a 402"
            " that says what is missing, and nothing is written."
        ),
        request=inputs.DeductCreditsInput,
        examples=[
            OpenApiExample(
                "By amount",
                value={
                    "user_id": "101902121794505144784",
                    "amount": 2,
                    "app_name": "imagegene",
                    "description": "AI Art Generation - Landscape Style",
                },
                request_only=True,
            ),
            OpenApiExample(
                "By price list",
                value={
                    "user_id": "101902121794505144784",
                    "operation": "page",
                    "quantity": 3,
                    "app_name": "penora",
                    "description": "Three pages",
                },
                request_only=True,
            ),
        ],
        responses=outputs.DeductCreditsAnswer,
    )
    def deduct(self, request: Request) -> Response:
        data = self.read_body(inputs.DeductCreditsInput, request)
        app = self.acting_app(request, data["app_name"], field="app_name")
        user = self.find_member(request, data["user_id"])
        price = self.priced(data)

        def work() -> Answer:
            entry, spendable = services.deduct(
                user=user,
                app=app,
                amount=price.amount,
                description=data["description"],
                operation=price.operation,
                quantity=price.quantity,
                project_code=data.get("project_code"),
            )
            return Answer(outputs.deducted(entry, app, spendable=spendable))

        return self.once(work)

    @extend_schema(
        tags=["Credits"],
        operation_id="refund_credits",
        summary="Give credits of a deduction back",
        description=(
            "All of it, or `amount`; as often as you like, and together never more than was deducted. The credits go"
            " back to the grants that they came from; what has expired since comes back with a short grace."
        ),
        request=inputs.RefundCreditsInput,
        examples=[
            OpenApiExample(
                "A part of a deduction",
                value={
                    "transaction_id": "91941c47-9b64-406c-95d7-377eb2854c74",
                    "amount": 1,
                    "reason": "One of three pages came out empty",
                },
                request_only=True,
            )
        ],
        responses=outputs.RefundCreditsAnswer,
    )
    def refund(self, request: Request) -> Response:
        data = self.read_body(inputs.RefundCreditsInput, request)
        deduction = services.find_transaction(
            transaction_id=data["transaction_id"], app=caller_of(request).app, user_id=data.get("user_id")
        )
        self.is_about(deduction.account.user, request)

        def work() -> Answer:
            entry, refundable, spendable = services.refund(
                entry=deduction, reason=data["reason"], amount=data.get("amount")
            )
            return Answer(outputs.refunded(entry, refundable=refundable, spendable=spendable))

        return self.once(work)

    @extend_schema(
        tags=["Credits"],
        operation_id="quote",
        summary="What something would cost, and whether the person can pay",
        description=(
            "Found out by the code that charges, without keeping anything. A promise it is not: to be sure of the"
            " credits, hold them with `reserve-credits`. (With an Idempotency-Key, a repeat is told what held then.)"
        ),
        request=inputs.QuoteInput,
        examples=[
            OpenApiExample(
                "Three pages",
                value={"user_id": "101902121794505144784", "operation": "page", "quantity": 3},
                request_only=True,
            )
        ],
        responses=outputs.QuoteAnswer,
    )
    def quote(self, request: Request) -> Response:
        data = self.read_body(inputs.QuoteInput, request)
        user = self.find_member(request, data["user_id"])
        price = self.priced(data)

        def work() -> Answer:
            quote = services.quote(user=user, amount=price.amount)
            upgrades = [] if quote.spendable_after is not None else upgrades_for(user)
            body = outputs.quoted(
                quote,
                line=price.operation,
                quantity=price.quantity,
                upgrades=[described_offer(step) for step in upgrades],
            )
            return Answer(body)

        return self.once(work)

    @extend_schema(
        tags=["Credits"],
        operation_id="transactions",
        summary="The history of a person's credits, newest first",
        description=(
            "Every change of the balance, with the balance after it. `penora_transactions` and the like are drawn"
            " from the page in `all_transactions`."
        ),
        parameters=[inputs.TransactionsQuery],
        responses=outputs.TransactionsAnswer,
    )
    def transactions(self, request: Request) -> Response:
        query = self.read_query(inputs.TransactionsQuery, request)
        user = self.find_member(request, query["user_id"])
        page = queries.history(
            user=user,
            limit=query["limit"],
            before_seq=query.get("cursor"),
            **_filters(query),
        )
        return Response(outputs.transactions(registered_apps(), page))

    @extend_schema(
        tags=["Credits"],
        operation_id="transactions_csv",
        summary="The same history as a CSV file, oldest first",
        description="All of it that matches, streamed: with a header line, as RFC 4180 has it, in UTF-8.",
        parameters=[inputs.HistoryQuery],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def transactions_csv(self, request: Request) -> StreamingHttpResponse:
        query = self.read_query(inputs.HistoryQuery, request)
        user = self.find_member(request, query["user_id"])
        entries = queries.export(user=user, **_filters(query))
        response = StreamingHttpResponse(csv_export.lines(entries), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="transactions.csv"'
        return response

    @extend_schema(
        tags=["Credits"],
        operation_id="pricing",
        summary="The price list of all apps",
        description="What each operation costs now, in credits per unit. `deduct-credits` charges by it.",
        responses=outputs.PricingAnswer,
    )
    def pricing(self, request: Request) -> Response:
        return Response(outputs.pricing(pricing.current_prices()))


def _filters(query: dict[str, Any]) -> dict[str, Any]:
    """Which part of a history a validated `HistoryQuery` asks for. Raises ApiError for an unknown app."""
    return {
        "app": find_app(query["app"], field="app") if "app" in query else None,
        "type": query.get("type"),
        "since": query.get("since"),
        "until": query.get("until"),
    }
