"""Guardrails: which of them the last readout says have failed, and what to do then.

`Analysis` judges each one by one-sided bounds that hold however often anybody looks, so acting on them at
every
look keeps the chance of a false alarm at its level. Bounds lean on the normal distribution: below the
experiment's least number of units an arm is not judged.

A guardrail that fails for one treatment of several rolls the whole experiment back: a variant can't be
taken out
under shoppers who have seen it, and a copy without it is a few clicks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.experiments.models import Experiment, Readout
from apps.experiments.results import Analysis, analysis_read

# A readout older than this says nothing of now.
FRESH = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Failure:
    """A guardrail that failed: bounds of the relative change, and the loss that was accepted."""

    metric: str
    variant: str
    low: float
    high: float
    margin: float

    def details(self) -> dict[str, str | float]:
        """For the log."""
        return {
            "metric": self.metric,
            "variant": self.variant,
            "low": self.low,
            "high": self.high,
            "margin": self.margin,
        }


def analysis_fresh(experiment: Experiment, now: datetime) -> Analysis | None:
    """The stored analysis if it is of this run and of now; None otherwise."""
    readout = Readout.objects.filter(experiment=experiment).first()
    if readout is None or readout.error or not readout.analysis or experiment.started_at is None:
        return None
    if readout.computed_at < max(experiment.started_at, now - FRESH):
        return None
    return analysis_read(readout.analysis)


def guardrails_failed(experiment: Experiment, analysis: Analysis) -> list[Failure]:
    """Guardrails that fail now, with enough units on both sides."""
    return [
        Failure(
            metric.code,
            found.variant,
            found.guardrail.low,
            found.guardrail.high,
            found.guardrail.margin,
        )
        for metric in analysis.metrics
        if metric.role == "guardrail"
        for found in metric.comparisons
        if found.guardrail is not None
        and found.guardrail.state == "failed"
        and min(found.n_control, found.n_treatment) >= experiment.min_units
    ]


def failures_new(experiment: Experiment, failures: Sequence[Failure]) -> list[Failure]:
    """Those the log does not know yet."""
    rows = experiment.log.filter(kind="guardrail_failed").values_list("details", flat=True)
    known = {(row.get("metric"), row.get("variant")) for row in rows}
    return [one for one in failures if (one.metric, one.variant) not in known]
