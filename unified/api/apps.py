from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "unified.api"
    label = "api"
    verbose_name = "API"
