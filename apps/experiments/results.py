"""What an experiment's analysis says: plain frozen values with a JSON round trip. Imports no Django.

Every number is finite. Where a number can't be had (no data, a control of 0, one unit) the field is None, and
so it is null in the JSON. Relative values are fractions: 0.03 is +3 %. `low` and `high` bound two-sided
intervals at 1 - alpha of the experiment, unless said otherwise.

    stored = analysis.as_json()           # dicts, lists, text, numbers, None
    again = analysis_read(stored)         # equal to `analysis`
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from apps.experiments.notes import NOTE_TEXTS, Note, note_text, note_values

__all__ = [
    "NOTE_TEXTS",
    "Analysis",
    "Bayes",
    "BiasCheck",
    "Comparison",
    "DayEffect",
    "Effect",
    "Family",
    "Guardrail",
    "Interaction",
    "MetricResult",
    "Note",
    "Relative",
    "SegmentSrm",
    "Sequential",
    "Spec",
    "Srm",
    "Stratified",
    "Unadjusted",
    "UnitMetricSpec",
    "Verdict",
    "analysis_read",
    "as_json",
    "note_text",
    "note_values",
]

Kind = Literal["proportion", "mean", "revenue", "ratio", "quantile"]
Role = Literal["primary", "secondary", "guardrail"]
View = Literal["sequential", "fixed", "bayes"]
Correction = Literal["none", "holm", "bh"]
State = Literal["better", "worse", "flat", "unclear", "no_data"]
Action = Literal["ship", "roll_back", "keep_running", "keep_control", "blocked", "too_early"]
Alarm = Literal["none", "warning", "blocked"]


# --- what was asked ----


@dataclass(frozen=True, slots=True)
class UnitMetricSpec:
    """One metric as the analysis needs it. `margin`: the relative loss a guardrail still accepts (.02).

    signed: values of a unit may be below 0 as a matter of course (a temperature, a score, a margin), so that
    their mean says nothing of their spread. sparse: besides, most units have no value at all (0), as of what
    a shop's shoppers earn it.
    """

    code: str
    kind: Kind
    role: Role
    higher_is_better: bool = True
    margin: float | None = None
    signed: bool = False
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """How an experiment is to be judged. `shares`: expected share of the units by variant, control too.

    planned_units: units in all, of a plan made before the first look (never those seen so far): the
    sequential intervals are tightest at each pair's part of it, by planned_shares where `shares` are those
    that a bandit came to give. prior_sd: of a normal prior of the relative change (0.3 doubts
    changes beyond 60 %); None: flat.
    """

    control: str
    shares: Mapping[str, float]
    metrics: tuple[UnitMetricSpec, ...]
    alpha: float = 0.05
    correction: Correction = "holm"
    view: View = "sequential"
    cuped: bool = True
    min_days: float = 7
    min_units: int = 150
    mde: float | None = None  # relative change of the primary metric worth having
    power: float = 0.8
    planned_days: float | None = None
    planned_units: int | None = None
    planned_shares: Mapping[str, float] | None = None
    prior_mean: float = 0.0
    prior_sd: float | None = None

    @property
    def treatments(self) -> tuple[str, ...]:
        """The variants but for control, in the order given."""
        return tuple(variant for variant in self.shares if variant != self.control)


# --- one metric, one treatment ----


@dataclass(frozen=True, slots=True)
class Effect:
    """Treatment minus control in the metric's unit, with its two-sided interval and p-value (Welch)."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Relative:
    """The change as a share of control, with its two-sided interval (delta method)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sequential:
    """The always-valid interval of the difference: it holds however often anybody looks."""

    low: float
    high: float
    p: float
    relative_low: float | None = None
    relative_high: float | None = None


@dataclass(frozen=True, slots=True)
class Bayes:
    """Posterior of the relative change: chance that the treatment is better, and expected loss if shipped."""

    chance_to_win: float
    expected_loss: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Unadjusted:
    """The same comparison without CUPED, to be shown beside the adjusted one."""

    control: float
    treatment: float
    difference: Effect
    relative: Relative | None
    sequential: Sequential | None


@dataclass(frozen=True, slots=True)
class Stratified:
    """The difference within the segments of a dimension, averaged by the segments' share of all units."""

    dimension: str
    difference: Effect
    relative: float | None


@dataclass(frozen=True, slots=True)
class Guardrail:
    """Non-inferiority: `low` and `high` are one-sided always-valid bounds of the relative change.

    passed: the worst the data allow is within the margin. failed: the best they allow is beyond it.
    Bounds are of the change as measured; for a metric where less is better the margin is above 0.
    """

    margin: float
    low: float
    high: float
    state: Literal["passed", "failed", "open"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One treatment against control for one metric.

    control and treatment are the arms' values as measured. With `cuped`, differences and changes are adjusted
    (the change is the adjusted difference over control as measured), `unadjusted` holds the plain ones and
    `variance_cut` the share of the variance that went. `state` is in the sense of the metric (fewer returns
    are "better"), by the experiment's view and after its correction. `p_adjusted` corrects the p-value of the
    view.
    """

    variant: str
    n_control: int
    n_treatment: int
    control: float | None
    treatment: float | None
    difference: Effect | None
    relative: Relative | None
    sequential: Sequential | None
    bayes: Bayes | None
    p_adjusted: float | None = None
    cuped: bool = False
    variance_cut: float | None = None
    state: State = "no_data"
    warnings: tuple[Note, ...] = ()
    unadjusted: Unadjusted | None = None
    stratified: tuple[Stratified, ...] = ()
    guardrail: Guardrail | None = None


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric over all treatments. best: each variant's chance, control's too, to be the best of all."""

    code: str
    kind: Kind
    role: Role
    higher_is_better: bool
    margin: float | None
    comparisons: tuple[Comparison, ...]
    best: Mapping[str, float] = field(default_factory=dict)

    def comparison(self, variant: str) -> Comparison | None:
        """The comparison of one treatment, None when there is none."""
        return next((found for found in self.comparisons if found.variant == variant), None)


# --- the whole experiment ----


@dataclass(frozen=True, slots=True)
class SegmentSrm:
    """The sample ratio within one segment; `p_adjusted` is Holm's over the segments."""

    segment: str
    p: float
    p_adjusted: float
    observed: Mapping[str, int]
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Srm:
    """Whether the variants got the shares of units they should have. p < .01 warns, p < .001 blocks."""

    p: float | None
    alarm: Alarm
    sequential_p: float | None
    observed: Mapping[str, int]
    expected: Mapping[str, float]
    segments: tuple[SegmentSrm, ...] = ()


@dataclass(frozen=True, slots=True)
class BiasCheck:
    """Whether the arms differed before the experiment; `alarm` at Bonferroni's .001."""

    metric: str
    variant: str
    relative: float | None
    p: float
    alarm: bool


@dataclass(frozen=True, slots=True)
class Interaction:
    """Whether the effect differs between the segments of a dimension (Cochran's Q; p Holm-adjusted too)."""

    metric: str
    variant: str
    dimension: str
    q: float
    p: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class DayEffect:
    """The relative change of one metric and treatment through a day, and on the day by itself."""

    day: float
    variant: str
    n_control: int
    n_treatment: int
    value: float | None
    low: float | None
    high: float | None
    sequential_low: float | None
    sequential_high: float | None
    p: float | None = None
    sequential_p: float | None = None
    daily: float | None = None
    daily_low: float | None = None
    daily_high: float | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """Which comparisons a correction counts together."""

    name: Literal["primary", "secondary", "segments"]
    size: int
    correction: Correction


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, with the reasons, and what would change it."""

    action: Action
    variant: str
    reasons: tuple[Note, ...]
    would_change: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything the results and health pages show."""

    control: str
    alpha: float
    view: View
    correction: Correction
    started: datetime | None
    through: datetime | None
    elapsed_days: float | None
    units: Mapping[str, int]
    metrics: tuple[MetricResult, ...]
    srm: Srm
    verdict: Verdict
    warnings: tuple[Note, ...] = ()
    segments: Mapping[str, tuple[MetricResult, ...]] = field(default_factory=dict)  # by "region:North"
    interactions: tuple[Interaction, ...] = ()
    pre_exposure: tuple[BiasCheck, ...] = ()
    multiple_exposed: float | None = None  # share of all units
    excluded: Mapping[str, int] = field(default_factory=dict)  # bots, outliers, multiple_exposure, ...
    families: tuple[Family, ...] = ()
    days: Mapping[str, tuple[DayEffect, ...]] = field(default_factory=dict)  # by metric

    def metric(self, code: str) -> MetricResult | None:
        """The result of one metric, None when there is none."""
        return next((found for found in self.metrics if found.code == code), None)

    @property
    def primary(self) -> MetricResult | None:
        """The result of the primary metric."""
        return next((found for found in self.metrics if found.role == "primary"), None)

    def as_json(self) -> dict[str, Any]:
        """The analysis as JSON values; `analysis_read` reads it back."""
        return cast(dict[str, Any], as_json(self))


# --- to JSON and back ----


def as_json(value: Any) -> Any:
    """A result as JSON values: dataclasses are objects, tuples lists, times ISO text, NaN and inf null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: as_json(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def analysis_read(data: Mapping[str, Any]) -> Analysis:
    """Read what `Analysis.as_json` wrote. Fields that are not there take their defaults.

    Raises ValueError when a field without a default is missing.
    """
    return cast(Analysis, _read(Analysis, data))


@cache
def _hints(of: type) -> dict[str, Any]:
    return get_type_hints(of)


def _read(hint: Any, data: Any) -> Any:
    """One JSON value as the type that `hint` says."""
    origin, arguments = get_origin(hint), get_args(hint)
    if data is None or hint is Any:
        return data
    if origin in {types.UnionType, Union}:
        return _read(next(one for one in arguments if one is not type(None)), data)
    if origin is tuple:
        return tuple(_read(arguments[0], one) for one in data)
    if origin is not None and origin is not Literal and issubclass(origin, Mapping):
        return {key: _read(arguments[1], one) for key, one in data.items()}
    if hint is datetime:
        return datetime.fromisoformat(data)
    if hint is float:
        return float(data)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = _hints(hint)
        try:
            return hint(**{name: _read(hints[name], data[name]) for name in hints if name in data})
        except TypeError as error:
            raise ValueError(f"{hint.__name__}: {error}") from error
    return data
