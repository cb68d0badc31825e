"""
The addresses of the OpenID Connect provider: the library's views, with a throttle, a transaction, and without the
answers that would have been an error of ours.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View
from oauth2_provider import views
from oauth2_provider.exceptions import (
    ClientIdMissmatch,
    InvalidIDTokenError,
    InvalidOIDCClientError,
    OAuthToolkitError,
)
from oauth2_provider.oauth2_backends import _add_iss_to_redirect
from oauth2_provider.views.mixins import OAuthLibMixin
from oauthlib.common import Request as OAuthRequest

from accounts import services
from accounts.models import Client
from accounts.services import authenticate_token
from unified.callers import place_of
from unified.sso import pages
from unified.sso.origins import lead_on_to_apps
from unified.sso.pages import SIGN_IN_ANEW
from unified.sso.validator import GRANTS, client_of, is_too_old, read_hint, user_of
from unified.throttles import CREDENTIALS, TOKENS

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749, section 5.1


@method_decorator(never_cache, name="dispatch")
class Authorize(views.AuthorizationView):
    """Sends a person back to the app with a code; asks them first, if the app is none of ours."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        prompt = request.GET.get("prompt", "").split()
        if is_too_old(request.user, request.session, request.GET.get("max_age")) and "none" not in prompt:
            try:
                self.validate_authorization_request(request)
            except OAuthToolkitError as refusal:
                answer: HttpResponse = self.error_response(refusal, application=None)
                return answer
            return self.handle_prompt_login()
        response: HttpResponse = super().get(request, *args, **kwargs)
        return response

    def handle_prompt_login(self) -> HttpResponse:
        """
        To the sign-in page, which would let those go on who are signed in. (They are not signed out for it: any page
        can send somebody here.) What asked for it has done its work, and is not asked again on the way back.
        """
        self.request.session[SIGN_IN_ANEW] = True
        query = self.request.GET.copy()
        for done in ("prompt", "max_age"):
            query.pop(done, None)
        response: HttpResponse = redirect_to_login(f"{self.request.path}?{query.urlencode()}")
        return response

    def redirect(self, redirect_to: str, application: Any) -> HttpResponse:
        """With our name, also where it is a refusal: a client that was promised one refuses an answer without it."""
        issuer = settings.OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"]  # RFC 9207, section 2
        answer: HttpResponse = super().redirect(_add_iss_to_redirect(redirect_to, issuer), application)
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        context["redirect_host"] = urlsplit(self.oauth2_data.get("redirect_uri") or "").netloc
        return context

    def form_valid(self, form: Any) -> HttpResponse:
        """The answer of the consent page. Its hidden fields came from a browser: nobody is sent where they say."""
        client = Client.objects.filter(client_id=form.cleaned_data["client_id"]).first()
        if client is None or not client.redirect_uri_allowed(form.cleaned_data["redirect_uri"]):
            return pages.refused(
                self.request,
                status=400,
                title="This form is out of date",
                sentence="Go back to the app and start again.",
            )
        answer: HttpResponse = super().form_valid(form)
        return answer

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = self.render_to_response(self.get_context_data(form=form), status=400)
        return response

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        page: HttpResponse = super().render_to_response(context, **kwargs)
        return lead_on_to_apps(page)


@method_decorator(csrf_exempt, name="dispatch")  # apps call these; no browser's cookie counts for anything here
class _Throttled(View):
    """For what an app's server calls. What is counted are refusals of callers who have not shown who they are."""

    ceiling = TOKENS

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            answer = {
                "error": "invalid_request",
                "error_description": "Use https: what is sent in the clear is known.",
            }
            return JsonResponse(answer, status=403, headers=_NO_STORE)
        response: Any = super().dispatch(request, *args, **kwargs)
        response.headers.setdefault("Cache-Control", _NO_STORE["Cache-Control"])
        if response.content.startswith(b"{"):  # the library calls some of its refusals a page
            response.headers["Content-Type"] = "application/json"
        if response.status_code in (400, 401, 403) and not self.is_of_somebody_known(request, response):
            place = place_of(request)
            seconds = self.ceiling.wait(place)
            if seconds:
                answer = {"error": "slow_down", "error_description": f"Try again in {seconds} seconds."}
                return JsonResponse(answer, status=429, headers={"Retry-After": str(seconds), **_NO_STORE})
            self.ceiling.count(place)
        return response

    def is_of_somebody_known(self, request: HttpRequest, response: HttpResponse) -> bool:
        """
        Whether a client has shown its secret and was refused for its token or code. An app with many people whose
        sign-ins have ended must not be kept from signing the others in. (The client is asked for its secret before its
        grant.)
        """
        has_secret = bool(request.POST.get("client_secret")) or request.headers.get("Authorization", "").startswith(
            "Basic "
        )
        return has_secret and b'"invalid_grant"' in response.content


class Token(_Throttled, views.TokenView):
    """
    Codes and refresh tokens for tokens. In one transaction, which is kept also when the answer is a refusal: the end of
    a stolen family of tokens has to stay.
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        grant_type = request.POST.get("grant_type", "")
        if grant_type and grant_type not in GRANTS:
            answer = {"error": "unsupported_grant_type", "error_description": "Send a code or a refresh token."}
            return JsonResponse(answer, status=400, headers=_NO_STORE)
        with transaction.atomic():
            response: HttpResponse = super().post(request, *args, **kwargs)
        return response


class Revoke(_Throttled, views.RevokeTokenView):
    """RFC 7009. The library looks a token up among those of the client that asks."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with transaction.atomic():
            response: HttpResponse = super().post(request, *args, **kwargs)
        return response


class Introspect(_Throttled, OAuthLibMixin):
    """
    RFC 7662, for the server of an app, about its own tokens. The library's view let any client ask about any token,
    also by GET (where tokens end up in logs), and did not say whose it is.
    """

    http_method_names = ("post", "options")

    def post(self, request: HttpRequest) -> HttpResponse:
        client = self._client(request)
        if client is None:
            return JsonResponse({"error": "invalid_client"}, status=401, headers={"WWW-Authenticate": "Basic"})
        token = request.POST.get("token")
        if not token:
            answer = {"error": "invalid_request", "error_description": "The parameter token is missing."}
            return JsonResponse(answer, status=400)
        return JsonResponse(_described(token, client))

    def _client(self, request: HttpRequest) -> Client | None:
        """The confidential client that has shown its secret."""
        core = self.get_oauthlib_core()
        asked = OAuthRequest(*core._extract_params(request))
        if not core.server.request_validator.authenticate_client(asked):
            return None
        return asked.client if asked.client.client_type == Client.CLIENT_CONFIDENTIAL else None


def _described(text: str, client: Client) -> dict[str, Any]:
    token = authenticate_token(text)
    if token is None or token.application_id != client.pk:
        return {"active": False}
    return {
        "active": True,
        "token_type": "Bearer",
        "client_id": client.client_id,
        "sub": token.user.user_id,
        "scope": token.scope,
        "iat": int(token.created.timestamp()),
        "exp": int(token.expires.timestamp()),
        "iss": settings.OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"],
    }


@method_decorator(never_cache, name="dispatch")
class Logout(views.RPInitiatedLogoutView):
    """
    An app's sign-out, which ends the session here and the person's tokens (OpenID Connect RP-Initiated Logout 1.0).
    In any order: the second app is sent back as the first one was.
    """

    def validate_logout_request(
        self, id_token_hint: str | None, client_id: str | None, post_logout_redirect_uri: str | None
    ) -> tuple[Client | None, Any]:
        claims = read_hint(id_token_hint) if id_token_hint else None
        if id_token_hint and claims is None:
            raise InvalidIDTokenError()
        client = client_of(claims) if claims else None
        if client_id:
            named = Client.objects.filter(client_id=client_id).first()
            if named is None:
                raise InvalidOIDCClientError()
            if claims and client != named:
                raise ClientIdMissmatch()
            client = named
        self.validate_post_logout_redirect_uri(client, post_logout_redirect_uri)
        return client, user_of(claims) if claims else None

    def do_logout(
        self, application: Any = None, post_logout_redirect_uri: Any = None, state: Any = None, token_user: Any = None
    ) -> HttpResponse:
        """
        Whoever is signed in here is out of everything. Where nobody is any more, the hint still ends what the app that
        has it can do as the person; not more: it may be old, and prove nothing about who asks.
        """
        user = self.request.user
        response: HttpResponse = super().do_logout(application, post_logout_redirect_uri, state)  # first the session
        if user.is_authenticated:
            services.sign_out(user=user)
        elif token_user is not None and application is not None:
            services.end_tokens(user=token_user, client=application)
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = self.render_to_response(self.get_context_data(form=form), status=400)
        return response

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        page: HttpResponse = super().render_to_response(context, **kwargs)
        return lead_on_to_apps(page)


class UserInfo(_Throttled, views.UserInfoView):
    """Who a token is of. Counted as the API counts its callers. A token that has run out is no guess."""

    ceiling = CREDENTIALS

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if "access_token" in request.GET:  # addresses end up in logs (RFC 9700, section 4.3.2); the library took it
            answer = {"error": "invalid_request", "error_description": "Send the token in the header Authorization."}
            return JsonResponse(answer, status=400, headers=_NO_STORE)
        return super().dispatch(request, *args, **kwargs)

    def is_of_somebody_known(self, request: HttpRequest, response: HttpResponse) -> bool:
        return services.was_a_credential(request.headers.get("Authorization", "").partition(" ")[2].strip())


class Discovery(views.ConnectDiscoveryInfoView):
    """What apps find us by. Says what is so: only RS256, and where tokens are revoked."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        document = json.loads(super().get(request, *args, **kwargs).content)
        document["id_token_signing_alg_values_supported"] = [Client.RS256_ALGORITHM]
        document["revocation_endpoint"] = self._get_endpoint_url(request, "revoke-token", required=True)
        document["introspection_endpoint"] = self._get_endpoint_url(request, "introspect", required=True)
        document["grant_types_supported"] = list(GRANTS)
        document["token_endpoint_auth_methods_supported"] = ["client_secret_basic", "client_secret_post", "none"]
        document["claims_supported"] = ["sub", "name", "email", "auth_time", "iss", "aud", "exp", "iat", "nonce"]
        response = JsonResponse(document)
        response["Access-Control-Allow-Origin"] = "*"
        return response
