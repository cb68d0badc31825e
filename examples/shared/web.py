"""The page of an example app: who you are, the credits and the workspace that all apps share, and a wish to grant."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests
from flask import Flask, Response, flash, redirect, render_template, request, send_from_directory
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from examples.shared.api import Api, CouldNotMake, Maker, Refused
from examples.shared.sessions import MemorySessions
from examples.shared.signin import SignedOut, SignIn, SignInFailed, session

PROMPT_LENGTH = 160
NAMES = {"penora": "Penora", "imagegene": "ImageGene"}


@dataclass(frozen=True)
class Product:
    """What makes one app another than the next."""

    name: str
    promise: str
    noun: str
    example: str
    maker: Maker
    folder: Path

    @property
    def slug(self) -> str:
        return self.maker.app


def create_app(product: Product) -> Flask:
    unified_url = os.environ.get("UNIFIED_URL", "http://127.0.0.1:8000").rstrip("/")
    app_url = os.environ["APP_URL"].rstrip("/")
    app = Flask(__name__)
    app.session_interface = MemorySessions()
    app.config.update(
        # Cookies do not know ports: two apps on one host need two names.
        SESSION_COOKIE_NAME=f"{product.slug}_session",
        SESSION_COOKIE_SECURE=app_url.startswith("https:"),
        MAX_CONTENT_LENGTH=16_384,
    )
    signin = SignIn(
        app,
        unified_url=unified_url,
        app_url=app_url,
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ.get("CLIENT_SECRET") or None,
    )
    api = Api(unified_url, signin)
    _add_pages(app, product, signin, api)
    _add_guards(app, unified_url=unified_url, app_url=app_url)
    _add_failures(app, signin)
    app.context_processor(
        lambda: {
            "product": product,
            "unified_url": unified_url,
            "sister": {"name": os.environ.get("SISTER_NAME"), "url": os.environ.get("SISTER_URL")},
            "prompt_length": PROMPT_LENGTH,
        }
    )
    app.add_template_filter(_size, "size")
    app.add_template_filter(lambda slug: NAMES.get(slug, slug), "app_name")
    return app


def _add_pages(app: Flask, product: Product, signin: SignIn, api: Api) -> None:
    @app.get("/")
    def home() -> AnyResponse | str:
        if "state" in request.args:
            if signin.is_back_from_signing_out():
                flash("You are signed out of Unified and of every app that uses it.")
            return redirect("/")
        if not signin.signed_in:
            # Whoever signed in to another app is simply in. Asked once: the answer may be that nobody is.
            return render_template("signed_out.html") if session.get("asked") else signin.start(silently=True)
        page = render_template(
            "desk.html",
            who=session["who"],
            user=api.get("user-info"),
            projects=api.get("projects", limit=24),
            history=api.get("transactions", limit=6)["all_transactions"],
            price=_price(api, product),
            attempt=uuid.uuid4(),
            draft=session.pop("draft", ""),
        )
        session.pop("asked", None)  # these tokens work; if they are cut one day, it is worth asking again
        return page

    @app.get("/projects/<code>")
    def project(code: str) -> str:
        """Any project of the person's, whichever app made it."""
        told = api.get(f"projects/{quote(code, safe='')}")["project"]
        return render_template("project.html", who=session["who"], project=told)

    @app.get("/signin")
    def sign_in() -> AnyResponse:
        return signin.start()

    @app.get("/callback")
    def callback() -> AnyResponse | tuple[str, int]:
        if not session:
            # Going home from here would ask again and end here again, for ever.
            return render_template("trouble.html", title="Your browser sent no cookie", text=NO_COOKIE), 400
        had_been_in = session.pop("had_been_in", False)
        try:
            signin.finish()
        except SignInFailed as problem:
            if not signin.signed_in:
                flash(str(problem), "bad")
        else:
            if had_been_in and not signin.signed_in:
                flash("You have been signed out of Unified, so you are signed out here too.")
        return redirect("/")

    @app.post("/signout")
    def sign_out() -> AnyResponse:
        return signin.sign_out()

    @app.post("/generate")
    def generate() -> AnyResponse:
        prompt = _tidy(request.form.get("prompt", ""))
        session["draft"] = prompt  # whatever goes wrong, nobody types it again
        if not prompt:
            flash(f"Say what the {product.noun} should be about.", "bad")
            return redirect("/", 303)
        try:
            saved = api.generate(product.maker, prompt, _attempt(request.form.get("attempt", ""), prompt))
        except Refused as refusal:
            flash(_explained(refusal), "bad")
        except CouldNotMake:
            flash(f"The {product.noun} could not be made. Its credits are free again: nothing was charged.", "bad")
        else:
            session.pop("draft", None)
            charge = saved["charge"]
            flash(
                f"Saved as {saved['project_code']} with {_size(saved['size_bytes'])}. "
                f"{_credits(charge['credits_deducted'])} paid, {charge['new_balance']} left for both apps.",
                "good",
            )
        return redirect("/", 303)

    @app.get("/icon.svg")
    def icon() -> Response:
        return send_from_directory(product.folder, "icon.svg")

    @app.get("/healthz")
    def health() -> str:
        return "ok"


def _add_guards(app: Flask, *, unified_url: str, app_url: str) -> None:
    unified_origin = _origin(unified_url)
    # The thumbnails come from Unified; signing in and out leads a form's answer there. Nothing else is foreign.
    policy = (
        f"default-src 'none'; style-src 'self'; img-src 'self' {unified_origin}; "
        f"form-action 'self' {unified_origin}; base-uri 'none'; frame-ancestors 'none'"
    )

    @app.before_request
    def guard() -> AnyResponse | tuple[str, int] | None:
        if request.method == "POST" and request.headers.get("Origin") != _origin(app_url):
            # SameSite alone would let pages of other ports on this host through: a site has no port.
            return render_template("trouble.html", title="That came from another page", text=FOREIGN), 403
        if request.method == "GET" and request.host != urlsplit(app_url).netloc:
            return redirect(f"{app_url}/")  # a cookie set for `localhost` is not seen at 127.0.0.1
        return None

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"
        return response


def _add_failures(app: Flask, signin: SignIn) -> None:
    """Whatever happens, a person gets a page that says it."""

    @app.errorhandler(SignedOut)
    def signed_out(_: SignedOut) -> AnyResponse:
        signin.forget()
        session["had_been_in"] = True
        return redirect("/", 303)  # which asks Unified silently, unless that is how we came here

    @app.errorhandler(Refused)
    def refused(refusal: Refused) -> tuple[str, int]:
        title = str(refusal.told.get("error") or "Unified said no")
        return render_template("trouble.html", title=title, text=str(refusal)), 404 if refusal.status == 404 else 502

    @app.errorhandler(requests.RequestException)
    def unreachable(problem: requests.RequestException) -> tuple[str, int]:
        app.logger.warning("Unified does not answer: %s", problem)
        return render_template("trouble.html", title="Unified does not answer", text=UNREACHABLE), 503

    @app.errorhandler(HTTPException)
    def http(problem: HTTPException) -> tuple[str, int]:
        return render_template("trouble.html", title=problem.name, text=problem.description), problem.code or 500


NO_COOKIE = (
    "Signing in needs one, to know that whoever comes back is whoever went. Allow cookies and open the app again."
)
FOREIGN = "This app takes orders from its own pages only. Open it and try again."
UNREACHABLE = (
    "Nothing is lost: what was saved is saved, and what was held is free again before long. Try again shortly."
)


def _price(api: Api, product: Product) -> str | None:
    """What one piece costs, from the price list that charges it."""
    for operation in api.get("pricing")["operations"]:
        if operation["operation"] == product.maker.operation:
            return _credits(operation["credits"])
    return None


def _attempt(named: str, prompt: str) -> str:
    """One wish of a person: the form that was sent and what it asks for. Sent twice, it is the same."""
    return hashlib.sha256(f"{named} {prompt}".encode()).hexdigest()[:32]


def _explained(refusal: Refused) -> str:
    told = refusal.told
    if refusal.code == "insufficient_credits":
        return (
            f"That takes {_credits(told['needed'])} and you can spend {told['credits']}: "
            f"{_credits(told['shortfall'])} short. Nothing was charged."
        )
    if refusal.code == "storage_limit_exceeded":
        return (
            f"The workspace is too full: {_size(told['needed_bytes'])} are needed and {_size(told['available_bytes'])} "
            "are free. Nothing was charged."
        )
    return f"{refusal}. Nothing was charged."


def _tidy(prompt: str) -> str:
    """One line of what can be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in prompt).split())[:PROMPT_LENGTH]


def _credits(amount: int) -> str:
    return "1 credit" if amount == 1 else f"{amount} credits"


def _size(count: int) -> str:
    if count < 1000:
        return "1 byte" if count == 1 else f"{count} bytes"
    if count < 1_000_000:
        return f"{count / 1024:.0f} KB"
    return f"{count / 2**20:.2f}".rstrip("0").rstrip(".") + " MB"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
