"""What has changed since a page was made: one small question every second or two, while somebody looks."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from unified.web.frame import frame_of
from unified.web.pages import as_member, member_page
from unified.web.version import version_of


@member_page
@require_safe
def live(request: HttpRequest) -> HttpResponseBase:
    """204 if the page has what there is (`?v=` is its version); else the version that there is now."""
    version = version_of(as_member(request).user)
    if request.GET.get("v") == version:
        return HttpResponse(status=204)
    return JsonResponse({"v": version})


@member_page
@require_safe
def bar(request: HttpRequest) -> HttpResponseBase:
    """
    What can be spent and how full it is, for the top of a page that is open; and what to do about it, below, unless
    that page says the same (`?told=`): what is put there anew is read out anew.
    """
    frame = frame_of(as_member(request).user, path=request.path)
    is_news = frame.banner != request.GET.get("told", "")
    return render(request, "web/parts/standing.html", {"frame": frame, "brought": True, "is_news": is_news})
