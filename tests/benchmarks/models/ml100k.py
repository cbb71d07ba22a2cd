"""MovieLens-100k, leave-one-out by time, full ranking: SASRec beside its peers, and the blend beside all.

    python -m tests.benchmarks.models.ml100k [--recbole-seconds N] [--budget-seconds N] [--peer NAME …]

Protocol. Every rating is an event, whatever its value; the ratings are those in RecBole's wheel (100,000 of
943 users on 1,682 films), read from the environment this target makes for it. Each user's last event (ties by
place in the file) is the test, the one before it the validation, and nothing later than an event's place in
its own history is used to predict it. A list ranks all films the user has not rated before; NDCG@10 and
Recall@20 over all 943 users with bootstrap 95 % intervals. Settings and weights are chosen on the validation
events by models that were not given them; the test is then predicted by models trained on everything else.

Equal size: width 64, two blocks, two heads, inner width 256, the last 50 events, for our SASRec, RecBole's
and RecTools'. RecBole's is trained by its own loop until `--recbole-seconds` of core-seconds are used, and
judged after each epoch; ours is trained anew for 2, 4, 8 and 20 epochs. `seconds_to_quality` compares the
core-seconds of RecBole's best epoch with those of our shortest run that is at least as good. Everything has
one thread; RecBole runs while ours do. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.ml.base import TrainOptions
from apps.ml.blend import blend_many
from apps.ml.dataset import Dataset
from apps.ml.evaluate import Evaluation, Truth, evaluate_lists, paired_difference
from apps.ml.topn import TopN
from apps.ml.train import train
from apps.ml.tune import weights_choose
from tests.benchmarks.models.entrants import Entrant, Setting
from tests.benchmarks.models.environments import (
    HERE,
    cache_folder,
    environment_make,
    environment_of_a_peer,
    environment_python,
)
from tests.benchmarks.models.running import bounded, run_all, runs_read

TEST, VALIDATION = "ml100k-test", "ml100k-validation"
EQUAL_SIZE = {"width": 64, "blocks": 2, "heads": 2, "widening": 4, "max_length": 50, "patience": None}
EPOCHS = (2, 4, 8, 20)
RECTOOLS_SIZE = {"n_factors": 64, "n_blocks": 2, "n_heads": 2, "session_max_len": 50}
LIST_LENGTH = 100

PEERS = (
    Entrant("implicit ALS", "implicit", "als", ({"factors": 64}, {"factors": 32, "alpha": 5.0}, {})),
    Entrant("implicit BPR", "implicit", "bpr", ({"factors": 64, "learning_rate": 0.05, "iterations": 100},)),
    Entrant("LightFM WARP", "lightfm", "warp", ({"no_components": 32}, {"no_components": 64})),
    Entrant("RecTools EASE", "rectools", "ease", ({"regularization": 200.0}, {"regularization": 500.0})),
    Entrant(
        "RecTools SASRec",
        "rectools",
        "sasrec",
        tuple({**RECTOOLS_SIZE, "epochs": epochs} for epochs in (5, 20)),
        400.0,
    ),
)
OURS: dict[str, tuple[Setting, ...]] = {
    "sasrec": ({**EQUAL_SIZE, "epochs": 20},),
    "ease": (
        {"row_half_life_days": None, "profile_half_life_days": None, "regularisation": 300.0},
        {"row_half_life_days": None, "profile_half_life_days": 7.0, "regularisation": 300.0},
        {"row_half_life_days": None, "profile_half_life_days": 1.0, "regularisation": 300.0},
    ),
    "als": (
        {"half_life_days": None, "factors": 64, "regularisation": 8.0},
        {"half_life_days": None, "factors": 32, "regularisation": 4.0, "alpha": 5.0},
    ),
}


@dataclass(frozen=True)
class Cut:
    """One leave-one-out split. truth: one item per user, users ascending."""

    name: str
    train: Dataset
    truth: Truth

    def judge(self, top: TopN) -> Evaluation:
        """Means and per-user figures of lists whose rows are the users."""
        return evaluate_lists(top, self.truth, len(self.train.items))


@dataclass(frozen=True)
class Fitted:
    """Our lists and what they cost."""

    top: TopN
    core_seconds: float
    seconds: float
    peak_mb: float


def ratings_file() -> Path:
    """The file in RecBole's wheel; FileNotFoundError when its environment has none."""
    site = environment_python("recbole").parents[1] / "lib"
    for file in site.glob("python*/site-packages/recbole/dataset_example/ml-100k/ml-100k.inter"):
        return file
    raise FileNotFoundError(f"{site}: RecBole's environment was not made, so its MovieLens-100k is missing")


def cuts(file: Path) -> tuple[Cut, Cut]:
    """Validation and test."""
    frame = pd.read_csv(file, sep="\t").iloc[:, [0, 1, 3]]
    frame.columns = pd.Index(["user_id", "item_id", "timestamp"])
    frame = frame.sort_values(["timestamp"], kind="stable", ignore_index=True)
    from_end = frame.groupby("user_id").cumcount(ascending=False).to_numpy()
    found = []
    for name, held in ((VALIDATION, 1), (TEST, 0)):
        past, target = frame[from_end > held], frame[from_end == held]
        train_set = Dataset.from_frames(past.astype({"timestamp": float}))
        truth = Truth.from_pairs(target["user_id"].to_numpy(), target["item_id"].to_numpy())
        found.append(Cut(name, train_set, truth))
    return found[0], found[1]


def exchange_write(cut: Cut) -> Path:
    """The split as the peers' scripts read it."""
    file = cache_folder() / "exchange" / f"{cut.name}.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    data = cut.train
    np.savez_compressed(
        file,
        user=data.user_ids,
        item=data.item_ids,
        timestamp=data.timestamp,
        quantity=data.quantity,
        price=data.price,
        basket=np.arange(len(data)),
        users=cut.truth.users,
    )
    return file


def ours(family: str, setting: Setting, cut: Cut) -> Fitted:
    """One of our families on one split, with one thread."""
    model = train(family, setting, cut.train, TrainOptions(device="cpu", threads=1))
    top = model.recommend(cut.truth.users, LIST_LENGTH)
    cost = model.metrics
    return Fitted(top, cost["core_seconds"], cost["fit_seconds"], cost["peak_memory_mb"])


def row(evaluation: Evaluation, **more: Any) -> dict[str, Any]:
    """One line of the report."""
    found = evaluation.to_dict()
    keep = {name: found[name] for name in ("ndcg10", "recall20", "hit10", "coverage10")}
    return {**keep, "ndcg10_interval": found["intervals"]["ndcg10"], **more}


def peers(validation: Cut, test: Cut, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Each peer with the setting that was best on the validation; its error where it could not run."""
    report: dict[str, dict[str, Any]] = {}
    usable = []
    for entrant in PEERS:
        if names and entrant.name not in names:
            continue
        problem = environment_make(entrant.environment)
        if problem:
            report[entrant.name] = {"error": problem}
        else:
            usable.append(entrant)
    run_all([(entrant, [(VALIDATION, entrant.settings)]) for entrant in usable])
    chosen: list[tuple[Entrant, Setting]] = []
    for entrant in usable:
        runs = [run for run in runs_read(entrant, VALIDATION, entrant.settings) if run.lists]
        if not runs:
            failed = runs_read(entrant, VALIDATION, entrant.settings)
            report[entrant.name] = {"error": failed[0].error}
            continue
        best = max(runs, key=lambda run: validation.judge(run.lists["new"]).mean("ndcg10"))
        chosen.append((entrant, best.setting))
    run_all([(entrant, [(TEST, [setting])]) for entrant, setting in chosen])
    for entrant, setting in chosen:
        (run,) = runs_read(entrant, TEST, [setting])
        if not run.lists:
            report[entrant.name] = {"error": run.error, "setting": setting}
            continue
        report[entrant.name] = row(
            test.judge(run.lists["new"]),
            setting=setting,
            seconds=round(run.seconds, 2),
            core_seconds=round(run.cpu_seconds, 2),
            peak_mb=round(run.peak_mb),
        )
    return report


def recbole(test: Cut, seconds: float, deadline: float) -> dict[str, Any]:
    """RecBole's SASRec judged after each epoch, or its error. deadline: of time.perf_counter()."""
    out = cache_folder() / "lists" / "RecBole-SASRec" / TEST
    for old in out.glob("*"):
        old.unlink()
    command = [
        str(environment_python("recbole")),
        str(HERE / "peers" / "recbole_sasrec.py"),
        *("--window", str(cache_folder() / "exchange" / f"{TEST}.npz"), "--out", str(out)),
        *("--budget-seconds", str(seconds)),
    ]
    left = max(deadline - time.perf_counter(), 1.0)
    problem = bounded(command, left, out.with_suffix(".log"), environment_of_a_peer())
    if not (out / "report.json").is_file():
        return {"error": (problem or "nothing was written") + ", before the end of its first epoch"}
    told = json.loads((out / "report.json").read_text("utf-8"))
    curve = []
    for place, epoch in enumerate(told["epochs"]):
        with np.load(out / f"{place}.npz") as arrays:
            ids = arrays["new"]
        top = TopN(ids, np.where(ids >= 0, -np.arange(ids.shape[1]), -np.inf).astype(np.float32))
        spent = {name: round(epoch[name], 1) for name in ("epoch", "seconds", "core_seconds")}
        curve.append(row(test.judge(top), **spent))
    best = max(curve, key=lambda point: float(point["ndcg10"]))
    return {**best, "peak_mb": round(told["peak_mb"]), "setting": {"epochs": len(curve)}, "curve": curve}


def seconds_to_quality(peer: dict[str, Any], curve: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Core-seconds of both sides to the best quality that RecBole reached."""
    if "error" in peer:
        return {"error": peer["error"]}
    enough = [point for point in curve if point["ndcg10"] >= peer["ndcg10"]]
    if not enough:
        return {"error": "our SASRec did not reach it"}
    quickest = min(enough, key=lambda point: float(point["core_seconds"]))
    return {
        "quality": peer["ndcg10"],
        "recbole_core_seconds": peer["core_seconds"],
        "our_core_seconds": quickest["core_seconds"],
        "share": round(quickest["core_seconds"] / peer["core_seconds"], 4),
    }


def measured(recbole_seconds: float, budget: float, names: Sequence[str] = ()) -> dict[str, Any]:
    """The whole report; budget: seconds after which RecBole is stopped."""
    began = time.perf_counter()
    validation, test = cuts(ratings_file())
    for cut in (validation, test):
        exchange_write(cut)
    report = peers(validation, test, names)
    # RecBole on one core, ours on the other: both sides share the machine alike
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(recbole, test, recbole_seconds, began + budget) if recbole_seconds > 0 else None
        own, final, weights, curve = own_report(validation, test)
        report["RecBole SASRec"] = theirs.result() if theirs is not None else {"error": "left out"}
    blended = test.judge(blend_many(list(final.values()), [weights[name] for name in final], 20))
    own["blend"] = row(blended, setting={name: round(value, 3) for name, value in weights.items()})
    return {
        "peers": report,
        "ours": own,
        "sasrec_curve": curve,
        "seconds_to_quality": seconds_to_quality(report["RecBole SASRec"], curve),
        **beside_best(report, own, blended, test),
        "seconds": round(time.perf_counter() - began, 1),
    }


def own_report(
    validation: Cut, test: Cut
) -> tuple[dict[str, dict[str, Any]], dict[str, TopN], dict[str, float], list[dict[str, Any]]]:
    """Figures and lists of our families on the test, the weights of the blend, SASRec by epochs."""
    curve = []
    for epochs in EPOCHS[:-1]:
        found = ours("sasrec", {**EQUAL_SIZE, "epochs": epochs}, test)
        curve.append(row(test.judge(found.top), epochs=epochs, core_seconds=found.core_seconds))
    checked: dict[str, TopN] = {}
    final: dict[str, TopN] = {}
    own: dict[str, dict[str, Any]] = {}
    for family, settings in OURS.items():
        tried = [ours(family, setting, validation).top for setting in settings]
        place = int(np.argmax([validation.judge(top).mean("ndcg10") for top in tried]))
        checked[family] = tried[place]
        found = ours(family, settings[place], test)
        final[family] = found.top
        own[family] = row(
            test.judge(found.top),
            setting=settings[place],
            seconds=found.seconds,
            core_seconds=found.core_seconds,
            peak_mb=round(found.peak_mb),
        )
    curve.append({**own["sasrec"], "epochs": EPOCHS[-1]})
    return own, final, weights_choose(checked, validation.truth), curve


def beside_best(
    report: dict[str, dict[str, Any]], own: dict[str, dict[str, Any]], blended: Evaluation, test: Cut
) -> dict[str, Any]:
    """Our figures as multiples of the peers'."""
    able = {name: found["ndcg10"] for name, found in report.items() if "error" not in found}
    if not able:
        return {"best_peer": None}
    best = max(able, key=lambda name: float(able[name]))
    answer: dict[str, Any] = {
        "best_peer": best,
        "blend_over_best_peer": round(own["blend"]["ndcg10"] / able[best], 4),
        "sasrec_over": {
            name: round(own["sasrec"]["ndcg10"] / value, 4)
            for name, value in able.items()
            if "SASRec" in name
        },
    }
    entrant = next((entrant for entrant in PEERS if entrant.name == best), None)
    if entrant is not None:
        (run,) = runs_read(entrant, TEST, [report[best]["setting"]])
        theirs = test.judge(run.lists["new"]).per_user["ndcg10"]
        found = paired_difference(blended.per_user["ndcg10"], theirs)
        answer["blend_less_best_peer"] = [round(value, 5) for value in (found.mean, found.low, found.high)]
    return answer


def answer_of(found: dict[str, Any]) -> dict[str, Any]:
    """The report as README.md asks for it: rows, notes, goals; the rest beside them."""
    columns = ("ndcg10", "recall20", "coverage10", "seconds", "core_seconds", "peak_mb")
    rows = []
    for side in ("ours", "peers"):
        for name, figures in found[side].items():
            low, high = figures.get("ndcg10_interval", (None, None))
            shown = {column: figures.get(column) for column in columns}
            setting = figures.get("error") or json.dumps(figures.get("setting", {}), sort_keys=True)
            rows.append({"model": f"{side}: {name}", **shown, "low": low, "high": high, "setting": setting})
    goals = []
    over, share = found.get("blend_over_best_peer"), found["seconds_to_quality"].get("share")
    if over is not None:
        goals.append(goal("NDCG@10 of SASRec + EASE + iALS over the best peer", over, 1.25, over >= 1.25))
    goals += [
        goal(f"NDCG@10 of SASRec over {name}", value, 1.0, value >= 1.0)
        for name, value in found.get("sasrec_over", {}).items()
    ]
    if share is not None:
        goals.append(goal("core-seconds to RecBole's quality over RecBole's", share, 0.25, share <= 0.25))
    notes = [
        "MovieLens-100k of RecBole's wheel, leave-one-out by time, full ranking (protocol: ml100k.py).",
        f"Seconds to RecBole's best quality: {json.dumps(found['seconds_to_quality'], sort_keys=True)}",
        "TensorFlow Recommenders is not installed here (2.2 GB); an earlier measurement gave NDCG@10 .075.",
    ]
    return {"rows": rows, "notes": notes, "goals": goals, **found}


def goal(name: str, figure: float, target: float, met: bool) -> dict[str, Any]:
    """One line of the goals."""
    return {"goal": name, "figure": figure, "target": target, "met": met}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 with the report as the last line; 1 when there is nothing to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.models.ml100k", description=__doc__)
    parser.add_argument("--recbole-seconds", type=float, default=400.0, help="core-seconds; 0 leaves it out")
    parser.add_argument("--budget-seconds", type=float, default=500.0, help="wall; when RecBole is stopped")
    parser.add_argument("--peer", action="append", default=[], help="only these peers; repeatable")
    given = parser.parse_args(arguments)
    problem = environment_make("recbole")
    if problem:
        print(json.dumps({"error": f"RecBole brings the data: {problem}"}))
        return 1
    found = measured(given.recbole_seconds, given.budget_seconds, given.peer)
    print(json.dumps(answer_of(found), sort_keys=True))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
