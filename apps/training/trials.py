"""The work of a study: workers claim trials, fit, judge on the window before the test window, store.

A trial's row is made (or taken over from a dead worker) under the study's row lock, so two workers never do
the same one; every later write asks for the claim. Nothing is lost by kill -9 but the fit that was under way:
the sweeper queues the job again and its trial is tried again with the same settings.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from apps.core import clock
from apps.core.errors import Cancelled, Conflict, RecoPortalError
from apps.datasets.models import Snapshot
from apps.datasets.snapshots import snapshot_create
from apps.jobs.models import JobStatus
from apps.jobs.running import RunningJob, job_running
from apps.ml.base import Progress, TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.evaluate import Evaluation, Split, Variant, evaluate_lists, truth_of
from apps.ml.train import train
from apps.training import evaluations, samplers
from apps.training.models import Goal, Study, StudyTrial, TrialState
from apps.training.runs import ml_errors_mapped
from apps.training.studies import best_trial, settings_of
from apps.training.study_figures import GOALS, per_user_path

METRIC = "ndcg10"
FULL = 100
# With early stopping a trial is first fitted on the events of this share of shoppers (per cent).
FIRST_STEP = 25
# Fewer test shoppers than this in the first step say too little to stop a trial by.
MIN_SHOPPERS = 60
MAX_ATTEMPTS = 3
LOCK_SPACE = 7_301  # the first of the two numbers of an advisory lock; any that nobody else here uses
LOCK_SECONDS = 0.5
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)


def study_execute(*, job_id: int) -> None:
    """Work on the study of this job until it has no more trials to give."""
    with job_running(job_id=job_id) as job:
        if job is None:
            return
        study = Study.objects.select_related("recipe").get(pk=job.params["study"])
        with ml_errors_mapped():
            _Worker(study=study, job=job).work()


@transaction.atomic
def trial_claim(*, study_id: int, job_id: int, claim: str) -> StudyTrial | None:
    """The next trial for this worker; None when trials or time are used up.

    A trial whose worker is gone comes first. Raises nothing: a study that cannot go on gives None.
    """
    study = Study.objects.select_for_update().get(pk=study_id)
    rows = list(study.trials.select_related("job").order_by("number"))
    for row in rows:
        if row.state != TrialState.RUNNING or _alive(row, job_id):
            continue
        if row.attempts >= MAX_ATTEMPTS:
            row.state, row.error = TrialState.FAILED, "Its worker died or stopped each time it was tried."
            row.save(update_fields=["state", "error", "updated_at"])
            continue
        row.job_id, row.claim, row.attempts = job_id, claim, row.attempts + 1
        row.steps = {}
        row.save(update_fields=["job", "claim", "attempts", "steps", "updated_at"])
        return row
    spent = study.trials.aggregate(total=Sum("seconds"))["total"] or 0.0
    if len(rows) >= study.max_trials or spent >= study.budget_seconds:
        return None
    if rows:
        params, notes = samplers.propose(study, rows)
    else:
        params, notes = {name: study.base[name] for name in study.space}, {}
    return StudyTrial.objects.create(
        study=study, number=len(rows), job_id=job_id, claim=claim, params=params, sampler_notes=notes
    )


def _alive(row: StudyTrial, job_id: int) -> bool:
    """Whether another worker is at this trial; of the asking one's own, none can be under way."""
    job = row.job
    return (
        job is not None and job.pk != job_id and job.status == JobStatus.RUNNING and job.worker == row.claim
    )


def trial_store(*, trial: StudyTrial, claim: str, **values: Any) -> None:
    """Write to a running trial that is still this worker's; Cancelled when it is not."""
    changed = StudyTrial.objects.filter(pk=trial.pk, claim=claim, state=TrialState.RUNNING).update(
        updated_at=clock.now(), **values
    )
    if not changed:
        raise Cancelled(f"trial {trial.number} is no longer this process's")
    trial.refresh_from_db()


@dataclass(slots=True)
class _Worker:
    """One job's part of a study."""

    study: Study
    job: RunningJob
    done: int = 0
    splits: dict[int, Split] = field(default_factory=dict)

    def work(self) -> None:
        self._prepare()
        while trial := trial_claim(study_id=self.study.pk, job_id=self.job.id, claim=self.job.worker):
            self._try(trial)
        self._leave()

    # -- data

    def _prepare(self) -> None:
        self.job.progress("snapshot", 0.0)
        snapshot = self._snapshot()
        dataset = Dataset.from_snapshot(snapshot.path)
        split = evaluations.validation_split(dataset)
        if not len(split.train) or not len(truth_of(split, "all")):
            raise Conflict("There is too little history to tune on; import more events and start again.")
        self.splits[FULL] = split
        if self.study.pruning:
            part = _part_of_shoppers(split, FIRST_STEP)
            if len(part.train) and len(truth_of(part, "all")) >= MIN_SHOPPERS:
                self.splits[FIRST_STEP] = part

    def _snapshot(self) -> Snapshot:
        """The study's snapshot, taken by the first worker while the others wait."""
        with _study_lock(self.study.pk, lambda: self.job.progress("snapshot", 0.0)):
            study = Study.objects.select_related("snapshot").get(pk=self.study.pk)
            found = study.snapshot
            if found is None or not Path(found.path).is_dir():

                def report(fraction: float, message: str) -> None:
                    self.job.progress("snapshot", 0.05 * fraction, message)

                found = snapshot_create(window_days=self.study.recipe.window_days, on_progress=report)
                Study.objects.filter(pk=self.study.pk).update(snapshot=found)
            self.study.snapshot = found
            return found

    # -- one trial

    def _try(self, trial: StudyTrial) -> None:
        self.done = self.study.trials.filter(state__in=FINISHED).count()
        started = time.perf_counter()
        try:
            values = self._outcome(trial)
        except Cancelled:
            StudyTrial.objects.filter(pk=trial.pk, claim=self.job.worker).update(claim="")
            raise
        except RecoPortalError as error:
            values = {"state": TrialState.FAILED, "error": error.message}
        except (ArithmeticError, ValueError, RuntimeError, MemoryError) as error:
            # Settings a family cannot fit with are one trial's failure, not the study's.
            values = {"state": TrialState.FAILED, "error": f"{type(error).__name__}: {error}"}
        seconds = round(time.perf_counter() - started, 3)
        trial_store(trial=trial, claim=self.job.worker, seconds=seconds, **values)
        self._after(trial)

    def _outcome(self, trial: StudyTrial) -> dict[str, Any]:
        """Fit and judge, on part of the shoppers first where trials are stopped early."""
        for step, split in sorted(self.splits.items()):
            found = self._judge(trial, split, step)
            value = float(np.mean([found[v].mean(METRIC) for v in GOALS[self.study.goal]]))
            steps = {**trial.steps, str(step): round(value, 6)}
            if step != FULL:
                trial_store(trial=trial, claim=self.job.worker, steps=steps)
                others = list(self.study.trials.order_by("number"))
                if samplers.should_stop_early(self.study, trial, others):
                    return {"state": TrialState.PRUNED, "steps": steps}
                continue
            _per_user_write(per_user_path(self.study, trial), found)
            return {
                "state": TrialState.COMPLETE,
                "steps": steps,
                "value": round(value, 6),
                "metrics": {variant: one.to_dict() for variant, one in found.items()},
            }
        raise Conflict("There is nothing to judge this trial on.")

    def _judge(self, trial: StudyTrial, split: Split, step: int) -> dict[Variant, Evaluation]:
        with ml_errors_mapped():
            model = train(
                self.study.recipe.family,
                settings_of(self.study, trial),
                split.train,
                self._options(trial, step),
            )
            found: dict[Variant, Evaluation] = {}
            for variant in GOALS[Goal.MIX]:
                truth = evaluations.test_shoppers(truth_of(split, variant))
                top = evaluations.lists_of(model, truth, variant)
                found[variant] = evaluate_lists(top, truth, split.catalogue_size)
            return found

    def _options(self, trial: StudyTrial, step: int) -> TrainOptions:
        def report(progress: Progress) -> None:
            steps = sorted(self.splits)
            within = (steps.index(step) + min(progress.fraction, 1.0)) / len(steps)
            part = (self.done + within) / max(1, self.study.max_trials)
            self.job.progress("trials", 0.05 + 0.95 * min(part, 1.0), f"trial {trial.number}")

        return TrainOptions(
            device=settings.DEVICE,
            seed=self.study.recipe.seed,
            on_progress=report,
            should_stop=self.job.should_stop,
        )

    def _after(self, trial: StudyTrial) -> None:
        shown = f"{trial.value:.4f}" if trial.value is not None else trial.error or "below the median"
        self.job.log(f"trial {trial.number}: {trial.state}, {shown} ({trial.seconds:.1f} s) {trial.params}")
        rows = list(self.study.trials.order_by("number"))
        if trial.state == TrialState.COMPLETE and (found := samplers.importances(self.study, rows)):
            Study.objects.filter(pk=self.study.pk).update(importances=found)

    # -- the end

    def _leave(self) -> None:
        """Close the job; the last worker to leave closes the study."""
        with transaction.atomic():
            study = Study.objects.select_for_update().get(pk=self.study.pk)
            rows = list(study.trials.all())
            if not any(row.state == TrialState.RUNNING for row in rows):
                Study.objects.filter(pk=study.pk).update(finished_at=clock.now())
            best = best_trial(rows)
            self.job.finish(
                {"best": best.number, "value": best.value, "trials": len(rows)} if best else {},
                message=f"best {best.value:.4f}" if best and best.value is not None else "",
            )


def _part_of_shoppers(split: Split, percent: int) -> Split:
    """The split with the events of a share of the shoppers, always the same ones; visitors without a name are
    left out.
    """
    everyone = split.train.users.ids
    size = max(1, len(everyone) * percent // 100)
    kept = np.random.default_rng(0).choice(everyone, size, replace=False) if len(everyone) else everyone
    train_part = split.train.select(np.isin(split.train.user_ids, kept) & (split.train.user >= 0))
    test_part = split.test.select(np.isin(split.test.user_ids, kept) & (split.test.user >= 0))
    return Split(train_part, test_part, split.cut)


def _per_user_write(path: Path, found: dict[Variant, Evaluation]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    arrays: dict[str, Any] = {variant: one.per_user[METRIC] for variant, one in found.items()}
    with scratch.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    scratch.replace(path)


@contextmanager
def _study_lock(study_id: int, wait: Callable[[], None]) -> Iterator[None]:
    """One worker of the study at a time; `wait` is called while another has it, and may raise to give up.

    Postgres gives the lock back when this process dies.
    """
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_SPACE, study_id])
            row = cursor.fetchone()
            if row and row[0]:
                break
            wait()
            time.sleep(LOCK_SECONDS)
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, study_id])
