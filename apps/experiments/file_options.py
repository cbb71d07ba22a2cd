"""What to analyse in a file of units or of summaries, and how, checked. Pure: imports no Django."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from apps.core.errors import InvalidInput
from apps.experiments.results import Correction, Kind, Role, Spec, UnitMetricSpec, View

KINDS = "proportion, mean, revenue, ratio=NUMERATOR/DENOMINATOR, quantile=Q"
# Shares may be written with few digits (0.33,0.33,0.33 for three).
SHARES_MAY_MISS = 0.011


@dataclass(frozen=True, slots=True)
class FileMetric:
    """One metric of a file. column: its values, or a ratio's numerator; covariate: a column for CUPED."""

    name: str
    kind: Kind
    column: str
    denominator: str | None = None
    quantile: float | None = None
    covariate: str | None = None
    higher_is_better: bool = True
    margin: float | None = None  # a guardrail's; None: no guardrail
    signed: bool = False  # values below 0 are nothing unusual; found out from the units


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How to read and judge a file. The first metric that is no guardrail is the primary one.

    unit, variant: columns; a summary has no unit. control: the value of `variant` that is the control.
    expected: share by variant, control too; None: equal shares. date: a column with the row's day.
    winsorise: revenue above this quantile of the pooled positive values counts as that quantile; None: as is.
    """

    variant: str = ""
    control: str = ""
    metrics: tuple[FileMetric, ...] = ()
    unit: str = ""
    expected: Mapping[str, float] | None = None
    segments: tuple[str, ...] = ()
    date: str = ""
    alpha: float = 0.05
    correction: Correction = "holm"
    view: View = "sequential"
    winsorise: float | None = 0.99
    min_days: float = 7
    min_units: int = 150
    mde: float | None = None
    planned_days: float | None = None
    prior_sd: float | None = None
    experiment: str = ""  # of a summary of several


def metric_parse(text: str) -> FileMetric:
    """Read NAME:KIND, the way a metric is written on the command line. Raises InvalidInput."""
    name, colon, kind = text.rpartition(":")
    name, kind = name.strip(), kind.strip()
    if not colon or not name:
        raise InvalidInput(field="metric", value=text, remedy=f"Write NAME:KIND, with KIND one of {KINDS}.")
    word, _equals, value = kind.partition("=")
    if kind in {"proportion", "mean", "revenue"}:
        return FileMetric(name=name, kind=_plain_kind(kind), column=name)
    if word == "ratio":
        numerator, slash, denominator = (part.strip() for part in value.partition("/"))
        if not (slash and numerator and denominator):
            raise InvalidInput(
                field="metric",
                value=text,
                remedy="A ratio names two columns: NAME:ratio=NUMERATOR/DENOMINATOR.",
            )
        return FileMetric(name=name, kind="ratio", column=numerator, denominator=denominator)
    if word == "quantile":
        return FileMetric(name=name, kind="quantile", column=name, quantile=_quantile(text, value))
    raise InvalidInput(field="metric", value=text, remedy=f"{kind!r} is no kind. Take one of {KINDS}.")


def _plain_kind(kind: str) -> Kind:
    return "proportion" if kind == "proportion" else "mean" if kind == "mean" else "revenue"


def _quantile(text: str, value: str) -> float:
    remedy = "Q lies between 0 and 1, without them: quantile=0.5 is the median."
    try:
        quantile = float(value)
    except ValueError:
        raise InvalidInput(field="metric", value=text, remedy=remedy) from None
    if not 0 < quantile < 1:
        raise InvalidInput(field="metric", value=text, remedy=remedy)
    return quantile


def pairs_parse(texts: Iterable[str], *, field: str, example: str) -> dict[str, str]:
    """Read NAME=VALUE, several with commas between them. Raises InvalidInput."""
    pairs: dict[str, str] = {}
    for text in texts:
        for part in text.split(","):
            name, equals, value = (piece.strip() for piece in part.rpartition("="))
            if not (equals and name and value):
                raise InvalidInput(field=field, value=text, remedy=f"Write NAME=VALUE, such as {example}.")
            if name in pairs:
                raise InvalidInput(field=field, value=text, remedy=f"Name {name!r} once.")
            pairs[name] = value
    return pairs


def shares_parse(text: str) -> dict[str, float]:
    """Read A=0.5,B=0.5 as shares that sum to 1 (0.33 for a third is near enough; 50 and 50 are not)."""
    shares: dict[str, float] = {}
    for name, value in pairs_parse([text], field="expected", example="A=0.5,B=0.5").items():
        shares[name] = number_parse(value, field="expected")
        if shares[name] < 0:
            raise InvalidInput(field="expected", value=text, remedy="A share is 0 or more.")
    total = sum(shares.values())
    if abs(total - 1) > SHARES_MAY_MISS:
        remedy = f"The shares sum to {total:g}: make them sum to 1, such as A=0.5,B=0.5."
        raise InvalidInput(field="expected", value=text, remedy=remedy)
    return {name: share / total for name, share in shares.items()}


def number_parse(text: str, *, field: str) -> float:
    """A finite number. Raises InvalidInput."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(field=field, value=text, remedy="Write a number, such as 0.5.")
    return number


def options_check(options: FileOptions) -> None:
    """Refuse options that contradict each other or lie outside their range. Raises InvalidInput."""
    if not 0 < options.alpha < 0.5:
        raise InvalidInput(
            field="alpha", value=options.alpha, remedy="It lies above 0 and below 0.5; 0.05 is usual."
        )
    if options.winsorise is not None and not 0.5 <= options.winsorise < 1:
        raise InvalidInput(
            field="winsorise", value=options.winsorise, remedy="Take a share from 0.5 to below 1, or none."
        )
    for name, least in (("min_days", options.min_days), ("min_units", options.min_units)):
        if least < 0:
            raise InvalidInput(field=name, value=least, remedy="Take 0 or more.")
    if options.mde is not None and not options.mde > 0:
        raise InvalidInput(
            field="mde", value=options.mde, remedy="Take a relative change above 0, such as 0.02."
        )
    if options.prior_sd is not None and not options.prior_sd > 0:
        raise InvalidInput(
            field="prior_sd", value=options.prior_sd, remedy="Take a number above 0, such as 0.3."
        )
    names = [metric.name for metric in options.metrics]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(field="metric", value=name, remedy="Give each metric a name of its own.")
    if options.unit and options.unit == options.variant:
        raise InvalidInput(
            field="variant", value=options.variant, remedy="The unit and the variant need two columns."
        )
    if options.expected is not None and options.control not in options.expected:
        raise InvalidInput(
            field="expected",
            value=", ".join(options.expected),
            remedy=f"Name the control too: {options.control}=SHARE.",
        )


def shares_of(options: FileOptions, variants: Iterable[str]) -> dict[str, float]:
    """The expected shares of the variants found, control first. Raises InvalidInput for one not expected."""
    found = sorted(variants, key=lambda variant: (variant != options.control, variant))
    if options.expected is None:
        return {variant: 1 / len(found) for variant in found}
    for variant in found:
        if variant not in options.expected:
            raise InvalidInput(
                field="expected",
                value=", ".join(f"{name}={share:g}" for name, share in options.expected.items()),
                remedy=f"The file also holds {variant!r}: give it a share (0 if it was switched off).",
            )
    for variant in options.expected:
        if variant not in found:
            raise InvalidInput(
                field="expected",
                value=variant,
                remedy=f"The file holds no such variant. It holds: {listed(found)}.",
            )
    order = sorted(options.expected, key=lambda variant: variant != options.control)
    return {variant: options.expected[variant] for variant in order}


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names for a message, cut off after `most`."""
    names = list(names)
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def spec_of(options: FileOptions, shares: Mapping[str, float], metrics: Iterable[FileMetric]) -> Spec:
    """The analysis that the options ask for."""
    chosen = list(metrics)
    primary = next((metric.name for metric in chosen if metric.margin is None), None)
    return Spec(
        control=options.control,
        shares=dict(shares),
        metrics=tuple(
            UnitMetricSpec(
                code=metric.name,
                kind=metric.kind,
                role=_role(metric, primary),
                higher_is_better=metric.higher_is_better,
                margin=metric.margin,
                signed=metric.signed,
            )
            for metric in chosen
        ),
        alpha=options.alpha,
        correction=options.correction,
        view=options.view,
        min_days=options.min_days,
        min_units=options.min_units,
        mde=options.mde,
        planned_days=options.planned_days,
        prior_sd=options.prior_sd,
    )


def _role(metric: FileMetric, primary: str | None) -> Role:
    if metric.margin is not None:
        return "guardrail"
    return "primary" if metric.name == primary else "secondary"
