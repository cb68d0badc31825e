"""
One sign-in, two apps, without a browser: the running service, a real OpenID Connect issuer in Google's place, and two
clients of Authlib. Every step names the specification and the section that it holds the service against, and all of
them are printed as a table. They share one browser, so they are one test; what fails, says which step it was in.
"""

from __future__ import annotations

import base64
import io
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from authlib.integrations.base_client import OAuthError
from PIL import Image

from tests.quickstart.service import Service, free_port, home, running
from tests.sso.parties import DEMO, App, Browser, issuer, origin, query_of, register

ALL_SCOPES = "openid profile email credits.read credits.spend workspace.read workspace.write"


class Flow:
    """What the steps hand on to each other."""

    def __init__(self, service: Service, issuer_url: str) -> None:
        self.service = service
        self.issuer_url = issuer_url
        self.browser = Browser(service.url, issuer_url)
        self.page: Any = None
        self.tokens: dict[str, Any] = {}
        # Nobody listens there: the browser stops where an app would take over.
        addresses = {slug: f"http://127.0.0.1:{free_port()}" for slug in ("penora", "imagegene")}
        self.penora, self.imagegene = (
            App(
                service=service,
                client=register(
                    service,
                    *(slug, "--redirect-uri", f"{address}/callback", "--post-logout-uri", f"{address}/"),
                    *kind,
                ),
                scope=ALL_SCOPES,
                address=address,
            )
            for (slug, address), kind in zip(addresses.items(), ([], ["--public"]), strict=True)
        )
        self.asked = self.penora.ask()


@dataclass(frozen=True)
class Step:
    what: str
    sections: str
    walk: Callable[[Flow], str]


STEPS: list[Step] = []


def step(what: str, *sections: str) -> Callable[[Callable[[Flow], str]], Callable[[Flow], str]]:
    """Adds a step: what is done, what it is held against, and a function that gives what was found."""

    def add(walk: Callable[[Flow], str]) -> Callable[[Flow], str]:
        STEPS.append(Step(what, ", ".join(sections), walk))
        return walk

    return add


@pytest.fixture(scope="module")
def flow() -> Iterator[Flow]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with issuer() as issuer_url, home() as folder, _service(folder, port, url, issuer_url) as service:
        yield Flow(service, issuer_url)


def _service(folder: Path, port: int, url: str, issuer_url: str) -> Any:
    return running(
        folder,
        port=port,
        quickstart_open=False,
        UNIFIED_URL=url,
        GOOGLE_ISSUER=issuer_url,
        GOOGLE_CLIENT_ID="unified-tests",
        GOOGLE_CLIENT_SECRET="the mock takes any",
        NO_PROXY="127.0.0.1",
    )


# --- Finding the provider ---------------------------------------------------------------------------------------------


@step("The provider is found", "OIDC Discovery 1.0 §4")
def discovery(flow: Flow) -> str:
    answer = flow.penora.anonymously("GET", f"{flow.service.url}/o/.well-known/openid-configuration")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    document = answer.json()
    issuer_url = f"{flow.service.url}/o"
    assert document["issuer"] == issuer_url  # §4.3: exactly the address that was asked, without the rest
    ends = [
        *("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"),
        *("revocation_endpoint", "introspection_endpoint"),
    ]
    assert all(document[name].startswith(f"{issuer_url}/") for name in ends)
    assert document["response_types_supported"] == ["code"]
    assert document["id_token_signing_alg_values_supported"] == ["RS256"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["subject_types_supported"] == ["public"]
    assert set(document["grant_types_supported"]) == {"authorization_code", "refresh_token"}
    return f"issuer, {len(ends)} endpoints, code + S256 + RS256 only"


@step("Its keys are found, the next one too", "RFC 7517 §5")
def jwks(flow: Flow) -> str:
    keys = flow.penora.anonymously("GET", flow.penora.metadata["jwks_uri"]).json()["keys"]
    assert len({key["kid"] for key in keys}) == len(keys) == 2
    for key in keys:
        assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
        assert not {"d", "p", "q", "dp", "dq", "qi"} & key.keys(), "a private key is published"
    return "two RSA keys to verify with, nothing private"


# --- Coming in by the first app ---------------------------------------------------------------------------------------


@step("Penora asks, with PKCE S256", "RFC 6749 §4.1.1", "RFC 7636 §4.3")
def authorization_request(flow: Flow) -> str:
    asked = query_of(flow.asked.url)
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["code_challenge"] != flow.asked.verifier
    flow.page = flow.browser.open(flow.asked.url)
    assert flow.page.status_code == 200
    assert urlsplit(flow.page.url).path == "/signin/"
    assert "to go on to" in flow.page.text
    assert "Penora" in flow.page.text
    return "a sign-in page that names the app"


@step("Unified asks upstream: state, nonce, PKCE", "OIDC Core 1.0 §3.1.2.1")
def upstream_request(flow: Flow) -> str:
    flow.page = flow.browser.press(flow.page, "Continue with Google")
    assert origin(flow.page.url) == flow.issuer_url
    asked = query_of(flow.page.url)
    assert asked["scope"].split()[0] == "openid"
    assert asked["response_type"] == "code"
    assert asked["redirect_uri"] == f"{flow.service.url}/signin/complete/google/"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert min(len(asked["state"]), len(asked["nonce"])) >= 16
    return "a page of the issuer, code flow, S256"


@step("A way back that nobody began is refused", "OIDC Core 1.0 §3.1.2.7", "RFC 6749 §10.12")
def upstream_state(flow: Flow) -> str:
    other = Browser(flow.service.url, flow.issuer_url)
    refused: Any = other.open(f"{flow.service.url}/signin/complete/google/?code=stolen&state=guessed")
    assert refused.status_code >= 400
    assert "This sign-in cannot go on" in refused.text
    return f"{refused.status_code}, and a page that says so"


@step("The person is back with code, state and iss", "RFC 6749 §4.1.2", "RFC 9207 §2")
def authorization_response(flow: Flow) -> str:
    flow.page = flow.browser.press(flow.page, DEMO["sub"])
    answer = query_of(flow.page)
    assert flow.page.startswith(f"{flow.penora.callback}?")
    assert answer.keys() == {"code", "state", "iss"}
    assert answer["state"] == flow.asked.state
    assert answer["iss"] == flow.penora.metadata["issuer"]
    assert len(flow.browser.walked) == 4  # issuer, back to us, on to the provider, on to the app: nothing to click
    return "the state of the request, the issuer's name"


@step("Penora's server has its code redeemed", "RFC 6749 §4.1.3", "§5.1")
def token_request(flow: Flow) -> str:
    seen: list[Any] = []
    flow.penora.http.hooks["response"].append(lambda answer, *_, **__: seen.append(answer))
    token = flow.tokens["penora"] = flow.penora.redeem(flow.page, flow.asked)
    flow.penora.http.hooks["response"].clear()
    (answer,) = seen
    assert answer.request.headers["Authorization"].startswith("Basic ")
    assert "no-store" in answer.headers["Cache-Control"]
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 900)
    assert token["access_token"].startswith("uut_")
    assert token["refresh_token"].startswith("uur_")
    assert set(token["scope"].split()) == set(ALL_SCOPES.split())
    return "Bearer, 15 minutes, not to be stored"


@step("The ID token holds: iss, aud, exp, nonce, at_hash, RS256", "OIDC Core 1.0 §3.1.3.7", "§3.1.3.8")
def id_token(flow: Flow) -> str:
    claims = flow.penora.claims(flow.tokens["penora"], nonce=flow.asked.nonce)
    published = {key["kid"] for key in flow.penora.anonymously("GET", flow.penora.metadata["jwks_uri"]).json()["keys"]}
    assert claims.header["alg"] == "RS256"
    assert claims.header["kid"] in published
    assert claims["at_hash"]  # Authlib compares it if it is there, so it has to be there
    assert claims["exp"] - claims["iat"] == 900
    assert claims["sub"] == DEMO["sub"]
    assert (claims["name"], claims["email"]) == (DEMO["name"], DEMO["email"])
    with pytest.raises(Exception, match="nonce"):
        flow.penora.claims(flow.tokens["penora"], nonce="of another request")
    return "signature and claims; sub is Google's sub"


@step("Userinfo names the same person", "OIDC Core 1.0 §5.3.2")
def userinfo(flow: Flow) -> str:
    answer = flow.penora.http.get(flow.penora.metadata["userinfo_endpoint"])
    assert answer.status_code == 200
    told = answer.json()
    assert told == {"sub": DEMO["sub"], "name": DEMO["name"], "email": DEMO["email"]}
    refused = flow.penora.anonymously("GET", flow.penora.metadata["userinfo_endpoint"])
    assert refused.status_code == 401
    return "sub equal to the ID token's; 401 without a token"


# --- The second app ---------------------------------------------------------------------------------------------------


@step("ImageGene is simply in: prompt=none", "OIDC Core 1.0 §3.1.2.1")
def second_app(flow: Flow) -> str:
    asked = flow.imagegene.ask(prompt="none")
    answer = flow.browser.open(asked.url)
    assert len(flow.browser.walked) == 2, "there was something between the question and the answer"
    token = flow.tokens["imagegene"] = flow.imagegene.redeem(answer, asked)
    claims = flow.imagegene.claims(token, nonce=asked.nonce)
    assert claims["sub"] == DEMO["sub"]
    assert claims["aud"] == flow.imagegene.client_id
    assert flow.imagegene.secret is None
    return "one redirect, no page; a public client"


@step("Both see the same person, credits and projects", "RFC 6750 §2.1")
def same_account(flow: Flow) -> str:
    seen = []
    for app in (flow.penora, flow.imagegene):
        person = app.call("GET", "user-info").json()
        projects = app.call("GET", "projects").json()["all_projects"]
        codes = sorted(project["code"] for project in projects)
        seen.append((person["user_id"], person["credits"], person["storage"]["used_bytes"], codes))
    assert seen[0] == seen[1]
    assert seen[0][0] == DEMO["sub"]
    sources = {project["app_source"] for project in flow.penora.call("GET", "projects").json()["all_projects"]}
    assert sources == {"penora", "imagegene"}
    return f"{seen[0][1]} credits and {len(seen[0][3])} projects in both"


@step("What one spends is gone in the other", "RFC 6750 §2.1")
def one_pool(flow: Flow) -> str:
    before = flow.imagegene.call("GET", "user-info").json()["credits"]
    body = {"amount": 3, "app_name": "penora", "description": "Three pages"}
    spent = flow.penora.call("POST", "deduct-credits", json=body)
    assert spent.status_code == 200, spent.text
    after = flow.imagegene.call("GET", "user-info").json()["credits"]
    assert (before - after, after) == (3, spent.json()["new_balance"])
    return f"{before} before, {after} after, read by the other app"


@step("What one saves is opened by the other", "RFC 6750 §2.1")
def one_workspace(flow: Flow) -> str:
    text = "Saved by Penora. Ünïcode, too."
    body = {"app_source": "penora", "project_type": "page", "title": "From Penora", "content": text}
    saved = flow.penora.call("POST", "save-project", json=body)
    assert saved.status_code in (200, 201), saved.text
    opened = flow.imagegene.call("GET", f"projects/{saved.json()['project_code']}").json()["project"]
    assert (opened["content"], opened["app_source"]) == (text, "penora")
    return f"{saved.json()['project_code']}, to the letter"


@step("A picture of one is fetched by the other", "RFC 6750 §2.1")
def one_picture(flow: Flow) -> str:
    file = io.BytesIO()
    Image.new("RGB", (48, 32), "teal").save(file, "PNG")
    content = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    body = {"app_source": "imagegene", "project_type": "ai_art", "title": "Teal", "content": content}
    saved = flow.imagegene.call("POST", "save-project", json=body)
    assert saved.status_code in (200, 201), saved.text
    project = flow.penora.call("GET", f"projects/{saved.json()['project_code']}").json()["project"]
    picture = flow.penora.anonymously("GET", project["content_url"])
    assert picture.status_code == 200
    assert Image.open(io.BytesIO(picture.content)).size == (48, 32)
    return f"{saved.json()['project_code']}, {picture.headers['Content-Type']}"


@step("Another person's things are refused", "RFC 6750 §3.1")
def nobody_elses(flow: Flow) -> str:
    flow.service.make_user("somebody-else")
    for stranger in ("somebody-else", "nobody-at-all"):
        assert flow.penora.call("GET", f"user-info?user_id={stranger}").status_code == 403
    return "403, whether or not there is one"


@step("A scope that was not asked for is refused", "RFC 6750 §3.1")
def scope(flow: Flow) -> str:
    asked = flow.penora.ask(prompt="none", scope="openid credits.read")
    token = flow.penora.http.token  # the full one, to be put back
    narrow = flow.penora.redeem(flow.browser.open(asked.url), asked)["access_token"]
    flow.penora.http.token = token
    assert flow.penora.call("GET", "user-info", narrow).status_code == 200
    body = {"amount": 1, "app_name": "penora", "description": "One page"}
    refused = flow.penora.call("POST", "deduct-credits", narrow, json=body)
    assert refused.status_code == 403
    challenge = refused.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert "credits.spend" in challenge
    return "403 insufficient_scope, which names credits.spend"


@step("No token, a false one, an ID token: refused", "RFC 6750 §3", "§3.1")
def no_token(flow: Flow) -> str:
    missing = flow.penora.anonymously("GET", f"{flow.service.url}/api/unified/user-info")
    assert missing.status_code == 401
    assert missing.headers["WWW-Authenticate"].startswith("Bearer")
    assert "error=" not in missing.headers["WWW-Authenticate"]  # §3.1: nothing to say of what was not shown
    for false in ("uut_nonsense", flow.tokens["penora"]["id_token"], flow.tokens["penora"]["refresh_token"]):
        refused = flow.penora.call("GET", "user-info", false)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    return "401 with a challenge"


# --- Tokens that live on, and that end --------------------------------------------------------------------------------


@step("A refresh token is exchanged for a new one", "RFC 6749 §6", "RFC 9700 §4.14.2")
def rotation(flow: Flow) -> str:
    before = flow.tokens["imagegene"]
    after = flow.imagegene.http.refresh_token(flow.imagegene.metadata["token_endpoint"], before["refresh_token"])
    assert after["refresh_token"] != before["refresh_token"]
    assert after["access_token"] != before["access_token"]
    assert set(after["scope"].split()) == set(ALL_SCOPES.split())
    assert flow.imagegene.call("GET", "user-info", after["access_token"]).status_code == 200
    flow.tokens["renewed"] = dict(after)
    return "both tokens are new"


@step("Used twice, it ends the whole family", "RFC 9700 §4.14.2")
def reuse(flow: Flow) -> str:
    stolen, renewed = flow.tokens["imagegene"]["refresh_token"], flow.tokens["renewed"]
    refused = flow.imagegene.token_request(grant_type="refresh_token", refresh_token=stolen)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    ended = flow.imagegene.token_request(grant_type="refresh_token", refresh_token=renewed["refresh_token"])
    assert (ended.status_code, ended.json()["error"]) == (400, "invalid_grant")
    assert flow.imagegene.call("GET", "user-info", renewed["access_token"]).status_code == 401
    assert flow.penora.call("GET", "user-info").status_code == 200  # another app's family lives on
    flow.tokens["imagegene"] = flow.imagegene.sign_in_silently(flow.browser)
    return "invalid_grant, its access token 401; Penora's lives on"


@step("A refresh token of one is none of the other's", "RFC 6749 §6", "§10.4")
def bound_to_its_client(flow: Flow) -> str:
    foreign = flow.tokens["penora"]["refresh_token"]
    refused = flow.imagegene.token_request(grant_type="refresh_token", refresh_token=foreign)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert flow.penora.call("GET", "user-info").status_code == 200
    return "invalid_grant, and its owner keeps it"


@step("Introspection, by a server of its own tokens", "RFC 7662 §2.1", "§2.2")
def introspection(flow: Flow) -> str:
    def told(token: str) -> Any:
        answer = flow.penora.http.introspect_token(flow.penora.metadata["introspection_endpoint"], token)
        assert answer.status_code == 200
        return answer.json()

    mine = told(flow.tokens["penora"]["access_token"])
    assert (mine["active"], mine["sub"], mine["client_id"]) == (True, DEMO["sub"], flow.penora.client_id)
    assert set(mine["scope"].split()) == set(ALL_SCOPES.split())
    assert mine["exp"] > mine["iat"]
    for foreign in (flow.tokens["imagegene"]["access_token"], "uut_nonsense"):
        assert told(foreign) == {"active": False}
    body = {"token": flow.tokens["imagegene"]["access_token"], "client_id": flow.imagegene.client_id}
    public = flow.imagegene.anonymously("POST", flow.imagegene.metadata["introspection_endpoint"], data=body)
    assert public.status_code == 401
    return "active with sub and scope; others' inactive; public 401"


@step("A token is revoked", "RFC 7009 §2.1", "§2.2")
def revocation(flow: Flow) -> str:
    end = flow.imagegene.metadata["revocation_endpoint"]
    token = flow.tokens["imagegene"]
    unknown = flow.imagegene.http.revoke_token(end, "uur_nonsense")
    assert unknown.status_code == 200  # §2.2: it is as good as revoked
    flow.penora.http.revoke_token(end, token["refresh_token"])  # of another client: nothing happens
    assert flow.imagegene.call("GET", "user-info", token["access_token"]).status_code == 200
    assert flow.imagegene.http.revoke_token(end, token["refresh_token"]).status_code == 200
    assert flow.imagegene.call("GET", "user-info", token["access_token"]).status_code == 401
    refused = flow.imagegene.token_request(grant_type="refresh_token", refresh_token=token["refresh_token"])
    assert refused.json()["error"] == "invalid_grant"
    return "refresh and access token end; only by their client"


# --- What has to be refused -------------------------------------------------------------------------------------------


@step("A code works once; twice ends what it gave", "RFC 6749 §4.1.2")
def replay(flow: Flow) -> str:
    asked = flow.imagegene.ask(prompt="none")
    answer = flow.browser.open(asked.url)
    token = flow.imagegene.redeem(answer, asked)
    assert flow.imagegene.call("GET", "user-info").status_code == 200
    with pytest.raises(OAuthError, match="invalid_grant"):
        flow.imagegene.redeem(answer, asked)
    assert flow.imagegene.call("GET", "user-info", token["access_token"]).status_code == 401
    return "invalid_grant, and the first one's tokens end"


@step("A code with a wrong verifier, or none", "RFC 7636 §4.6")
def verifier(flow: Flow) -> str:
    for app in (flow.penora, flow.imagegene):
        for wrong in ({"code_verifier": "x" * 64}, {}):
            code = query_of(flow.browser.open(app.ask(prompt="none").url))["code"]
            body = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.callback, **wrong}
            refused = app.token_request(**body)
            assert refused.status_code == 400
            assert refused.json()["error"] in ({"invalid_grant"} if wrong else {"invalid_grant", "invalid_request"})
            assert "access_token" not in refused.json()
    return "invalid_grant, with a secret as well as without"


@step("PKCE plain, or no PKCE at all", "RFC 9700 §2.1.1", "RFC 7636 §4.4.1")
def plain(flow: Flow) -> str:
    asked = flow.penora.ask(prompt="none")
    challenge, method = f"&code_challenge={query_of(asked.url)['code_challenge']}", "&code_challenge_method=S256"
    assert challenge in asked.url
    assert method in asked.url
    for wrong in (
        asked.url.replace(method, "&code_challenge_method=plain"),
        asked.url.replace(method, ""),  # which means plain
        asked.url.replace(method, "").replace(challenge, ""),
    ):
        told = query_of(flow.browser.open(wrong))
        assert told["error"] == "invalid_request", told
        assert told["state"] == asked.state
        assert told["iss"] == flow.penora.metadata["issuer"]
        assert "code" not in told
    return "invalid_request, with state and iss"


@step("An address that is not registered gets nothing", "RFC 6749 §4.1.2.1", "RFC 9700 §2.1")
def redirect_uri(flow: Flow) -> str:
    # (Another port of 127.0.0.1 is taken, as RFC 8252 §7.3 asks; production takes no address there at all.)
    home = flow.penora.home
    for wrong in (f"{flow.penora.callback}/", f"{flow.penora.callback}?a=b", f"{home}CALLBACK", f"{home}callback/../x"):
        page: Any = flow.browser.open(flow.penora.ask(redirect_uri=wrong).url)
        assert not isinstance(page, str), page
        assert page.status_code == 400
    return "400 and a page of ours, never a redirect"


# --- Going out --------------------------------------------------------------------------------------------------------


@step("A sign-out to an address of nobody's", "OIDC RP-Initiated Logout 1.0 §3")
def sign_out_elsewhere(flow: Flow) -> str:
    page: Any = flow.browser.open(flow.penora.sign_out_url(post_logout_redirect_uri="http://127.0.0.1:1/evil"))
    assert not isinstance(page, str), page
    assert page.status_code == 400
    assert flow.penora.call("GET", "user-info").status_code == 200
    return "400, nobody is sent on, and nobody is signed out"


@step("Penora signs out; ImageGene is out too", "OIDC RP-Initiated Logout 1.0 §2", "§3")
def sign_out(flow: Flow) -> str:
    flow.tokens["imagegene"] = flow.imagegene.sign_in_silently(flow.browser)
    back = flow.browser.open(flow.penora.sign_out_url(state="mine"))
    assert back == f"{flow.penora.home}?state=mine"
    _nobody_is_in(flow)
    return "back at the app with its state; all tokens end"


@step("Asked silently now: login_required", "OIDC Core 1.0 §3.1.2.6")
def login_required(flow: Flow) -> str:
    for app in (flow.penora, flow.imagegene):
        asked = app.ask(prompt="none")
        told = query_of(flow.browser.open(asked.url))
        assert (told["error"], told["state"]) == ("login_required", asked.state)
        assert told["iss"] == app.metadata["issuer"]
    return "in both apps, with state and iss"


@step("ImageGene signs out as the second: sent back too", "OIDC RP-Initiated Logout 1.0 §2", "§3")
def second_sign_out(flow: Flow) -> str:
    assert flow.browser.open(flow.imagegene.sign_out_url(state="late")) == f"{flow.imagegene.home}?state=late"
    return "no question, no error"


@step("In by ImageGene, Penora silently", "OIDC Core 1.0 §3.1.2.1")
def other_way_in(flow: Flow) -> str:
    asked = flow.imagegene.ask()
    page = flow.browser.press(flow.browser.open(asked.url), "Continue with Google")
    flow.tokens["imagegene"] = flow.imagegene.redeem(flow.browser.press(page, DEMO["sub"]), asked)
    flow.tokens["penora"] = flow.penora.sign_in_silently(flow.browser)
    assert flow.penora.call("GET", "user-info").json()["user_id"] == DEMO["sub"]
    return "the same, begun in the other app"


@step("ImageGene signs out; Penora is out too", "OIDC RP-Initiated Logout 1.0 §2", "§3")
def other_way_out(flow: Flow) -> str:
    assert flow.browser.open(flow.imagegene.sign_out_url()) == flow.imagegene.home
    _nobody_is_in(flow)
    login_required(flow)
    assert flow.browser.open(flow.penora.sign_out_url()) == flow.penora.home
    return "the other order, with the same end"


def _nobody_is_in(flow: Flow) -> None:
    for app, slug in ((flow.penora, "penora"), (flow.imagegene, "imagegene")):
        token = flow.tokens[slug]
        assert app.call("GET", "user-info", token["access_token"]).status_code == 401
        refused = app.token_request(grant_type="refresh_token", refresh_token=token["refresh_token"])
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


# --- The walk ---------------------------------------------------------------------------------------------------------


def test_two_apps_share_one_sign_in(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[tuple[str, ...]] = []
    try:
        for number, one in enumerate(STEPS, 1):
            found = "FAILED"
            try:
                found = one.walk(flow)
            except BaseException as failure:
                failure.add_note(f"In step {number}, {one.what} ({one.sections}).")
                raise
            finally:
                rows.append((str(number), one.what, one.sections, found))
    finally:
        with capsys.disabled():
            # To standard error: it reaches the log from a worker of pytest-xdist too.
            sys.stderr.write(_table(("step", "what", "specification", "found"), rows))
            sys.stderr.flush()


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, tuple("-" * width for width in widths))
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
    return f"\n\n{textwrap.indent(text, '  ')}\n\n"
