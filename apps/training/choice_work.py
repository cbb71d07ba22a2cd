"""The work of an automatic choice, on the shop's newest snapshot."""

from typing import Any

from django.conf import settings

from apps.core.errors import Conflict
from apps.jobs.running import RunningJob, job_running
from apps.ml.base import Progress, TrainOptions
from apps.ml.choice import Choice, choose
from apps.ml.dataset import Dataset
from apps.ml.objectives import Objective
from apps.training import evaluations
from apps.training.report_work import newest_snapshot
from apps.training.runs import ml_errors_mapped
from apps.training.weights_work import weights_found

READ = 0.1


def choice_execute(*, job_id: int) -> None:
    """Do the choice of this job."""
    with job_running(job_id=job_id) as job:
        if job is not None:
            with ml_errors_mapped():
                job.finish(weights_found(job) if job.params["live_only"] else _chosen(job))


def _chosen(job: RunningJob) -> dict[str, Any]:
    """The last days, by which versions are judged, are kept from it: what it finds can still be judged."""
    snapshot = newest_snapshot(job)
    dataset = Dataset.from_snapshot(snapshot.path)
    learned = evaluations.test_split(dataset).train
    if not len(learned):
        raise Conflict("There is too little history to choose by; import more events and start again.")
    params = job.params
    choice = choose(
        learned,
        protocol="window",
        objective=Objective(**params["objective"]),
        budget_seconds=params["budget_seconds"],
        families=params["sources"],
        options=_options(job),
        variant=params["variant"],
        days=evaluations.test_days(dataset),
    )
    for line in choice.text():
        job.log(line)
    return _told(choice) | {"snapshot_hash": snapshot.content_hash}


def _told(choice: Choice) -> dict[str, Any]:
    return choice.to_dict() | {
        "sentences": [[message, params] for message, params in choice.words],
        "warnings": [[message, params] for message, params in choice.warnings],
    }


def _options(job: RunningJob) -> TrainOptions:
    def report(progress: Progress) -> None:
        job.progress(progress.stage, READ + (1 - READ) * min(progress.fraction, 1.0), progress.message)

    return TrainOptions(device=settings.DEVICE, on_progress=report, should_stop=job.should_stop)
