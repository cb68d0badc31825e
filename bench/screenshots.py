"""
Pictures of a person's own pages in each state, and how fast they are. Run by `make screenshots`; writes PNGs to
var/screenshots/pages/ and prints the figures. Starts a service of its own, with data of its own, which are gone in the
end; needs Debian's Chromium.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import shutil
import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "unified.settings")
os.environ.setdefault("LOG_LEVEL", "ERROR")

import brotli  # noqa: E402
import django  # noqa: E402

django.setup()

from PIL import Image, ImageDraw, ImageFilter  # noqa: E402
from playwright.sync_api import Browser, BrowserContext, Page, Response, StorageState, sync_playwright  # noqa: E402

from tests.browser.conftest import FLAGS  # noqa: E402
from tests.quickstart.service import Service, home, running  # noqa: E402
from unified.seed import DEMO_USER_ID  # noqa: E402

FOLDER = ROOT / "var" / "screenshots" / "pages"
THEMES = ("light", "dark")
SIZES = {1440: 900, 390: 844}  # a desk's and a telephone's, width to height
MANY = 200
RUNS = 3
FCP_MS, SHIFT, KILOBYTES = 500, 0.05, 150  # what is aimed at
NEARLY_FULL = 0.97

PICTURES = (
    ("Lighthouse after the storm", "photorealistic", ("#1e293b", "#f59e0b", "#0f172a")),
    ("Paper boats", "poster", ("#e0f2fe", "#fda4af", "#0369a1")),
    ("Tea hills in fog", "watercolour", ("#ecfccb", "#fef9c3", "#3f6212")),
    ("The last tram home", "photorealistic", ("#312e81", "#fb7185", "#1e1b4b")),
    ("Salt flats", "photorealistic", ("#f5d0fe", "#fdba74", "#9d174d")),
    ("Cover for the summer issue", "poster", ("#fde047", "#ef4444", "#7c2d12")),
    ("Northern lights over the fjord", "photorealistic", ("#022c22", "#34d399", "#020617")),
)
TEXTS = (
    (
        "Interview with a beekeeper",
        "# Interview with a beekeeper\n\nShe keeps nine hives on the roof of a school, and the pupils have named them "
        "all.\n\n## How it began\n\nWith a swarm in the gutter, on the hottest day of June. Nobody knew whom to call, "
        "so she read a book overnight and fetched it down in the morning, in a cardboard box.\n\n## What she would do "
        "otherwise\n\n> Begin with two hives. With one you have nothing to compare it to.\n\nThe honey goes to whoever "
        "carries the ladder.\n",
    ),
    (
        "Newsletter, May",
        "# Newsletter, May\n\nThree new prints, one open evening, and the answer to last month's riddle.\n",
    ),
    ("Notes from the fair", "# Notes from the fair\n\n- Paper: heavier than we thought\n- The blue sold out by noon\n"),
)


@dataclass
class Api:
    """What the apps' servers do for the demo person."""

    service: Service

    def call(self, method: str, route: str, app: str = "penora", **body: Any) -> dict[str, Any]:
        key = self.service.facts["app_keys"][app]
        answer = self.service.call(method, route, body or None, key=key)
        if answer.status >= 300:
            sys.exit(f"{method} {route} answered {answer.status}: {answer.body.decode()[:500]}")
        told: dict[str, Any] = json.loads(answer.body) if answer.body else {}
        return told

    def save(self, title: str, content: str, app: str, **more: Any) -> str:
        kind = "ai_art" if app == "imagegene" else "page"
        sent = {"user_id": DEMO_USER_ID, "app_source": app, "project_type": kind, "title": title, "content": content}
        return str(self.call("POST", "save-project", app, **sent, **more)["project_code"])

    def projects(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"projects?user_id={quote(DEMO_USER_ID)}")["all_projects"]
        return found

    def delete(self, code: str) -> None:
        self.call("DELETE", f"projects/{code}?user_id={quote(DEMO_USER_ID)}")

    def room(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.call("GET", f"storage-stats?user_id={quote(DEMO_USER_ID)}")
        return stats


def landscape(colours: tuple[str, str, str], *, seed: int, size: tuple[int, int] = (640, 400)) -> str:
    """A sky that turns from one colour to another, a sun, and three ranges of hills, as a data URI."""
    chance = random.Random(seed)  # noqa: S311  the same pictures each time
    width, height = size
    sky, glow, land = colours
    turn = Image.linear_gradient("L").resize(size)
    picture = Image.composite(Image.new("RGB", size, glow), Image.new("RGB", size, sky), turn)
    draw = ImageDraw.Draw(picture)
    x, y, r = chance.randint(width // 5, 4 * width // 5), chance.randint(height // 5, height // 2), height // 9
    draw.ellipse((x - r, y - r, x + r, y + r), fill="#fff7d6")
    picture = picture.filter(ImageFilter.GaussianBlur(1.5))
    draw = ImageDraw.Draw(picture)
    for nth in range(3):
        share = (nth + 1) / 3
        level = height * (0.5 + 0.15 * nth)
        tops = [(i * width / 8, level + chance.uniform(-0.09, 0.09) * height) for i in range(9)]
        colour = Image.blend(Image.new("RGB", (1, 1), glow), Image.new("RGB", (1, 1), land), share).getpixel((0, 0))
        draw.polygon([(0, height), *tops, (width, height)], fill=colour)
    return uri(picture)


def noise(seed: int, side: int) -> str:
    """A picture that no encoder makes small."""
    return uri(Image.frombytes("RGB", (side, side), random.Random(seed).randbytes(3 * side * side)))  # noqa: S311


def uri(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def fill(api: Api) -> None:
    """A lively account: more projects, a refund, a hold."""
    user = {"user_id": DEMO_USER_ID}
    for title, text in TEXTS:
        charge = {"operation": "page", "quantity": 1}
        api.save(title, text, "penora", metadata={"format": "markdown"}, charge=charge)
    for nth, (title, style, colours) in enumerate(PICTURES):
        metadata = {"style": style, "dimensions": "640x400", "model": "demo", "prompt": title}
        charge = {"operation": "basic_art", "quantity": 1}
        api.save(title, landscape(colours, seed=nth), "imagegene", metadata=metadata, charge=charge)
    spent = api.call(
        "POST",
        "deduct-credits",
        "imagegene",
        **user,
        amount=3,
        app_name="imagegene",
        description="A picture that failed",
    )
    reason = "The picture could not be made"
    api.call("POST", "refund-credits", "imagegene", transaction_id=spent["transaction_id"], reason=reason)
    api.call(
        "POST", "reserve-credits", "imagegene", **user, app_name="imagegene", operation="advanced_art", quantity=1
    )  # fmt: skip


def fill_up(api: Api) -> list[str]:
    """Nearly to the last byte. What was saved for it."""
    made: list[str] = []
    while (share := (room := api.room()["storage_stats"])["used_bytes"] / room["limit_bytes"]) < NEARLY_FULL:
        side = 190 if share < 0.8 else 90
        made.append(api.save(f"Study in noise, no. {len(made) + 1}", noise(len(made), side), "imagegene"))
    return made


def many(api: Api) -> None:
    """As many projects as the pages are measured with, half of them pictures."""
    missing = range(MANY - len(api.projects()))

    def one(nth: int) -> None:
        if nth % 2:
            api.save(f"Page no. {nth}", f"# Page no. {nth}\n\nWords that stand here to be found.\n", "penora")
        else:
            colours = PICTURES[nth // 2 % len(PICTURES)][2]
            api.save(f"Picture no. {nth}", landscape(colours, seed=nth, size=(160, 100)), "imagegene")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, missing))


@dataclass
class Camera:
    browser: Browser
    url: str
    signed_in: StorageState | None = None

    @contextmanager
    def looking(self, theme: str = "light", width: int = 1440) -> Iterator[Page]:
        context: BrowserContext = self.browser.new_context(
            base_url=self.url,
            color_scheme="dark" if theme == "dark" else "light",
            viewport={"width": width, "height": SIZES[width]},
            storage_state=self.signed_in,
        )
        try:
            yield context.new_page()
        finally:
            context.close()

    def take(self, shots: dict[str, str]) -> None:
        """Each of the pages (by the picture's name) in each theme and width."""
        for theme in THEMES:
            for width in SIZES:
                with self.looking(theme, width) as page:
                    for name, path in shots.items():
                        response = page.goto(path)
                        if response is None or not response.ok:
                            sys.exit(f"{path} answered {response and response.status}")
                        page.wait_for_function(
                            "[...document.images].every(one => one.complete || one.loading == 'lazy')"
                        )
                        page.screenshot(
                            path=FOLDER / f"{name}-{theme}-{width}.png",
                            full_page=True,
                            caret="initial",
                            animations="disabled",
                        )
                        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                            print(f"TOO WIDE: {name} at {width}")
        print(f"{', '.join(shots)}: taken", flush=True)


def enter(camera: Camera) -> None:
    with camera.looking() as page:
        page.goto("/signin/")
        page.get_by_role("button", name="Continue as the demo user").click()
        page.locator(".who .name").first.wait_for()
        camera.signed_in = page.context.storage_state()


def ask_for_plan(camera: Camera) -> None:
    with camera.looking() as page:
        page.goto("/plans/")
        page.get_by_role("button", name="Ask for Plus").click()
        page.get_by_role("button", name="Withdraw").wait_for()


WATCH = """
  window.shift = 0;
  new PerformanceObserver(list => { for (const one of list.getEntries()) window.shift += one.value; })
    .observe({type: "layout-shift", buffered: true});
"""


def measure(camera: Camera, path: str) -> dict[str, float]:
    """One first visit: a browser without a cache, the page, and half a second more, in which nothing may move."""
    with camera.looking() as page:
        bodies: list[tuple[str, bytes]] = []
        page.on("response", lambda response: read(response, bodies))
        page.add_init_script(WATCH)
        page.goto(path, wait_until="load")
        page.wait_for_timeout(500)
        return {
            "fcp": page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"),
            "shift": page.evaluate("window.shift"),
            "bytes": sum(len(body) for _, body in bodies) / 1000,
            "wire": sum(on_the_wire(address, body) for address, body in bodies) / 1000,
        }


def read(response: Response, bodies: list[tuple[str, bytes]]) -> None:
    if response.request.resource_type in {"document", "stylesheet", "script"}:
        bodies.append((response.url, response.body()))


def on_the_wire(address: str, body: bytes) -> int:
    """In production, static files go out as WhiteNoise has compressed them; the development server sends them as is."""
    return len(brotli.compress(body)) if "/static/" in address else len(body)


def report(camera: Camera) -> None:
    print(f"\nWith {MANY} projects, first visits, medians of {RUNS}")
    print(f"(aimed at: first paint within {FCP_MS} ms, layout shift up to {SHIFT}, {KILOBYTES} KB):")
    for path in ("/projects/", "/projects/?view=list", "/storage/", "/credits/", "/plans/", "/account/"):
        measure(camera, path)  # templates are loaded
        found = [measure(camera, path) for _ in range(RUNS)]
        fcp, shift, whole, wire = (
            statistics.median(one[name] for one in found) for name in ("fcp", "shift", "bytes", "wire")
        )
        sizes = f"{wire:5.1f} KB on the wire ({whole:.1f} KB before compression)"
        print(f"{path:22}{fcp:5.0f} ms   shift {shift:.3f}   {sizes}", flush=True)


def main() -> None:
    chromium = shutil.which("chromium") or sys.exit("There is no Chromium: install Debian's package 'chromium'.")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with home() as folder, running(folder, LOG_LEVEL="ERROR") as service, sync_playwright() as playwright:
        api = Api(service)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        camera = Camera(browser, service.url)
        fill(api)
        camera.take({"home": "/", "sign-in": "/signin/"})
        enter(camera)
        ask_for_plan(camera)
        codes = {one["title"]: one["code"] for one in api.projects()}
        for title in ("Winter morning", "Launch checklist", "Notes from the fair"):
            api.delete(codes[title])
        camera.take(
            {
                "projects": "/projects/",
                "projects-list": "/projects/?view=list",
                "projects-nothing-found": "/projects/?q=submarine",
                "project-picture": f"/projects/{codes['Northern lights over the fjord']}/",
                "project-text": f"/projects/{codes['Interview with a beekeeper']}/",
                "storage": "/storage/",
                "trash": "/storage/trash/",
                "credits": "/credits/",
                "plans": "/plans/",
                "account": "/account/",
                "delete": "/account/delete/",
            }
        )
        filling = fill_up(api)
        camera.take({"storage-full": "/storage/", "projects-full": "/projects/"})
        for code in filling:
            api.delete(code)
        many(api)
        report(camera)
        for one in api.projects():
            api.delete(one["code"])
        camera.take({"projects-empty": "/projects/"})
        browser.close()
    print(f"\nThe pictures are in {FOLDER.relative_to(ROOT)}/.")


if __name__ == "__main__":
    main()
