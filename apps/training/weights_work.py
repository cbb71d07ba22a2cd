"""Weights for what is live, as it is live: the versions' own settings, judged on the window before the last.

The lists are those the hybrid's tuning uses, so what is known already is read and not fitted again. The last
window, by which versions are judged, is kept from it: what it finds can still be judged.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from apps.core.errors import Conflict
from apps.jobs.running import RunningJob
from apps.ml.blend import blend_many
from apps.ml.blend_scoring import Worth
from apps.ml.dataset import Dataset
from apps.ml.evaluate import Background, Evaluation, Truth, Variant, evaluate_lists
from apps.ml.objectives import PARTS, Objective
from apps.ml.registry import FAMILIES
from apps.ml.topn import SERVED_LIST_LENGTH, TopN
from apps.ml.tune import weights_choose, weights_front
from apps.training import evaluations
from apps.training.hybrid import live_snapshot, live_versions, versions_judge
from apps.training.models import ModelVersion

FIGURES = ("ndcg10", "recall20", "hit10", "mrr10", "coverage10")
HYBRID = "hybrid"
CARRIES = 0.05
"""Share from which on a source is worth a sentence."""
Words = list[list[Any]]


def weights_found(job: RunningJob) -> dict[str, Any]:
    """What `choices.choice_found` reads: weights by recipe code, without settings."""
    started = time.monotonic()
    variant: Variant = job.params["variant"]
    versions = live_versions()
    snapshot = live_snapshot(versions)
    dataset = Dataset.from_snapshot(snapshot.path)
    judged = versions_judge(job, dataset, snapshot, versions, "validation", (0.05, 0.7))
    train = evaluations.validation_split(dataset).train
    lists = {code: judgement[variant].top for code, judgement in judged.items()}
    first = next(iter(judged.values()))[variant]
    if not len(first.truth):
        raise Conflict("Nobody known bought anything in the days to choose by; import more events.")
    objective = Objective(**job.params["objective"])
    worth = Worth.from_dataset(train)
    deadline = started + job.params["budget_seconds"]

    def stop() -> bool:
        return time.monotonic() > deadline or job.should_stop()

    job.progress("weights", 0.7)

    def weigh(part: Mapping[str, TopN], truth: Truth) -> dict[str, float]:
        return weights_choose(part, truth, should_stop=stop, objective=objective, worth=worth)

    mixed = weigh(lists, first.truth)
    job.progress("weights", 0.85)
    blended = _cross_fitted(lists, first.truth, weigh)
    mixture = evaluate_lists(
        blended, first.truth, first.catalogue_size, background=Background.from_dataset(train)
    )
    weights = {code: weight for code, weight in mixed.items() if weight > 0}
    by_model = {code: _figures(judgement[variant].evaluation) for code, judgement in judged.items()}
    by_model[HYBRID] = _figures(mixture)
    parts = [name for name in PARTS if getattr(objective, name) > 0]
    shown = parts if len(parts) > 1 else [*parts, "coverage" if parts != ["coverage"] else "ndcg"]
    sentences = _words(weights, by_model, versions)
    return {
        "protocol": "window",
        "variant": variant,
        "chosen": HYBRID if len(weights) > 1 else "single",
        "configs": {},
        "weights": weights,
        "ranker": None,
        "objective": objective.to_dict(),
        "words": [message % facts for message, facts in sentences],
        "sentences": sentences,
        "warnings": [],
        "by_model": by_model,
        "pareto": weights_front(lists, first.truth, worth, parts=shown, known=[mixed]),
        "seconds": round(time.monotonic() - started, 2),
        "snapshot_hash": snapshot.content_hash,
    }


def _cross_fitted(
    lists: Mapping[str, TopN], truth: Truth, weigh: Callable[[Mapping[str, TopN], Truth], dict[str, float]]
) -> TopN:
    """The blend as shoppers see it by whom it was not weighed: each half judges the other's weights."""
    halves = np.array_split(np.random.default_rng(0).permutation(len(truth)), 2)
    blended = TopN.empty(len(truth), SERVED_LIST_LENGTH)
    for mine, other in (halves, halves[::-1]):
        rows, teachers = np.sort(mine), np.sort(other if len(other) else mine)
        if not len(rows):
            continue
        found = weigh({code: top.take(teachers) for code, top in lists.items()}, truth.take(teachers))
        top = blend_many([one.take(rows) for one in lists.values()], list(found.values()), SERVED_LIST_LENGTH)
        blended.ids[rows], blended.scores[rows] = top.ids, top.scores
    return blended


def _words(
    weights: Mapping[str, float],
    by_model: Mapping[str, Mapping[str, float]],
    versions: Mapping[str, ModelVersion],
) -> Words:
    """Why, as [message, parameters], the strongest source first."""

    def named(code: str) -> str:
        recipe = versions[code].recipe
        return FAMILIES[recipe.family].title if recipe.code == recipe.family else recipe.name

    if len(weights) == 1:
        only = next(iter(weights))
        return [["%(source)s alone is as good as any mixture tried.", {"source": named(only)}]]
    return [
        [
            "%(source)s carries %(percent)s %%: NDCG@10 alone %(quality)s.",
            {
                "source": named(code),
                "percent": round(100 * share),
                "quality": f"{by_model[code]['ndcg10']:.3f}",
            },
        ]
        for code, share in sorted(weights.items(), key=lambda pair: -pair[1])
        if share >= CARRIES
    ]


def _figures(found: Evaluation) -> dict[str, float]:
    return {name: round(float(found.mean(name)), 6) for name in FIGURES}
