"""What each endpoint takes: types, bounds and defaults. The names of fields are the contract's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from accounts.models import USER_ID_MAX_LENGTH
from credits.models import DESCRIPTION_MAX_LENGTH, MAX_AMOUNT, PROJECT_CODE_MAX_LENGTH, LedgerEntry
from credits.pricing import MAX_QUANTITY
from credits.services.holds import DEFAULT_SECONDS, MAX_SECONDS
from unified.api.fields import (
    AmountField,
    MomentField,
    ObjectField,
    QueryNumberField,
    SwitchField,
    TextField,
    WholeNumberField,
)
from unified.api.figures import MEGABYTE
from unified.api.pages import CursorField
from workspace.models import PROJECT_TYPE_MAX_LENGTH, TITLE_MAX_LENGTH
from workspace.services import Strategy

MAX_PAGE = 500
DEFAULT_TRANSACTIONS = 50
ID_MAX_LENGTH = 64  # of a hold or a transaction; what is no id of ours is not found
MAX_STORAGE_BYTES = 1_000_000_000
CODE_MAX_LENGTH = 64  # as typed; what cannot be a code is not found
MAX_CODES = 1_000


def user_id_field(**kwargs: Any) -> TextField:
    return TextField(
        max_length=USER_ID_MAX_LENGTH,
        control_characters=False,
        help_text="The person's subject (`sub`) at the identity provider. Opaque and case-sensitive.",
        **kwargs,
    )


def app_field(**kwargs: Any) -> TextField:
    return TextField(max_length=30, help_text="Slug of a registered app, such as `penora`.", **kwargs)


def project_code_field() -> TextField:
    return TextField(
        max_length=PROJECT_CODE_MAX_LENGTH,
        control_characters=False,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="Kept with the transaction as given.",
    )


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


class UserInfoQuery(UserQuery):
    as_of = MomentField(required=False, help_text="The credits at this time instead of now. Not in the future.")

    def validate_as_of(self, value: datetime) -> datetime:
        if value > timezone.now():
            raise serializers.ValidationError("This time has not come yet.")
        return value


class ProjectsQuery(UserQuery):
    app = app_field(required=False)
    q = TextField(max_length=TITLE_MAX_LENGTH, required=False, help_text="Part of the title, in any case.")
    project_type = TextField(max_length=PROJECT_TYPE_MAX_LENGTH, required=False)
    limit = QueryNumberField(
        min_value=1, max_value=MAX_PAGE, required=False, help_text="How many at a time, 1 to 500; without it, all."
    )
    cursor = CursorField("projects", required=False)


def check_price(attrs: dict[str, Any]) -> None:
    """Raises ValidationError unless either an amount is given, or an operation, with or without a quantity."""
    if "amount" in attrs and "operation" in attrs:
        raise serializers.ValidationError({"amount": ["Give either amount or operation, not both."]})
    if "amount" not in attrs and "operation" not in attrs:
        raise serializers.ValidationError({"amount": ["Give amount, or operation with quantity."]})
    if "quantity" in attrs and "operation" not in attrs:
        raise serializers.ValidationError({"quantity": ["A quantity goes with an operation."]})


class PricedInput(serializers.Serializer[Any]):
    """Either `amount`, or `operation` with `quantity`, which the server prices."""

    amount = WholeNumberField(min_value=1, max_value=MAX_AMOUNT, required=False, help_text="Credits.")
    operation = TextField(max_length=64, required=False, help_text="A line of the price list (GET pricing).")
    quantity = WholeNumberField(
        min_value=1, max_value=MAX_QUANTITY, required=False, help_text="Units of the operation; 1 if left out."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check_price(attrs)
        return attrs


class ChargeInput(PricedInput):
    description = TextField(
        max_length=DESCRIPTION_MAX_LENGTH,
        required=False,
        help_text="Of the deduction. An operation is described by its name and the project's title, if left out.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs  # what is needed depends on whether there is a hold


def project_type_field(**kwargs: Any) -> TextField:
    return TextField(
        max_length=PROJECT_TYPE_MAX_LENGTH,
        control_characters=False,
        help_text="What it is, such as `ai_art`.",
        **kwargs,
    )


def content_field(**kwargs: Any) -> TextField:
    return TextField(
        allow_blank=True,
        help_text="A `data:` URI; or base64 of a PNG, JPEG, WebP, AVIF or GIF; or text, which is kept exactly.",
        **kwargs,
    )


def compression_field() -> serializers.ChoiceField:
    return serializers.ChoiceField(
        choices=["auto", "lossless", "none"],
        default="auto",
        help_text="Of a picture. `auto`: re-encoded to look the same and fit the room that is left; `lossless`: every "
        "pixel as sent; `none`: every byte as sent, metadata such as the place where it was taken included.",
    )


class SaveProjectInput(serializers.Serializer[Any]):
    user_id = user_id_field()
    app_source = app_field()
    project_type = project_type_field()
    title = TextField(max_length=TITLE_MAX_LENGTH)
    content = content_field()
    metadata = ObjectField(required=False, allow_null=True, help_text="Anything up to 8 KB, such as the prompt.")
    compression = compression_field()
    charge = ChargeInput(
        required=False, allow_null=True, help_text="What to pay in the same transaction: saved and paid, or neither."
    )
    hold_id = TextField(
        max_length=ID_MAX_LENGTH,
        required=False,
        allow_null=True,
        help_text="Pay from this hold instead. `charge` may then name an `amount`, if less than all of it is due.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        charge = attrs.get("charge")
        if charge is None:
            return attrs
        try:
            if not attrs.get("hold_id"):
                check_price(charge)
                if "amount" in charge and "description" not in charge:
                    raise serializers.ValidationError({"description": ["An amount needs a description."]})
            elif "operation" in charge or "quantity" in charge:
                field = "operation" if "operation" in charge else "quantity"
                raise serializers.ValidationError({field: ["A hold has its price; give amount, if less is due."]})
        except serializers.ValidationError as refusal:
            raise serializers.ValidationError({"charge": refusal.detail}) from None
        return attrs


class EditProjectInput(serializers.Serializer[Any]):
    user_id = user_id_field()
    title = TextField(max_length=TITLE_MAX_LENGTH, required=False)
    project_type = project_type_field(required=False)
    metadata = ObjectField(required=False, allow_null=True, help_text="In place of all that is there.")
    content = content_field(required=False)
    compression = compression_field()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.keys() & {"title", "project_type", "metadata", "content"}:
            raise serializers.ValidationError(["Give at least one of title, project_type, metadata and content."])
        return attrs


class TrashQuery(UserQuery):
    code = TextField(max_length=CODE_MAX_LENGTH, required=False, help_text="One project of it; all, if left out.")

    def to_internal_value(self, data: Any) -> Any:
        # A misspelt `code` would be passed over, and all of the trash be gone for good.
        for name in set(data) - set(self.fields):
            raise serializers.ValidationError({name: ["There is no such parameter here."]})
        return super().to_internal_value(data)


class ContentQuery(serializers.Serializer[Any]):
    user_id = user_id_field(required=False)
    format = serializers.ChoiceField(
        choices=["jpeg", "png"], required=False, help_text="A picture as this, whatever it is kept as."
    )


class CleanupInput(serializers.Serializer[Any]):
    user_id = user_id_field()
    free_mb = AmountField(
        above=0, at_most=MAX_STORAGE_BYTES // MEGABYTE, required=False, help_text="Megabytes that are to become free."
    )
    free_bytes = WholeNumberField(
        min_value=1, max_value=MAX_STORAGE_BYTES, required=False, help_text="The same, exactly."
    )
    older_than_days = WholeNumberField(
        min_value=0, max_value=36_500, required=False, help_text="Only what has not been changed for so long."
    )
    codes = serializers.ListField(
        child=TextField(max_length=CODE_MAX_LENGTH), min_length=1, max_length=MAX_CODES, required=False
    )
    app = app_field(required=False)
    strategy = serializers.ChoiceField(choices=Strategy.values, default=Strategy.OLDEST.value)
    dry_run = SwitchField(default=False, help_text="Only say what would be removed.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "free_mb" in attrs and "free_bytes" in attrs:
            raise serializers.ValidationError({"free_bytes": ["Give either free_mb or free_bytes, not both."]})
        if not attrs.keys() & {"free_mb", "free_bytes", "older_than_days", "codes"}:
            raise serializers.ValidationError(
                {"free_mb": ["Say how much to free (free_mb or free_bytes), older_than_days, or which codes."]}
            )
        return attrs


class DeductCreditsInput(PricedInput):
    user_id = user_id_field()
    app_name = app_field()
    description = TextField(max_length=DESCRIPTION_MAX_LENGTH)
    project_code = project_code_field()


class QuoteInput(PricedInput):
    user_id = user_id_field()


class ReserveCreditsInput(PricedInput):
    user_id = user_id_field()
    app_name = app_field()
    description = TextField(
        max_length=DESCRIPTION_MAX_LENGTH,
        required=False,
        help_text="Of the deduction that it may become; else the operation's name, and a saved project's title.",
    )
    expires_in = WholeNumberField(
        min_value=1, max_value=MAX_SECONDS, default=DEFAULT_SECONDS, help_text="Seconds; 900 if left out."
    )
    storage_bytes = WholeNumberField(
        min_value=1, max_value=MAX_STORAGE_BYTES, required=False, help_text="Room to keep free for as long."
    )
    project_code = project_code_field()


class HoldInput(serializers.Serializer[Any]):
    hold_id = TextField(max_length=ID_MAX_LENGTH, help_text="From reserve-credits.")
    user_id = user_id_field(required=False)


class CaptureCreditsInput(HoldInput):
    amount = WholeNumberField(
        min_value=1,
        max_value=MAX_AMOUNT,
        required=False,
        help_text="Credits, at most what is held; the rest is freed. All of it, if left out.",
    )
    description = TextField(
        max_length=DESCRIPTION_MAX_LENGTH, required=False, help_text="Instead of the one given with the hold."
    )
    project_code = project_code_field()


class RefundCreditsInput(serializers.Serializer[Any]):
    transaction_id = TextField(max_length=ID_MAX_LENGTH, help_text="Of a deduction.")
    user_id = user_id_field(required=False)
    amount = WholeNumberField(
        min_value=1,
        max_value=MAX_AMOUNT,
        required=False,
        help_text="Credits; all that has not been refunded yet, if left out.",
    )
    reason = TextField(max_length=DESCRIPTION_MAX_LENGTH, help_text="Shown in the history.")


class HistoryQuery(UserQuery):
    app = app_field(required=False)
    type = serializers.ChoiceField(choices=LedgerEntry.Type.values, required=False)
    since = MomentField(required=False, help_text="From this time on.")
    until = MomentField(required=False, help_text="Before this time.")


class TransactionsQuery(HistoryQuery):
    limit = QueryNumberField(
        min_value=1,
        max_value=MAX_PAGE,
        default=DEFAULT_TRANSACTIONS,
        help_text="How many at a time, 1 to 500; 50 if left out.",
    )
    cursor = CursorField("transactions", required=False)
