"""
Pictures of a person's own pages in each state, and how fast they are. Run by `make screenshots`; writes whole pages to
var/screenshots/pages/, what a screen shows of them to docs/images/pages/ (each state once: light and dark, a desk's and
a telephone's), and the figures to bench/results/pages.md. Starts a service, two apps and a stand-in for Google, with
data of their own, which are gone in the end; needs Debian's Chromium.
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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from playwright.sync_api import Browser, BrowserContext, Page, Response, Route, StorageState, sync_playwright  # noqa: E402

from tests.browser.conftest import FLAGS  # noqa: E402
from tests.browser.stack import Stack, stack  # noqa: E402
from tests.quickstart.service import Service  # noqa: E402
from unified.seed import DEMO_USER_ID  # noqa: E402

FOLDER = ROOT / "var" / "screenshots" / "pages"
RESULTS = ROOT / "bench" / "results" / "pages.md"
FOR_DOCS = ROOT / "docs" / "images" / "pages"
THEMES = ("light", "dark")
SIZES = {1440: 900, 390: 844}  # a desk's and a telephone's, width to height
MANY = 200
RUNS = 3
FCP_MS, SHIFT, KILOBYTES = 500, 0.05, 150  # what is aimed at
SCALE, GAP = 0.6, 16  # of the pictures for the documentation

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
    saved: int = 0

    def call(self, method: str, route: str, app: str = "penora", **body: Any) -> dict[str, Any]:
        key = self.service.facts["app_keys"][app]
        answer = self.service.call(method, route, body or None, key=key)
        if answer.status >= 300:
            sys.exit(f"{method} {route} answered {answer.status}: {answer.body.decode()[:500]}")
        told: dict[str, Any] = json.loads(answer.body) if answer.body else {}
        return told

    def save(self, title: str, content: str, app: str, **more: Any) -> str:
        self.saved += 1
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


def fill_up(api: Api, share: float) -> list[str]:
    """Until that share of the room is taken. What was saved for it."""
    made: list[str] = []
    while (left := round(share * (room := api.room()["storage_stats"])["limit_bytes"]) - room["used_bytes"]) > 0:
        if left < 4_000:  # the last of it by a text, to the byte
            made.append(api.save("The last words", "." * left, "penora"))
            continue
        side = next(side for side in (190, 90, 40, 12) if 3.2 * side * side < left or side == 12)
        made.append(api.save(f"Study in noise, no. {len(made) + 1}", noise(api.saved, side), "imagegene"))
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


Deed = Callable[[Page], None]


@dataclass(frozen=True)
class Shot:
    """A page, what is done on it before the picture is taken, and what it answers."""

    path: str
    deed: Deed | None = None
    status: int = 200


@dataclass
class Camera:
    browser: Browser
    url: str
    signed_in: StorageState | None = None
    screens: dict[str, Image.Image] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)

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

    def take(self, shots: dict[str, Shot | str]) -> None:
        """Each of the pages (by the picture's name) in each theme and width."""
        for theme in THEMES:
            for width in SIZES:
                with self.looking(theme, width) as page:
                    for name, shot in shots.items():
                        self._take(page, shot if isinstance(shot, Shot) else Shot(shot), f"{name}-{theme}-{width}")
                        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                            print(f"TOO WIDE: {name} at {width}")
        self.taken += shots
        print(f"{', '.join(shots)}: taken", flush=True)

    def _take(self, page: Page, shot: Shot, name: str) -> None:
        page.unroute_all()
        response = page.goto(shot.path)
        if response is None or response.status != shot.status:
            sys.exit(f"{shot.path} answered {response and response.status}")
        if shot.deed:
            shot.deed(page)
        page.wait_for_function("[...document.images].every(one => one.complete || one.loading == 'lazy')")
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=FOLDER / f"{name}.png", full_page=True, caret="initial", animations="disabled")
        # (What sticks to an edge of the screen stands in the midst of a whole page.)
        screen = Image.open(io.BytesIO(page.screenshot(caret="initial", animations="disabled"))).convert("RGB")
        size = (round(screen.width * SCALE), round(screen.height * SCALE))
        self.screens[name] = screen.resize(size, Image.Resampling.LANCZOS)
        page.context.set_offline(False)
        while HELD:
            HELD.pop().abort()

    def for_docs(self) -> None:
        """What a screen shows of each state, in one picture: light above dark, a desk's beside a telephone's."""
        shutil.rmtree(FOR_DOCS, ignore_errors=True)
        FOR_DOCS.mkdir(parents=True)
        for name in self.taken:
            rows = [[self.screens[f"{name}-{theme}-{width}"] for width in SIZES] for theme in THEMES]
            wide = sum(screen.width for screen in rows[0]) + GAP * (len(SIZES) + 1)
            high = sum(row[0].height for row in rows) + GAP * (len(rows) + 1)
            sheet = Image.new("RGB", (wide, high), "#8b919c")
            for nth, row in enumerate(rows):
                left, top = GAP, GAP + nth * (row[0].height + GAP)
                for screen in row:
                    sheet.paste(screen, (left, top))
                    left += screen.width + GAP
            sheet.save(FOR_DOCS / f"{name}.webp", quality=72, method=6)


def enter(camera: Camera, name: str | None = None) -> None:
    """Signs in with Google's stand-in: the demo person, or somebody of that name."""
    camera.signed_in = None
    with camera.looking() as page:
        page.goto("/signin/")
        page.get_by_role("button", name="Continue with Google").click()
        if name is None:
            page.get_by_role("button", name="Demo User").first.click()
        else:
            page.get_by_text("Be somebody else").click()
            page.get_by_label("Any number or name").fill(name)
            page.get_by_role("button", name="Continue").click()
        page.locator(".who .name").first.wait_for()
        camera.signed_in = page.context.storage_state()


def enter_apps(camera: Camera, *apps: str) -> None:
    """Without a click: whoever is signed in to Unified is signed in to the apps by opening them."""
    with camera.looking() as page:
        for app in apps:
            page.goto(f"{app}/")
            page.locator(".who .name").wait_for()
        camera.signed_in = page.context.storage_state()


def ask_for_plan(camera: Camera) -> None:
    with camera.looking() as page:
        page.goto("/plans/")
        page.get_by_role("button", name="Ask for Plus").click()
        page.get_by_role("button", name="Withdraw").wait_for()


def approve(camera: Camera, service: Service) -> None:
    """By staff, in the admin."""
    admin, as_person = service.facts["admin"], camera.signed_in
    camera.signed_in = None
    with camera.looking() as page:
        page.goto("/admin/upgrades/")
        page.get_by_label("User id").fill(admin["user_id"])
        page.get_by_label("Password", exact=True).fill(admin["password"])
        page.get_by_role("button", name="Sign in").first.click()
        page.locator("#content a[href*='/admin/upgrades/']").first.click()
        page.get_by_label("Reason").fill("Asked for it, and has used the room well")
        page.get_by_role("button", name="Approve").click()
        page.locator(".messagelist .success").wait_for()
    camera.signed_in = as_person


# What is done on a page before its picture is taken. Nothing here waits for a time, only for what it is about.


def lose_the_network(page: Page) -> None:
    page.context.set_offline(True)
    page.locator("#connection").wait_for()


def look_for_something(page: Page) -> None:
    page.get_by_label("Search").fill("hills")


def search_in_vain(page: Page) -> None:
    page.route("**/projects/?*q=*", lambda route: route.abort())
    look_for_something(page)
    page.locator("#trouble").wait_for()


HELD: list[Route] = []  # what is not answered before the picture is taken


def wait_for_an_answer(page: Page) -> None:
    with page.expect_request("**/projects/?*q=*"):
        page.route("**/projects/?*q=*", lambda route: HELD.append(route))  # noqa: PLW0108  Playwright marks what it is given
        look_for_something(page)
    page.locator(".htmx-request").first.wait_for()


def tick(page: Page) -> None:
    for nth in range(3):
        page.locator("#going input[name=project]").nth(nth).check()


def open_the_exact(page: Page) -> None:
    page.locator("#exactly summary").click()


def open_the_menu(page: Page) -> None:
    page.locator(".who summary").click()


def delete_without_a_session(page: Page) -> None:
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("nothing was changed").wait_for()


def begin_to_rename(page: Page) -> None:
    page.get_by_text("Rename", exact=True).first.click()


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
    lines = [
        "# How fast a person's own pages are\n",
        "By `make screenshots`; how it is measured stands in [bench/screenshots.py](../screenshots.py). "
        f"{MANY} projects, first visits from the same machine, medians of {RUNS}. Aimed at: first paint within "
        f"{FCP_MS} ms, layout shift up to {SHIFT}, {KILOBYTES} KB without pictures.\n",
        "| page | first paint, ms | layout shift | KB on the wire | KB before compression |",
        "|---|---:|---:|---:|---:|",
    ]
    for path in ("/projects/", "/projects/?view=list", "/storage/", "/credits/", "/plans/", "/account/"):
        measure(camera, path)  # templates are loaded
        found = [measure(camera, path) for _ in range(RUNS)]
        fcp, shift, whole, wire = (
            statistics.median(one[name] for one in found) for name in ("fcp", "shift", "bytes", "wire")
        )
        lines.append(f"| `{path}` | {fcp:.0f} | {shift:.3f} | {wire:.0f} | {whole:.0f} |")
    RESULTS.write_text("\n".join(lines) + "\n")
    print("", *lines[3:], sep="\n", flush=True)


def main() -> None:
    chromium = shutil.which("chromium") or sys.exit("There is no Chromium: install Debian's package 'chromium'.")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with stack() as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        camera = Camera(browser, running.unified.url)
        show(camera, Api(running.unified), running)
        browser.close()
    camera.for_docs()
    print(f"\nWhole pages are in {FOLDER.relative_to(ROOT)}/, pictures for the docs in {FOR_DOCS.relative_to(ROOT)}/.")


def show(camera: Camera, api: Api, running: Stack) -> None:
    """A person's life with Unified, from the door to the last project."""
    camera.take({"home": "/", "sign-in": "/signin/"})
    enter(camera, "somebody new")
    empty = {"projects": "/projects/", "storage": "/storage/", "trash": "/storage/trash/", "credits": "/credits/"}
    camera.take({f"{name}-empty": path for name, path in empty.items()})

    fill(api)
    enter(camera)
    enter_apps(camera, running.penora, running.imagegene)
    codes = {one["title"]: one["code"] for one in api.projects()}
    for title in ("Winter morning", "Launch checklist", "Notes from the fair"):
        api.delete(codes[title])
    picture = f"/projects/{codes['Northern lights over the fjord']}/"
    camera.take(
        {
            "projects": "/projects/",
            "projects-list": "/projects/?view=list",
            "projects-nothing-found": "/projects/?q=submarine",
            "projects-waiting": Shot("/projects/", wait_for_an_answer),
            "projects-trouble": Shot("/projects/", search_in_vain),
            "projects-offline": Shot("/projects/", lose_the_network),
            "project-picture": picture,
            "project-text": f"/projects/{codes['Interview with a beekeeper']}/",
            "project-rename": Shot(picture, begin_to_rename),
            "project-in-trash": Shot(f"/projects/{codes['Winter morning']}/", status=404),
            "project-not-there": Shot("/projects/ZZZZZZ/", status=404),
            "storage": Shot("/storage/", open_the_exact),
            "trash": "/storage/trash/",
            "credits": "/credits/",
            "plans": "/plans/",
            "account": Shot("/account/", open_the_menu),
            "account-delete": "/account/delete/",
            "goodbye": "/goodbye/",
        }
    )
    camera.take({"sign-in-expired": Shot(picture, delete_without_a_session)})
    for name, share in (("80", 0.81), ("95", 0.96), ("100", 1.0)):
        fill_up(api, share)
        camera.take({f"storage-{name}": Shot("/storage/", tick) if name == "95" else "/storage/"})
    camera.take({"projects-full": "/projects/"})
    ask_for_plan(camera)
    camera.take({"plans-asked": "/plans/"})
    approve(camera, running.unified)
    camera.take({"plans-approved": "/plans/"})
    many(api)
    report(camera)


if __name__ == "__main__":
    main()
