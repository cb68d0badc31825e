"""Serves one app on this machine. In production a WSGI server such as granian takes this place."""

from __future__ import annotations

from contextlib import suppress

from flask import Flask
from werkzeug.serving import make_server


def serve(app: Flask, port: int) -> None:
    with suppress(KeyboardInterrupt):
        make_server("127.0.0.1", port, app, threaded=True).serve_forever()
