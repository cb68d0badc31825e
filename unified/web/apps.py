from django.apps import AppConfig


class WebConfig(AppConfig):
    """The pages of people, and how numbers and times look on them."""

    name = "unified.web"
    label = "web"
    verbose_name = "Pages"
