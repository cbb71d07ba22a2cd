"""The hybrid of all live versions: weights tuned offline, its figures, and where they are kept.

Weights are chosen on the window before the test window and judged on the test window, per protocol: `new`
leaves out what a shopper bought, `all` does not. The blend is the one that serves (`ml.blend`), over the
lists that are served (as long as those). The result lies in SHOP_DIR/artifacts/hybrid.json, for
merchandising to read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.accounts.models import User
from apps.core import clock
from apps.core.errors import Conflict
from apps.datasets.models import Snapshot
from apps.jobs.models import Job, JobStatus
from apps.jobs.running import RunningJob, job_running
from apps.jobs.services import job_create
from apps.ml.base import Progress, TrainOptions
from apps.ml.blend import blend_many
from apps.ml.dataset import Dataset
from apps.ml.evaluate import VARIANTS, Background, Variant, evaluate_lists, paired_difference
from apps.ml.topn import SERVED_LIST_LENGTH
from apps.ml.tune import weights_choose
from apps.training import evaluations
from apps.training.evaluations import Judgement
from apps.training.models import ModelVersion, VersionStatus
from apps.training.runs import KIND as RUN_KIND
from apps.training.runs import ml_errors_mapped

KIND = "training.hybrid"
NORMALISATION = "z"


@dataclass(frozen=True, slots=True)
class Hybrid:
    """What hybrid.json holds. weights: by protocol, by source, summing to 1. metrics: by protocol.
    differences: by protocol, by source: NDCG@10 of the hybrid less the source's, [mean, low, high] over the
    same shoppers.
    """

    snapshot_hash: str
    versions: dict[str, int]
    tuned_at: str
    normalisation: str
    top_n: int
    test_days: float
    weights: dict[str, dict[str, float]]
    metrics: dict[str, dict[str, Any]]
    differences: dict[str, dict[str, list[float]]]


def hybrid_path() -> Path:
    """Where the tuned hybrid is kept."""
    return Path(settings.SHOP_DIR) / "artifacts" / "hybrid.json"


def hybrid_get() -> Hybrid | None:
    """The tuned hybrid; None before the first tuning."""
    try:
        return Hybrid(**json.loads(hybrid_path().read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def live_versions() -> dict[str, ModelVersion]:
    """The live version of each active recipe by source code."""
    versions = ModelVersion.objects.filter(status=VersionStatus.LIVE, recipe__active=True)
    return {v.recipe.code: v for v in versions.select_related("recipe").order_by("recipe__color")}


def hybrid_due() -> bool:
    """Whether the live versions are others than the hybrid was tuned for, and no training is under way."""
    live = {code: version.pk for code, version in live_versions().items()}
    busy = Job.objects.filter(kind__in=[RUN_KIND, KIND], status__in=_ACTIVE)
    if len(live) < 2 or busy.exists():
        return False
    known = hybrid_get()
    if known is not None and known.versions == live:
        return False
    last = Job.objects.filter(kind=KIND).order_by("-created_at").first()
    # One that failed for these versions would fail again.
    return last is None or last.params.get("versions") != live


_ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


def hybrid_job_create(*, requested_by: User | None = None) -> Job:
    """Queue a tuning for the live versions; the caller enqueues it."""
    live = {code: version.pk for code, version in live_versions().items()}
    if len(live) < 2:
        raise Conflict("A hybrid needs two live versions or more; train and promote them first.")
    return job_create(
        kind=KIND, title="Tune hybrid weights", params={"versions": live}, requested_by=requested_by
    )


def hybrid_tune(*, job_id: int) -> None:
    """Do the tuning of this job, unless another process is at it or it is over."""
    with job_running(job_id=job_id) as job:
        if job is not None:
            with ml_errors_mapped():
                hybrid = _tune(job)
            hybrid_store(hybrid)
            job.finish({"weights": hybrid.weights, "metrics": hybrid.metrics})


def hybrid_store(hybrid: Hybrid) -> None:
    """Keep the tuned hybrid in place of the one before."""
    path = hybrid_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    values = {name: getattr(hybrid, name) for name in Hybrid.__dataclass_fields__}
    scratch.write_text(json.dumps(values, indent=1), "utf-8")
    scratch.replace(path)


def _tune(job: RunningJob) -> Hybrid:
    versions = live_versions()
    snapshot = live_snapshot(versions)
    job.progress("read", 0.0, snapshot.content_hash[:12])
    dataset = Dataset.from_snapshot(snapshot.path)
    validation = versions_judge(job, dataset, snapshot, versions, "validation", (0.05, 0.5))
    test = versions_judge(job, dataset, snapshot, versions, "test", (0.5, 0.8))
    background = Background.from_dataset(evaluations.test_split(dataset).train)
    weights: dict[str, dict[str, float]] = {}
    metrics: dict[str, dict[str, Any]] = {}
    differences: dict[str, dict[str, list[float]]] = {}
    for place, variant in enumerate(VARIANTS):
        job.progress("weights", 0.8 + 0.1 * place, variant)
        weights[variant] = _weights(job, validation, variant)
        metrics[variant], differences[variant] = _figures(test, weights[variant], variant, background)
    return Hybrid(
        snapshot_hash=snapshot.content_hash,
        versions={code: version.pk for code, version in versions.items()},
        tuned_at=clock.now().isoformat(),
        normalisation=NORMALISATION,
        top_n=SERVED_LIST_LENGTH,
        test_days=evaluations.test_days(dataset),
        weights=weights,
        metrics=metrics,
        differences=differences,
    )


def live_snapshot(versions: Mapping[str, ModelVersion]) -> Snapshot:
    """The newest snapshot that any of the versions learned from; Conflict when all are gone."""
    hashes = {version.snapshot_hash for version in versions.values()}
    snapshot = Snapshot.objects.filter(content_hash__in=hashes).order_by("-created_at").first()
    if snapshot is None:
        raise Conflict("The snapshot of the live versions is gone; train again.")
    return snapshot


def versions_judge(
    job: RunningJob,
    dataset: Dataset,
    snapshot: Snapshot,
    versions: Mapping[str, ModelVersion],
    window: str,
    span: tuple[float, float],
) -> dict[str, Judgement]:
    """Every live version's settings on one split; those known already are read, not fitted."""
    split = evaluations.test_split(dataset) if window == "test" else evaluations.validation_split(dataset)
    if not len(split.train):
        raise Conflict("There is too little history to tune weights on.")
    judged = {}
    for place, (code, version) in enumerate(versions.items()):
        start = span[0] + (span[1] - span[0]) * place / len(versions)

        def options(version: ModelVersion = version, code: str = code, start: float = start) -> TrainOptions:
            def report(progress: Progress) -> None:
                job.progress(window, start, code)

            return TrainOptions(
                device=settings.DEVICE, seed=version.seed, on_progress=report, should_stop=job.should_stop
            )

        job.progress(window, start, code)
        judged[code] = evaluations.judge(
            snapshot_hash=snapshot.content_hash,
            split=split,
            window=window,
            family=version.recipe.family,
            config=version.config,
            seed=version.seed,
            options=options,
        )
    return judged


def _weights(job: RunningJob, validation: Mapping[str, Judgement], variant: Variant) -> dict[str, float]:
    truth = next(iter(validation.values()))[variant].truth
    if not len(truth):
        return {code: round(1 / len(validation), 4) for code in validation}
    lists = {code: judgement[variant].top for code, judgement in validation.items()}
    return weights_choose(lists, truth, normalisation=NORMALISATION, should_stop=job.should_stop)


def _figures(
    test: Mapping[str, Judgement], weights: Mapping[str, float], variant: Variant, background: Background
) -> tuple[dict[str, Any], dict[str, list[float]]]:
    first = next(iter(test.values()))[variant]
    tops = [judgement[variant].top for judgement in test.values()]
    blended = blend_many(tops, [weights[code] for code in test], SERVED_LIST_LENGTH, NORMALISATION)
    mine = evaluate_lists(blended, first.truth, first.catalogue_size, background=background)
    differences = {}
    for code, judgement in test.items():
        gap = paired_difference(mine.per_user["ndcg10"], judgement[variant].evaluation.per_user["ndcg10"])
        differences[code] = [round(gap.mean, 6), round(gap.low, 6), round(gap.high, 6)]
    return mine.to_dict(), differences
