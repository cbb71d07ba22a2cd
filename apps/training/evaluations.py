"""What a recipe's lists are worth on a snapshot: fit on the earlier part, rank the whole catalogue, compare
with what was bought in the last days.

Lists are kept (user ids, item ids, scores, truth and figures per shopper), so that versions are compared pair
by pair and hybrid weights are tried offline on exactly the lists that were judged. Importing this loads no
torch.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from django.conf import settings

import apps.ml
from apps.ml.base import Model, TrainOptions
from apps.ml.candidates import EXCLUDE
from apps.ml.dataset import DAY, Dataset
from apps.ml.evaluate import (
    LIST_METRICS,
    MORE_USER_METRICS,
    USER_METRICS,
    VARIANTS,
    Background,
    Evaluation,
    Split,
    Truth,
    Variant,
    evaluate_lists,
    split_at,
    truth_of,
)
from apps.ml.registry import FAMILIES
from apps.ml.topn import SERVED_LIST_LENGTH, TopN
from apps.ml.train import train

TEST_DAYS = 30.0
# A short history gives a sixth of itself to the test, so that most of it still teaches.
TEST_SHARE = 1 / 6
KEPT_SNAPSHOTS = 5
PER_SHOPPER = (*USER_METRICS, *MORE_USER_METRICS, "auc", *LIST_METRICS)
MAX_SHOPPERS = 5_000


@dataclass(frozen=True, slots=True)
class Judged:
    """One protocol's lists with what was bought and what the lists scored; rows are truth.users."""

    top: TopN
    truth: Truth
    evaluation: Evaluation
    catalogue_size: int


Protocol = Literal["new", "all", "companions"]
"""new and all: lists for shoppers, without and with what they bought. companions: lists for one product of a
basket, judged by what else was in it (queries are baskets, not shoppers)."""
PROTOCOLS: tuple[Protocol, ...] = ("new", "all", "companions")
Judgement = dict[Protocol, Judged]


def test_days(dataset: Dataset) -> float:
    """Days of the test window: 30, fewer for a short history."""
    span = (dataset.end - float(dataset.timestamp[0])) / DAY if len(dataset) else 0.0
    return min(TEST_DAYS, span * TEST_SHARE)


def test_split(dataset: Dataset) -> Split:
    """Train on all but the last days, test on them."""
    return split_at(dataset, dataset.end - test_days(dataset) * DAY)


def validation_split(dataset: Dataset) -> Split:
    """The same one window earlier: for choosing weights without looking at the test window."""
    days = test_days(dataset) * DAY
    return split_at(dataset, dataset.end - 2 * days, dataset.end - days)


def test_shoppers(truth: Truth) -> Truth:
    """At most MAX_SHOPPERS of them, always the same ones of the same truth: enough for narrow intervals, and
    the kept lists stay small in a shop of millions.
    """
    if len(truth) <= MAX_SHOPPERS:
        return truth
    rows = np.random.default_rng(0).choice(len(truth), MAX_SHOPPERS, replace=False)
    return truth.take(np.sort(rows).astype(np.int64))


def lists_of(model: Model[Any], truth: Truth, variant: Variant) -> TopN:
    """The lists that serving would store for these shoppers."""
    return model.served_lists(truth.users, EXCLUDE[variant])


def judge_model(model: Model[Any], split: Split) -> Judgement:
    """Evaluate a model that was fitted on split.train."""
    judgement: Judgement = {}
    background = Background.from_dataset(split.train)
    for variant in VARIANTS:
        truth = test_shoppers(truth_of(split, variant))
        top = lists_of(model, truth, variant)
        evaluation = evaluate_lists(top, truth, split.catalogue_size, background=background)
        judgement[variant] = Judged(top, truth, evaluation, split.catalogue_size)
    judgement["companions"] = judge_companions(model, split)
    return judgement


def judge_companions(model: Model[Any], split: Split) -> Judged:
    """Lists for the first product of each test basket of two products or more, against the others in it."""
    bought = split.test.purchases()
    usable = (bought.basket >= 0) & np.isin(bought.item_ids, split.train.known_items)
    baskets, items = bought.basket[usable], bought.item_ids[usable]
    _, first = np.unique(baskets, return_index=True)
    asked = dict(zip(baskets[first].tolist(), items[first].tolist(), strict=True))
    others = items != np.array([asked[basket] for basket in baskets.tolist()], dtype=np.int64)
    truth = test_shoppers(Truth.from_pairs(baskets[others], items[others]))
    queries = np.array([asked[basket] for basket in truth.users.tolist()], dtype=np.int64)
    top = model.similar(queries, SERVED_LIST_LENGTH)
    return Judged(top, truth, evaluate_lists(top, truth, split.catalogue_size), split.catalogue_size)


def judged_write(folder: Path, judgement: Judgement) -> None:
    """Write one file a protocol (new.npz …): user_ids, ids [n, k], scores, truth_items, truth_indptr,
    catalogue_size, one float64 [n] per metric, and as JSON text what belongs to the lists as a whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for variant, judged in judgement.items():
        arrays: dict[str, Any] = {
            "user_ids": judged.truth.users,
            "ids": judged.top.ids,
            "scores": judged.top.scores,
            "truth_items": judged.truth.items,
            "truth_indptr": judged.truth.indptr,
            "catalogue_size": np.int64(judged.catalogue_size),
            "coverage10": np.float64(judged.evaluation.coverage10),
            "whole": np.array(json.dumps(dict(judged.evaluation.whole))),
            "segments": np.array(json.dumps({n: dict(f) for n, f in judged.evaluation.segments.items()})),
            **judged.evaluation.per_user,
        }
        scratch = folder / f".{variant}.tmp"
        with scratch.open("wb") as stream:
            np.savez_compressed(stream, **arrays)
        scratch.replace(folder / f"{variant}.npz")


def judged_read(folder: Path) -> Judgement | None:
    """The inverse of `judged_write`; None when a file is missing."""
    judgement: Judgement = {}
    for variant in PROTOCOLS:
        path = folder / f"{variant}.npz"
        if not path.is_file():
            if variant in VARIANTS:
                return None
            continue
        with np.load(path, allow_pickle=False) as arrays:
            judgement[variant] = Judged(
                top=TopN(arrays["ids"], arrays["scores"]),
                truth=Truth(arrays["user_ids"], arrays["truth_items"], arrays["truth_indptr"]),
                evaluation=Evaluation(
                    # an older version's file holds the main metrics only
                    {name: arrays[name] for name in PER_SHOPPER if name in arrays},
                    float(arrays["coverage10"]),
                    whole=_told(arrays, "whole"),
                    segments=_told(arrays, "segments"),
                ),
                catalogue_size=int(arrays["catalogue_size"]),
            )
    return judgement


def _told(arrays: Any, name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(str(arrays[name])) if name in arrays else {}
    return told


def metrics_of(judgement: Judgement) -> dict[str, Any]:
    """Plain JSON by protocol: means, intervals, segments, number of test shoppers."""
    return {variant: judged.evaluation.to_dict() for variant, judged in judgement.items()}


@lru_cache(maxsize=1)
def code_mark() -> str:
    """A mark of the code that fits models and judges their lists: it changes whenever that does."""
    base = Path(apps.ml.__file__).parent
    sources = [Path(__file__), *sorted(base.rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def judgement_folder(
    *, snapshot_hash: str, family: str, config: Mapping[str, Any], seed: int, window: str
) -> Path:
    """Where the judgement of this family and config on this snapshot is kept; other code judges anew."""
    made_by = [code_mark(), FAMILIES[family].list_length if family in FAMILIES else 0]
    text = json.dumps([family, config, seed, window, made_by], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Path(settings.SHOP_DIR) / "evaluations" / snapshot_hash[:12] / f"{family}-{window}-{key}"


def judge(
    *,
    snapshot_hash: str,
    split: Split,
    window: str,
    family: str,
    config: Mapping[str, Any],
    seed: int,
    options: Callable[[], TrainOptions],
) -> Judgement:
    """The judgement of this family and config on this split, fitted now unless it is known already.

    `window` names the split ("test" or "validation"). `config` is complete (`recipes.config_check`).
    """
    folder = judgement_folder(
        snapshot_hash=snapshot_hash, family=family, config=config, seed=seed, window=window
    )
    known = judged_read(folder)
    if known is not None:
        return known
    model = train(family, dict(config), split.train, options())
    judgement = judge_model(model, split)
    judged_write(folder, judgement)
    return judgement


def evaluations_prune() -> None:
    """Forget the judgements of all but the newest snapshots."""
    base = Path(settings.SHOP_DIR) / "evaluations"
    folders = (
        sorted(base.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True) if base.is_dir() else []
    )
    for folder in folders[KEPT_SNAPSHOTS:]:
        shutil.rmtree(folder, ignore_errors=True)
