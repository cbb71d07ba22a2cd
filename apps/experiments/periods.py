"""A bandit's periods of constant shares: what each unit's chance of each variant was when it came in.

Units stay with the variant and the period of their first exposure, also when a later move gives them another
one: to leave those out would leave out who comes back, of the variants whose share fell more than of others.
What they see later makes the effect smaller, never larger.

The analysis compares within periods and averages them by the units of all variants (`stats.bandit`); the
expected share of a variant is that of the periods, weighted by the units of each. Days and other segments mix
periods, so a bandit has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from apps.experiments.cumulative import Arm
from apps.experiments.models import Experiment, ExperimentKind
from apps.experiments.results import Spec
from apps.experiments.selectors import shares_by_time
from apps.experiments.stats import bandit
from apps.experiments.stats.moments import Moments

DIMENSION = "period"
Table = dict[str, dict[str, Arm]]


@dataclass(frozen=True, slots=True)
class Period:
    """Shares by variant, from a moment on."""

    start: datetime
    shares: Mapping[str, float]


def periods_of(experiment: Experiment) -> tuple[Period, ...]:
    """The periods of a bandit since its launch; () for every other kind."""
    if experiment.kind != ExperimentKind.BANDIT:
        return ()
    return tuple(Period(event.at, shares) for event, shares in shares_by_time(experiment=experiment))


def period_label(number: int) -> str:
    """The segment of the period of this number, from 0."""
    return f"{DIMENSION}:{number}"


def tables_by_period(segments: Mapping[str, Table], periods: Sequence[Period]) -> list[Table]:
    """The tables of the periods in order; an empty one where nobody came in."""
    return [segments.get(period_label(number), {}) for number in range(len(periods))]


def table_stratified(whole: Table, tables: Sequence[Table]) -> Table:
    """Each metric's arms as if the shares had never moved. A quantile can't be put together from the periods'
    and pooled it says more of the days than of the variants: once shares have moved it is left out.
    """
    if len(tables) < 2:
        return {metric: dict(arms) for metric, arms in whole.items()}
    found: Table = {}
    for metric, arms in whole.items():
        if not all(isinstance(arm, Moments) for arm in arms.values()):
            continue
        parts = [
            {name: arm for name, arm in table.get(metric, {}).items() if isinstance(arm, Moments)}
            for table in tables
        ]
        found[metric] = {**arms, **bandit.stratified(parts)}
    return found


def spec_by_period(spec: Spec, counts: Sequence[Mapping[str, int]], periods: Sequence[Period]) -> Spec:
    """The spec with the shares that units had on average, and those of the plan, which no look has changed.

    counts: units by variant in each period.
    """
    sizes = [sum(one.values()) for one in counts]
    every = sum(sizes)
    if not every:
        return spec
    shares = {
        variant: sum(
            size * period.shares.get(variant, 0.0) for size, period in zip(sizes, periods, strict=True)
        )
        / every
        for variant in spec.shares
    }
    return replace(spec, shares=shares, planned_shares=periods[0].shares)
