"""What the endpoints share: reading input, finding the person, checking the app, and doing a POST once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from django.http import QueryDict
from rest_framework import serializers, viewsets
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import App, User
from accounts.queries import find_user
from credits import pricing
from credits import services as credits
from credits.models import Hold, Operation
from unified.api.authentication import BODILESS_METHODS, caller_of
from unified.api.errors import ApiError, EarlierAnswer, as_refusal, deactivated, invalid, user_not_found
from unified.api.idempotency import Answer, Attempt, attempt_of, once
from unified.callers import place_of
from unified.throttles import CODES


@dataclass(frozen=True, slots=True)
class Price:
    """What is to be paid, in credits, and the line of the price list that says so, if one does."""

    amount: int
    operation: Operation | None = None
    quantity: int | None = None


class UnifiedViewSet(viewsets.ViewSet):
    """Validates, calls one service or query, and answers. Rules live in the domain apps."""

    http_method_names = ["get", "post", "put", "patch", "delete", "head"]  # noqa: RUF012  as Django declares it
    scopes: ClassVar[dict[str, tuple[str, ...]]]  # what a credential has to be good for, by action
    keys_only: ClassVar[frozenset[str]] = frozenset()  # actions that no person's token may do, but their app's key
    member: User | None = None  # whom the call is about, once that is known
    attempt: Attempt | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """
        After authentication: a POST whose key has an answer already gets it here, before its input is looked at again.
        A retry must not fail because a price or a user has changed since.
        """
        super().initial(request, *args, **kwargs)
        self.check_credential(request)
        if "code" in kwargs:
            seconds = CODES.wait(self._searcher(request))
            if seconds:
                raise Throttled(wait=seconds)
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            # WSGI hands on no body of unannounced length: it would look as if nothing had been sent.
            raise ApiError("invalid_json", "Send the body with a Content-Length instead of in chunks.")
        if request.method == "POST":
            route = str(request.resolver_match.route).rstrip("/")  # type: ignore[union-attr]
            self.attempt = attempt_of(request, route=route, code=kwargs.get("code"))
            earlier = self.attempt.earlier_answer() if self.attempt else None
            if earlier is not None:
                raise EarlierAnswer(earlier)

    def handle_exception(self, exc: Exception) -> Any:
        response = super().handle_exception(exc)
        if response.status_code == 404 and "code" in self.kwargs:
            CODES.count(self._searcher(self.request))
        return response

    def _searcher(self, request: Request) -> str | None:
        """On whose behalf codes are tried: a person's, at the app that asks; else, with a signed address, a place's."""
        if request.user is None:
            return place_of(request._request)
        caller = caller_of(request)
        if caller.user is not None:
            return caller.scope
        told: Any = request.query_params if request.method in BODILESS_METHODS else request.data  # as the view reads it
        return f"{caller.scope}:{told.get('user_id', '')}"

    def check_credential(self, request: Request) -> None:
        """Raises ApiError `permission_denied` unless the caller's key or token may do this."""
        caller: Any = request.user  # or nobody: a signed address carries its own permission
        if caller is None or self.action in (None, "metadata"):  # or a method that is not there: 405 follows
            return
        if self.action in self.keys_only and caller.user is not None:
            raise ApiError("permission_denied", "This is for an app's server, with its key, and not for a user token.")
        self.require_scopes(request, *self.scopes[self.action], *self.further_scopes(request))

    def further_scopes(self, request: Request) -> tuple[str, ...]:
        """What this call needs beside what its action always does. Asked before an earlier answer is given again."""
        return ()

    def require_scopes(self, request: Request, *needed: str) -> None:
        """Raises ApiError `permission_denied` that names the first scope which the caller's key or token lacks."""
        for scope in needed:
            if scope not in caller_of(request).scopes:
                challenge = f'Bearer error="insufficient_scope", scope="{" ".join(needed)}"'  # RFC 6750, section 3.1
                raise ApiError(
                    "permission_denied",
                    f"The key or token does not have the scope '{scope}'.",
                    headers={"WWW-Authenticate": challenge},
                )

    def once(self, work: Callable[[], Answer]) -> Response:
        """Does `work` once for every repeat of this call, and answers."""
        answer = once(self.attempt, work, as_refusal=partial(as_refusal, member=self.member))
        return Response(answer.body, status=answer.status)

    def read_body(self, form: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
        return self._read(form, request.data, request)

    def read_query(self, form: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
        return self._read(form, _single_values(request.query_params), request)

    def _read(self, form: type[serializers.Serializer[Any]], data: Any, request: Request) -> dict[str, Any]:
        """
        The validated input. With a user token it is about the token's own person, whom it need not name. Raises
        ApiError `permission_denied` where it names another, whether or not there is one.
        """
        caller: Any = request.user
        own = caller.user if caller else None
        if own is None or "user_id" not in form().fields:
            return _validated(form, data)
        validated = _validated(form, {"user_id": own.user_id, **data} if isinstance(data, dict) else data)
        if validated["user_id"] != own.user_id:
            raise ApiError("permission_denied", "A user token is good for its own user alone.")
        return validated

    def find_member(self, request: Request, user_id: str) -> User:
        """The person named. Raises ApiError `user_not_found`; `permission_denied` for a change to a locked-out one."""
        own = caller_of(request).user
        user = own if own is not None and own.user_id == user_id else find_user(user_id)
        if user is None:
            raise user_not_found(user_id)
        self.is_about(user, request)
        return user

    def is_about(self, user: User, request: Request) -> None:
        """Notes whom the call is about. Raises ApiError `permission_denied` for a change to a locked-out person."""
        if not user.is_active and request.method not in ("GET", "HEAD"):
            raise deactivated()
        self.member = user

    def find_hold(self, request: Request, hold_id: str, *, app: App | None = None, user_id: str | None = None) -> Hold:
        """The hold named, of the calling app (or of `app`). Raises what the service raises, and as `is_about`."""
        caller = caller_of(request)
        hold = credits.find_hold(hold_id=hold_id, app=app or caller.app, user_id=user_id)
        if caller.user is not None and not hold.by_user:
            # Else a person could free a hold while the app works for it, and have the work for nothing.
            raise ApiError("permission_denied", "This hold was made with the app's key, and only the key can end it.")
        self.is_about(hold.account.user, request)
        return hold

    def priced(self, data: dict[str, Any], *, prefix: str = "") -> Price:
        """What a validated `PricedInput` comes to; `prefix` is where in the body it stands. Raises ApiError."""
        if "amount" in data:
            return Price(amount=data["amount"])
        quantity = data.get("quantity", 1)
        try:
            operation, amount = pricing.price(operation=data["operation"], quantity=quantity)
        except pricing.UnknownOperation as unknown:
            raise invalid(**{f"{prefix}operation": f"There is no operation '{unknown}' on the price list."}) from None
        except pricing.InvalidQuantity as refusal:
            raise invalid(**{f"{prefix}quantity": str(refusal)}) from None
        return Price(amount=amount, operation=operation, quantity=quantity)

    def acting_app(self, request: Request, slug: str, *, field: str) -> App:
        """The registered app named, as which the caller may act. Raises ApiError."""
        app = find_app(slug, field=field)
        if not caller_of(request).may_act_as(app):
            raise ApiError("permission_denied", f"The key or token belongs to another app than '{slug}'.")
        if not app.is_active:
            raise ApiError("permission_denied", f"The app '{slug}' is switched off.")
        return app


def find_app(slug: str, *, field: str) -> App:
    """The registered app with this slug. Raises ApiError for the field that named it."""
    app = App.objects.filter(slug=slug).first()
    if app is None:
        raise invalid(**{field: f"There is no app '{slug}'."})
    return app


def _validated(form: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    serializer = form(data=data)
    serializer.is_valid(raise_exception=True)
    validated: dict[str, Any] = serializer.validated_data
    return validated


def _single_values(query: QueryDict) -> dict[str, str]:
    """
    The query as a dictionary. A parameter given twice would be read differently by different programs: refused. An
    empty one is one that is left out: forms and templates send those.
    """
    for name, values in query.lists():
        if len(values) > 1:
            raise invalid(**{name: "Given more than once."})
    return {name: str(value) for name, value in query.items() if value != ""}
