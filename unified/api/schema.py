"""What drf-spectacular cannot see by itself: twin routes, credentials, keys, and the one form of every failure."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension

from accounts.scopes import API_SCOPES
from unified.api.errors import ERRORS

_METHODS = ("get", "post", "put", "patch", "delete")
_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
    "description": "The same key and body again give the first answer, and nothing is done twice. Use a new random "
    "value for each new intention, such as a UUID.",
}


# Which codes an operation can answer with; those that are not here, every operation can.
_ONLY_ON = {
    "insufficient_credits": {"deduct_credits", "reserve_credits", "save_project"},
    "hold_not_found": {"capture_credits", "release_credits", "save_project"},
    "hold_not_active": {"capture_credits", "release_credits", "save_project"},
    "transaction_not_found": {"refund_credits"},
    "refund_exceeds_charge": {"refund_credits"},
    "storage_limit_exceeded": {"save_project", "reserve_credits", "edit_project", "restore_project"},
    "project_limit_reached": {"save_project", "restore_project"},
    "invalid_image": {"save_project", "edit_project"},
    "project_not_found": {
        *("get_project", "edit_project", "delete_project", "restore_project", "empty_trash", "cleanup"),
        *("project_content", "project_thumbnail"),
    },
    "not_found": {"project_thumbnail"},
    "edit_conflict": {"edit_project", "delete_project"},
    "range_not_satisfiable": {"project_content", "project_thumbnail"},
    "user_not_found": {
        *("user_info", "projects", "save_project", "storage_stats"),
        *("deduct_credits", "reserve_credits", "quote", "transactions", "transactions_csv"),
        *("get_project", "edit_project", "delete_project", "restore_project", "trash", "empty_trash", "cleanup"),
        *("export", "plans"),
    },
}
_ONLY_WITH_A_BODY = {"invalid_json", "payload_too_large", "unsupported_media_type"}
_ONLY_ON_POST = {"idempotency_key_reused", "request_in_progress"}
_NEVER = {"method_not_allowed"}  # of other methods


_COUNT = {"type": "integer"}
_ID = {"type": ["string", "null"]}
_NUMBERS_TO_ACT_ON: dict[str, Any] = {
    **{name: {**_COUNT, "description": "With `insufficient_credits`."} for name in ("credits", "needed", "shortfall")},
    **{
        name: {**_COUNT, "description": "With `storage_limit_exceeded`."}
        for name in ("needed_bytes", "available_bytes")
    },
    "largest": {"type": "array", "items": {"$ref": "#/components/schemas/LargestShape"}},
    "upgrade": {
        "type": "array",
        "items": {"$ref": "#/components/schemas/UpgradeShape"},
        "description": "With a want of credits or room: the plans that would help.",
    },
    "limit": {**_COUNT, "description": "With `project_limit_reached`."},
    "limit_bytes": {**_COUNT, "description": "With `payload_too_large`."},
    **{
        name: {**_COUNT, "description": "With `refund_exceeds_charge`."}
        for name in ("charged", "refunded", "refundable")
    },
    "status": {"type": "string", "description": "With `hold_not_active`: captured, released or expired."},
    "expires_at": {"type": "string", "format": "date-time", "description": "With `hold_not_active`."},
    **{
        name: {**_ID, "description": "As given; with `hold_not_active`, of the hold and of its deduction."}
        for name in ("hold_id", "transaction_id")
    },
    "user_id": {**_ID, "description": "As given."},
    "etag": {"type": "string", "description": "With `edit_conflict`: the present version."},
    "freeable_bytes": {**_COUNT, "description": "Of a clean-up that cannot free enough: what it could."},
    "size_bytes": {**_COUNT, "description": "With `range_not_satisfiable`: of the whole content."},
    "project_code": {**_ID, "description": "As given; with `hold_not_active`, of the project that was paid for."},
}


class WholeNumberScheme(OpenApiSerializerFieldExtension):
    target_class = "unified.api.fields.WholeNumberField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.target.min_value, "maximum": self.target.max_value}


class BearerScheme(OpenApiAuthenticationExtension):
    """One class lets both in; which scopes a route asks for, its view knows."""

    target_class = "unified.api.authentication.BearerAuthentication"
    name = ["appKey", "userToken"]  # noqa: RUF012  as the library declares it

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        issuer = "/o"
        return [
            {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "uni_<mode>_<id>_<secret>_<crc>",
                "description": "A key of one app, for its server. It may name any user; `app_name` and `app_source` "
                "must be its own app.",
            },
            {
                "type": "oauth2",
                "description": "The access token that a person's sign-in gave to an app. `user_id` may be left out: it "
                "is good for that person alone.",
                "flows": {
                    "authorizationCode": {
                        "authorizationUrl": f"{issuer}/authorize/",
                        "tokenUrl": f"{issuer}/token/",
                        "refreshUrl": f"{issuer}/token/",
                        "scopes": dict(API_SCOPES),
                    }
                },
            },
        ]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, Any]]:
        view = auto_schema.view
        action = getattr(view, "action", None)
        with_key: dict[str, Any] = {"appKey": []}
        if action in getattr(view, "keys_only", ()):
            return [with_key]
        return [with_key, {"userToken": list(getattr(view, "scopes", {}).get(action, ()))}]


class QuickstartScheme(OpenApiAuthenticationExtension):
    target_class = "unified.api.authentication.QuickstartAuthentication"
    name = ()  # type: ignore[assignment]  # not a credential, so not in the document

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return []

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, Any]]:
        return []


def without_trailing_slash_twins(endpoints: list[tuple[str, str, str, Any]], **kwargs: Any) -> list[Any]:
    """Every route takes a trailing slash; the document names each once."""
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith("/")]


def with_error_responses(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Adds the Error form to every operation, and the idempotency key to every POST."""
    result["components"]["schemas"]["Error"] = {
        "type": "object",
        "required": ["success", "error", "details", "code"],
        "properties": {
            "success": {"type": "boolean", "const": False},
            "error": {"type": "string", "description": "A short title."},
            "details": {"type": "string", "description": "One sentence."},
            "code": {"type": "string", "enum": sorted(ERRORS)},
            "fields": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
                "description": "With bad input: what is wrong with each field.",
            },
            **_NUMBERS_TO_ACT_ON,
        },
        "additionalProperties": True,
        "description": "With some codes, the numbers that a client needs to act stand beside these keys.",
    }
    _make_user_id_optional(result)
    for operations in result["paths"].values():
        for method in _METHODS:
            if method not in operations:
                continue
            operation = operations[method]
            if method == "post":
                operation.setdefault("parameters", []).append(_HEADER)
            for status, codes in _codes_of(operation["operationId"], method).items():
                operation["responses"].setdefault(
                    status,
                    {
                        "description": ", ".join(f"`{code}`" for code in codes),
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                    },
                )
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return result


def _make_user_id_optional(result: dict[str, Any]) -> None:
    """A user token names its person already; only with an app key the id has to be sent."""
    told = " Needed with an app key; may be left out with a user token."
    for name, schema in result["components"]["schemas"].items():
        if (
            name.endswith("InputRequest")
            and name != "CreateUserInputRequest"
            and "user_id" in schema.get("required", ())
        ):
            schema["required"].remove("user_id")
            if not schema["required"]:
                del schema["required"]
            schema["properties"]["user_id"]["description"] += told
    for operations in result["paths"].values():
        for method in _METHODS:
            for parameter in operations.get(method, {}).get("parameters", []):
                if parameter["name"] == "user_id" and parameter.pop("required", False):
                    parameter["description"] += told


def _codes_of(operation_id: str, method: str) -> dict[str, list[str]]:
    """By status, the codes that this operation can answer with."""
    found: dict[str, list[str]] = {}
    for code, (status, _) in ERRORS.items():
        if code in _NEVER or (code in _ONLY_ON_POST and method != "post"):
            continue
        if code in _ONLY_WITH_A_BODY and method not in ("post", "patch"):
            continue
        if operation_id in _ONLY_ON.get(code, {operation_id}):
            found.setdefault(str(status), []).append(code)
    return found
