"""The shop's own past as a rehearsal: how many units come, how metrics spread, and whether nothing is found
where nothing is.

    past = placement_history(placements=["home"], metrics=["conversion"], audience=experiment.audience)
    base = power.Baseline.of(past.arms["conversion"], is_proportion=True)
    power.days_for(units, past.cumulative)
    result = instant_aa(experiment=experiment)

Who was served a slate of the placements takes part from the first one on, as if an experiment had begun at
the start of the period. Metrics are taken over the whole of it, covariates from the 14 days before.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from django.core.cache import cache
from numpy.typing import NDArray
from scipy import stats

from apps.core import clock
from apps.events.models import Shopper
from apps.experiments.assignment import Allocation, assign_many
from apps.experiments.collect import COVARIATE_DAYS, path_of
from apps.experiments.cumulative import Arm, Codes, Frame, Paths
from apps.experiments.models import Experiment
from apps.experiments.stats.cuped import adjusted, linearised
from apps.experiments.stats.frequentist import difference
from apps.experiments.stats.moments import Moments, moments_read
from apps.experiments.stats.quantiles import quantile_of, winsorise_cap, winsorised
from apps.experiments.stats.srm import srm
from apps.metrics.rollups import shop_clock
from apps.metrics.unit_rows import NOBODY, Exposures, Floats, Progress, Raw, readers
from apps.metrics.unit_steps import Added, Reach, Units, UnitTables
from apps.metrics.unit_tables import day_bounds, slates_read, tables_read
from apps.metrics.units import UnitMetric, unit_metrics

HISTORY_DAYS = 28
CACHE_SECONDS = 15 * 60
# A random split needs no more units than this to show whether the test keeps its level.
AA_UNITS = 100_000
AA_UNITS_LEAST = 200
NO_EXPERIMENT = -1
Audience = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """What a period of `days` days shows. daily: units served on each day; cumulative: different units
    through each day; arms: by metric the moments of all units, with the covariate.
    """

    days: int
    daily: tuple[int, ...]
    cumulative: tuple[int, ...]
    arms: Mapping[str, Arm]

    @property
    def units(self) -> int:
        """Different units of the whole period."""
        return self.cumulative[-1] if self.cumulative else 0

    @property
    def units_a_day(self) -> float:
        """The mean over the days."""
        return sum(self.daily) / max(len(self.daily), 1)

    def correlation(self, code: str) -> float | None:
        """Of a metric with its covariate: CUPED leaves 1 - correlation^2 of the variance; None unknown."""
        arm = self.arms.get(code)
        if not isinstance(arm, Moments):
            return None
        line = arm.linear()
        both = line.var_x * line.var_y
        return float(line.cov_xy / both**0.5) if both > 0 else None

    def as_json(self) -> dict[str, Any]:
        """JSON values; `history_read` reads them."""
        arms = {code: arm.as_json() for code, arm in self.arms.items()}
        return {"days": self.days, "daily": self.daily, "cumulative": self.cumulative, "arms": arms}


@dataclass(frozen=True, slots=True)
class AaResult:
    """Random splits of history, analysed.

    share: of the splits with p < alpha, which should be alpha; None: too few units. low, high: the band in
    which 95 of 100 such shares lie by chance. units: split each time. srm_p: whether the experiment's own
    hash gives known shoppers of history their shares; None without any.
    """

    splits: int
    units: int
    alpha: float
    share: float | None
    low: float
    high: float
    srm_p: float | None

    @property
    def passed(self) -> bool:
        """Whether there are not more false differences than chance explains, and the hash is even."""
        return (self.share is None or self.share <= self.high) and (self.srm_p is None or self.srm_p >= 0.001)


def placement_history(
    *,
    placements: Sequence[str],
    metrics: Sequence[str],
    days: int = HISTORY_DAYS,
    audience: Audience | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> History:
    """Units and metrics of these placements (none: all) over the last `days` days; kept for a quarter of an
    hour, since a wizard asks again and again. Unknown metrics are left out.
    """
    asked = json.dumps([sorted(placements), sorted(metrics), days, dict(audience or {})], sort_keys=True)
    key = "experiment-history:" + hashlib.sha256(asked.encode()).hexdigest()
    if now is None and (kept := cache.get(key)) is not None:
        return history_read(kept)
    known = unit_metrics(archived=True)
    wanted = [known[code] for code in dict.fromkeys(metrics) if code in known]
    past = _past(wanted, placements, days, audience or {}, now or clock.now(), progress)
    paths = Paths(past.frame)
    found = History(
        days=past.frame.days,
        daily=past.daily,
        cumulative=tuple(day["all"].n for day in paths.counts().days),
        arms={
            metric.code: path_of(paths, past.tables, metric, past.bounds).days[-1]["all"] for metric in wanted
        },
    )
    if now is None:
        cache.set(key, found.as_json(), CACHE_SECONDS)
    return found


def history_read(data: Mapping[str, Any]) -> History:
    """What `History.as_json` wrote."""
    return History(
        days=int(data["days"]),
        daily=tuple(data["daily"]),
        cumulative=tuple(data["cumulative"]),
        arms={code: moments_read(arm) for code, arm in data["arms"].items()},
    )


def instant_aa(
    *,
    experiment: Experiment,
    splits: int = 200,
    days: int = HISTORY_DAYS,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> AaResult:
    """Split the units of the past at random, again and again, and analyse the primary metric as the
    experiment will be (winsorised, with CUPED where it asks for it): first treatment against control, Welch's
    test.
    """
    alpha = experiment.alpha
    low, high = (float(stats.binom.ppf(q, splits, alpha)) / splits for q in (0.025, 0.975))
    metric = unit_metrics(archived=True).get(experiment.primary)
    placements = list(experiment.placements.values_list("code", flat=True))
    past = _past(
        [metric] if metric else [], placements, days, experiment.audience, now or clock.now(), progress
    )
    srm_p = _hash_check(experiment, past)
    units = np.flatnonzero(past.frame.variant >= 0)
    if metric is None or len(units) < AA_UNITS_LEAST:
        return AaResult(0, len(units), alpha, None, low, high, srm_p)
    # the same splits whenever somebody asks, of the same units
    draw = np.random.default_rng(list(experiment.salt.encode()))
    if len(units) > AA_UNITS:
        units = draw.choice(units, AA_UNITS, replace=False)
    arms_of = _splitter(past.tables, metric, units, cuped=experiment.cuped)
    shares = [one.share for one in experiment.variants.order_by("-is_control", "position", "id")]
    part = np.cumsum(shares) / sum(shares)
    found, tried = 0, 0
    for _split in range(splits):
        p = difference(*arms_of(np.searchsorted(part, draw.random(len(units)), side="right")), alpha).p
        if p is not None:
            tried, found = tried + 1, found + (p < alpha)
    return AaResult(tried, len(units), alpha, found / tried if tried else None, low, high, srm_p)


# --- the past as an experiment ---


@dataclass(frozen=True, slots=True)
class _Past:
    """A frame of one variant ("all"), the tables behind it, where its days begin, and each day's units."""

    frame: Frame
    tables: UnitTables
    bounds: NDArray[np.int64]
    daily: tuple[int, ...]


def _past(
    metrics: Sequence[UnitMetric],
    placements: Sequence[str],
    days: int,
    audience: Audience,
    now: datetime,
    progress: Progress | None,
) -> _Past:
    """The last `days` whole days of the shop."""
    shop = shop_clock()
    today = now.astimezone(shop.zone).date()
    start, end = shop.midnight(today - timedelta(days=days)), shop.midnight(today)
    reach = Reach(
        start, end, shop.zone, shop.window, tuple(placements) or None, timedelta(days=COVARIATE_DAYS)
    )
    bounds = day_bounds(shop.zone, start, end - timedelta(microseconds=1))
    with readers() as connections:
        exposures = slates_read(
            connections, reach, metrics, experiment=NO_EXPERIMENT, everybody=True, progress=progress
        )
        served = exposures.taken((exposures.at >= bounds[0]) & (exposures.who > NOBODY))
        units = _units(served)
        units = units.taken(_in_audience(connections[0], units, audience, start))
        tables = tables_read(connections, reach, units, metrics, exposures, progress=progress)
    place = units.locate(served.who)
    day = np.searchsorted(bounds, served.at, side="right") - 1
    each = np.unique(place[place >= 0].astype(np.int64) * days + day[place >= 0])
    frame = Frame(
        variants=("all",),
        days=days,
        variant=np.where(tables.bots, -1, 0),
        entry=np.searchsorted(bounds, units.first, side="right") - 1,
        cell=np.zeros(len(units), dtype=np.int64),
    )
    return _Past(frame, tables, bounds, tuple(np.bincount(each % days, minlength=days).tolist()))


def _units(served: Exposures) -> Units:
    who, first = np.unique(served.who, return_index=True)  # the first in time: they come by time
    return Units(who, served.at[first])


def _in_audience(raw: Raw, units: Units, audience: Audience, start: datetime) -> NDArray[np.bool_]:
    """Who would be in an audience. Devices are not looked at: what somebody used is not known of the past."""
    known, history = audience.get("known"), audience.get("history")
    regions = [str(one).casefold() for one in audience.get("regions") or ()]
    languages = [str(one).casefold() for one in audience.get("languages") or ()]
    inside = np.ones(len(units), dtype=np.bool_)
    shoppers = units.who > 0
    if known is not None:
        inside &= shoppers == known
    if not (regions or languages or history):
        return inside
    rows = psycopg.Cursor(raw).execute(
        b"SELECT id FROM events_shopper"
        b" WHERE (%(regions)s::text[] = '{}' OR lower(region) = ANY(%(regions)s))"
        b" AND (%(languages)s::text[] = '{}' OR lower(language) = ANY(%(languages)s)"
        b"      OR split_part(lower(language), '-', 1) = ANY(%(languages)s))"
        b" AND (%(history)s::text = '' OR (first_seen_at >= %(start)s) = (%(history)s = 'new'))",
        {"regions": regions, "languages": languages, "history": history or "", "start": start},
    )
    fitting = np.array([pk for (pk,) in rows.fetchall()], dtype=np.int64)
    nameless = not regions and not languages and history != "returning"
    return inside & np.where(shoppers, np.isin(units.who, fitting), nameless)


# --- splits ---


def _splitter(
    tables: UnitTables, metric: UnitMetric, units: Codes, *, cuped: bool
) -> Callable[[Codes], tuple[Arm, Arm]]:
    """A function from a split (the arm of each of `units`) to the moments of arms 0 and 1."""
    values = tables.values(metric)

    def total(added: Added | None) -> Floats:
        assert added is not None
        found = np.bincount(added.unit, weights=added.value, minlength=len(tables.units))
        return found[units].astype(np.float64)

    y, x = total(values.numerator), None if values.before is None else values.before[units]
    if metric.kind == "quantile":
        q = metric.quantile or 0.5
        return lambda split: (
            quantile_of(y[(split == 0) & (y > 0)], q),
            quantile_of(y[(split == 1) & (y > 0)], q),
        )
    d = None
    if metric.kind == "proportion":
        y = (y > 0).astype(np.float64)
        x = None if x is None else (x > 0).astype(np.float64)
    elif metric.kind == "ratio":
        d = total(values.denominator)
        before = values.before_denominator
        x = None if x is None or before is None else linearised(x, before[units])
    elif metric.kind == "revenue" and metric.winsorise is not None:
        y = winsorised(y, winsorise_cap(y, metric.winsorise))
        x = None if x is None else winsorised(x, winsorise_cap(x, metric.winsorise))

    def arms(split: Codes) -> tuple[Arm, Arm]:
        pair = [
            Moments.of(y[at], None if d is None else d[at], None if x is None or not cuped else x[at])
            for at in (split == 0, split == 1)
        ]
        found = adjusted({"control": pair[0], "treatment": pair[1]}) if cuped else None
        return (found["control"], found["treatment"]) if found else (pair[0], pair[1])

    return arms


def _hash_check(experiment: Experiment, past: _Past) -> float | None:
    """The sample ratio of known shoppers of the past under the experiment's own hash; None without any."""
    ids = past.tables.units.who[past.tables.units.who > 0][:AA_UNITS].tolist()
    names = [one.unit for one in Shopper.objects.filter(pk__in=ids).only("external_id", "first_known_as")]
    variants = list(experiment.variants.order_by("position", "id"))
    allocation = Allocation(
        salt=experiment.salt,
        layer_salt=experiment.layer.salt,
        layer_from=experiment.layer_from,
        layer_to=experiment.layer_to,
        traffic=1.0,
        variants=tuple((one.code, one.share) for one in variants),
    )
    places = assign_many(allocation, names) if names else np.zeros(0, dtype=np.int64)
    counts = np.bincount(places[places >= 0], minlength=len(variants))
    if not counts.sum():
        return None
    return srm(
        {one.code: int(count) for one, count in zip(variants, counts, strict=True)},
        {one.code: one.share for one in variants},
    ).p
