"""Who a person is to both apps: made at their first login, and looked up."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credits.queries import position_of
from unified import services
from unified.api import inputs, outputs
from unified.api.authentication import caller_of
from unified.api.base import UnifiedViewSet
from unified.api.errors import invalid
from unified.api.idempotency import Answer
from workspace.queries import storage_of


class Users(UnifiedViewSet):
    scopes: ClassVar = {
        "create": ("users.write",),
        "info": ("credits.read",),
        "plans": ("credits.read",),
    }
    keys_only = frozenset({"create"})

    @extend_schema(
        tags=["Users"],
        operation_id="create_user",
        summary="Make sure that a person exists",
        description="Apps call this at every login. A repeat changes nothing and grants nothing.",
        request=inputs.CreateUserInput,
        examples=[
            OpenApiExample(
                "At login",
                value={
                    "user_id": "101902121794505144784",
                    "username": "Demo User",
                    "email": "demo@example.com",
                    "initial_credits": 50,
                },
                request_only=True,
            )
        ],
        responses={200: outputs.CreateUserAnswer, 201: outputs.CreateUserAnswer},
    )
    def create(self, request: Request) -> Response:
        data = self.read_body(inputs.CreateUserInput, request)
        initial_credits = data.get("initial_credits", settings.INITIAL_CREDITS_DEFAULT)
        if initial_credits > settings.INITIAL_CREDITS_MAX:
            raise invalid(initial_credits=f"At most {settings.INITIAL_CREDITS_MAX} credits can be given at the start.")

        def work() -> Answer:
            user, created = services.create_member(
                user_id=data["user_id"],
                username=data["username"],
                email=data["email"],
                initial_credits=initial_credits,
                app=caller_of(request).app,
            )
            body = outputs.created_user(user, position_of(user), storage_of(user), created=created)
            return Answer(body, 201 if created else 200)

        return self.once(work)

    @extend_schema(
        tags=["Users"],
        operation_id="user_info",
        summary="What a person can spend and keep",
        description=(
            "`credits` is what can be spent right now; `storage` has every figure in megabytes and in exact bytes."
        ),
        parameters=[inputs.UserInfoQuery],
        responses=outputs.UserInfoAnswer,
    )
    def info(self, request: Request) -> Response:
        query = self.read_query(inputs.UserInfoQuery, request)
        user = self.find_member(request, query["user_id"])
        as_of = query.get("as_of")
        return Response(outputs.user_info(user, position_of(user, as_of=as_of), storage_of(user), as_of=as_of))

    @extend_schema(
        tags=["Users"],
        operation_id="plans",
        summary="The plan a person is on, and what they could have instead",
        parameters=[inputs.UserQuery],
        responses=outputs.PlansAnswer,
    )
    def plans(self, request: Request) -> Response:
        query = self.read_query(inputs.UserQuery, request)
        return Response(outputs.plans(self.find_member(request, query["user_id"])))
