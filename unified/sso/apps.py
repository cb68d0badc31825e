from django.apps import AppConfig


class SsoConfig(AppConfig):
    name = "unified.sso"
    label = "sso"
    verbose_name = "Sign-in"
