"""Conditions on versions: `If-Match` and `If-None-Match` (RFC 9110, 13.1)."""

from __future__ import annotations

import re

from rest_framework.request import Request

from unified.api.errors import invalid
from workspace import codes

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[\s,]*{_TAG}(?:\s*,[\s,]*{_TAG})*[\s,]*")  # empty elements are passed over (5.6.1)
_ONE = re.compile(_TAG)
_OURS = re.compile(rf'"([{codes.ALPHABET}]{{{codes.LENGTH}}})-([1-9][0-9]{{0,8}})(?:\.[0-9]+)?"')


def versions_wanted(request: Request, typed: str) -> frozenset[int] | None:
    """
    The versions of the project with this code, as typed, that `If-Match` names, or None if any will do. Compared
    strongly: a weak tag, or one of something else, matches no version. Raises ApiError for what is no list of tags.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    if not _TAGS.fullmatch(header):
        raise invalid(**{"If-Match": 'Entity tags in quotes are needed, such as "7K3M9Q-1", or *.'})
    ours = (_OURS.fullmatch(tag) for tag in _ONE.findall(header))
    return frozenset(int(tag[2]) for tag in ours if tag is not None and tag[1] == codes.fold(typed))


def is_known(request: Request, etag: str) -> bool:
    """Whether `If-None-Match` says that the caller has this version. Compared weakly; what is no tag is passed over."""
    header = request.headers.get("If-None-Match", "")
    known = {tag.removeprefix("W/") for tag in _ONE.findall(header)}
    return header.strip() == "*" or etag in known
