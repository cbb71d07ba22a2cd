from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.ml.artifacts import load_model, manifest_hash
from apps.ml.cli import main
from tests.ml.test_dataset import snapshot_write


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot_write(tmp_path_factory.mktemp("cli") / "snapshot")


def test_train_writes_an_artifact_and_says_so(
    snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "als"
    arguments = [
        "train",
        "--snapshot",
        str(snapshot),
        "--family",
        "als",
        "--preset",
        "tiny",
        "--out",
        str(out),
    ]
    assert main([*arguments, "--config", '{"epochs": 2}']) == 0
    shown = capsys.readouterr()
    answer = json.loads(shown.out.splitlines()[-1])
    assert answer["epochs"] == 2
    assert answer["manifest"] == manifest_hash(out)
    assert "loss per pair" in shown.err
    assert load_model(out).family == "als"


def test_evaluate_prints_every_family_and_the_hybrid(
    snapshot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--snapshot", str(snapshot), "--preset", "tiny", "--days", "25"]
    assert main([*arguments, "--family", "popular", "--family", "item_knn"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(answer["models"]) == {"popular", "item_knn"}
    assert answer["hybrid"]["new"]["ndcg10"] >= answer["models"]["popular"]["new"]["ndcg10"]


def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--snapshot", str(tmp_path), "--family", "als", "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "no interactions" in capsys.readouterr().err
