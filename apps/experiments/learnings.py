"""What staff learned from an experiment, in their own words. The log keeps every version."""

from django.db import transaction

from apps.accounts.models import User
from apps.core.errors import Conflict, InvalidInput
from apps.experiments.models import Experiment, ExperimentStatus
from apps.experiments.trail import experiment_audit, experiment_lock, experiment_log

KIND = "learned"
LONGEST = 10_000


def learnings_get(*, experiment: Experiment) -> str:
    """What is written down now; "" for nothing."""
    last = experiment.log.filter(kind=KIND).order_by("at", "id").last()
    return str(last.details.get("text", "")) if last else ""


@transaction.atomic
def learnings_set(*, actor: User | None, experiment_id: int, text: str) -> None:
    """Keep what was learned from an experiment that is over; "" takes it away.

    Raises Conflict while it is not over, InvalidInput for more than LONGEST characters.
    """
    experiment = experiment_lock(experiment_id)
    if experiment.status != ExperimentStatus.ENDED:
        raise Conflict("What was learned is written down when the experiment is over.")
    text = text.strip()
    if len(text) > LONGEST:
        raise InvalidInput(field="learnings", value=len(text), remedy=f"Write at most {LONGEST} characters.")
    before = learnings_get(experiment=experiment)
    if text == before:
        return
    experiment_log(experiment, KIND, actor, text=text)
    experiment_audit(experiment, "learn", actor, {"learnings": before}, after={"learnings": text})
