"""
What a service starts with: the two apps, the plans, the price list of the integration guide; and, for a developer's
machine, a demo person with projects and a history. All through the services, and harmless to repeat: nothing that is
there already is changed.
"""

from __future__ import annotations

import io
import secrets

from django.conf import settings
from django.db import transaction
from PIL import Image, ImageDraw

from accounts import services as accounts
from accounts.models import App, AppKey, User
from credits import pricing
from credits import services as credits
from unified import services
from unified.api.figures import MEGABYTE
from workspace import services as workspace
from workspace.content import Content, picture_content, text_content
from workspace.models import Project

DEMO_USER_ID = "101902121794505144784"
STAFF_USER_ID = "admin"
QUICKSTART_LABEL = "quickstart"

# What an operation is called, whose list shows it, its name, its unit, and credits per unit.
OPERATIONS = (
    ("page", "penora", "Single page generation", "page", 1),
    ("multi_page", "penora", "Multi-page generation", "page", 1),
    ("file_processing", "penora", "File processing", "page detected", 1),
    ("basic_art", "imagegene", "Basic AI art generation", "image", 2),
    ("advanced_art", "imagegene", "Advanced AI art generation", "image", 3),
    ("image_enhancement", "imagegene", "Image enhancement", "image", 1),
    ("style_transfer", "imagegene", "Style transfer", "image", 2),
)


@transaction.atomic
def seed_registry() -> None:
    """Apps, plans and prices: what every installation needs."""
    accounts.set_up_plan(
        slug="free", name="Free", storage_limit_bytes=MEGABYTE, monthly_credits=0, rank=0, is_default=True
    )
    accounts.set_up_plan(slug="plus", name="Plus", storage_limit_bytes=10 * MEGABYTE, monthly_credits=200, rank=1)
    accounts.set_up_plan(slug="pro", name="Pro", storage_limit_bytes=100 * MEGABYTE, monthly_credits=1_000, rank=2)
    apps = {
        "penora": accounts.register_app(slug="penora", name="Penora", colour="#2563eb"),
        "imagegene": accounts.register_app(slug="imagegene", name="ImageGene", colour="#c2410c"),
    }
    for slug, app, name, unit, price in OPERATIONS:
        pricing.list_operation(slug=slug, app=apps[app], name=name, unit=unit, credits=price)


@transaction.atomic
def seed_demo() -> None:
    """
    The person of the guide's samples: 50 credits at the start, 43 left, four projects of each app. If they had left,
    they are here again with these projects, and with the credits that they had (paid for they were the first time);
    unless they were locked out. If they are here, nothing changes. Locks: the user's row.
    """
    if len(_PAGES) + len(_PICTURES) > settings.MAX_PROJECTS_PER_USER:
        return  # a service that is set up to keep fewer has no room for the demonstration
    there_is = User.objects.filter(user_id=DEMO_USER_ID).first()
    if there_is is not None and (there_is.deleted_at is None or not there_is.may_return):
        return
    user, is_new = services.create_member(
        user_id=DEMO_USER_ID, username="Demo User", email="demo@example.com", initial_credits=50
    )
    accounts.lock_user(user=user)
    if Project.objects.filter(user=user).exists():
        return  # somebody who was asked to do the same at the same time was faster
    penora, imagegene = App.objects.get(slug="penora"), App.objects.get(slug="imagegene")
    for title, operation, text in _PAGES:
        _make(
            user,
            penora,
            operation=operation if is_new else None,
            title=title,
            kind="page",
            content=_text(text),
            metadata={"format": "markdown"},
        )
    for title, operation, style, colours in _PICTURES:
        metadata = {"style": style, "dimensions": "320x200", "model": "demo", "prompt": title}
        _make(
            user,
            imagegene,
            operation=operation if is_new else None,
            title=title,
            kind="ai_art",
            content=_picture(colours),
            metadata=metadata,
        )


def _make(
    user: User, app: App, *, operation: str | None, title: str, kind: str, content: Content, metadata: dict[str, str]
) -> None:
    """One project as its app would have made it: kept, and paid for where the operation costs something."""
    project, _ = workspace.save_project(
        user=user, app=app, project_type=kind, title=title, content=content, metadata=metadata
    )
    if operation is None:
        return
    line, amount = pricing.price(operation=operation, quantity=1)
    credits.deduct(
        user=user,
        app=app,
        amount=amount,
        description=f"{line.name} - {title}",
        operation=line,
        quantity=1,
        project_code=project.code,
    )


def ensure_staff(known_password: str | None) -> str | None:
    """The first member of staff's password: a new one if they are made now, None if they have since changed it."""
    staff = User.objects.filter(user_id=STAFF_USER_ID).first()
    if staff is not None:
        return known_password if known_password and staff.check_password(known_password) else None
    password = secrets.token_urlsafe(12)
    User.objects.create_superuser(
        user_id=STAFF_USER_ID, username="Administrator", email="admin@example.com", password=password
    )
    return password


def ensure_key(app_slug: str, known: str | None) -> str:
    """`known` if it is still a good key of the app, else a new one, in place of the quickstart's earlier ones."""
    if known is not None and (key := accounts.authenticate_key(known)) is not None and key.app.slug == app_slug:
        return known
    app = App.objects.get(slug=app_slug)
    for old in AppKey.objects.filter(app=app, label=QUICKSTART_LABEL, revoked_at=None):
        accounts.revoke_key(key_id=old.key_id)
    return accounts.create_key(app=app, label=QUICKSTART_LABEL, mode="test")[1]


def _text(body: str) -> Content:
    return text_content(body.encode(), "text/markdown; charset=utf-8")


def _picture(colours: tuple[str, str]) -> Content:
    """A small landscape: sky, sun and hills."""
    sky, land = colours
    picture = Image.new("RGB", (320, 200), sky)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((220, 24, 272, 76), fill="#fff3bf")
    draw.polygon([(0, 200), (0, 140), (90, 80), (180, 150), (250, 105), (320, 150), (320, 200)], fill=land)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return picture_content(file.getvalue(), room_bytes=MEGABYTE)


_PAGES = (
    (
        "A week in Lisbon",
        "page",
        "# A week in Lisbon\n\nSeven days, three neighbourhoods, and a tram that is always full.\n\n"
        "## Monday\n\nStart at the river. Walk up through Alfama before the sun does.\n",
    ),
    (
        "Launch checklist",
        None,
        "# Launch checklist\n\n- [x] Prices agreed\n- [x] Pictures chosen\n- [ ] Newsletter written\n- [ ] Page live\n",
    ),
    (
        "Bread for beginners",
        "page",
        "# Bread for beginners\n\n500 g flour, 350 g water, 10 g salt, 2 g yeast.\n\n"
        "Mix, wait a night, fold, wait an hour, bake for 45 minutes at 230 °C.\n",
    ),
    (
        "About our studio",
        "page",
        "# About our studio\n\nWe are two people, one press and a great many pencils.\n",
    ),
)
_PICTURES = (
    ("Mountain landscape at sunset", "basic_art", "photorealistic", ("#f4a261", "#264653")),
    ("Winter morning", None, "watercolour", ("#dbeafe", "#64748b")),
    ("Green valley", "basic_art", "poster", ("#bae6fd", "#15803d")),
    ("Desert at noon", None, "poster", ("#7dd3fc", "#d97706")),
)
