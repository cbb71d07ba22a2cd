"""One forward pass in ONNX Runtime says what the model says, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.ml.errors import ArtifactInvalid, InvalidValue
from apps.ml.session_export import answers_sessions, session_export
from apps.ml.session_network import CATALOGUE, NETWORK, SessionNetwork
from apps.ml.train import train
from tests.ml.planted import planted_split
from tests.ml.test_imports import loaded_after

SETTINGS = {
    "sasrec": {"preset": "tiny", "epochs": 2, "max_length": 12},
    "sasrec_paused": {"preset": "tiny", "epochs": 1, "time_buckets": 8},
    "gru4rec": {"preset": "tiny", "epochs": 2},
    "lstm": {"preset": "tiny", "epochs": 1, "cell": "lstm", "layers": 2},
}
FAMILY = {"sasrec_paused": "sasrec", "lstm": "gru4rec"}


def fitted(name: str) -> Any:
    return train(FAMILY.get(name, name), SETTINGS[name], planted_split().train)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_the_network_answers_as_the_model_does(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    session_export(model, tmp_path / "network")
    network = SessionNetwork(tmp_path / "network")
    ids = model.history.items.ids
    rng = np.random.default_rng(0)
    for length in (1, 2, 5, 12, 40):
        session = rng.choice(ids, length).tolist()
        wanted_ids, wanted = model.recommend_sessions([session], 10).row(0)
        found_ids, found = network.list_after(session, 10)
        assert found_ids.tolist() == wanted_ids.tolist()
        assert found == pytest.approx(wanted, abs=1e-4)
        assert not set(found_ids.tolist()) & set(session)


def test_what_the_network_never_met_says_nothing(tmp_path: Path) -> None:
    session_export(fitted("gru4rec"), tmp_path / "network")
    network = SessionNetwork(tmp_path / "network")
    for session in ([], [10**9]):
        ids, scores = network.list_after(session)
        assert len(ids) == len(scores) == 0
    known = network.list_after([10**9, 3, 5])
    assert known[0].tolist() == network.list_after([3, 5])[0].tolist()


def test_an_altered_or_absent_folder_is_refused(tmp_path: Path) -> None:
    session_export(fitted("gru4rec"), tmp_path / "network")
    for name in (NETWORK, CATALOGUE):
        place = tmp_path / "network" / name
        whole = place.read_bytes()
        place.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ArtifactInvalid, match=f"differs: {name}"):
            SessionNetwork(tmp_path / "network")
        place.write_bytes(whole)
    SessionNetwork(tmp_path / "network")
    with pytest.raises(ArtifactInvalid, match="build the lists again"):
        SessionNetwork(tmp_path / "absent")


def test_other_families_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    model = train("popular", None, planted_split().train)
    assert not answers_sessions(model)
    with pytest.raises(InvalidValue, match="Only sequence models"):
        session_export(model, tmp_path / "network")
    assert not list(tmp_path.iterdir())


def test_a_web_process_needs_no_torch_for_it() -> None:
    loaded = loaded_after("import apps.ml.session_network")
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "onnx", "onnxscript", "django", "pandas"}
