"""What history says before a launch: whether the planned days are enough, and an instant A/A."""

from apps.experiments.checks import LaunchCheck
from apps.experiments.history import instant_aa
from apps.experiments.models import Experiment, ExperimentKind
from apps.experiments.stats import power
from apps.portal.experiment_plan import asked_of, history_of, sums_of


def checks_history(experiment: Experiment) -> list[LaunchCheck]:
    """The slower checks: a second or so on a shop's history. None for what can't be split (yet)."""
    if experiment.kind == ExperimentKind.SWITCHBACK or experiment.variants.count() < 2:
        return []
    return [_power_check(experiment), _aa_check(experiment)]


def _power_check(experiment: Experiment) -> LaunchCheck:
    asked = asked_of(experiment)
    past = history_of(experiment, asked)
    sums = sums_of(experiment, asked, past, asked.primary)
    if sums is None:
        return LaunchCheck("history_none", "warn")
    params = {"mde": asked.mde, "planned_days": asked.planned, "seen": sums.least(asked.planned)}
    sample = power.sample_size(sums.base, asked.mde, sums.plan)
    days = power.days_for(sample.total, past.cumulative, sums.share) if sample else None
    if sample is None or days is None:
        return LaunchCheck("power_never", "warn", params, "mde")
    if days > asked.planned:
        code = "power_low_blind" if params["seen"] is None else "power_low"
        return LaunchCheck(code, "warn", params | {"days": days}, "planned_days")
    return LaunchCheck("power", "ok", params | {"days": days, "units": sample.total})


def _aa_check(experiment: Experiment) -> LaunchCheck:
    found = instant_aa(experiment=experiment)
    if found.share is None:
        return LaunchCheck("aa_none", "warn")
    params = {"share": found.share, "splits": found.splits, "high": found.high}
    if not found.passed:
        return LaunchCheck("aa_failed", "warn", params, "primary")
    return LaunchCheck("aa", "ok", params)
