"""Reads: what runs where, and what pages warn of. What serving reads each time is in `serving.trials`."""

from django.db.models import QuerySet

from apps.core.errors import NotFound
from apps.experiments.layers import OPEN
from apps.experiments.models import Experiment, ExperimentEvent
from apps.merchandising.models import Placement, Publication


def experiment_get(*, code: str) -> Experiment:
    """The experiment of this code; NotFound otherwise."""
    found = Experiment.objects.select_related("layer", "created_by", "decided_by").filter(code=code).first()
    if found is None:
        raise NotFound(f"There is no experiment {code!r}.")
    return found


def experiments_touching(placement: Placement) -> list[Experiment]:
    """Open experiments (running or paused) on a placement.

    Who publishes there changes neither control nor a variant: they are frozen. Those who take no part see the
    change at once. Who archives it takes the experiment its slates.
    """
    rows = Experiment.objects.filter(status__in=OPEN, placements=placement)
    return list(rows.select_related("layer").order_by("id"))


def experiments_running() -> QuerySet[Experiment]:
    """Those that decide slates now."""
    return Experiment.objects.filter(status="running").select_related("layer").order_by("id")


def experiment_log_list(*, experiment: Experiment) -> QuerySet[ExperimentEvent]:
    """All that happened, the latest first, with who did it."""
    return experiment.log.select_related("actor").order_by("-at", "-id")


def publications_moved(*, experiment: Experiment) -> list[tuple[Placement, Publication, Publication | None]]:
    """Placements whose live publication is no longer control's frozen one: placement, control's, live's.

    Shipping would put a winner in place of what somebody published since.
    """
    control = experiment.variants.filter(is_control=True).first()
    if control is None:
        return []
    rows = control.publications.select_related("placement__live_publication", "publication")
    return [
        (row.placement, row.publication, row.placement.live_publication)
        for row in rows.order_by("placement_id")
        if row.publication_id != row.placement.live_publication_id
    ]


def shares_by_time(*, experiment: Experiment) -> list[tuple[ExperimentEvent, dict[str, float]]]:
    """The variants' shares since the launch: each event that set them, with the shares from then on."""
    rows = experiment.log.filter(kind__in=("launched", "shares_moved")).order_by("at", "id")
    return [(row, {str(code): float(share) for code, share in row.details["shares"].items()}) for row in rows]
