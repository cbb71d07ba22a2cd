"""A sequence model's forward pass as an ONNX file, for processes without torch (`session_network`)."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from apps.ml.base import Model
from apps.ml.errors import InvalidValue
from apps.ml.models.sequence_model import SequenceModel
from apps.ml.models.sequence_net import SequenceNet
from apps.ml.session_network import CATALOGUE, FORMAT, MANIFEST, NETWORK

EXAMPLE_LENGTH = 7


class OneSession(nn.Module):
    """Rows of the catalogue and pauses, int64 [1, M] each, to scores [1, N]."""

    def __init__(self, net: SequenceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, items: Tensor, pauses: Tensor) -> Tensor:
        """Scores of the catalogue after the last item."""
        hidden_BMD = self.net.hidden(items, pauses if self.net.pauses is not None else None)
        scores: Tensor = hidden_BMD[:, -1] @ self.net.table.T + self.net.level
        return scores


def answers_sessions(model: Model[Any]) -> bool:
    """Whether the model can be exported."""
    return isinstance(model, SequenceModel)


def session_export(model: Model[Any], folder: str | Path) -> None:
    """Writes the folder in one move; one of that name is replaced. InvalidValue for other families."""
    if not isinstance(model, SequenceModel):
        raise InvalidValue("family", model.family, "Only sequence models answer a session in one pass.")
    target = Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _network_write(model.net, int(model.config.max_length), scratch / NETWORK)
        history = model.history
        np.savez(scratch / CATALOGUE, ids=history.items.ids, met=model.trained, sold=history.candidates)
        hashes = {
            name: hashlib.sha256((scratch / name).read_bytes()).hexdigest() for name in (NETWORK, CATALOGUE)
        }
        manifest = {"format": FORMAT, "max_length": int(model.config.max_length), "sha256": hashes}
        (scratch / MANIFEST).write_text(json.dumps(manifest), "utf-8")
        scratch.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _network_write(net: SequenceNet, max_length: int, path: Path) -> None:
    length = torch.export.Dim("length", min=1, max=max_length)
    example = torch.arange(min(EXAMPLE_LENGTH, max_length))[None] % net.n_items
    exporter = logging.getLogger("torch.onnx")
    before = exporter.level
    exporter.setLevel(logging.ERROR)  # it names every package it could do without
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                OneSession(net).eval(),
                (example, torch.clamp(torch.arange(example.shape[1]), max=1)[None]),
                input_names=["items", "pauses"],
                output_names=["scores"],
                dynamic_shapes=({1: length}, {1: length}),
                dynamo=True,
                verbose=False,
            )
    finally:
        exporter.setLevel(before)
    assert program is not None
    program.save(str(path), external_data=False)
