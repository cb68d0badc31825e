"""
The bytes of a project and its thumbnail, for browsers as much as for apps: with their own type, in a form that the
client accepts, in ranges, and safe to stand in anybody's page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

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
from workspace import codes, encoders, images, queries, services
from workspace.content import TEXT_TYPE
from workspace.models import Project, ProjectContent

INERT_TEXT_TYPES = frozenset({"text/plain", "text/markdown", "text/csv", "text/html", "application/json"})
CACHE = "private, no-cache"  # may be kept, and is asked for again: an edit shows at once
THUMBNAIL_TYPE = "image/avif"
SIGNED = [
    OpenApiParameter("expires", OpenApiTypes.INT, description="Of a signed address."),
    OpenApiParameter("signature", OpenApiTypes.STR, description="Of a signed address."),
]


@dataclass(frozen=True, slots=True)
class Form:
    """One of the forms in which a project's bytes are served."""

    etag: str
    make: Callable[[], tuple[bytes, str]]  # the bytes and their media type
    headers: dict[str, str]
    disposition: str
    code: str


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

    scopes: ClassVar = {
        "content": ("workspace.read",),
        "thumbnail": ("workspace.read",),
    }

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
        auth=[{}, {"appKey": []}, {"userToken": ["workspace.read"]}],  # type: ignore[list-item]
    )
    def content(self, request: Request, code: str) -> HttpResponse:
        return self._serve(request, code, _content_form, reading="body")

    @extend_schema(
        tags=["Workspace"],
        operation_id="project_thumbnail",
        summary="A small picture of a picture, at most 256 pixels a side",
        description="AVIF, or JPEG or PNG as with the content. Its address is signed for itself.",
        parameters=[inputs.ContentQuery, *SIGNED],
        responses={(200, "*/*"): OpenApiTypes.BINARY, (206, "*/*"): OpenApiTypes.BINARY, 304: None},
        auth=[{}, {"appKey": []}, {"userToken": ["workspace.read"]}],  # type: ignore[list-item]
    )
    def thumbnail(self, request: Request, code: str) -> HttpResponse:
        return self._serve(request, code, _thumbnail_form, reading="thumbnail")

    def _serve(
        self,
        request: Request,
        code: str,
        form_of: Callable[[Request, Project, dict[str, Any]], Form],
        *,
        reading: Literal["body", "thumbnail"],
    ) -> HttpResponse:
        """
        304 without reading anything, if the caller has it; else facts and bytes from one statement, so that one version
        is never served under the tag of another.
        """
        query = self.read_query(inputs.ContentQuery, request)
        if "If-None-Match" in request.headers:
            form = form_of(request, self._find(code, query), query)
            if is_known(request, form.etag):
                headers = {"ETag": form.etag, "Vary": form.headers["Vary"], "Content-Disposition": form.disposition}
                return _inert(HttpResponseNotModified(headers=headers))
        return _answer(request, form_of(request, self._find(code, query, reading=reading), query))

    def _find(
        self, code: str, query: dict[str, Any], *, reading: Literal["body", "thumbnail"] | None = None
    ) -> Project:
        item = queries.find_project(code, reading=reading)
        owner = find_user(query["user_id"]) if "user_id" in query else None
        if item is None or ("user_id" in query and item.user != owner):
            raise project_not_found(code)
        return item


def _content_form(request: Request, item: Project, query: dict[str, Any]) -> Form:
    if not item.is_image:
        if "format" in query:
            raise invalid(format="A text has no picture format.")
        return _text_form(request, item)
    return _picture_form(request, item, query, kept_type=item.content_type, kept=lambda: bytes(item.content.body))


def _thumbnail_form(request: Request, item: Project, query: dict[str, Any]) -> Form:
    if not item.is_image:
        raise ApiError("not_found", "A text has no thumbnail.")
    return _picture_form(
        request, item, query, kept_type=THUMBNAIL_TYPE, kept=lambda: _thumbnail(item), variant="-thumbnail"
    )


def _text_form(request: Request, item: Project) -> Form:
    """As it is kept, if that is compressed and the client takes it so; a range is one of the plain text."""
    compressed = (
        item.content.encoding == ProjectContent.Encoding.BROTLI
        and _range_of(request) is None
        and delivery.accepts_brotli(request.headers.get("Accept-Encoding"))
    )
    # What a stranger wrote is served as an inert file: never a document, script or style of this origin.
    own_type = item.content_type.partition(";")[0] in INERT_TEXT_TYPES
    content_type = item.content_type if own_type else TEXT_TYPE
    return Form(
        etag=_etag(item, "-br" if compressed else ""),
        make=lambda: (bytes(item.content.body) if compressed else queries.plain(item.content), content_type),
        headers={"Vary": "Accept-Encoding", **({"Content-Encoding": "br"} if compressed else {})},
        disposition="attachment",
        code=item.code,
    )


def _picture_form(
    request: Request,
    item: Project,
    query: dict[str, Any],
    *,
    kept_type: str,
    kept: Callable[[], bytes],
    variant: str = "",
) -> Form:
    """As it is kept, or converted on the fly, when its turn comes."""
    if "format" in query:
        served_type: str | None = f"image/{query['format']}"
    else:
        served_type = delivery.picture_type(request.headers.get("Accept"), kept=kept_type)

    def make() -> tuple[bytes, str]:
        body = kept()
        if served_type == kept_type:
            return body, kept_type
        to = served_type or (delivery.PNG if images.has_alpha(body) else delivery.JPEG)
        with encoders.turn_to_convert():
            return images.convert(body, to=to), to

    if served_type != kept_type:
        variant += f"-{served_type.partition('/')[2] if served_type else 'any'}"
    return Form(_etag(item, variant), make, {"Vary": "Accept"}, "inline", item.code)


def _answer(request: Request, form: Form) -> HttpResponse:
    """206, 416 or 200. Raises ApiError."""
    body, content_type = form.make()
    headers = {"ETag": form.etag, "Accept-Ranges": "bytes", **form.headers}
    headers["Content-Disposition"] = f'{form.disposition}; filename="{file_name(form.code, content_type)}"'
    asked = _range_of(request) if request.headers.get("If-Range", form.etag) == form.etag else None
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
        return _inert(HttpResponse(body, content_type=content_type, headers=headers))
    first, last = part
    headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
    return _inert(HttpResponse(body[first : last + 1], status=206, content_type=content_type, headers=headers))


def _range_of(request: Request) -> str | None:
    """What `Range` says; it has a meaning with GET only (RFC 9110, 14.2)."""
    return request.headers.get("Range") if request.method == "GET" else None


def _inert(response: HttpResponse) -> HttpResponse:
    """
    Safe to stand in any page: nothing in it runs or loads, and no cookie is set. (`nosniff` comes with every answer.)
    """
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["Cache-Control"] = CACHE
    return response


def _thumbnail(item: Project) -> bytes:
    """As it was made when the picture was saved; made and kept now for one that is older than thumbnails are."""
    if item.content.thumbnail is not None:
        return bytes(item.content.thumbnail)
    with encoders.turn_to_convert():
        made = images.make_thumbnail(bytes(item.content.body))  # read now: it was not, with the rest
    services.add_thumbnail(project=item, thumbnail=made)
    return made


def _etag(item: Project, variant: str) -> str:
    """Of one form of the content: other bytes, or another form, have another tag."""
    return f'"{bytes(item.content.digest).hex()}{variant}"'
