"""What each of the two processes of test_distributed.py runs, with the folder to write into."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from apps.ml.base import TrainOptions
from apps.ml.configs.dials import Dials
from apps.ml.distributed import processes, train_distributed
from apps.ml.optimise import Summed, TensorBatches, optimise, process_count, process_rank

DIALS = Dials(optimiser="adam", learning_rate=0.05, batch_size=64, epochs=6, patience=None)
SASREC = {"preset": "tiny", "patience": None, "epochs": 6}


def regression() -> tuple[torch.Tensor, torch.Tensor]:
    """Forty rows; the shares of two processes are 25 and 15 of them."""
    rng = torch.Generator().manual_seed(5)
    x = torch.randn(40, 3, generator=rng)
    return x, x @ torch.tensor([1.0, -2.0, 0.5])


def fitted(rows: slice) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Weights and losses after full batches of these rows; the other process adds its own."""
    torch.manual_seed(process_rank())  # each its own start: the first process's counts
    net = nn.Linear(3, 1)
    x, y = regression()

    def loss(module: nn.Module, batch: tuple[torch.Tensor, ...]) -> Summed:
        return Summed(((module(batch[0]).squeeze(1) - batch[1]) ** 2).sum(), float(len(batch[0])))

    batches = TensorBatches((x[rows], y[rows]), 64)
    history = optimise(net, batches, loss, DIALS, TrainOptions(), lambda module: float(process_rank() + 1))
    return net.state_dict(), [row["loss"] for row in history]


def main(folder: Path) -> None:
    """Writes what each process ended with."""
    with processes("cpu"):
        rank = process_rank()
        weights, losses = fitted(slice(0, 25) if rank == 0 else slice(25, 40))
        found: dict[str, Any] = {
            "weights": {name: value.tolist() for name, value in weights.items()},
            "losses": losses,
        }
        for precision in ("float32", "bfloat16"):
            model = train_distributed(
                "sasrec", SASREC | {"precision": precision}, folder / "snapshot", TrainOptions(device="cpu")
            )
            found[precision] = model.metrics | {"shoppers": int(model.history.active.sum())}
            if rank == 0:
                model.save(folder / precision)
        found["processes"] = process_count()
        (folder / f"{rank}.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
