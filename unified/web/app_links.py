"""Where the apps live, as their rows say it: the ways from here to them, and the colours that tell them apart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from accounts.addresses import web_address
from accounts.models import App
from workspace.models import Project

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def ways_to(project: Project, apps: Iterable[App]) -> list[tuple[App, str]]:
    """Each open app that says where it opens projects, the one that made this project first, and that address."""
    ways = [(app, web_address(app.project_url.replace("{code}", quote(project.code)))) for app in apps if app.is_active]
    return sorted(((app, way) for app, way in ways if way), key=lambda way: way[0].pk != project.app_id)


def colours(apps: Iterable[App]) -> str:
    """A stylesheet: each app's colour for whatever has the attribute `data-app`. The policy allows no `style=`."""
    return "".join(f'[data-app="{app.slug}"]{{--app:{app.colour}}}\n' for app in apps if _COLOUR.fullmatch(app.colour))
