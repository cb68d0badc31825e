"""
The bytes of a project and its thumbnail, for browsers as much as for apps: with their own type, in a form that the
client accepts, in ranges, and safe to stand in anybody's page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse, HttpResponseNotModified
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request

from accounts.queries import find_user
from unified.api import content_urls, delivery, inputs
from unified.api.base import UnifiedViewSet
from unified.api.entity_tags import is_known
from unified.api.errors import ApiError, invalid, project_not_found
from unified.api.figures import file_name
from workspace import codes, encoders, images, queries
from workspace.content import TEXT_TYPE
from workspace.models import Project, ProjectContent

INERT_TEXT_TYPES = frozenset({"text/plain", "text/markdown", "text/csv", "text/html", "application/json"})
CACHE = "private, no-cache"  # may be kept, and is asked for again: an edit shows at once
THUMBNAIL_TYPE = "image/avif"
SIGNED = [
    OpenApiParameter("expires", OpenApiTypes.INT, description="Of a signed address."),
    OpenApiParameter("signature", OpenApiTypes.STR, description="Of a signed address."),
]


class SignedAddress(BasePermission):
    """Either the address carries our signature, or the caller is authenticated."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if IsAuthenticated().has_permission(request, view):
            return True
        if "signature" not in request.query_params:
            return False
        try:
            content_urls.check(
                part=view.action,
                code=codes.fold(view.kwargs["code"]) or "",
                expires=request.query_params.get("expires", ""),
                signature=request.query_params["signature"],
            )
        except content_urls.InvalidContentUrl as refusal:
            raise ApiError("permission_denied", str(refusal)) from None
        return True


class ProjectContents(UnifiedViewSet):
    """The names of the actions are those of the addresses: a signature is good for one of them."""

    permission_classes = (SignedAddress,)

    @extend_schema(
        tags=["Workspace"],
        operation_id="project_content",
        summary="The bytes of a project, with their own type",
        description=(
            "For whoever has the signed address from a listing, or a key. A picture comes as it is kept (AVIF or WebP, "
            "mostly), or as JPEG or PNG to a client whose `Accept` does not name that type, and to whoever asks for a "
            "`format`; a text comes compressed where `Accept-Encoding` has `br`. Answers 304 to an ETag that still "
            "holds, and 206 to a range."
        ),
        parameters=[inputs.ContentQuery, *SIGNED],
        responses={(200, "*/*"): OpenApiTypes.BINARY, (206, "*/*"): OpenApiTypes.BINARY, 304: None},
        auth=[{}, {"appKey": []}],  # type: ignore[list-item]
    )
    def content(self, request: Request, code: str) -> HttpResponse:
        query = self.read_query(inputs.ContentQuery, request)
        item = self._find(code, query)
        if not item.is_image:
            if "format" in query:
                raise invalid(format="A text has no picture format.")
            return _text(request, item)
        return _picture(request, item, query, kept_type=item.content_type, read=lambda: queries.body_of(item))

    @extend_schema(
        tags=["Workspace"],
        operation_id="project_thumbnail",
        summary="A small picture of a picture, at most 256 pixels a side",
        description="AVIF, or JPEG or PNG as with the content. Its address is signed for itself.",
        parameters=[inputs.ContentQuery, *SIGNED],
        responses={(200, "*/*"): OpenApiTypes.BINARY, (206, "*/*"): OpenApiTypes.BINARY, 304: None},
        auth=[{}, {"appKey": []}],  # type: ignore[list-item]
    )
    def thumbnail(self, request: Request, code: str) -> HttpResponse:
        query = self.read_query(inputs.ContentQuery, request)
        item = self._find(code, query, with_thumbnail=True)
        if not item.is_image:
            raise ApiError("not_found", "A text has no thumbnail.")
        return _picture(
            request, item, query, kept_type=THUMBNAIL_TYPE, read=lambda: _thumbnail(item), variant="-thumbnail"
        )

    def _find(self, code: str, query: dict[str, Any], *, with_thumbnail: bool = False) -> Project:
        item = queries.find_project(code, with_thumbnail=with_thumbnail)
        owner = find_user(query["user_id"]) if "user_id" in query else None
        if item is None or ("user_id" in query and item.user != owner):
            raise project_not_found(code)
        return item


def _text(request: Request, item: Project) -> HttpResponse:
    """As it is kept, if that is compressed and the client takes it so; a range is one of the plain text."""
    compressed = (
        item.content.encoding == ProjectContent.Encoding.BROTLI
        and _range_of(request) is None
        and delivery.accepts_brotli(request.headers.get("Accept-Encoding"))
    )
    # What a stranger wrote is served as an inert file: never a document, script or style of this origin.
    own_type = item.content_type.partition(";")[0] in INERT_TEXT_TYPES

    def read() -> tuple[bytes, str] | None:
        body = queries.body_at_rest(item) if compressed else queries.body_of(item)
        return None if body is None else (body, item.content_type if own_type else TEXT_TYPE)

    response = _answer(request, item, etag=_etag(item, "-br" if compressed else ""), read=read)
    response["Vary"] = "Accept-Encoding"
    if compressed and response.status_code == 200:
        response["Content-Encoding"] = "br"
    return _inert(response, f'attachment; filename="{file_name(item.code, item.content_type)}"')


def _picture(
    request: Request,
    item: Project,
    query: dict[str, Any],
    *,
    kept_type: str,
    read: Callable[[], bytes | None],
    variant: str = "",
) -> HttpResponse:
    """As it is kept, or converted on the fly, at the encoders' turn."""
    if "format" in query:
        served_type: str | None = f"image/{query['format']}"
    else:
        served_type = delivery.picture_type(request.headers.get("Accept"), kept=kept_type)

    def read_converted() -> tuple[bytes, str] | None:
        body = read()
        if body is None or served_type == kept_type:
            return None if body is None else (body, kept_type)
        with encoders.turn():
            to = served_type or (delivery.PNG if images.has_alpha(body) else delivery.JPEG)
            return images.convert(body, to=to), to

    if served_type != kept_type:
        variant += f"-{served_type.partition('/')[2] if served_type else 'any'}"
    response = _answer(request, item, etag=_etag(item, variant), read=read_converted)
    response["Vary"] = "Accept"
    return _inert(response, f'inline; filename="{file_name(item.code, response.get("Content-Type", kept_type))}"')


def _answer(
    request: Request, item: Project, *, etag: str, read: Callable[[], tuple[bytes, str] | None]
) -> HttpResponse:
    """304, 206, 416 or 200. Nothing is read for a 304. Raises ApiError."""
    if is_known(request, etag):
        return HttpResponseNotModified(headers={"ETag": etag})
    found = read()
    if found is None:  # removed between two statements
        raise project_not_found(item.code)
    body, content_type = found
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    asked = _range_of(request) if request.headers.get("If-Range", etag) == etag else None
    try:
        part = delivery.byte_range(asked, length=len(body))
    except delivery.UnsatisfiableRange:
        raise ApiError(
            "range_not_satisfiable",
            f"The content has {len(body)} bytes.",
            headers={"Content-Range": f"bytes */{len(body)}"},
            size_bytes=len(body),
        ) from None
    if part is None:
        return HttpResponse(body, content_type=content_type, headers=headers)
    first, last = part
    headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
    return HttpResponse(body[first : last + 1], status=206, content_type=content_type, headers=headers)


def _range_of(request: Request) -> str | None:
    """What `Range` says; it has a meaning with GET only (RFC 9110, 14.2)."""
    return request.headers.get("Range") if request.method == "GET" else None


def _inert(response: HttpResponse, disposition: str) -> HttpResponse:
    """
    Safe to stand in any page: nothing in it runs or loads, and no cookie is set. (`nosniff` comes with every answer.)
    """
    response["Content-Disposition"] = disposition
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["Cache-Control"] = CACHE
    return response


def _thumbnail(item: Project) -> bytes | None:
    """As it was made when the picture was saved; made now for one that is older than thumbnails are."""
    if item.content.thumbnail is not None:
        return bytes(item.content.thumbnail)
    body = queries.body_of(item)
    if body is None:
        return None
    with encoders.turn():
        return images.make_thumbnail(body)


def _etag(item: Project, variant: str) -> str:
    """Of one form of the content: other bytes, or another form, have another tag."""
    return f'"{bytes(item.content.digest).hex()}{variant}"'
