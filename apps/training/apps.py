"""Registers the app and its kinds of long work."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from apps.jobs.kinds import kind_register


class TrainingConfig(AppConfig):
    """Configuration of apps.training."""

    name = "apps.training"
    verbose_name = _("Models")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        kind_register(code="training.run", task="apps.training.tasks.run_execute", queue="train")
        kind_register(code="training.hybrid", task="apps.training.tasks.hybrid_tune", queue="train")
        kind_register(code="training.choice", task="apps.training.tasks.choice_execute", queue="train")
        for report in ("training.robustness", "training.updates", "training.shilling"):
            kind_register(code=report, task="apps.training.tasks.report_execute", queue="train")
        kind_register(code="training.study", task="apps.training.tasks.study_execute", queue="train")
