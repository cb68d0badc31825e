"""
What operators and load balancers ask. `healthz`: this process answers. `readyz`: it can do its work.

A process that is healthy but not ready should get no traffic, and should not be restarted for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import App, Plan

logger = logging.getLogger("unified.probes")


class ProbesMiddleware:
    """
    Answers the probes before anything looks at the host name or at the scheme: load balancers and orchestrators ask by
    IP address and in plain HTTP.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path == "/healthz":
            return healthz(request)
        if request.path == "/readyz":
            return readyz(request)
        return self.get_response(request)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    problems = _problems()
    if problems:
        logger.warning("not ready: %s", " ".join(problems))
        answer = {"status": "unavailable", "problems": problems}
        response = JsonResponse(answer, status=503, headers={"Retry-After": "5"})
        response._has_been_logged = True  # type: ignore[attr-defined]  # just now, and with the reason
        return response
    return JsonResponse({"status": "ok"})


def _problems() -> list[str]:
    """What stands in the way, each with the mend; empty when ready."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only")
            read_only = cursor.fetchone()[0] == "on"
        if read_only:
            return ["The database takes no writes: connect to the primary."]
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return ["Migrations are missing: run 'manage.py migrate'."]
        if not Plan.objects.filter(is_default=True).exists() or not App.objects.exists():
            return ["There are no apps or plans: run 'manage.py seed'."]
    except Error:
        return ["The database does not answer."]
    return []
