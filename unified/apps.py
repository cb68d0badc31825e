from django.apps import AppConfig


class UnifiedConfig(AppConfig):
    name = "unified"

    def ready(self) -> None:
        from unified import checks  # noqa: F401  registers the checks
