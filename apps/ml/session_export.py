"""A sequence model's forward pass as an ONNX file, for processes without torch (`session_network`)."""

from __future__ import annotations

import hashlib
import json
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
OPSET = 17


class OneSession(nn.Module):
    """Rows of the catalogue, and pauses where the net looks at them, int64 [1, M] each, to scores [1, N]."""

    def __init__(self, net: SequenceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, items: Tensor, pauses: Tensor | None = None) -> Tensor:
        """Scores of the catalogue after the last item."""
        hidden_BMD = self.net.hidden(items, pauses)
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
        _network_write(model.net, scratch / NETWORK)
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


def _network_write(net: SequenceNet, path: Path) -> None:
    items = torch.zeros(1, EXAMPLE_LENGTH, dtype=torch.int64)
    given = {"items": items} if net.pauses is None else {"items": items, "pauses": items}
    with warnings.catch_warnings():
        # By tracing: the newer exporter cannot leave the length of a recurrent net open.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            OneSession(net).eval(),
            tuple(given.values()),
            str(path),
            input_names=list(given),
            output_names=["scores"],
            dynamic_axes={name: {1: "length"} for name in given},
            opset_version=OPSET,
            dynamo=False,
        )
