"""
What a credential may be used for. A scope is a word that a token or a key carries (RFC 6749, section 3.3); several are
written one after the other, with a space between.
"""

from __future__ import annotations

from collections.abc import Iterable

# What a person can let an app do; the sentences stand on the page that asks them.
API_SCOPES = {
    "credits.read": "See your credits and what they were spent on",
    "credits.spend": "Spend your credits",
    "workspace.read": "See and download your projects",
    "workspace.write": "Keep, change and delete projects in your workspace",
}
# What tells an app who the person is (OpenID Connect Core 1.0, section 5.4).
IDENTITY_SCOPES = {
    "openid": "Know that it is you, by a number",
    "profile": "See your name",
    "email": "See your e-mail address",
}
# What only an app's own server may do, with its key: it makes people, who start with credits.
KEY_SCOPES = (*API_SCOPES, "users.write")


def parse(text: str) -> frozenset[str]:
    return frozenset(text.split())


def written(scopes: Iterable[str]) -> str:
    """The scopes as one text, in the order in which they are declared here; what is no scope of a key is left out."""
    wanted = set(scopes)
    return " ".join(scope for scope in KEY_SCOPES if scope in wanted)


def in_words(scopes: Iterable[str]) -> list[str]:
    """What they let an app do, each once, in the order in which they are declared here."""
    wanted = set(scopes)
    return [words for scope, words in {**IDENTITY_SCOPES, **API_SCOPES}.items() if scope in wanted]
