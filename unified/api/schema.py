"""What drf-spectacular cannot see by itself: twin routes, credentials, keys, and the one form of every failure."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from unified.api.errors import ERRORS

_METHODS = ("get", "post", "put", "patch", "delete")
_EVERYWHERE = ("400", "401", "403", "404", "429", "500", "503")
_ON_POST = ("402", "409", "413", "415", "422")
_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
    "description": "The same key and body again give the first answer, and nothing is done twice. Use a new random "
    "value for each new intention, such as a UUID.",
}


class AppKeyScheme(OpenApiAuthenticationExtension):
    target_class = "unified.api.authentication.AppKeyAuthentication"
    name = "appKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "uni_<mode>_<id>_<secret>_<crc>",
            "description": "A key of one app. It may name any user; `app_name` and `app_source` must be its own app.",
        }


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
        },
        "additionalProperties": True,
        "description": "With some codes, the numbers that a client needs to act stand beside these keys.",
    }
    titles: dict[str, list[str]] = {}
    for code, (status, _) in ERRORS.items():
        titles.setdefault(str(status), []).append(code)
    for operations in result["paths"].values():
        for method in _METHODS:
            if method not in operations:
                continue
            operation = operations[method]
            if method == "post":
                operation.setdefault("parameters", []).append(_HEADER)
            for status in (*_EVERYWHERE, *(_ON_POST if method == "post" else ())):
                operation["responses"].setdefault(
                    status,
                    {
                        "description": ", ".join(f"`{code}`" for code in titles[status]),
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                    },
                )
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return result
