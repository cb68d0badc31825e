"""The WSGI application: API, pages and admin. It does not start with a configuration that `manage.py check` refuses."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "unified.settings")

application = get_wsgi_application()

from unified.checks import refuse_to_start_if_misconfigured  # noqa: E402  needs the apps to be ready

refuse_to_start_if_misconfigured()
