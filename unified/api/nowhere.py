"""Every address under `/api/` that is not in the contract: 404 in the contract's form, whatever the method."""

from typing import Any, NoReturn

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from unified.api.errors import ApiError


@extend_schema(exclude=True)
class Nowhere(APIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        raise ApiError("not_found", "There is nothing at this address.")
