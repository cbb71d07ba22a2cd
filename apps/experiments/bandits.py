"""Where a bandit's traffic goes next, from its stored moments by Thompson's rule (`stats.bandit`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.experiments.models import DayMoments, Experiment
from apps.experiments.stats import bandit
from apps.experiments.stats.moments import Moments
from apps.metrics.units import unit_metric_get

# Units by the period of constant shares in which they were first exposed: segments "period:0", "period:1"…
PERIOD = "period:"
# Smaller moves only send shoppers to and fro.
MOVE_LEAST = 0.005


@dataclass(frozen=True, slots=True)
class SharesFound:
    """Shares by variant, summing to 1, and why: chances to be the best, and what choosing now would lose."""

    shares: Mapping[str, float]
    reason: Mapping[str, Any]


def bandit_arms(experiment: Experiment) -> dict[str, Moments]:
    """The primary metric's moments by variant, as if the shares had never moved; variants without any left
    out.
    """
    rows = DayMoments.objects.filter(experiment=experiment, metric=experiment.primary)
    last = rows.order_by("-day").values_list("day", flat=True).first()
    periods: dict[int, dict[str, Moments]] = {}
    whole: dict[str, Moments] = {}
    for row in rows.filter(day=last or 0):
        if row.segment == "":
            whole[row.variant] = Moments.from_json(row.moments)
        elif row.segment.startswith(PERIOD):
            number = int(row.segment.removeprefix(PERIOD))
            periods.setdefault(number, {})[row.variant] = Moments.from_json(row.moments)
    if len(periods) < 2:
        return whole
    return dict(bandit.stratified([periods[number] for number in sorted(periods)]))


def bandit_shares(experiment: Experiment) -> SharesFound | None:
    """The next shares; None while arms have too few units, or when hardly anything would move."""
    metric = unit_metric_get(experiment.primary)
    now = {one.code: one.share for one in experiment.variants.all()}
    if metric.kind == "quantile":
        return None  # a quantile's moments say nothing of its distribution over units
    arms = bandit_arms(experiment)
    if set(arms) != set(now):
        return None
    floor = min(experiment.bandit_floor, 1 / len(now))
    found = bandit.allocation(arms, floor=floor, higher_is_better=metric.higher_is_better)
    if found.exploring or max(abs(found.shares[code] - now[code]) for code in now) < MOVE_LEAST:
        return None
    reason = {
        "chances": dict(found.chances or {}),
        "losses": dict(found.losses or {}),
        "units": {code: arm.n for code, arm in arms.items()},
    }
    return SharesFound({code: found.shares[code] for code in now}, reason)
