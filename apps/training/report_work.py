"""The work of reports, on the shop's newest snapshot. Loads torch for the families that need it."""

from pathlib import Path
from typing import Any

from django.conf import settings

from apps.core.errors import Conflict
from apps.datasets.models import Snapshot
from apps.datasets.snapshots import snapshot_create
from apps.jobs.running import RunningJob, job_running
from apps.ml.base import Progress, TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.incremental import month_simulate
from apps.ml.robustness import robustness_curves
from apps.ml.shilling import shilling_flags
from apps.training import evaluations
from apps.training.models import Recipe
from apps.training.recipes import config_check
from apps.training.registry import version_live
from apps.training.reports import ROBUSTNESS, UPDATES
from apps.training.runs import ml_errors_mapped

READ = 0.1
MAX_JUDGED = 1_000
"""Shoppers a robustness report judges by: there are thirteen fits to judge."""


def report_execute(*, job_id: int) -> None:
    """Make the report of this job, unless another process is at it or it is over."""
    with job_running(job_id=job_id) as job:
        if job is not None:
            with ml_errors_mapped():
                job.finish(_made(job))


def _made(job: RunningJob) -> dict[str, Any]:
    snapshot = newest_snapshot(job, fresh=job.job.kind not in (ROBUSTNESS, UPDATES))
    dataset = Dataset.from_snapshot(snapshot.path)
    if not len(dataset):
        raise Conflict("The shop has no events to look at yet; import some first.")
    makers = {ROBUSTNESS: _robustness, UPDATES: _updates}
    maker = makers.get(job.job.kind, _shilling)
    return maker(job, dataset) | {"snapshot_hash": snapshot.content_hash}


def newest_snapshot(job: RunningJob, *, fresh: bool = False) -> Snapshot:
    """The newest snapshot; a new one where there is none, or where it must hold the latest events."""
    job.progress("snapshot", 0.0)
    newest = Snapshot.objects.order_by("-created_at").first()
    if newest is not None and Path(newest.path).is_dir() and not fresh:
        return newest
    return snapshot_create(
        on_progress=lambda fraction, message: job.progress("snapshot", READ * fraction, message)
    )


def _settings_of(job: RunningJob) -> tuple[str, dict[str, Any], int]:
    """Family, settings and seed of the recipe as it is live, else as its next run would train."""
    recipe = Recipe.objects.get(code=job.params["recipe"])
    live = version_live(recipe)
    if live is not None:
        return recipe.family, live.config, live.seed
    config = config_check(family=recipe.family, preset=recipe.preset, config=recipe.config)
    return recipe.family, config, recipe.seed


def _robustness(job: RunningJob, dataset: Dataset) -> dict[str, Any]:
    family, config, seed = _settings_of(job)
    split = evaluations.test_split(dataset)
    if not len(split.train):
        raise Conflict("There is too little history to test on; import more events and start again.")
    curves = robustness_curves(
        split,
        [family],
        configs={family: config},
        variant=job.params["variant"],
        max_users=MAX_JUDGED,
        options=_options(job, seed),
    )
    told = curves.to_dict()
    return {"variant": told["variant"], "users": told["users"], "curves": told["families"][family]}


def _updates(job: RunningJob, dataset: Dataset) -> dict[str, Any]:
    family, config, seed = _settings_of(job)
    month = month_simulate(
        dataset,
        family,
        config,
        days=job.params["days"],
        variant=job.params["variant"],
        options=_options(job, seed),
    )
    return month.to_dict()


def _shilling(job: RunningJob, dataset: Dataset) -> dict[str, Any]:
    job.progress("look", READ + 0.1)
    return shilling_flags(dataset).to_dict()


def _options(job: RunningJob, seed: int) -> TrainOptions:
    def report(progress: Progress) -> None:
        job.progress(progress.stage, READ + (1 - READ) * min(progress.fraction, 1.0))

    return TrainOptions(device=settings.DEVICE, seed=seed, on_progress=report, should_stop=job.should_stop)
