"""Training runs: create, and the whole of one run from snapshot to live version.

A run may be killed at any moment: nothing it wrote counts before its version's row, which is stored in the
same transaction that closes its job. A rerun starts clean and leaves one version.
"""

import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.core.errors import Cancelled, Conflict, InvalidInput
from apps.datasets.models import Snapshot
from apps.datasets.snapshots import snapshot_create
from apps.jobs.models import JobStatus
from apps.jobs.running import RunningJob, job_running
from apps.jobs.services import job_create
from apps.ml import errors as ml_errors
from apps.ml.base import Model, Progress, TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.evaluate import Split
from apps.ml.registry import FAMILIES
from apps.ml.train import train
from apps.training import evaluations, gate, registry
from apps.training.codeversion import code_version
from apps.training.evaluations import Judgement
from apps.training.examples import examples_of, leading_of
from apps.training.models import ModelVersion, Recipe, TrainingRun, VersionStatus
from apps.training.recipes import config_check, recipes_take_due
from apps.training.selectors import versions_live

KIND = "training.run"
# Where each step starts and ends on the job's bar.
SPANS = {
    "snapshot": (0.0, 0.15),
    "fit": (0.15, 0.45),
    "evaluate": (0.45, 0.6),
    "refit": (0.6, 0.95),
    "register": (0.95, 1.0),
}
HISTORY_SECONDS = 2.0
COSTS = ("fit_seconds", "core_seconds", "peak_memory_mb")
HISTORY_POINTS = 200


@contextmanager
def ml_errors_mapped() -> Iterator[None]:
    """Turn the library's errors into ours."""
    try:
        yield
    except ml_errors.Cancelled as error:
        raise Cancelled(str(error)) from error
    except ml_errors.InvalidValue as error:
        raise InvalidInput(field=error.field, value=error.value, remedy=error.remedy) from error
    except ml_errors.MLError as error:
        raise Conflict(str(error)) from error


@transaction.atomic
def run_create(
    *,
    recipe: Recipe,
    requested_by: User | None = None,
    auto_promote: bool = True,
    batch: str = "",
) -> TrainingRun:
    """Queue a run of the recipe as it stands; the caller enqueues `run.job`.

    Runs of one `batch` share one snapshot, made by the first of them. Conflict
    while another run of the recipe is queued or running.
    """
    recipe = Recipe.objects.select_for_update().get(pk=recipe.pk)
    config = run_config(recipe)
    busy = TrainingRun.objects.filter(
        recipe=recipe, job__status__in=[JobStatus.QUEUED, JobStatus.RUNNING]
    ).first()
    if busy is not None:
        raise Conflict(
            _("%(recipe)s is in training already (run %(id)s). Wait for it or cancel it.")
            % {"recipe": recipe.name, "id": busy.pk}
        )
    job = job_create(
        kind=KIND,
        title=f"Train {recipe.name}",
        params={"recipe": recipe.code, "batch": batch or uuid.uuid4().hex},
        requested_by=requested_by,
    )
    return TrainingRun.objects.create(recipe=recipe, job=job, config=config, auto_promote=auto_promote)


def run_config(recipe: Recipe) -> dict[str, Any]:
    """Every setting of the recipe's next run. A family made of others takes what is live, as it is live."""
    config = config_check(family=recipe.family, preset=recipe.preset, config=recipe.config)
    if FAMILIES[recipe.family].composite and not recipe.config.get("sources"):
        live = {
            code: {"family": version.recipe.family, "config": version.config}
            for code, version in versions_live().items()
            if version.recipe.active
            and version.recipe.archived_at is None
            and not FAMILIES[version.recipe.family].composite
        }
        config["sources"] = live if len(live) > 1 else config["sources"]
    return config


@transaction.atomic
def runs_create(*, recipes: Iterable[Recipe], requested_by: User | None = None) -> list[TrainingRun]:
    """Queue a run of each recipe that has none, all on one snapshot."""
    batch = uuid.uuid4().hex
    runs = []
    for recipe in recipes:
        try:
            with transaction.atomic():
                runs.append(run_create(recipe=recipe, requested_by=requested_by, batch=batch))
        except Conflict:
            continue
    return runs


def run_execute(*, job_id: int) -> None:
    """Do the run of this job, unless another process is at it or it is over."""
    with job_running(job_id=job_id) as job:
        if job is not None:
            run = TrainingRun.objects.select_related("recipe", "job").get(job_id=job_id)
            with ml_errors_mapped():
                _Execution(run=run, job=job).execute()


@dataclass(slots=True)
class _Execution:
    """One attempt at a run: its clock, its history and its place on the bar."""

    run: TrainingRun
    job: RunningJob
    seconds: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    stage: str = "snapshot"
    stored_at: float = 0.0

    def execute(self) -> None:
        with self._step("snapshot"):
            snapshot = self._snapshot()
            dataset = Dataset.from_snapshot(snapshot.path)
            split = evaluations.test_split(dataset)
            if not len(split.train):
                raise Conflict("There is too little history to train on; import more events and train again.")
        with self._step("fit"):
            mine = self._judge(split, snapshot, self.run.recipe.family, self.run.config, self.run.recipe.seed)
        with self._step("evaluate"):
            verdict, live = self._verdict(split, snapshot, mine)
        with self._step("refit"):
            model = train(self.run.recipe.family, self.run.config, dataset, self._options())
        with self._step("register"):
            self._store(snapshot, model, mine, verdict, live)

    def _snapshot(self) -> Snapshot:
        """The batch's snapshot, or a new one."""
        days = self.run.recipe.window_days
        batch = TrainingRun.objects.filter(
            job__params__batch=self.job.params["batch"], recipe__window_days=days, snapshot__isnull=False
        )
        first = batch.select_related("snapshot").first()
        shared = first.snapshot if first else None
        if shared is None or not Path(shared.path).is_dir():
            shared = snapshot_create(window_days=days, on_progress=self._progress)
        TrainingRun.objects.filter(pk=self.run.pk).update(snapshot=shared, history=[], seconds={})
        self.run.snapshot = shared
        return shared

    def _judge(
        self, split: Split, snapshot: Snapshot, family: str, config: dict[str, Any], seed: int
    ) -> Judgement:
        return evaluations.judge(
            snapshot_hash=snapshot.content_hash,
            split=split,
            window="test",
            family=family,
            config=config,
            seed=seed,
            options=self._options,
        )

    def _verdict(
        self, split: Split, snapshot: Snapshot, mine: Judgement
    ) -> tuple[gate.Verdict, ModelVersion | None]:
        recipe = self.run.recipe
        popular = mine
        if recipe.family != "popular":
            baseline = Recipe.objects.filter(code="popular").first()
            config = config_check(
                family="popular",
                preset=baseline.preset if baseline else "small",
                config=baseline.config if baseline else {},
            )
            popular = self._judge(split, snapshot, "popular", config, baseline.seed if baseline else 0)
        self._progress(0.5, "")
        live = registry.version_live(recipe)
        theirs = self._judge(split, snapshot, recipe.family, live.config, live.seed) if live else None
        verdict = gate.gate_judge(
            family=recipe.family,
            new=mine,
            popular=popular,
            live=theirs,
            live_number=live.number if live else None,
        )
        return verdict, live

    def _store(
        self,
        snapshot: Snapshot,
        model: Model[Any],
        mine: Judgement,
        verdict: gate.Verdict,
        live: ModelVersion | None,
    ) -> None:
        run = self.run
        folder = registry.artifacts_dir(run.recipe.code) / f"run-{run.pk}"
        shutil.rmtree(folder, ignore_errors=True)
        cost = {name: model.metrics[name] for name in COSTS if name in model.metrics}
        metrics = evaluations.metrics_of(mine) | {"fit_seconds": model.metrics.get("fit_seconds")}
        model.metrics.update(metrics)
        model.save(folder)
        evaluations.judged_write(folder / "eval", mine)
        evaluations.evaluations_prune()
        trained = registry.Trained(
            folder=folder,
            metrics=metrics,
            verdict=verdict,
            snapshot_hash=snapshot.content_hash,
            code_version=code_version(),
            example=examples_of(model),
            cost=cost,
            importance=model.metrics.get("importance", {}),
            leading=leading_of(model),
        )
        with transaction.atomic():
            version = registry.version_register(run=run, trained=trained)
            if run.auto_promote and verdict.passed and registry.version_live(run.recipe) == live:
                registry.version_promote(version=version, by=run.job.requested_by)
            version.refresh_from_db()
            TrainingRun.objects.filter(pk=run.pk).update(history=self.history, seconds=self.seconds)
            self.job.log(_summary(version))
            transaction.on_commit(lambda: registry.versions_prune(recipe=run.recipe))
            self.job.finish({"version": version.pk, "number": version.number, "status": version.status})

    # -- progress

    @contextmanager
    def _step(self, stage: str) -> Iterator[None]:
        self.stage = stage
        self._progress(0.0, "")
        started = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - started, 3)
        self.job.log(f"{stage}: {self.seconds[stage]:.1f} s")

    def _progress(self, fraction: float, message: str) -> None:
        low, high = SPANS[self.stage]
        self.job.progress(self.stage, low + (high - low) * min(max(fraction, 0.0), 1.0), message)

    def _options(self) -> TrainOptions:
        return TrainOptions(
            device=settings.DEVICE,
            seed=self.run.recipe.seed,
            threads=1,
            on_progress=self._on_progress,
            should_stop=self.job.should_stop,
        )

    def _on_progress(self, progress: Progress) -> None:
        message = progress.message
        if progress.epochs:
            message = f"epoch {progress.epoch}/{progress.epochs}"
            if progress.metric is not None:
                message += f", {progress.metric:.5g}"
            self._remember(progress)
        self._progress(progress.fraction, message)

    def _remember(self, progress: Progress) -> None:
        """Keep the epoch for the curve: every one, or an even selection of very many."""
        every = -(-progress.epochs // HISTORY_POINTS)
        if progress.epoch % every and progress.epoch not in (1, progress.epochs):
            return
        self.history.append(
            {
                "step": self.stage,
                "epoch": progress.epoch,
                "epochs": progress.epochs,
                "metric": progress.metric,
                "stage": progress.stage,
            }
        )
        if time.monotonic() - self.stored_at > HISTORY_SECONDS:
            self.stored_at = time.monotonic()
            TrainingRun.objects.filter(pk=self.run.pk).update(history=self.history, seconds=self.seconds)


def _summary(version: ModelVersion) -> str:
    shown = ", ".join(
        f"{protocol} NDCG@10 {figures['ndcg10']:.4f} ({figures['users']} shoppers)"
        for protocol, figures in version.metrics.items()
        if isinstance(figures, dict)
    )
    outcome = {
        VersionStatus.LIVE: "is live",
        VersionStatus.CANDIDATE: "waits for promotion",
        VersionStatus.REFUSED: "was refused by the gate: " + " ".join(version.gate.get("reasons", [])),
    }.get(VersionStatus(version.status), version.status)
    return f"{version} {outcome}; {shown}"


def schedules_run() -> list[TrainingRun]:
    """Queue a run of every recipe that is due, all on one snapshot; the caller enqueues their jobs."""
    return runs_create(recipes=recipes_take_due())
