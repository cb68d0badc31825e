"""
Stands in for Google on a developer's machine: an OpenID provider whose people anybody may be. Never for anything else.

It takes the request's host for its name, so everybody has to call it 127.0.0.1, and never localhost.
"""

from __future__ import annotations

import os
from pathlib import Path

from jinja2 import ChoiceLoader, FileSystemLoader
from oidc_provider_mock import User
from oidc_provider_mock import app as provider

from examples.shared.serve import serve

PEOPLE = (
    # The person of the integration guide, who has projects and a history in a fresh Unified.
    User(
        sub="101902121794505144784",
        claims={"name": "Demo User", "email": "demo@example.com", "email_verified": True},
    ),
    User(
        sub="101902121794505144785",
        claims={"name": "Second Demo User", "email": "second@example.com", "email_verified": True},
    ),
)

if __name__ == "__main__":
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain HTTP will do on one's own machine
    app = provider(user_claims=PEOPLE)
    # The library's own page takes its style from a foreign host and shows numbers instead of names.
    here = Path(__file__).parent
    app.static_folder = str(here.parent / "shared" / "static")
    app.jinja_loader = ChoiceLoader([FileSystemLoader(here / "templates"), app.jinja_loader])
    app.context_processor(lambda: {"people": PEOPLE})
    app.wsgi_app = app.wsgi_app.app  # without the debugger, which would run code for whoever finds it
    app.debug = False
    serve(app, int(os.environ.get("PORT", "9400")))
