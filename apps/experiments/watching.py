"""What an experiment does by itself: guardrails, shipping where it was asked for, its end, ramp and bandit.

Each look does at most one thing, holding the experiment's row, and looks again at the next one: two workers
that
look at once do nothing twice.
"""

import logging
from datetime import timedelta

from django.db import DatabaseError, transaction
from django.db.models import F, Q

from apps.core import clock
from apps.core.errors import RecoPortalError
from apps.experiments import guardrails
from apps.experiments.bandits import bandit_shares
from apps.experiments.deciding import experiment_decide
from apps.experiments.lifecycle import (
    experiment_end,
    experiment_ramp,
    experiment_shares_move,
    ramp_next,
)
from apps.experiments.models import Decision, Experiment, ExperimentKind, ExperimentStatus, View
from apps.experiments.readouts import readout_refresh
from apps.experiments.results import Analysis
from apps.experiments.trail import experiment_lock, experiment_log

logger = logging.getLogger(__name__)
BANDIT_MINUTES = 15
# Later on less often: what is known changes by less, and each period of constant shares needs its own units.
BANDIT_PART = 24
# Purchases of the last units come in after the end, too.
AFTER_END = timedelta(days=1)


def experiments_watched() -> list[int]:
    """Ids of the experiments to look at: open ones, and ended ones until their readout is a day past the
    end.
    """
    fresh = Q(readout__computed_at__gte=F("ended_at") + AFTER_END)
    ended = Q(status=ExperimentStatus.ENDED, ended_at__gt=clock.now() - 3 * AFTER_END) & ~fresh
    rows = Experiment.objects.filter(
        Q(status__in=(ExperimentStatus.RUNNING, ExperimentStatus.PAUSED)) | ended
    )
    return list(rows.order_by("id").values_list("pk", flat=True))


def experiment_watch(*, experiment_id: int) -> str:
    """Count the experiment anew, then do what is due, also when counting fails: an end must not wait for
    it.
    """
    try:
        readout_refresh(experiment_id=experiment_id)
    except RecoPortalError as error:  # somebody else is counting it
        logger.info("experiment %s: %s", experiment_id, error.message)
    except DatabaseError:
        logger.exception("experiment %s can't be counted", experiment_id)
    return experiment_steer(experiment_id=experiment_id)


@transaction.atomic
def experiment_steer(*, experiment_id: int) -> str:
    """Do what is due; returns what was done: "", or the kind of the log's entry.

    In this order: roll back by a failed guardrail, ship by itself, end as planned, next step of the ramp,
    other shares of a bandit.
    """
    experiment = experiment_lock(experiment_id)
    now = clock.now()
    if experiment.status == ExperimentStatus.PAUSED:
        return _end_planned(experiment)
    if experiment.status != ExperimentStatus.RUNNING:
        return ""
    analysis = guardrails.analysis_fresh(experiment, now)
    failures = guardrails.guardrails_failed(experiment, analysis) if analysis is not None else []
    for failure in guardrails.failures_new(experiment, failures):
        experiment_log(experiment, "guardrail_failed", None, **failure.details())
    if failures and experiment.auto_rollback:
        reason = {"automatic": True, "guardrails": [one.details() for one in failures]}
        experiment_decide(actor=None, experiment_id=experiment.pk, decision=Decision.ROLL_BACK, reason=reason)
        return "rolled_back"
    if analysis is not None and not failures and _ship_due(experiment, analysis):
        reason = {"automatic": True}
        winner = analysis.verdict.variant
        try:
            with transaction.atomic():
                experiment_decide(
                    actor=None,
                    experiment_id=experiment.pk,
                    decision=Decision.SHIP,
                    variant=winner,
                    reason=reason,
                )
            return "shipped"
        except RecoPortalError as error:  # an archived placement, say: a person has to look
            logger.warning("%s can't ship by itself: %s", experiment.code, error.message)
    done = _end_planned(experiment)
    if done or analysis is None or failures:
        return done
    if _ramp_due(experiment, analysis):
        experiment_ramp(actor=None, experiment_id=experiment.pk, step=experiment.ramp_step)
        return "ramped"
    return _shares_move(experiment)


def _end_planned(experiment: Experiment) -> str:
    if experiment.ends_at is None or experiment.ends_at > clock.now():
        return ""
    experiment_end(actor=None, experiment_id=experiment.pk, planned=True)
    return "ended"


def _ship_due(experiment: Experiment, analysis: Analysis) -> bool:
    """Whether it was asked to ship by itself and may: nothing blocks, and a fixed horizon is reached."""
    if not experiment.auto_ship or analysis.verdict.action != "ship" or analysis.srm.alarm != "none":
        return False
    days = analysis.elapsed_days or 0.0
    # looking every ten minutes until it is clear is right in the sequential view alone
    watched = experiment.view == View.SEQUENTIAL
    return days >= experiment.min_days and (watched or days >= experiment.planned_days)


def _ramp_due(experiment: Experiment, analysis: Analysis) -> bool:
    """Whether the step stood long enough, with units that a readout since then finds nothing wrong with."""
    if ramp_next(experiment) is None or experiment.ramped_at is None or analysis.srm.alarm != "none":
        return False
    readout = experiment.readout
    waited = clock.now() - experiment.ramped_at >= timedelta(hours=experiment.ramp_hours)
    return waited and readout.computed_at > experiment.ramped_at and sum(analysis.units.values()) > 0


def _shares_move(experiment: Experiment) -> str:
    if experiment.kind != ExperimentKind.BANDIT:
        return ""
    now = clock.now()
    last = experiment.log.filter(kind__in=("launched", "shares_moved")).order_by("-at", "-id").first()
    if last is None or experiment.started_at is None:
        return ""
    if now - last.at < max(timedelta(minutes=BANDIT_MINUTES), (now - experiment.started_at) / BANDIT_PART):
        return ""
    found = bandit_shares(experiment)
    if found is None:
        return ""
    experiment_shares_move(experiment_id=experiment.pk, shares=found.shares, reason=found.reason)
    return "shares_moved"
