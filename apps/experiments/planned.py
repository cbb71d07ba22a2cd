"""How many units were planned, kept from before the first look.

The always-valid interval is narrowest at the number of units it was made for, which has to be chosen
without having seen any: so it is reckoned from the shop's history at the launch, and stays in the log
whatever happens to the plan afterwards.
"""

from apps.core import clock
from apps.experiments.history import placement_history
from apps.experiments.models import BUCKETS, Experiment, ExperimentKind
from apps.experiments.stats.power import units_through

LOGGED = "planned_units"


def units_planned(experiment: Experiment) -> int | None:
    """Units of all variants together through the planned days, once the ramp is through; None without
    history."""
    if experiment.kind == ExperimentKind.SWITCHBACK:
        return None  # slots are its units
    past = placement_history(
        placements=list(experiment.placements.values_list("code", flat=True)),
        metrics=(),
        audience=experiment.audience,
        now=clock.now(),
    )
    traffic = 1.0 if experiment.ramp else experiment.traffic
    share = traffic * (experiment.layer_to - experiment.layer_from) / BUCKETS
    return round(units_through(experiment.planned_days, past.cumulative, share)) or None


def units_planned_at_launch(experiment: Experiment) -> int | None:
    """What the log says was planned; None for what was launched without history."""
    entry = experiment.log.filter(kind="launched").order_by("id").first()
    value = entry.details.get(LOGGED) if entry is not None else None
    return value if isinstance(value, int) and value > 0 else None
