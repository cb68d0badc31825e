"""
All of the configuration, from the environment (and from a `.env` file beside manage.py, if there is one).

Every variable is listed in README.md with its default. What would be unsafe or impossible together is refused by
`unified/checks.py`, both by `manage.py check` and when a web process starts.
"""

import os
import secrets
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import environ
from csp import constants as csp
from django.core.exceptions import ImproperlyConfigured

from accounts.scopes import API_SCOPES, IDENTITY_SCOPES
from unified import signing_keys
from unified.database import EmbeddedPostgres
from unified.postgres_programs import make_folders

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
environ.Env.read_env(BASE_DIR / ".env")


def whole_number(name: str, default: int) -> int:
    """An integer from the environment; what is none is named together with its variable."""
    try:
        return int(env.str(name, "") or default)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is '{env.str(name)}', which is no whole number.") from None


def switch(name: str, default: bool) -> bool:
    """On or off from the environment. Anything else is refused: a mistyped switch must not mean off."""
    word = env.str(name, "").lower()
    if word in ("", *ON, *OFF):
        return word in ON if word else default
    raise ImproperlyConfigured(f"{name} is '{word}'; say on or off.")


# What `make` says: this is a developer's machine. Only a default, so that the environment and .env have the last word.
DEVELOPMENT = switch("UNIFIED_DEVELOPMENT", False)
DEBUG = switch("DEBUG", DEVELOPMENT)
DATA_DIR: Path = BASE_DIR / env.str("UNIFIED_DATA_DIR", "var")


def development_secret() -> str:
    """The key a developer's machine signs with: made on first use, kept in the data folder, readable by its owner."""
    file = DATA_DIR / "secret_key"
    if not file.exists():
        make_folders(file.parent)  # not with mkdir: a strict umask would keep the database's user out of it
        # Written whole under another name and then linked: a process that starts at the same moment sees the finished
        # key of whoever was first, never half of one.
        draft = file.with_name(f"secret_key.{os.getpid()}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
            new.write(secrets.token_urlsafe(50))
        with suppress(FileExistsError):
            os.link(draft, file)
        draft.unlink()
    return file.read_text()


SECRET_KEY: str = env.str("SECRET_KEY", "") or (development_secret() if DEBUG else "")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])

# --- What exists -----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unified",
    "unified.api",
    "unified.sso",
    "unified.web",
    "unified.figures",
    "accounts",
    "credits",
    "workspace",
    "unified.admin.apps.UnifiedAdminConfig",
    "unified.admin.apps.StaffConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "csp",
    "django_htmx",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "oauth2_provider",
    "social_django",
]

MIDDLEWARE = [
    "unified.api.middleware.RequestIdMiddleware",
    "unified.probes.ProbesMiddleware",
    "unified.sso.origins.RegisteredOriginsMiddleware",
    "unified.api.middleware.ApiEnvelopeMiddleware",
    "unified.headers.PolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "unified.sso.middleware.WellFormedMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",  # says who of them has shown a second factor in this session
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "unified.sso.middleware.SignInRefusalMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "unified.urls"
WSGI_APPLICATION = "unified.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

STATIC_URL = "static/"
STATIC_ROOT: Path = BASE_DIR / env.str("UNIFIED_STATIC_ROOT", "staticfiles")
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Database --------------------------------------------------------------------------------------------------------

DATABASE_URL: str = env.str("DATABASE_URL", "")
# Without DEBUG there is no embedded server, and without an address the checks refuse to go on: nothing is ever made
# on a production machine by oversight.
EMBEDDED_POSTGRES = EmbeddedPostgres(data_dir=DATA_DIR) if DEBUG and not DATABASE_URL else None
DATABASES = {
    "default": {
        **(
            EMBEDDED_POSTGRES.settings()
            if EMBEDDED_POSTGRES
            else env.db_url("DATABASE_URL", default="postgres://localhost/unified")
        ),
        # A web process keeps its connections and asks a kept one for a sign of life once a request, so that a
        # restarted database costs nobody an error.
        "CONN_MAX_AGE": whole_number("DATABASE_CONN_MAX_AGE", 60),
        "CONN_HEALTH_CHECKS": True,
    }
}
# Nothing may wait for ever: past these, the caller gets a 503 and the transaction is undone.
LOCK_TIMEOUT_MS = whole_number("DATABASE_LOCK_TIMEOUT_MS", 10_000)
STATEMENT_TIMEOUT_MS = whole_number("DATABASE_STATEMENT_TIMEOUT_MS", 30_000)
DATABASES["default"].setdefault("OPTIONS", {}).update(
    {
        "connect_timeout": 5,
        "application_name": "unified",
        "options": f"-c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout={STATEMENT_TIMEOUT_MS}"
        " -c idle_in_transaction_session_timeout=60000",
    }
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People ----------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: it refuses whoever is locked out, before anything is compared
    "django.contrib.auth.backends.ModelBackend",
    "unified.sso.google.GoogleSignIn",
]
# The first one hashes new passwords; the last is for the random secrets of OpenID Connect clients.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", "accounts.hashers.RandomSecretHasher"]
LOGIN_URL = "sso:signin"
LOGIN_REDIRECT_URL = "home"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "unified.web.views.out_of_date"
# Not in a cookie of their own, which outlives the sign-out: the next person in that browser would read them.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
if not DEBUG:  # no other host of the domain can set these (RFC 6265bis, section 4.1.3.2)
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_SSL_REDIRECT = switch("SECURE_SSL_REDIRECT", not DEBUG)
# The API and the token endpoints refuse plain HTTP instead of redirecting: by then the key has been sent.
SECURE_REDIRECT_EXEMPT = [r"^api/", r"^o/(token|revoke_token|introspect|userinfo)/"]
SECURE_HSTS_SECONDS = whole_number("SECURE_HSTS_SECONDS", 0 if DEBUG else 31_536_000)
# These two bind hosts that are none of ours and are slow to take back, so only whoever knows the domain turns them on.
SECURE_HSTS_INCLUDE_SUBDOMAINS = switch("SECURE_HSTS_INCLUDE_SUBDOMAINS", False)
SECURE_HSTS_PRELOAD = switch("SECURE_HSTS_PRELOAD", False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
# Only a proxy that always sets (or strips) this header may be trusted with it; hence off unless said so.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if switch("BEHIND_TLS_PROXY", False) else None
X_FRAME_OPTIONS = "DENY"

# Five wrong passwords from one address for one user id, and neither is asked again for a quarter of an hour.
AXES_FAILURE_LIMIT = whole_number("UNIFIED_LOCKOUT_AFTER", 5)
AXES_COOLOFF_TIME = timedelta(minutes=whole_number("UNIFIED_LOCKOUT_MINUTES", 15))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"  # what the form calls a user id; else failures are kept as nobody's
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or whoever knows a user id could lock its owner out for ever
AXES_CLIENT_IP_CALLABLE = "unified.callers.place_of"
AXES_LOCKOUT_CALLABLE = "unified.sso.pages.locked_out"
AXES_DISABLE_ACCESS_LOG = True  # our own audit has it
AXES_VERBOSE = False

# Nobody gets into the admin without a second factor: a code that changes every half minute, or a recovery code. Wrong
# ones of the first kind are held up by the library, each twice as long as the one before; recovery codes are too long
# to be guessed, and are what gets in who is held up because somebody else has been trying.
STAFF_SECOND_FACTOR = switch("UNIFIED_STAFF_SECOND_FACTOR", not DEBUG)
OTP_STATIC_THROTTLE_FACTOR = 0

# What pages may load and where their forms may lead: ourselves, and nothing else. A page whose form can lead on to an
# app adds the addresses that are registered (`unified.sso.origins`).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [csp.NONE],
        "script-src": [csp.SELF],
        "style-src": [csp.SELF],
        "img-src": [csp.SELF, "data:"],
        "font-src": [csp.SELF],
        "connect-src": [csp.SELF],
        "form-action": [csp.SELF],
        "frame-ancestors": [csp.NONE],
        "base-uri": [csp.NONE],
    }
}

CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/(api/.*|o/(token|revoke_token|userinfo)/|o/\.well-known/.*)$"
CORS_ALLOW_HEADERS = ["authorization", "content-type", "idempotency-key", "x-request-id", "if-match", "if-none-match"]
CORS_EXPOSE_HEADERS = [
    "X-Request-ID",
    "Idempotent-Replayed",
    "Retry-After",
    "ETag",
    "WWW-Authenticate",
    "Content-Range",
]

# --- Sign-in ---------------------------------------------------------------------------------------------------------

# Where people and apps reach this service. The issuer of its tokens is made of it, and must never change with the host
# that somebody asks by.
PUBLIC_URL: str = (
    env.str("UNIFIED_URL", "") or (f"http://127.0.0.1:{env.str('PORT', '8000')}" if DEBUG else "")
).rstrip("/")

# In: by any OpenID Connect issuer; its `sub` is the user_id.
GOOGLE_ISSUER: str = env.str("GOOGLE_ISSUER", "https://accounts.google.com").rstrip("/")
GOOGLE_CLIENT_ID: str = env.str("GOOGLE_CLIENT_ID", "")
SOCIAL_AUTH_GOOGLE_OIDC_ENDPOINT = GOOGLE_ISSUER
SOCIAL_AUTH_GOOGLE_KEY = GOOGLE_CLIENT_ID
SOCIAL_AUTH_GOOGLE_SECRET: str = env.str("GOOGLE_CLIENT_SECRET", "")
SOCIAL_AUTH_URL_NAMESPACE = "social"
SOCIAL_AUTH_INACTIVE_USER_URL = "sso:switched-off"
SOCIAL_AUTH_LOGIN_REDIRECT_URL = "home"
SOCIAL_AUTH_RAISE_EXCEPTIONS = False
SOCIAL_AUTH_REDIRECT_IS_HTTPS = not DEBUG
SOCIAL_AUTH_PIPELINE = [
    "social_core.pipeline.social_auth.social_details",
    "social_core.pipeline.social_auth.social_uid",
    "social_core.pipeline.social_auth.auth_allowed",
    "unified.sso.google.refuse_another_account",  # before the next step, which would link it to whoever is signed in
    "social_core.pipeline.social_auth.social_user",
    "unified.sso.google.find_member",
    "social_core.pipeline.social_auth.associate_user",
    # Not `load_extra_data`: it would keep Google's tokens as they are, and we have no use for them.
]
# Development without Google: whoever is at the machine may be the demo user. Not so once there are credentials.
DEMO_SIGN_IN = DEBUG and not GOOGLE_CLIENT_ID

# Out: Unified is the OpenID Connect provider of the apps.
OIDC_SIGNING_KEYS: list[str] = signing_keys.read(env.list("OIDC_SIGNING_KEYS", default=[])) or (
    signing_keys.development_keys(DATA_DIR) if DEBUG else []
)
TOKEN_MINUTES = 15
REFRESH_TOKEN_DAYS = 30
_ADDRESS_SCHEMES = ["https", "http"] if DEBUG else ["https"]
OAUTH2_PROVIDER_APPLICATION_MODEL = "accounts.Client"
OAUTH2_PROVIDER = {
    "SCOPES": {**IDENTITY_SCOPES, **API_SCOPES},
    "APPLICATION_ADMIN_CLASS": "accounts.admin.ClientAdmin",
    "ACCESS_TOKEN_ADMIN_CLASS": "accounts.admin.TokenAdmin",
    "REFRESH_TOKEN_ADMIN_CLASS": "accounts.admin.RefreshTokenAdmin",
    "ID_TOKEN_ADMIN_CLASS": "accounts.admin.TokenAdmin",
    "GRANT_ADMIN_CLASS": "accounts.admin.GrantAdmin",
    "DEFAULT_SCOPES": ["openid"],
    "OAUTH2_VALIDATOR_CLASS": "unified.sso.validator.Validator",
    "OAUTH2_BACKEND_CLASS": "unified.sso.validator.Backend",
    "OIDC_ENABLED": True,
    "OIDC_ISS_ENDPOINT": f"{PUBLIC_URL}/o",
    "OIDC_RSA_PRIVATE_KEY": OIDC_SIGNING_KEYS[0] if OIDC_SIGNING_KEYS else "",
    "OIDC_RSA_PRIVATE_KEYS_INACTIVE": OIDC_SIGNING_KEYS[1:],
    "OIDC_RESPONSE_TYPES_SUPPORTED": ["code"],
    "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
    "OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT": False,
    "OIDC_RP_INITIATED_LOGOUT_DELETE_TOKENS": False,  # our own service does, and says so in the audit
    "ACCESS_TOKEN_GENERATOR": "accounts.tokens.access_token",
    "REFRESH_TOKEN_GENERATOR": "accounts.tokens.refresh_token",
    "ACCESS_TOKEN_EXPIRE_SECONDS": 60 * TOKEN_MINUTES,
    "ID_TOKEN_EXPIRE_SECONDS": 60 * TOKEN_MINUTES,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 86_400 * REFRESH_TOKEN_DAYS,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "CLIENT_SECRET_HASHER": "sha256_random",
    "REQUEST_APPROVAL_PROMPT": "auto",
    "PKCE_REQUIRED": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": _ADDRESS_SCHEMES,
    "ALLOWED_SCHEMES": _ADDRESS_SCHEMES,
    # RFC 9700, the current best practice, enforced in every point that the library knows.
    **{
        f"COMPLIANT_BCP_RFC9700_{point}": True
        for point in (
            *("IMPLICIT_GRANT", "PASSWORD_GRANT", "PKCE_METHOD", "ACCESS_TOKEN_TRANSPORT", "AUTHZ_RESPONSE_ISS"),
            *("TOKEN_STORAGE", "REFRESH_TOKEN", "REDIRECT_URI_MATCHING", "PKCE_REQUIRED"),
        )
    },
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": not DEBUG,
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

# --- The API ---------------------------------------------------------------------------------------------------------

API_RATE: str | None = env.str("UNIFIED_API_RATE", "") or None

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "unified.api.authentication.BearerAuthentication",
        "unified.api.authentication.QuickstartAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["unified.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "unified.api.negotiation.AlwaysJSON",
    "DEFAULT_THROTTLE_CLASSES": ["unified.api.throttling.CallerThrottle"],
    "DEFAULT_THROTTLE_RATES": {"caller": API_RATE},
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "unified.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Unified API",
    "DESCRIPTION": (
        "One credit pool and one 1 MB workspace for Penora, ImageGene and any app that joins.\n\n"
        "Send `Authorization: Bearer <app key>` from an app's server, or the access token of a person's own sign-in "
        "from anywhere. Every POST takes an `Idempotency-Key`: the same key and body give the "
        "first answer again, so a call whose answer was lost may be repeated without fear."
    ),
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["unified.api.schema.without_trailing_slash_twins"],
    "POSTPROCESSING_HOOKS": ["unified.api.schema.with_error_responses"],
    "TAGS": [
        {"name": "Users", "description": "Who a person is to every app"},
        {"name": "Credits", "description": "One pool: spent in one app, gone in the other"},
        {"name": "Workspace", "description": "One room: what one app keeps, every app opens"},
    ],
    "SERVE_PUBLIC": True,
    "SCHEMA_PATH_PREFIX": r"/api/unified",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

MAX_BODY_BYTES = 12 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

# The samples of the integration guide carry no credential. They run only while this is on, and only as
# unified/api/authentication.py allows.
QUICKSTART_OPEN = switch("UNIFIED_QUICKSTART_OPEN", DEVELOPMENT and DEBUG)

INITIAL_CREDITS_DEFAULT = whole_number("UNIFIED_INITIAL_CREDITS", 50)
INITIAL_CREDITS_MAX = whole_number("UNIFIED_INITIAL_CREDITS_MAX", 1_000)
MAX_PROJECTS_PER_USER = whole_number("UNIFIED_MAX_PROJECTS", 1_000)
TRASH_DAYS = whole_number("UNIFIED_TRASH_DAYS", 7)
# Cores of each web process that encode pictures, and how many pictures may wait for one: their callers hold a thread.
ENCODERS = whole_number("UNIFIED_ENCODERS", 1)
ENCODER_QUEUE = whole_number("UNIFIED_ENCODER_QUEUE", 4)
# What staff move at once, in credits, beyond which they type it a second time.
STAFF_CONFIRM_ABOVE = whole_number("UNIFIED_CONFIRM_ABOVE", 1_000)
REFUND_GRACE_HOURS = whole_number("UNIFIED_REFUND_GRACE_HOURS", 72)
CONTENT_URL_SECONDS = whole_number("UNIFIED_CONTENT_URL_SECONDS", 3_600)
IDEMPOTENCY_WAIT_MS = whole_number("UNIFIED_IDEMPOTENCY_WAIT_MS", 2_000)
IDEMPOTENCY_KEPT_DAYS = whole_number("UNIFIED_IDEMPOTENCY_KEPT_DAYS", 7)

# --- Logs: one line an event, on standard error ----------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", "").upper() or "INFO"
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
    raise ImproperlyConfigured(f"LOG_LEVEL is '{LOG_LEVEL}'; say DEBUG, INFO, WARNING, ERROR or CRITICAL.")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "unified.logs.RequestIdFilter"}},
    "formatters": {
        "line": {
            "format": "{asctime} {levelname} {name} [{request_id}] {message}",
            "style": "{",
        }
    },
    "handlers": {
        "nowhere": {"class": "logging.NullHandler"},
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]},
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Each request is logged once, by unified.requests; of Django's own lines only crashes are kept, and once.
        "django": {"handlers": [], "propagate": True},
        "django.request": {"level": "ERROR"},
        # Scanners; the request's own line tells of them. (With no handler at all, Python would print a traceback.)
        "django.security.DisallowedHost": {"handlers": ["nowhere"], "propagate": False},
        "django.security.MalformedRequest": {"handlers": ["nowhere"], "propagate": False},
        "django.security.DisallowedRedirect": {"handlers": ["nowhere"], "propagate": False},
        "django.server": {"level": "WARNING"},
        # At DEBUG these two write down every token and code.
        "oauthlib": {"level": "WARNING"},
        "oauth2_provider": {"level": "WARNING"},
    },
}
