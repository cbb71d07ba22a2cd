"""Before the start: days and shoppers a change needs, and what a number of days could show, from history."""

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from apps.experiments.models import Experiment
from apps.portal.charts.chart import Chart


@dataclass(frozen=True)
class Plan:
    missing: str = ""
    chart: Chart | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)


def plan_asked(experiment: Experiment, form: Any) -> Any:
    return None


def plan_of(experiment: Experiment, asked: Any) -> Plan:
    return Plan(missing=_("Too little history to say how long it takes."))


def checks_history(experiment: Experiment) -> list[Any]:
    return []
