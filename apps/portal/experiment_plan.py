"""Before the start: days and shoppers a change needs, and what a number of days could show, from history."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.experiments.history import History, placement_history
from apps.experiments.models import BUCKETS, Experiment, ExperimentKind
from apps.experiments.stats import power
from apps.metrics.units import UnitMetric, unit_metrics
from apps.portal import formats
from apps.portal.charts.chart import Chart
from apps.portal.charts.experiment_plan import Reach, reach_chart
from apps.portal.forms.experiment import fraction_of
from apps.portal.forms.experiment_metrics import MetricsForm
from apps.portal.words.experiments import percent_short, view_words

POINTS = 40
DAYS_MOST = 180
# Beyond, shoppers and seasons have changed too much.
DAYS_SANE = 84
# Below it, spreads and days are guesses.
UNITS_LEAST = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form asks for; changes and shares are fractions. others: metrics besides the primary one."""

    primary: str
    others: tuple[str, ...]
    mde: float
    planned: int
    alpha: float
    power: float
    view: Literal["sequential", "fixed", "bayes"]
    correction: Literal["none", "holm", "bh"]
    cuped: bool


@dataclass(frozen=True, slots=True)
class OtherRow:
    """A metric, its value now, and the smallest change the planned days could show."""

    label: str
    now: str
    smallest: str


@dataclass(frozen=True)
class Plan:
    """What the page says. missing: why it can't say anything."""

    missing: str = ""
    answer: str = ""
    meaning: str = ""
    days_words: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    chart: Chart | None = None
    others: list[OtherRow] = field(default_factory=list)


@dataclass(frozen=True)
class _Sums:
    """One metric with what its power is reckoned from. share: of those who come, how much takes part."""

    metric: UnitMetric
    base: power.Baseline
    plan: power.Plan
    past: History
    share: float

    def least(self, days: int) -> float | None:
        """The smallest relative change that so many days show."""
        units = power.units_through(days, self.past.cumulative, self.share)
        return power.least_change(self.base, units, self.plan)


def plan_asked(experiment: Experiment, form: MetricsForm) -> Asked:
    """What a form asks for; a field that can't be read counts as it was kept."""
    facts: dict[str, Any] = {name: form.get_initial_for_field(one, name) for name, one in form.fields.items()}
    if form.is_bound:
        form.is_valid()
        facts |= {name: value for name, value in form.cleaned_data.items() if value is not None}
    primary = str(facts["primary"])
    wanted = [code for code in form.metrics if facts.get(f"second_{code}") or facts.get(f"guard_{code}")]
    return Asked(
        primary=primary,
        others=tuple(code for code in wanted if code != primary),
        mde=fraction_of(facts["mde"]) or experiment.mde,
        planned=int(facts["planned_days"]),
        alpha=fraction_of(facts["alpha"]) or experiment.alpha,
        power=fraction_of(facts["power"]) or experiment.power,
        view=facts["view"],
        correction=facts["correction"],
        cuped=bool(facts["cuped"]),
    )


def asked_of(experiment: Experiment) -> Asked:
    """What a draft asks for as it is kept."""
    guarded = [str(one["metric"]) for one in experiment.guardrails]
    return Asked(
        experiment.primary, (*experiment.secondary, *guarded), experiment.mde, experiment.planned_days,
        experiment.alpha, experiment.power, cast(Any, experiment.view), cast(Any, experiment.correction),
        experiment.cuped,
    )  # fmt: skip


def history_of(experiment: Experiment, asked: Asked) -> History:
    """The past of the placements, with every metric asked for."""
    placements = list(experiment.placements.values_list("code", flat=True))
    codes = sorted({asked.primary, *asked.others})
    return placement_history(placements=placements, metrics=codes, audience=experiment.audience)


def share_of(experiment: Experiment) -> float:
    """Of those who come, the share that takes part once the ramp is through."""
    traffic = 1.0 if experiment.ramp else experiment.traffic
    return traffic * (experiment.layer_to - experiment.layer_from) / BUCKETS


def sums_of(experiment: Experiment, asked: Asked, past: History, code: str) -> _Sums | None:
    """One metric's sums; None where history says nothing of it."""
    metric, arm = unit_metrics(archived=True).get(code), past.arms.get(code)
    if metric is None or arm is None or past.units < UNITS_LEAST:
        return None
    # not signed, though returns can make a shopper's revenue negative: the readout counts its events too
    base = power.Baseline.of(arm, is_proportion=metric.kind == "proportion")
    if base is None or not base.mean:
        return None
    variants = sorted(experiment.variants.all(), key=lambda one: not one.is_control)
    shares = tuple(one.share for one in variants) if len(variants) > 1 else (0.5, 0.5)
    plan = power.Plan(
        shares=shares,
        alpha=asked.alpha,
        power=asked.power,
        correction=asked.correction,
        view=asked.view,
        tuning_n=None,  # each number of days as if it were the plan
    )
    base = base if asked.cuped else replace(base, correlation=0.0)
    return _Sums(metric, base, plan, past, share_of(experiment))


def plan_of(experiment: Experiment, asked: Asked) -> Plan:
    """The plan in words, with its chart."""
    if experiment.kind == ExperimentKind.SWITCHBACK:
        return Plan(
            missing=_(
                "A switchback compares stretches of time, not shoppers: how long it takes shows once some "
                "weeks of it have run. Plan at least two weeks."
            )
        )
    past = history_of(experiment, asked)
    sums = sums_of(experiment, asked, past, asked.primary)
    if sums is None:
        return Plan(missing=_missing(past))
    sample = power.sample_size(sums.base, asked.mde, sums.plan)
    days = power.days_for(sample.total, past.cumulative, sums.share) if sample else None
    return Plan(
        answer=formats.days(days) if days else _("More than the shop's traffic can show"),
        meaning=_("to see a change of %(mde)s in “%(metric)s”, if it is there, with a chance of %(power)s.")
        % {
            "mde": percent_short(asked.mde),
            "metric": sums.metric.label,
            "power": percent_short(asked.power),
        },
        days_words=formats.days(asked.planned),
        facts=_facts(sums, sample, asked),
        remarks=_remarks(experiment, sums, asked, days),
        chart=_chart(sums, asked, days),
        others=_others(experiment, asked, past),
    )


def _missing(past: History) -> str:
    if past.units < UNITS_LEAST:
        return _(
            "Only %(units)s shoppers were given a slate here in the last %(days)s days: too few to say how "
            "long it takes."
        ) % {"units": formats.number(past.units), "days": past.days}
    return _(
        "The metric is 0 for everybody in the last %(days)s days: choose another, or send its events."
    ) % {"days": past.days}


def value_told(metric: UnitMetric, value: float) -> str:
    """A value of the metric as people read it."""
    match metric.unit:
        case "rate":
            return formats.percent(value, 2)
        case "money":
            return formats.money(value, shop_settings_get().currency)
    return formats.number(value, 2)


def _facts(sums: _Sums, sample: power.SampleSize | None, asked: Asked) -> list[tuple[str, str]]:
    found = [
        (_("Now"), value_told(sums.metric, sums.base.mean)),
        (_("Shoppers a day"), formats.number(sums.past.units_a_day * sums.share)),
    ]
    if sample is not None:
        found.append((_("Shoppers needed"), formats.number(sample.total)))
        found.append((_("of them for each variant, at least"), formats.number(min(sample.arms))))
    least = sums.least(asked.planned)
    words = _("Smallest change that %(days)s show") % {"days": formats.days(asked.planned)}
    return [*found, (words, formats.NO_DATA if least is None else formats.percent(least, 1))]


def _remarks(experiment: Experiment, sums: _Sums, asked: Asked, days: int | None) -> list[str]:
    found = []
    if days is not None and days > asked.planned and days <= DAYS_SANE:
        weeks = formats.days(power.whole_weeks(days))
        found.append(_("Plan %(days)s, or settle for a larger change.") % {"days": weeks})
    elif days is None or days > asked.planned:
        found.append(
            _(
                "That is longer than a test should run: settle for a larger change, or a metric that moves "
                "sooner."
            )
        )
    saved = sums.base.correlation**2
    if asked.cuped and saved >= 0.01:
        found.append(
            _("What shoppers did before saves %(share)s of the shoppers (CUPED).")
            % {"share": percent_short(round(saved, 2))}
        )
    dearer = power.inflation(sums.base, asked.mde, sums.plan)
    if asked.view == "sequential" and dearer is not None and dearer > 1:
        found.append(
            _("“%(view)s” needs at worst %(times)s times the shoppers of one look; it often stops earlier.")
            % {"view": view_words(asked.view), "times": formats.number(dearer, 1)}
        )
    if experiment.kind == ExperimentKind.INTERLEAVING:
        found.append(
            _(
                "These are an A/B test's numbers: interleaving tells two rankings apart with far fewer "
                "shoppers."
            )
        )
    return found


def _chart(sums: _Sums, asked: Asked, days: int | None) -> Chart:
    last = min(DAYS_MOST, max(28, 2 * asked.planned, round(1.3 * (days or 0))))
    step = max(1, last // POINTS)
    points = sorted({*range(1, last + 1, step), asked.planned, *([days] if days and days <= last else [])})
    reach = [
        Reach(day, power.units_through(day, sums.past.cumulative, sums.share), sums.least(day))
        for day in points
    ]
    return reach_chart(reach=reach, wanted=asked.mde, planned=asked.planned, metric=str(sums.metric.label))


def _others(experiment: Experiment, asked: Asked, past: History) -> list[OtherRow]:
    rows = []
    known: Mapping[str, UnitMetric] = unit_metrics(archived=True)
    for code in asked.others:
        sums = sums_of(experiment, asked, past, code)
        least = sums.least(asked.planned) if sums else None
        label = str(known[code].label) if code in known else code
        now = value_told(sums.metric, sums.base.mean) if sums else formats.NO_DATA
        rows.append(OtherRow(label, now, formats.NO_DATA if least is None else formats.percent(least, 1)))
    return rows
