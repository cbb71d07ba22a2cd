"""Readouts: what an experiment's units did so far, kept as moments of each day, and what it says.

    readout_refresh(experiment_id=…)   from raw events; writes DayMoments and Readout
    moments_readout(experiment)        the same analysis from the stored moments alone

Refreshing again changes nothing but what has happened since: all days are taken anew, so that late events and
merged identities fall where they belong. Segments are kept of the last day only.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import connection, transaction

from apps.core import clock
from apps.core.errors import Conflict, NotFound, RecoPortalError
from apps.experiments.analysis import Analysis, Spec, UnitMetricSpec, analyse
from apps.experiments.collect import Collected, Question, collect
from apps.experiments.cumulative import Arm
from apps.experiments.models import DayMoments, Experiment, ExperimentKind, Readout
from apps.experiments.notes import Note
from apps.experiments.periods import (
    Period,
    periods_of,
    spec_by_period,
    table_stratified,
    tables_by_period,
)
from apps.experiments.planned import units_planned_at_launch
from apps.experiments.results import Correction, Role, View, analysis_read
from apps.experiments.slots import slot_facts
from apps.experiments.stats.moments import moments_read
from apps.experiments.teams import preference_facts, team_clicks_read
from apps.metrics.unit_rows import Progress
from apps.metrics.units import UnitMetric, unit_metrics

# Purchases of the last units come in after the end, too.
AFTER_END = timedelta(days=1)
_LOCK = 7_031_002
# The rows of DayMoments that count units.
UNITS = ""
Table = dict[str, dict[str, Arm]]


def readout_refresh(
    *, experiment_id: int, now: datetime | None = None, progress: Progress | None = None
) -> Readout:
    """Count an experiment anew and store what it says; a bad metric or too little data is stored as `error`.

    Raises NotFound, and Conflict when it has not begun or another process is counting it.
    """
    experiment = Experiment.objects.filter(pk=experiment_id).first()
    if experiment is None:
        raise NotFound(f"There is no experiment {experiment_id}.")
    if experiment.started_at is None:
        raise Conflict(f"{experiment.name} has not begun: there is nothing to count.")
    now = now or clock.now()
    with _alone(experiment):
        began = time.perf_counter()
        try:
            question, spec = question_of(experiment, now), spec_of(experiment)
            collected = collect(question, progress)
            analysis = _analysis(experiment, spec, question, collected, now)
            stored = analysis.as_json() | _of_kind(experiment, question)
        except RecoPortalError as error:
            return _failed(experiment, now, error.message)
        return _store(experiment, question, collected, stored, now, time.perf_counter() - began)


def moments_readout(experiment: Experiment) -> Analysis:
    """The analysis from stored moments; who was left out and when it was read are the last refresh's.

    Raises Conflict when nothing has been counted yet.
    """
    readout = Readout.objects.filter(experiment=experiment).first()
    if readout is None or not readout.analysis:
        raise Conflict(f"{experiment.name} has not been counted yet.")
    before = analysis_read(readout.analysis)
    days: dict[int, Table] = {}
    segments: dict[str, Table] = {}
    rows = DayMoments.objects.filter(experiment=experiment).order_by("pk")
    for row in rows.values_list("day", "metric", "variant", "segment", "moments"):
        day, metric, variant, segment, moments = row
        table = segments.setdefault(segment, {}) if segment else days.setdefault(day, {})
        table.setdefault(metric, {})[variant] = moments_read(moments)
    return _analysed(
        spec_of(experiment),
        periods_of(experiment),
        days={float(day): table for day, table in days.items()},
        segments=segments,
        started=experiment.started_at,
        through=readout.through,
        elapsed_days=_elapsed(experiment, readout.computed_at),
        excluded=before.excluded,
        notes=tuple(note for note in before.warnings if note.code == "winsorised"),
    )


def question_of(experiment: Experiment, now: datetime) -> Question:
    """What is to be collected for an experiment that has begun."""
    assert experiment.started_at is not None
    known = unit_metrics(archived=True)
    codes = [metric.code for metric in metrics_of(experiment, known)]
    placements = tuple(experiment.placements.values_list("code", flat=True))
    end = now if experiment.ended_at is None else min(now, experiment.ended_at + AFTER_END)
    return Question(
        experiment=experiment.pk,
        variants=_variants(experiment),
        start=experiment.started_at,
        end=end,
        metrics=tuple(known[code] for code in codes),
        placements=placements or None,
        covariates=experiment.cuped,
        holdout=experiment.kind == ExperimentKind.HOLDOUT,
        periods=tuple(one.start for one in periods_of(experiment)),
    )


def metrics_of(experiment: Experiment, known: Mapping[str, UnitMetric]) -> tuple[UnitMetricSpec, ...]:
    """The experiment's metrics, each once: the first role holds. Unknown codes are left out."""
    margins = {str(one["metric"]): one.get("margin") for one in experiment.guardrails}
    roles: dict[str, Role] = {experiment.primary: "primary"}
    for code in experiment.secondary:
        roles.setdefault(str(code), "secondary")
    for code in margins:
        if roles.get(code) != "primary":
            roles[code] = "guardrail"
    return tuple(
        UnitMetricSpec(
            code,
            known[code].kind,
            role,
            known[code].higher_is_better,
            margins.get(code),
            signed=known[code].signed,
            sparse=known[code].signed,  # sums over what a shopper did: of most shoppers nothing
        )
        for code, role in roles.items()
        if code in known
    )


def spec_of(experiment: Experiment) -> Spec:
    """How the experiment is to be judged."""
    variants = list(experiment.variants.all())
    control = next(one.code for one in variants if one.is_control)
    return Spec(
        control=control,
        shares={one.code: one.share for one in sorted(variants, key=lambda one: not one.is_control)},
        metrics=metrics_of(experiment, unit_metrics(archived=True)),
        alpha=experiment.alpha,
        correction=cast(Correction, experiment.correction),
        view=cast(View, experiment.view),
        cuped=experiment.cuped,
        min_days=experiment.min_days,
        min_units=experiment.min_units,
        mde=experiment.mde,
        power=experiment.power,
        planned_days=experiment.planned_days,
        planned_units=units_planned_at_launch(experiment),
    )


def _variants(experiment: Experiment) -> tuple[str, ...]:
    """Codes, control first."""
    rows = experiment.variants.order_by("-is_control", "position", "id")
    return tuple(rows.values_list("code", flat=True))


def _elapsed(experiment: Experiment, now: datetime) -> float:
    assert experiment.started_at is not None
    end = now if experiment.ended_at is None else min(now, experiment.ended_at)
    return (end - experiment.started_at) / timedelta(days=1)


def _analysis(
    experiment: Experiment, spec: Spec, question: Question, collected: Collected, now: datetime
) -> Analysis:
    paths = {UNITS: collected.counts, **collected.metrics}
    days = {
        float(day + 1): {code: path.days[day] for code, path in paths.items()}
        for day in range(len(collected.counts.days))
    }
    segments = {
        segment: {code: path.segments[segment] for code, path in paths.items()}
        for segment in collected.counts.segments
    }
    percentiles = {metric.code: metric.winsorise for metric in question.metrics}
    cut = tuple(
        Note(
            "winsorised",
            {"metric": code, "at": path.cap, "percentile": percentiles[code], "count": path.capped},
        )
        for code, path in collected.metrics.items()
        if path.cap is not None
    )
    return _analysed(
        spec,
        periods_of(experiment),
        days=days,
        segments=segments,
        started=experiment.started_at,
        through=question.end,
        elapsed_days=_elapsed(experiment, now),
        excluded=collected.excluded,
        notes=cut,
    )


def _analysed(
    spec: Spec,
    periods: Sequence[Period],
    *,
    days: Mapping[float, Table],
    segments: Mapping[str, Table],
    started: datetime | None,
    through: datetime | None,
    elapsed_days: float,
    excluded: Mapping[str, int],
    notes: tuple[Note, ...],
) -> Analysis:
    """Analyse tables by day and segment, in which the metric UNITS counts the units. periods: a bandit's."""
    if periods and days:
        parts = tables_by_period(segments, periods)
        spec = spec_by_period(spec, [_counts(table) for table in parts], periods)
        last_day = max(days)
        days, segments = {last_day: table_stratified(days[last_day], parts)}, {}
    counts = {day: _counts(table) for day, table in days.items()}
    last = max(days, default=None)
    return analyse(
        spec,
        {} if last is None else _metrics(days[last]),
        {} if last is None else counts[last],
        segments={segment: _metrics(table) for segment, table in segments.items()},
        segment_counts={segment: _counts(table) for segment, table in segments.items()},
        days={day: _metrics(table) for day, table in days.items()},
        day_counts=counts,
        elapsed_days=elapsed_days,
        started=started,
        through=through,
        excluded=excluded,
        multiple_exposed=excluded.get("multiple_exposure", 0),
        notes=notes,
    )


def _counts(table: Table) -> dict[str, int]:
    return {variant: arm.n for variant, arm in table.get(UNITS, {}).items()}


def _metrics(table: Table) -> Table:
    return {code: arms for code, arms in table.items() if code != UNITS}


@contextmanager
def _alone(experiment: Experiment) -> Iterator[None]:
    """No two processes count one experiment at once."""
    key = [_LOCK, experiment.pk % 2**31]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
        if not cursor.fetchone()[0]:
            raise Conflict(f"{experiment.name} is being counted already. Look again in a moment.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)


def _failed(experiment: Experiment, now: datetime, error: str) -> Readout:
    """The last good analysis stays; it says why there is no newer one."""
    return Readout.objects.update_or_create(
        experiment=experiment, defaults={"computed_at": now, "error": error}
    )[0]


@transaction.atomic
def _of_kind(experiment: Experiment, question: Question) -> dict[str, Any]:
    """What an interleaving or a switchback says besides, which is what they are read by."""
    if experiment.kind == ExperimentKind.INTERLEAVING:
        clicks = team_clicks_read(experiment_id=experiment.pk, start=question.start, end=question.end)
        return {"interleaving": preference_facts(clicks, experiment.alpha)}
    primary = next((metric for metric in question.metrics if metric.code == experiment.primary), None)
    if experiment.kind == ExperimentKind.SWITCHBACK and primary is not None:
        end = experiment.ended_at or question.end
        return {"switchback": slot_facts(experiment=experiment, metric=primary, end=end)}
    return {}


def _store(
    experiment: Experiment,
    question: Question,
    collected: Collected,
    analysis: dict[str, Any],
    now: datetime,
    seconds: float,
) -> Readout:
    rows = list(_day_moments(experiment, collected))
    DayMoments.objects.filter(experiment=experiment).delete()
    DayMoments.objects.bulk_create(rows, batch_size=2_000)
    values: dict[str, Any] = {
        "computed_at": now,
        "through": question.end,
        "seconds": seconds,
        "units": collected.units,
        "analysis": analysis,
        "error": "",
    }
    return Readout.objects.update_or_create(experiment=experiment, defaults=values)[0]


def _day_moments(experiment: Experiment, collected: Collected) -> Iterator[DayMoments]:
    for code, path in {UNITS: collected.counts, **collected.metrics}.items():
        for day, arms in enumerate(path.days, 1):
            for variant, arm in arms.items():
                yield _row(experiment, day, code, variant, "", arm)
        for segment, arms in path.segments.items():
            for variant, arm in arms.items():
                yield _row(experiment, len(path.days), code, variant, segment, arm)


def _row(experiment: Experiment, day: int, metric: str, variant: str, segment: str, arm: Arm) -> DayMoments:
    return DayMoments(
        experiment=experiment,
        day=day,
        metric=metric,
        variant=variant,
        segment=segment[:80],
        moments=arm.as_json(),
    )
