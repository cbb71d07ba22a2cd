from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from apps.ml.artifacts import artifact_check, load_model, manifest_hash
from apps.ml.errors import ArtifactInvalid
from apps.ml.models.personal import PersonalModel
from tests.ml.conformance import fitted

FILES = [
    "config.json",
    "history.safetensors",
    "manifest.json",
    "metrics.json",
    "model.safetensors",
    "texts.json",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fitted("popular").save(tmp_path / "model")
    return tmp_path / "model"


def test_the_folder_holds_plain_files_and_their_hashes(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == FILES
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, expected in manifest["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
    assert set(manifest["sha256"]) == set(FILES) - {"manifest.json"}
    assert json.loads((folder / "config.json").read_text())["family"] == "popular"


def test_saving_again_replaces_the_folder_and_leaves_no_scratch(folder: Path) -> None:
    before = manifest_hash(folder)
    (folder / "left-over").write_text("x")
    fitted("popular").save(folder)
    assert manifest_hash(folder) == before
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactInvalid, match=name):
        artifact_check(folder)


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
def test_an_altered_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(ArtifactInvalid, match=f"{name}: sha256"):
        load_model(folder)


def test_another_format_and_another_family_are_refused(folder: Path) -> None:
    with pytest.raises(ArtifactInvalid, match="'popular' model, not 'personal'"):
        PersonalModel.load(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(ArtifactInvalid, match="format 99"):
        load_model(folder)


def test_rubbish_with_a_matching_hash_is_still_refused(folder: Path) -> None:
    rubbish = b"\x80\x04not tensors"
    (folder / "model.safetensors").write_bytes(rubbish)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"]["model.safetensors"] = hashlib.sha256(rubbish).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactInvalid, match="unreadable"):
        load_model(folder)
