"""Take-out: everything that a person has here, as a file."""

from __future__ import annotations

from itertools import chain
from typing import ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from unified import takeout
from unified.api import inputs
from unified.api.base import UnifiedViewSet


class Exports(UnifiedViewSet):
    scopes: ClassVar = {
        "export": ("credits.read", "workspace.read"),
    }

    @extend_schema(
        tags=["Users"],
        operation_id="export",
        summary="All of a person's projects and transactions as a zip file",
        description=(
            "Made while it is sent. `projects/` and `trash/` hold each project's bytes and a JSON file of its facts "
            "and metadata, `transactions.csv` the history. `manifest.json` comes last and lists it all: a file without "
            "it was cut off on its way."
        ),
        parameters=[inputs.UserQuery],
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    def export(self, request: Request) -> StreamingHttpResponse:
        query = self.read_query(inputs.UserQuery, request)
        user = self.find_member(request, query["user_id"])
        pieces = takeout.archive(user)
        first = next(pieces)  # trouble at the start is still an answer
        response = StreamingHttpResponse(chain([first], pieces), content_type="application/zip")
        response["Content-Disposition"] = f'attachment; filename="{takeout.archive_name()}"'
        response["Cache-Control"] = "no-store"
        return response
