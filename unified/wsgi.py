"""The WSGI application: API, pages and admin. It does not start with a configuration that `manage.py check` refuses."""

import os
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "unified.settings")


class Request(WSGIRequest):
    """
    Always in UTF-8. Django decodes the query as the header Content-Type says, before anything of ours is asked: with
    `charset=hex` that raised where nothing catches it.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class Application(WSGIHandler):
    request_class = Request


django.setup(set_prefix=False)
application = Application()

from unified.checks import refuse_to_start_if_misconfigured  # noqa: E402  needs the apps to be ready

refuse_to_start_if_misconfigured()
