"""What is made of an experiment: ship a variant, roll back, keep control; and taking that back.

Everything a decision does is one transaction: publications, page sizes, the experiment's end and its log are
all there or none is.
"""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.experiments.layers import OPEN, layers_lock, placement_clash, slice_clash
from apps.experiments.lifecycle import placements_locked
from apps.experiments.models import (
    Decision,
    Experiment,
    ExperimentKind,
    ExperimentStatus,
    Readout,
    Variant,
)
from apps.experiments.trail import (
    experiment_audit,
    experiment_facts,
    experiment_lock,
    experiment_log,
)
from apps.experiments.variants import Blend
from apps.merchandising.models import Placement
from apps.merchandising.services import placement_update, publication_return, publication_ship

KINDS_OF_LOG = {
    Decision.SHIP: "shipped",
    Decision.ROLL_BACK: "rolled_back",
    Decision.KEEP_CONTROL: "kept_control",
}


@transaction.atomic
def experiment_decide(
    *,
    actor: User | None,
    experiment_id: int,
    decision: str,
    variant: str | None = None,
    note: str = "",
    force: bool = False,
    reason: Mapping[str, Any] | None = None,
) -> Experiment:
    """Decide a running, paused or ended experiment, which ends it. One decision; `experiment_undo` takes it
    back.

    ship: what `variant` shows goes live on each placement, as a new publication whose note names the
    experiment; model versions it pinned are left to be promoted by hand. roll_back, keep_control: what is
    live stays. While the split (of all units, or within a segment) blocks the verdict nothing is shipped,
    unless forced with a note that says why. reason: facts to keep with the decision, such as the verdict's
    notes.
    """
    experiment = experiment_lock(experiment_id)
    if decision not in KINDS_OF_LOG:
        raise InvalidInput(
            field="decision", value=decision, remedy=f"Choose one of {', '.join(KINDS_OF_LOG)}."
        )
    if experiment.status == ExperimentStatus.DRAFT:
        raise Conflict(f"{experiment.name!r} was never launched: there is nothing to decide.")
    if experiment.decision:
        raise Conflict(f"{experiment.name!r} was decided already ({experiment.decision}). Undo that first.")
    before = experiment_facts(experiment)
    control = experiment.variants.get(is_control=True)
    facts: dict[str, Any] = {"note": note.strip(), "forced": False, **(reason or {}), **_verdict(experiment)}
    winner: Variant | None = None
    if decision == Decision.SHIP:
        winner = _winner(experiment, variant)
        facts["forced"] = _split_pass(experiment, note, force)
        facts["published"] = _ship(experiment, winner, note, actor)
        facts["pinned"] = _pinned(winner)
    elif decision == Decision.KEEP_CONTROL:
        winner = control
    now = clock.now()
    experiment.decision, experiment.decided_at, experiment.decided_by = decision, now, actor
    experiment.winner = winner.code if winner else ""
    experiment.decision_reason = facts
    if experiment.status in OPEN:
        experiment.status, experiment.ended_at = ExperimentStatus.ENDED, now
    experiment.save()
    experiment_log(experiment, KINDS_OF_LOG[Decision(decision)], actor, variant=experiment.winner, **facts)
    experiment_audit(experiment, "decide", actor, before, reason=note.strip())
    return experiment


def _winner(experiment: Experiment, code: str | None) -> Variant:
    if experiment.kind == ExperimentKind.HOLDOUT:
        remedy = "What the others see is live already. End the holdout, or keep control."
        raise InvalidInput(field="decision", value=Decision.SHIP.value, remedy=remedy)
    rows = {one.code: one for one in experiment.variants.all()}
    found = rows.get(code or "")
    if found is None or found.is_control:
        known = ", ".join(one for one, row in rows.items() if not row.is_control)
        raise InvalidInput(field="variant", value=code, remedy=f"Choose the variant to ship: {known}.")
    return found


def _verdict(experiment: Experiment) -> dict[str, Any]:
    """What the last readout said, to be kept with the decision."""
    readout = Readout.objects.filter(experiment=experiment).first()
    if readout is None or not readout.analysis:
        return {}
    through = readout.through.isoformat() if readout.through else None
    return {"verdict": readout.analysis.get("verdict"), "units": readout.units, "through": through}


def _split_pass(experiment: Experiment, note: str, force: bool) -> bool:
    """Whether it is shipped by force. Conflict while the split blocks the verdict, of all units or within a
    segment, and nobody forces.
    """
    readout = Readout.objects.filter(experiment=experiment).first()
    analysis = (readout.analysis or {}) if readout else {}
    whole = (analysis.get("srm") or {}).get("alarm") == "blocked"
    if not whole and (analysis.get("verdict") or {}).get("action") != "blocked":
        return False
    if not force:
        where = "" if whole else " within a segment"
        raise Conflict(
            f"{experiment.name!r}: the variants did not get their shares of units{where}, so that its "
            f"numbers can't be trusted (Health). Find the cause and run it again, or ship it by force and "
            f"say why."
        )
    if not note.strip():
        remedy = "Say why it is shipped although its numbers can't be trusted."
        raise InvalidInput(field="note", value=note, remedy=remedy)
    return True


def _ship(
    experiment: Experiment, winner: Variant, note: str, actor: User | None
) -> dict[str, dict[str, int | None]]:
    """Publish what the winner shows; by placement code the numbers and page sizes before and after."""
    rows = {row.placement_id: row for row in winner.publications.select_related("publication")}
    control = experiment.variants.get(is_control=True)
    sizes = dict(control.publications.values_list("placement_id", "page_size"))
    places = placements_locked([row.placement for row in winner.publications.select_related("placement")])
    text = f"Shipped from the experiment {experiment.name} ({experiment.code}), variant {winner.name}."
    done: dict[str, dict[str, int | None]] = {}
    for place in places:
        if place.archived_at is not None:
            raise Conflict(f"The placement {place.code!r} is archived. Restore it, then ship.")
        row, live = rows[place.pk], place.live_publication
        size = row.page_size if row.page_size != sizes.get(place.pk) else None
        if live is not None and _shows(place, live.pk) == _shows(place, row.publication_id, size):
            continue
        made = publication_ship(
            placement=place,
            number=row.publication.number,
            note=f"{text} {note.strip()}".strip(),
            page_size=size,
            actor=actor,
        )
        done[place.code] = {
            "before": live.number if live else None,
            "after": made.number,
            "page_size_before": place.page_size,
            "page_size_after": size or place.page_size,
        }
    return done


def _shows(place: Placement, publication_id: int, size: int | None = None) -> list[Any]:
    """What matters of a publication once it is live; pinned versions don't go with it."""
    blend = Blend.of(place.publications.get(pk=publication_id))
    weights = {source: weight for source, weight in blend.weights.items() if weight}
    return [weights, list(blend.rules), blend.normalisation, size or place.page_size]


def _pinned(winner: Variant) -> dict[str, int]:
    """Source to the model version it tried, which is not live by shipping."""
    found: dict[str, int] = {}
    for row in winner.publications.select_related("publication"):
        found |= row.publication.versions
    return found


@transaction.atomic
def experiment_undo(*, actor: User | None, experiment_id: int, note: str = "") -> Experiment:
    """Take back a decision, or an end. What was shipped is returned to, as new publications.

    The experiment is paused again, to be resumed by hand, while its slice is free; else it stays ended,
    without
    a decision. Conflict when somebody published on a shipped placement meanwhile: nothing of it is touched.
    """
    layers_lock()
    experiment = experiment_lock(experiment_id)
    if experiment.status != ExperimentStatus.ENDED:
        raise Conflict(f"{experiment.name!r} has not ended: there is nothing to undo.")
    before, undone = experiment_facts(experiment), experiment.decision or "end"
    if experiment.decision == Decision.SHIP:
        _ship_undo(experiment, actor)
    experiment.decision, experiment.winner, experiment.decision_reason = Decision.NONE, "", {}
    experiment.decided_at = experiment.decided_by = None
    ids = list(experiment.placements.values_list("pk", flat=True))
    if slice_clash(experiment) is None and placement_clash(experiment, ids) is None:
        experiment.status, experiment.ended_at = ExperimentStatus.PAUSED, None
    experiment.save()
    experiment_log(experiment, "undone", actor, what=undone, note=note.strip(), status=experiment.status)
    experiment_audit(experiment, "undo", actor, before, reason=note.strip())
    return experiment


def _ship_undo(experiment: Experiment, actor: User | None) -> None:
    published = experiment.decision_reason.get("published") or {}
    places = placements_locked(list(Placement.objects.filter(code__in=list(published))))
    for place in places:
        done, live = published[place.code], place.live_publication
        if live is None or live.number != done["after"]:
            shown = f"publication {live.number}" if live else "nothing"
            raise Conflict(
                f"Somebody published on {place.code!r} since: {shown} is live, not "
                f"{done['after']}. Return to "
                f"publication {done['before']} in History if that is still what you want."
            )
        if done["before"] is not None:
            text = f"Undo: shipped from the experiment {experiment.name} ({experiment.code})."
            publication_return(placement=place, number=done["before"], note=text, actor=actor)
        if done["page_size_before"] != place.page_size:
            placement_update(placement=place, page_size=done["page_size_before"], actor=actor)
