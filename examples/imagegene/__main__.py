"""ImageGene makes pictures. A public client: it has no secret, and PKCE protects its codes."""

import os
from pathlib import Path

from examples.imagegene.picture import make_picture
from examples.shared.api import Maker
from examples.shared.serve import serve
from examples.shared.web import Product, create_app

PRODUCT = Product(
    name="ImageGene",
    promise="Makes a picture of anything",
    noun="picture",
    example="Mountains above a lake at dawn",
    maker=Maker(app="imagegene", operation="basic_art", project_type="ai_art", room=40_000, make=make_picture),
    folder=Path(__file__).parent,
)

if __name__ == "__main__":
    serve(create_app(PRODUCT), int(os.environ.get("PORT", "8102")))
