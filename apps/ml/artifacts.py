"""Model folders: config.json, model.safetensors, history.safetensors (id maps), texts.json, metrics.json,
manifest.json.

The manifest holds the sha256 of every other file and is checked before anything is read. Nothing is ever
unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from apps.ml.errors import ArtifactInvalid
from apps.ml.registry import family_get

if TYPE_CHECKING:
    from apps.ml.base import Model

FORMAT = 1
MANIFEST = "manifest.json"
_FILES = ("config.json", "model.safetensors", "history.safetensors", "texts.json", "metrics.json")

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Parts:
    """The contents of a folder, before a family turns them into a model."""

    family: str
    config: dict[str, Any]
    arrays: Arrays
    history: Arrays
    texts: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)


def save_model(model: Model[Any], directory: str | Path) -> None:
    """Writes the model's folder in one move; an older folder of that name is replaced."""
    model.save(directory)


def load_model(directory: str | Path) -> Model[Any]:
    """Reads any family's folder; ArtifactInvalid when it is incomplete, altered or of another format."""
    parts = parts_read(directory)
    return family_get(parts.family).load().from_artifact(parts)


def manifest_hash(directory: str | Path) -> str:
    """sha256 of the manifest: one value that stands for the whole folder."""
    return _sha256(Path(directory) / MANIFEST)


def parts_write(directory: str | Path, parts: Parts) -> None:
    target = Path(directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    # a half-written folder must never be found under the final name
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _json_write(
            scratch / "config.json", {"format": FORMAT, "family": parts.family, "config": parts.config}
        )
        save_file(_contiguous(parts.arrays), scratch / "model.safetensors")
        save_file(_contiguous(parts.history), scratch / "history.safetensors")
        _json_write(scratch / "texts.json", parts.texts)
        _json_write(scratch / "metrics.json", parts.metrics)
        _json_write(
            scratch / MANIFEST,
            {"format": FORMAT, "sha256": {name: _sha256(scratch / name) for name in _FILES}},
        )
        scratch.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        os.replace(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def parts_read(directory: str | Path, family: str | None = None) -> Parts:
    """Checks every hash, then reads. family: the one expected, if any."""
    folder = Path(directory)
    artifact_check(folder)
    try:
        header = json.loads((folder / "config.json").read_text("utf-8"))
        parts = Parts(
            header["family"],
            header["config"],
            load_file(folder / "model.safetensors"),
            load_file(folder / "history.safetensors"),
            json.loads((folder / "texts.json").read_text("utf-8")),
            json.loads((folder / "metrics.json").read_text("utf-8")),
        )
    except (SafetensorError, ValueError, KeyError) as error:
        raise ArtifactInvalid(
            f"{folder}: unreadable although its hashes match ({error}); train again"
        ) from error
    if family is not None and parts.family != family:
        raise ArtifactInvalid(f"{folder}: holds a {parts.family!r} model, not {family!r}")
    return parts


def artifact_check(directory: str | Path) -> None:
    """Raises ArtifactInvalid unless every file is there and has the sha256 the manifest names."""
    folder = Path(directory)
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactInvalid(
            f"{folder}: no readable {MANIFEST} ({error}); train again or restore the folder"
        ) from error
    if manifest.get("format") != FORMAT:
        raise ArtifactInvalid(
            f"{folder}: format {manifest.get('format')!r}, this code reads {FORMAT}; train again"
        )
    hashes = manifest.get("sha256", {})
    for name in _FILES:
        path = folder / name
        if not path.is_file():
            raise ArtifactInvalid(f"{path}: missing; train again or restore the folder")
        if hashes.get(name) != _sha256(path):
            raise ArtifactInvalid(
                f"{path}: sha256 differs from the manifest; restore the folder or train again"
            )


def _contiguous(arrays: Arrays) -> Arrays:
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _json_write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1), "utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
