"""
The OpenID Connect provider, under the names that its library knows. What is not here does not exist: no device grant,
no registration by strangers, no pages for managing applications.
"""

from django.urls import path, re_path
from oauth2_provider.views import JwksInfoView

from unified.sso import endpoints

app_name = "oauth2_provider"

urlpatterns = [
    path("authorize/", endpoints.Authorize.as_view(), name="authorize"),
    path("token/", endpoints.Token.as_view(), name="token"),
    path("revoke_token/", endpoints.Revoke.as_view(), name="revoke-token"),
    path("introspect/", endpoints.Introspect.as_view(), name="introspect"),
    path("userinfo/", endpoints.UserInfo.as_view(), name="user-info"),
    path("logout/", endpoints.Logout.as_view(), name="rp-initiated-logout"),
    path(".well-known/jwks.json", JwksInfoView.as_view(), name="jwks-info"),
    re_path(
        r"^\.well-known/openid-configuration/?$", endpoints.Discovery.as_view(), name="oidc-connect-discovery-info"
    ),
]
