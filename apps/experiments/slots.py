"""A switchback's slots: what a metric came to in each, and what the variant made of it.

Units see every variant in turn, so slots are compared, not units: what the metric counts in a slot after its
burn-in, over who was served in it (a ratio: over its own denominator). Only who was served by the experiment
counts, from their first slate on. Slots that it did not fill whole (the first, the last) are left out; one
without a slate, as in a pause, weighs nothing.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.experiments.assignment import Allocation, assign_slot, slot_at
from apps.experiments.collect import entries_of
from apps.experiments.models import Experiment
from apps.experiments.stats.switchback import Slots, SwitchbackEffect, compare, slots_of
from apps.metrics.rollups import shop_clock
from apps.metrics.unit_rows import moment_of, readers
from apps.metrics.unit_steps import Added, Reach
from apps.metrics.unit_tables import hashes, slates_read, tables_read
from apps.metrics.units import UnitMetric

BURN_IN_SHARE, BURN_IN_MOST = 0.1, 10.0
# Hours of the day are told apart once each was met so often.
SLOTS_AN_HOUR = 4
MINUTE = 60_000_000


def slot_facts(*, experiment: Experiment, metric: UnitMetric, end: datetime) -> dict[str, Any]:
    """What a readout keeps: {"metric", "slot_minutes", "effect": `SwitchbackEffect`}, as JSON; {} for a
    quantile, which no sum gives, and before one slot is over. The first variant against control.
    """
    minutes, start = experiment.slot_minutes, experiment.started_at
    if start is None or metric.kind == "quantile":
        return {}
    first, last = slot_at(start.timestamp(), minutes) + 1, slot_at(end.timestamp(), minutes)
    if last <= first:
        return {}
    sums = _sums(experiment, metric, end, first, last - first)
    shares = dict(experiment.variants.values_list("code", "share"))
    ordered = experiment.variants.order_by("-is_control", "position", "id")
    control, treatment, *_ = ordered.values_list("code", flat=True)
    effect = effect_of(
        sums,
        drawn(experiment, shares, first, last),
        (control, treatment),
        shares,
        first=first,
        minutes=minutes,
        alpha=experiment.alpha,
    )
    return {"metric": metric.code, "slot_minutes": minutes, "effect": asdict(effect)}


def drawn(experiment: Experiment, shares: Mapping[str, float], first: int, last: int) -> list[str]:
    """The variant of each slot from `first` to `last` (open), as slates had it."""
    ordered = experiment.variants.order_by("position", "id").values_list("code", flat=True)
    allocation = Allocation(
        experiment.salt, "", 0, 10_000, 1.0, tuple((code, shares[code]) for code in ordered)
    )
    return [assign_slot(allocation, slot) for slot in range(first, last)]


def effect_of(
    sums: Slots,
    variants: list[str],
    pair: tuple[str, str],
    shares: Mapping[str, float],
    *,
    first: int,
    minutes: int,
    alpha: float,
) -> SwitchbackEffect:
    """The second of the pair less the first, over slots in their order; slots of others weigh nothing."""
    control, treatment = pair
    of = np.asarray(variants)
    ours = np.isin(of, pair)
    share = shares[treatment] / ((shares[control] + shares[treatment]) or 1.0)
    zone = shop_clock().zone
    hours = np.asarray(
        [
            datetime.fromtimestamp(slot * minutes * 60, UTC).astimezone(zone).hour
            for slot in range(first, first + len(of))
        ]
    )
    often = len(of) >= SLOTS_AN_HOUR * len(np.unique(hours))
    return compare(
        np.where(ours, sums.y, 0.0),
        of == treatment,
        np.where(ours, sums.d, 0.0),
        hours if often else None,
        alpha=alpha,
        share=share,
    )


def _sums(experiment: Experiment, metric: UnitMetric, end: datetime, first: int, slots: int) -> Slots:
    """The metric's numerator and denominator by slot."""
    minutes, shop = experiment.slot_minutes, shop_clock()
    assert experiment.started_at is not None
    placements = tuple(experiment.placements.values_list("code", flat=True))
    reach = Reach(experiment.started_at, end, shop.zone, shop.window, placements or None, timedelta(0))
    with readers() as connections:
        exposures = slates_read(connections, reach, [metric], experiment=experiment.pk)
        codes = tuple(experiment.variants.values_list("code", flat=True))
        entries = entries_of(exposures, hashes(connections[0], codes), keep_first=True)
        tables = tables_read(connections, reach, entries.units, [metric], exposures)
        values = tables.values(metric)
    served = np.flatnonzero(exposures.variant != 0)
    place = entries.units.locate(exposures.who[served])
    known = place >= 0
    seen = Added.once(place[known].astype(np.int32), exposures.at[served][known])
    origin = int(moment_of(0).timestamp()) * 1_000_000 - first * minutes * MINUTE

    def summed(added: Added, each_once: bool) -> NDArray[np.float64]:
        at = (added.at + origin) / MINUTE
        burn_in = min(minutes * BURN_IN_SHARE, BURN_IN_MOST)
        value = added.value
        if each_once:  # who did it at all in a slot, after its burn-in
            slot = np.floor(at / minutes)
            kept = np.flatnonzero((value > 0) & (slot >= 0) & (at - slot * minutes >= burn_in))
            keys = added.unit[kept] * np.int64(2**31) + slot[kept].astype(np.int64)
            _, which = np.unique(keys, return_index=True)
            at, value = at[kept][which], np.ones(len(which))
        return slots_of(at, value, slots=slots, slot_minutes=minutes, burn_in_minutes=burn_in).y

    bottom = values.denominator if metric.kind == "ratio" else None
    return Slots(
        summed(values.numerator, metric.kind == "proportion"),
        summed(seen, True) if bottom is None else summed(bottom, False),
    )
