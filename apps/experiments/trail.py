"""What happened to an experiment: its own log for everybody, and the audit trail of staff's changes."""

from collections.abc import Mapping
from typing import Any

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.core import clock
from apps.core.errors import NotFound
from apps.experiments.models import Experiment, ExperimentEvent

# What a design consists of; salts and states are not set by hand.
DESIGN = (
    "name", "hypothesis", "audience", "layer_from", "layer_to", "traffic", "ramp", "ramp_hours", "primary",
    "secondary", "guardrails", "mde", "alpha", "power", "correction", "view", "cuped", "triggered",
    "min_days", "min_units", "planned_days", "auto_rollback", "auto_ship", "webhook", "emails",
    "slot_minutes", "bandit_floor",
)  # fmt: skip


def experiment_facts(experiment: Experiment) -> dict[str, Any]:
    """The experiment as the audit trail keeps it, JSON-ready."""
    variants = experiment.variants.prefetch_related("publications__publication__placement")
    return {
        "code": experiment.code,
        "kind": experiment.kind,
        "status": experiment.status,
        "decision": experiment.decision,
        "winner": experiment.winner,
        "layer": experiment.layer.code,
        "placements": [one.code for one in experiment.placements.order_by("id")],
        "ends_at": experiment.ends_at.isoformat() if experiment.ends_at else None,
        **{name: getattr(experiment, name) for name in DESIGN},
        "variants": [
            {
                "code": one.code,
                "name": one.name,
                "share": one.share,
                "is_control": one.is_control,
                "publications": sorted(str(row.publication) for row in one.publications.all()),
            }
            for one in variants
        ],
    }


def experiment_audit(
    experiment: Experiment,
    verb: str,
    actor: User | None,
    before: Mapping[str, Any] | None,
    *,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Write an entry `experiment.<verb>`; after: the present facts unless given."""
    audit_record(
        actor=actor,
        verb=f"experiment.{verb}",
        object_type="experiment",
        object_id=experiment.pk,
        object_label=experiment.code,
        before=before,
        after=experiment_facts(experiment) if after is None else (dict(after) or None),
        reason=reason,
    )


def experiment_log(
    experiment: Experiment, kind: str, actor: User | None = None, **details: Any
) -> ExperimentEvent:
    """Add to the experiment's own log. details must be JSON-ready."""
    return ExperimentEvent.objects.create(
        experiment=experiment, at=clock.now(), actor=actor, kind=kind, details=details
    )


def experiment_lock(experiment_id: int) -> Experiment:
    """The experiment's row, locked until the transaction ends; every writer takes it first. NotFound."""
    rows = Experiment.objects.select_for_update(of=("self",)).select_related("layer")
    found = rows.filter(pk=experiment_id).first()
    if found is None:
        raise NotFound(f"There is no experiment {experiment_id}.")
    return found
