from django.apps import AppConfig


class FiguresConfig(AppConfig):
    name = "unified.figures"
    label = "figures"
    verbose_name = "Figures"
