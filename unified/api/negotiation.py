"""The API speaks JSON whatever `Accept` says: a browser that opens an address sees the answer, not an error."""

from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class AlwaysJSON(DefaultContentNegotiation):
    def select_parser(self, request: Request, parsers: Any) -> Any:
        """By the exact media type: "*/*" says nothing about a body, though DRF would let it match."""
        return next((parser for parser in parsers if request._request.content_type == parser.media_type), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type
