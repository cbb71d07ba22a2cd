"""RecBole's SASRec, epoch by epoch: python peers/recbole_sasrec.py --window FILE.npz --out DIR …

Writes DIR/<epoch>.npz (users, "new": int64 [n, 20] raw item ids) after each epoch, and DIR/report.json with
the seconds and core-seconds of training up to each epoch; making lists is not counted. Training is RecBole's
own `_train_epoch` on its own data pipeline (every prefix of a history is a row), with its own defaults for
what is not asked for here. It stops at --epochs, or after the epoch in which --budget-seconds of core-seconds
are used up.

RecBole 1.2.1 names numpy types that numpy 2 no longer has; they are given back before it is imported.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import exchange
import numpy as np
import torch

ALIASES = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}


def settings(given: argparse.Namespace, folder: str) -> dict[str, Any]:
    """What is asked of RecBole beside its defaults."""
    return {
        "data_path": folder,
        "checkpoint_dir": f"{folder}/saved",
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "TIME_FIELD": "timestamp",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_only"}, "group_by": "user", "order": "TO", "mode": "full"},
        "train_neg_sample_args": None,
        "loss_type": "CE",
        "hidden_size": given.width,
        "n_layers": given.blocks,
        "n_heads": given.heads,
        "inner_size": given.inner,
        "MAX_ITEM_LIST_LENGTH": given.length,
        "epochs": given.epochs,
        "seed": given.seed,
        "use_gpu": False,
        "show_progress": False,
        "state": "WARNING",
        **json.loads(given.settings),
    }


def inter_write(train: exchange.Train, file: Path) -> None:
    """RecBole's atomic file; ids are rows, so that they can be told back."""
    file.parent.mkdir(parents=True)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    # equal moments keep their order in the file: RecBole sorts by the number alone
    order = np.lexsort((np.arange(len(train.user)), train.timestamp))
    lines += [f"{train.user[at]}\t{train.item[at]}\t{place}" for place, at in enumerate(order)]
    file.write_text("\n".join(lines) + "\n", "ascii")


def histories(train: exchange.Train, data: Any, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The last items of each user to serve in RecBole's ids, padded at the end, and how many they are."""
    item_of = np.array([data.token2id("item_id", str(row)) for row in range(len(train.item_ids))])
    order = np.lexsort((np.arange(len(train.user)), train.timestamp, train.user))
    starts = np.searchsorted(train.user[order], np.arange(len(train.user_ids) + 1))
    rows = np.zeros((len(train.users), length), dtype=np.int64)
    sizes = np.zeros(len(train.users), dtype=np.int64)
    for place, user in enumerate(train.users):
        last = item_of[train.item[order[starts[user] : starts[user + 1]]]][-length:]
        rows[place, : len(last)], sizes[place] = last, len(last)
    return torch.from_numpy(rows), torch.from_numpy(sizes)


def main() -> None:
    """Trains and writes; errors end the process with their traceback."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--window", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    for name, default in (("width", 64), ("blocks", 2), ("heads", 2), ("inner", 256), ("length", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--budget-seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=2020)
    parser.add_argument("--settings", default="{}", help="more of RecBole's settings, as JSON")
    given = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole reads the command line itself
    for name, kind in ALIASES.items():
        setattr(np, name, kind)
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.sequential_recommender.sasrec import SASRec
    from recbole.trainer import Trainer
    from recbole.utils import init_seed

    given.out.mkdir(parents=True, exist_ok=True)
    train = exchange.Train.read(given.window)
    report: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        inter_write(train, Path(folder) / "bench" / "bench.inter")
        config = Config(model="SASRec", dataset="bench", config_dict=settings(given, folder))
        torch.set_num_threads(1)
        init_seed(config["seed"], config["reproducibility"])
        wall, cpu = time.perf_counter(), time.process_time()
        data = create_dataset(config)
        train_data, _, _ = data_preparation(config, data)
        model = SASRec(config, train_data.dataset)
        trainer = Trainer(config, model)
        seconds, core = time.perf_counter() - wall, time.process_time() - cpu
        items, sizes = histories(train, data, given.length)
        row_of = np.array([-1] + [int(name) for name in data.id2token("item_id", range(1, data.item_num))])
        for epoch in range(given.epochs):
            wall, cpu = time.perf_counter(), time.process_time()
            model.train()
            loss = trainer._train_epoch(train_data, epoch, show_progress=False)
            seconds, core = seconds + time.perf_counter() - wall, core + time.process_time() - cpu
            scores = scored(model, items, sizes, row_of, train)
            lists = train.top(lambda rows, scores=scores: scores[np.searchsorted(train.users, rows)])
            found = train.item_ids[lists(train.users, "new")]
            np.savez_compressed(given.out / f"{epoch}.npz", users=train.user_ids[train.users], new=found)
            report.append({"epoch": epoch + 1, "loss": float(loss), "seconds": seconds, "core_seconds": core})
            (given.out / "report.json").write_text(json.dumps({"epochs": report, "peak_mb": peak_mb()}))
            print(json.dumps(report[-1]), flush=True)
            if core > given.budget_seconds:
                break


def scored(
    model: Any, items: torch.Tensor, sizes: torch.Tensor, row_of: exchange.Ints, train: exchange.Train
) -> Any:
    """Scores of the catalogue's rows for each user to serve: float32 [users, items]."""
    model.eval()
    with torch.no_grad():
        found = model.full_sort_predict({model.ITEM_SEQ: items, model.ITEM_SEQ_LEN: sizes}).numpy()
    scores = np.full((len(items), len(train.item_ids)), -np.inf, dtype=np.float32)
    scores[:, row_of[1:]] = found[:, 1:]
    return scores


def peak_mb() -> float:
    """Largest resident memory of the process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
