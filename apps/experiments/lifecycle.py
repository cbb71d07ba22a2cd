"""From launch to end: what happens to an experiment while shoppers take part.

draft -> running <-> paused -> ended. A paused one holds its slice and decides no slate; an ended one gives it
back. Traffic only ever rises: a unit that took part must not be sent away in the middle.
"""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.experiments.design import PARSERS
from apps.experiments.launch import checks_design, placements_of, shown_at_launch, stop_raise
from apps.experiments.layers import OPEN, layers_lock
from apps.experiments.models import (
    Experiment,
    ExperimentKind,
    ExperimentStatus,
    Variant,
    VariantPublication,
)
from apps.experiments.planned import units_planned
from apps.experiments.trail import (
    experiment_audit,
    experiment_facts,
    experiment_lock,
    experiment_log,
)
from apps.merchandising.models import Placement


def placements_locked(placements: list[Placement]) -> list[Placement]:
    """The same rows, locked until the transaction ends, so that nobody publishes on them meanwhile."""
    ids = [one.pk for one in placements]
    list(Placement.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("id"))
    return list(Placement.objects.filter(pk__in=ids).select_related("live_publication").order_by("id"))


def experiment_launch(*, actor: User | None, experiment_id: int) -> Experiment:
    """Start a draft: control is frozen as what is live now, the slice is held, the first step of the ramp
    taken. Raises InvalidInput for the first check that says stop, Conflict when it is no draft.
    """
    draft = Experiment.objects.filter(pk=experiment_id, status=ExperimentStatus.DRAFT).first()
    # Reading the shop's history takes a while, so before anything is locked.
    planned = units_planned(draft) if draft is not None else None
    return _launch(actor, experiment_id, planned)


@transaction.atomic
def _launch(actor: User | None, experiment_id: int, planned: int | None) -> Experiment:
    layers_lock()
    experiment = experiment_lock(experiment_id)
    if experiment.status != ExperimentStatus.DRAFT:
        raise Conflict(
            f"{experiment.name!r} was launched already ({experiment.status}). Load the page again."
        )
    before = experiment_facts(experiment)
    placements = placements_locked(placements_of(experiment))
    stop_raise(checks_design(experiment))
    if experiment.kind == ExperimentKind.HOLDOUT:
        experiment.placements.set(placements)
    variants = list(experiment.variants.prefetch_related("publications__publication"))
    _freeze(experiment, variants, placements)
    now = clock.now()
    experiment.status, experiment.started_at = ExperimentStatus.RUNNING, now
    experiment.ramp_step, experiment.ramped_at = 0, now
    if experiment.ramp:
        experiment.traffic = experiment.ramp[0]
    experiment.save()
    experiment_log(
        experiment,
        "launched",
        actor,
        shares={one.code: one.share for one in variants},
        traffic=experiment.traffic,
        layer=experiment.layer.code,
        slice=[experiment.layer_from, experiment.layer_to],
        publications=_shown(experiment),
        planned_units=planned,
    )
    experiment_audit(experiment, "launch", actor, before)
    return experiment


def _freeze(experiment: Experiment, variants: list[Variant], placements: list[Placement]) -> None:
    """Write what each variant shows from now on, with its page size."""
    control = next(one for one in variants if one.is_control)
    rows = {one.pk: {row.placement_id: row.publication for row in one.publications.all()} for one in variants}
    VariantPublication.objects.filter(variant__experiment=experiment).delete()
    held_back = experiment.kind == ExperimentKind.HOLDOUT
    for variant in variants:
        if held_back and not variant.is_control:
            continue  # everybody else sees what is live, whatever that will be
        for place in placements:
            made = rows[control.pk].get(place.pk)
            shown = shown_at_launch(
                rows[variant.pk].get(place.pk), made, place.live_publication, variant.is_control
            )
            assert shown is not None  # checks_design stopped the launch otherwise
            VariantPublication.objects.create(
                variant=variant,
                placement=place,
                publication=shown,
                page_size=shown.page_size or place.page_size,
            )


def _shown(experiment: Experiment) -> dict[str, dict[str, int]]:
    """By variant and placement the number of the publication."""
    rows = VariantPublication.objects.filter(variant__experiment=experiment).select_related(
        "variant", "placement", "publication"
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows.order_by("variant__position", "placement_id"):
        found.setdefault(row.variant.code, {})[row.placement.code] = row.publication.number
    return found


def state_need(experiment: Experiment, *wanted: str, verb: str) -> None:
    """Conflict unless the experiment is in one of these states."""
    if experiment.status not in wanted:
        states = " or ".join(wanted)
        raise Conflict(
            f"{experiment.name!r} is {experiment.status}; only one that is {states} can be {verb}. "
            "Load the page again."
        )


def _save(
    experiment: Experiment,
    actor: User | None,
    verb: str,
    kind: str,
    before: Mapping[str, Any],
    **details: Any,
) -> Experiment:
    experiment.save()
    experiment_log(experiment, kind, actor, **details)
    experiment_audit(experiment, verb, actor, before, reason=str(details.get("note", "")))
    return experiment


@transaction.atomic
def experiment_pause(*, actor: User | None, experiment_id: int, note: str = "") -> Experiment:
    """Give everybody what is live for a while; the slice stays held. Conflict unless it is running."""
    experiment = experiment_lock(experiment_id)
    state_need(experiment, ExperimentStatus.RUNNING, verb="paused")
    before = experiment_facts(experiment)
    experiment.status = ExperimentStatus.PAUSED
    return _save(experiment, actor, "pause", "paused", before, note=note.strip())


@transaction.atomic
def experiment_resume(*, actor: User | None, experiment_id: int, note: str = "") -> Experiment:
    """Go on with the same units in the same variants. InvalidInput when its end is over."""
    experiment = experiment_lock(experiment_id)
    state_need(experiment, ExperimentStatus.PAUSED, verb="resumed")
    before = experiment_facts(experiment)
    if experiment.ends_at is not None and experiment.ends_at <= clock.now():
        remedy = "Its end is over. Set a later end, or none, then resume it."
        raise InvalidInput(field="ends_at", value=experiment.ends_at, remedy=remedy)
    experiment.status, experiment.ramped_at = ExperimentStatus.RUNNING, clock.now()
    return _save(experiment, actor, "resume", "resumed", before, note=note.strip())


@transaction.atomic
def experiment_traffic_set(*, actor: User | None, experiment_id: int, traffic: float) -> Experiment:
    """Let more of the slice take part, which moves nobody between variants. InvalidInput for less.

    The ramp goes on with its next larger step.
    """
    experiment = experiment_lock(experiment_id)
    state_need(experiment, *OPEN, verb="given more traffic")
    before = experiment_facts(experiment)
    share = PARSERS["traffic"]("traffic", traffic)
    if experiment.kind == ExperimentKind.SWITCHBACK:
        remedy = "A switchback is for the whole shop."
        raise InvalidInput(field="traffic", value=traffic, remedy=remedy)
    if share < experiment.traffic:
        remedy = (
            f"Units that take part must not be sent away: choose more than {experiment.traffic:g}, "
            f"or pause or "
            "end the experiment."
        )
        raise InvalidInput(field="traffic", value=traffic, remedy=remedy)
    if share == experiment.traffic:
        return experiment
    return _ramped(experiment, share, actor, before, by_hand=True)


def _ramped(
    experiment: Experiment, share: float, actor: User | None, before: Mapping[str, Any], *, by_hand: bool
) -> Experiment:
    was, experiment.traffic = experiment.traffic, share
    reached = [step for step, one in enumerate(experiment.ramp) if one <= share]
    experiment.ramp_step = max(reached, default=experiment.ramp_step)
    experiment.ramped_at = clock.now()
    return _save(
        experiment,
        actor,
        "ramp",
        "ramped",
        before,
        traffic=share,
        was=was,
        step=experiment.ramp_step,
        by_hand=by_hand,
    )


def ramp_next(experiment: Experiment) -> float | None:
    """The ramp's next share; None when it is through."""
    return next((share for share in experiment.ramp if share > experiment.traffic), None)


@transaction.atomic
def experiment_ramp(*, actor: User | None, experiment_id: int, step: int | None = None) -> Experiment:
    """Take the ramp's next step. step: the one the caller saw it on; a step taken meanwhile is not taken
    twice.

    Conflict when the ramp is through, or it is not running.
    """
    experiment = experiment_lock(experiment_id)
    state_need(experiment, ExperimentStatus.RUNNING, verb="ramped")
    share = ramp_next(experiment)
    if share is None:
        raise Conflict(f"The ramp of {experiment.name!r} is through: all of its traffic takes part.")
    if step is not None and step != experiment.ramp_step:
        raise Conflict(f"Somebody took this step of {experiment.name!r} already. Load the page again.")
    return _ramped(experiment, share, actor, experiment_facts(experiment), by_hand=actor is not None)


@transaction.atomic
def experiment_end(
    *, actor: User | None, experiment_id: int, note: str = "", planned: bool = False
) -> Experiment:
    """Stop without a decision: everybody gets what is live, the slice is free, and it may be decided
    later.
    """
    experiment = experiment_lock(experiment_id)
    state_need(experiment, *OPEN, verb="ended")
    before = experiment_facts(experiment)
    experiment.status, experiment.ended_at = ExperimentStatus.ENDED, clock.now()
    return _save(experiment, actor, "end", "ended", before, note=note.strip(), planned=planned)


@transaction.atomic
def experiment_shares_move(
    *, experiment_id: int, shares: Mapping[str, float], reason: Mapping[str, Any]
) -> Experiment:
    """Give a running bandit's variants other shares; the log keeps every change, for the analysis needs
    them.
    """
    experiment = experiment_lock(experiment_id)
    state_need(experiment, ExperimentStatus.RUNNING, verb="given other shares")
    rows = {one.code: one for one in experiment.variants.all()}
    if experiment.kind != ExperimentKind.BANDIT or set(shares) != set(rows):
        raise Conflict(f"{experiment.name!r} is no bandit with the variants {', '.join(shares)}.")
    whole = sum(shares.values())
    if not all(share > 0 for share in shares.values()) or abs(whole - 1) > 1e-6:
        raise InvalidInput(field="share", value=f"{whole:.4g}", remedy="The shares must sum to 1.")
    was = {code: row.share for code, row in rows.items()}
    for code, row in rows.items():
        row.share = shares[code] / whole
        row.save(update_fields=["share"])
    experiment.save(update_fields=["updated_at"])
    experiment_log(experiment, "shares_moved", None, shares=dict(shares), was=was, reason=dict(reason))
    return experiment
