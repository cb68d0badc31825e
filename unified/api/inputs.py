"""What each endpoint takes: types, bounds and defaults. The names of fields are the contract's."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import USER_ID_MAX_LENGTH
from credits.models import DESCRIPTION_MAX_LENGTH, MAX_AMOUNT, PROJECT_CODE_MAX_LENGTH, LedgerEntry
from credits.pricing import MAX_QUANTITY
from unified.api.fields import MomentField, ObjectField, QueryNumberField, TextField, WholeNumberField
from unified.api.pages import CursorField
from workspace.models import PROJECT_TYPE_MAX_LENGTH, TITLE_MAX_LENGTH

MAX_PAGE = 500
DEFAULT_TRANSACTIONS = 50


def user_id_field() -> TextField:
    return TextField(
        max_length=USER_ID_MAX_LENGTH,
        control_characters=False,
        help_text="The person's subject (`sub`) at the identity provider. Opaque and case-sensitive.",
    )


def app_field(**kwargs: Any) -> TextField:
    return TextField(max_length=30, help_text="Slug of a registered app, such as `penora`.", **kwargs)


class CreateUserInput(serializers.Serializer[Any]):
    user_id = user_id_field()
    username = TextField(max_length=255, control_characters=False)
    email = serializers.EmailField(max_length=254, trim_whitespace=False)
    initial_credits = WholeNumberField(
        min_value=0,
        max_value=MAX_AMOUNT,
        required=False,
        help_text="Credits that a new person starts with; 50 if left out. The service's setting caps it.",
    )

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data.get("email", ""), str):  # EmailField would make a string of a number
            raise serializers.ValidationError({"email": ["A string is needed."]})
        return super().to_internal_value(data)


class UserQuery(serializers.Serializer[Any]):
    user_id = user_id_field()


class ProjectsQuery(UserQuery):
    app = app_field(required=False)
    q = TextField(max_length=TITLE_MAX_LENGTH, required=False, help_text="Part of the title, in any case.")
    project_type = TextField(max_length=PROJECT_TYPE_MAX_LENGTH, required=False)
    limit = QueryNumberField(
        min_value=1, max_value=MAX_PAGE, required=False, help_text="How many at a time, 1 to 500; without it, all."
    )
    cursor = CursorField("projects", required=False)


class SaveProjectInput(serializers.Serializer[Any]):
    user_id = user_id_field()
    app_source = app_field()
    project_type = TextField(
        max_length=PROJECT_TYPE_MAX_LENGTH, control_characters=False, help_text="What it is, such as `ai_art`."
    )
    title = TextField(max_length=TITLE_MAX_LENGTH)
    content = TextField(
        allow_blank=True,
        help_text="A `data:` URI; or base64 of a PNG, JPEG, WebP, AVIF or GIF; or text, which is kept exactly.",
    )
    metadata = ObjectField(required=False, allow_null=True, help_text="Anything up to 8 KB, such as the prompt.")
    compression = serializers.ChoiceField(choices=["auto", "lossless", "none"], default="auto")


class DeductCreditsInput(serializers.Serializer[Any]):
    """Either `amount`, or `operation` with `quantity`, which the server prices."""

    user_id = user_id_field()
    app_name = app_field()
    description = TextField(max_length=DESCRIPTION_MAX_LENGTH)
    amount = WholeNumberField(min_value=1, max_value=MAX_AMOUNT, required=False, help_text="Credits.")
    operation = TextField(max_length=64, required=False, help_text="A line of the price list (GET pricing).")
    quantity = WholeNumberField(
        min_value=1, max_value=MAX_QUANTITY, required=False, help_text="Units of the operation; 1 if left out."
    )
    project_code = TextField(
        max_length=PROJECT_CODE_MAX_LENGTH,
        control_characters=False,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="Kept with the transaction as given.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "amount" in attrs and "operation" in attrs:
            raise serializers.ValidationError({"amount": ["Give either amount or operation, not both."]})
        if "amount" not in attrs and "operation" not in attrs:
            raise serializers.ValidationError({"amount": ["Give amount, or operation with quantity."]})
        if "quantity" in attrs and "operation" not in attrs:
            raise serializers.ValidationError({"quantity": ["A quantity goes with an operation."]})
        return attrs


class TransactionsQuery(UserQuery):
    limit = QueryNumberField(
        min_value=1,
        max_value=MAX_PAGE,
        default=DEFAULT_TRANSACTIONS,
        help_text="How many at a time, 1 to 500; 50 if left out.",
    )
    cursor = CursorField("transactions", required=False)
    app = app_field(required=False)
    type = serializers.ChoiceField(choices=LedgerEntry.Type.values, required=False)
    since = MomentField(required=False, help_text="From this time on.")
    until = MomentField(required=False, help_text="Before this time.")
