"""Two real processes under torchrun beside one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.ml.artifacts import load_model
from apps.ml.base import TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.distributed import main, share_read, train_distributed
from apps.ml.errors import DataMissing, InvalidValue
from apps.ml.evaluate import evaluate_lists, truth_of
from apps.ml.train import train
from tests.ml.distributed_worker import SASREC, fitted
from tests.ml.planted import START, interactions_frame, items_frame, planted_split, shoppers_frame

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of the planted shop before its last 30 days, in several shards."""
    made = tmp_path_factory.mktemp("distributed")
    (made / "snapshot" / "interactions").mkdir(parents=True)
    frame = interactions_frame().query(f"timestamp < {planted_split().cut}")
    for month, part in frame.groupby((frame["timestamp"] - START) // (30 * 86_400)):
        part.to_parquet(made / "snapshot" / "interactions" / f"month={month}.parquet", row_group_size=400)
    items_frame().to_parquet(made / "snapshot" / "items.parquet")
    shoppers_frame().to_parquet(made / "snapshot" / "shoppers.parquet")
    return made


@pytest.fixture(scope="module")
def told(folder: Path) -> list[dict[str, Any]]:
    """What the two processes wrote."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = subprocess.run(
        [*command, str(ROOT / "tests" / "ml" / "distributed_worker.py"), str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text("utf-8")) for rank in range(2)]


def test_two_unequal_shares_take_the_steps_of_one_process_with_all_rows(told: list[dict[str, Any]]) -> None:
    weights, losses = fitted(slice(0, 40))
    for each in told:
        assert each["processes"] == 2
        assert each["losses"] == pytest.approx(losses, rel=1e-5)
        for name, value in weights.items():
            np.testing.assert_allclose(each["weights"][name], value.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_processes_reach_the_quality_of_one(
    told: list[dict[str, Any]], folder: Path, precision: str
) -> None:
    alone = train("sasrec", SASREC, Dataset.from_snapshot(folder / "snapshot"))
    together = load_model(folder / precision)
    truth = truth_of(planted_split(), "all")
    figures = [
        evaluate_lists(model.recommend(truth.users, 20, exclude="none"), truth, 90).mean("ndcg10")
        for model in (alone, together)
    ]
    assert figures[1] == pytest.approx(figures[0], abs=0.05)
    assert together.metrics["loss"] == pytest.approx(alone.metrics["loss"], rel=0.05)
    assert together.metrics["processes"] == 2
    assert told[0][precision]["loss"] == told[1][precision]["loss"]
    # the artifact knows the shoppers of both shares
    assert told[0][precision]["shoppers"] == alone.history.active.sum()
    assert told[1][precision]["shoppers"] < alone.history.active.sum()
    assert (together.recommend(truth.users, 10).lengths > 0).all()


def test_the_shares_are_the_snapshot_and_no_session_is_torn(folder: Path) -> None:
    whole = Dataset.from_snapshot(folder / "snapshot")
    shares = [share_read(folder / "snapshot", rank, 3) for rank in range(3)]
    assert sum(len(share) for share in shares) == len(whole)
    owners = [set(share.known_users.tolist()) for share in shares]
    assert set.union(*owners) == set(whole.known_users.tolist())
    assert sum(map(len, owners)) == len(whole.known_users)
    for share in shares:
        assert len(share) > len(whole) / 6
        assert share.end == whole.end
        np.testing.assert_array_equal(share.items.ids, whole.items.ids)
        np.testing.assert_array_equal(share.users.ids, whole.users.ids)
    frame = interactions_frame()
    strangers = frame[frame["user_id"] < 0].groupby("basket").size().max()
    counts = np.concatenate(
        [np.unique(share.basket[share.user < 0], return_counts=True)[1] for share in shares]
    )
    assert counts.max() == strangers


def test_it_also_runs_alone_from_a_shell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--snapshot", str(folder / "snapshot"), "--family", "gru4rec", "--out", str(folder / "alone")]
    assert main([*given, "--preset", "tiny", "--config", '{"epochs": 1}', "--device", "cpu"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["processes"] == 1
    assert load_model(folder / "alone").metrics["epochs"] == 1
    assert main([*given[:3], "ease", *given[4:]]) == 1
    assert "sasrec" in capsys.readouterr().err


def test_a_family_without_gradient_and_an_empty_share_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="several processes"):
        train_distributed("popular", {}, tmp_path, TrainOptions())
    with pytest.raises(DataMissing, match="no interactions"):
        share_read(tmp_path, 0, 2)
    (tmp_path / "interactions").mkdir()
    interactions_frame().query("user_id == 1000").to_parquet(tmp_path / "interactions" / "month=1.parquet")
    with pytest.raises(DataMissing, match="fewer processes"):
        share_read(tmp_path, 1, 2)
