"""Penora writes pages. A confidential client: it has a secret, and its server keeps it."""

import os
from pathlib import Path

from examples.penora.page import write_page
from examples.shared.api import Maker
from examples.shared.serve import serve
from examples.shared.web import Product, create_app

PRODUCT = Product(
    name="Penora",
    promise="Writes a page about anything",
    noun="page",
    example="How tides work",
    maker=Maker(app="penora", operation="page", project_type="page", room=4_000, make=write_page),
    folder=Path(__file__).parent,
)

if __name__ == "__main__":
    serve(create_app(PRODUCT), int(os.environ.get("PORT", "8101")))
