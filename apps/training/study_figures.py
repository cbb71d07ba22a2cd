"""What a study has found, for pages: its counts and the gain of the best settings. Loads no torch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db.models import QuerySet

from apps.jobs.models import Job, JobStatus
from apps.ml.evaluate import Interval, Variant, paired_difference
from apps.training.models import Goal, Recipe, Study, StudyTrial, TrialState
from apps.training.studies import best_trial, study_jobs

GOALS: dict[str, tuple[Variant, ...]] = {
    Goal.MIX: ("new", "all"),
    Goal.NEW: ("new",),
    Goal.ALL: ("all",),
}


@dataclass(frozen=True, slots=True)
class Gain:
    """The best settings' NDCG@10 less that of the settings the study began with, over the same shoppers."""

    protocol: Variant
    difference: Interval
    shoppers: int


@dataclass(frozen=True, slots=True)
class StudyState:
    """A study with its trials and jobs, read at once."""

    study: Study
    trials: list[StudyTrial]
    jobs: list[Job]

    @property
    def active(self) -> bool:
        """Whether a worker is at it or will be."""
        return any(not job.is_final for job in self.jobs)

    @property
    def running(self) -> bool:
        """Whether a worker is at it now."""
        return any(job.status == JobStatus.RUNNING for job in self.jobs)

    @property
    def ended(self) -> int:
        """Trials that need no more work."""
        return sum(one.state != TrialState.RUNNING for one in self.trials)

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state."""
        return dict(Counter(one.state for one in self.trials))

    @property
    def best(self) -> StudyTrial | None:
        """The finished trial of the highest value."""
        return best_trial(self.trials)

    @property
    def first(self) -> StudyTrial | None:
        """The trial of the settings the study began with, once it has finished."""
        found = self.trials[0] if self.trials else None
        return found if found and found.state == TrialState.COMPLETE else None

    @property
    def seconds(self) -> float:
        """Seconds of all trials together."""
        return sum(one.seconds for one in self.trials)

    @property
    def error(self) -> str:
        """Why the newest job failed, if it did."""
        return self.jobs[0].error if self.jobs and self.jobs[0].status == JobStatus.FAILED else ""


def study_state(study: Study) -> StudyState:
    """The study as it stands."""
    return StudyState(study, list(study.trials.order_by("number")), study_jobs(study))


def studies_of(*, recipe: Recipe, limit: int = 5) -> list[StudyState]:
    """A recipe's studies, the newest first."""
    return [study_state(study) for study in _studies().filter(recipe=recipe)[:limit]]


def study_get(*, study_id: int) -> Study | None:
    """One study; None when there is none of this id."""
    return _studies().filter(pk=study_id).first()


def _studies() -> QuerySet[Study]:
    return Study.objects.select_related("recipe", "snapshot", "requested_by").order_by("-created_at")


def per_user_path(study: Study, trial: StudyTrial) -> Path:
    """Where the trial's NDCG@10 per shopper is kept: new and all, float64 [n] each."""
    return Path(settings.SHOP_DIR) / "studies" / str(study.pk) / f"{trial.number}.npz"


def gains_of(state: StudyState) -> list[Gain]:
    """What the best settings gain, by protocol of the study's goal; empty where they are the ones it began
    with, or where the figures per shopper are gone.
    """
    best, first = state.best, state.first
    if best is None or first is None or best.pk == first.pk:
        return []
    files = [per_user_path(state.study, one) for one in (best, first)]
    if not all(path.is_file() for path in files):
        return []
    with np.load(files[0], allow_pickle=False) as mine, np.load(files[1], allow_pickle=False) as theirs:
        return [
            Gain(protocol, paired_difference(mine[protocol], theirs[protocol]), len(mine[protocol]))
            for protocol in GOALS[state.study.goal]
            if len(mine[protocol]) == len(theirs[protocol]) > 0
        ]


def best_so_far(trials: Sequence[StudyTrial]) -> list[float | None]:
    """After each trial, the highest value until then."""
    found: list[float | None] = []
    for one in trials:
        last = found[-1] if found else None
        value = one.value if one.state == TrialState.COMPLETE else None
        found.append(last if value is None else value if last is None else max(last, value))
    return found
