"""What comes after a session, in one forward pass of ONNX Runtime. No torch: web processes import this.

A folder made by `session_export`: the network, the catalogue it answers with, and the sha256 of both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from apps.ml.errors import ArtifactInvalid
from apps.ml.topn import Floats, Ids, top_k

NETWORK, CATALOGUE, MANIFEST = "network.onnx", "catalogue.npz", "manifest.json"
FORMAT = 1


class SessionNetwork:
    """A sequence model's forward pass with the products it knows.

    It answers as the model's `recommend_sessions` does without searches: events follow each other at once,
    the session's own products and those that can't be sold are left out.
    """

    def __init__(self, folder: str | Path) -> None:
        """ArtifactInvalid when the folder is incomplete or altered."""
        place = Path(folder)
        try:
            manifest = json.loads((place / MANIFEST).read_text("utf-8"))
            parts = {name: (place / name).read_bytes() for name in (NETWORK, CATALOGUE)}
            changed = [
                name for name, content in parts.items() if manifest["sha256"][name] != _sha256(content)
            ]
            if manifest["format"] != FORMAT or changed:
                raise ValueError(f"format or content differs: {', '.join(changed) or manifest['format']}")
            with np.load(place / CATALOGUE, allow_pickle=False) as stored:
                self._ids = stored["ids"].astype(np.int64)
                self._met = stored["met"].astype(np.bool_)
                self._shown = self._met & stored["sold"].astype(np.bool_)
            self._length = int(manifest["max_length"])
            self._session = onnxruntime.InferenceSession(
                parts[NETWORK], _options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ArtifactInvalid(f"{place}: no session network ({error}); build the lists again") from error
        self._places = {int(item): row for row, item in enumerate(self._ids.tolist())}
        self._inputs = {put.name for put in self._session.get_inputs()}

    def list_after(self, session: Sequence[int], k: int = 100) -> tuple[Ids, Floats]:
        """Ids int64 and scores float32 [<= k], best first, after these raw ids, oldest first; nothing where
        the network has met none of them.
        """
        known = [row for item in session if (row := self._places.get(item, -1)) >= 0]
        # the first event waited for nothing, each later one followed at once
        met = [(row, min(place, 1)) for place, row in enumerate(known) if self._met[row]][-self._length :]
        if not met:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        rows, pauses = np.array(met, dtype=np.int64).T[:, None]
        told = {"items": rows, "pauses": pauses}
        given = {name: value for name, value in told.items() if name in self._inputs}
        scores = np.array(self._session.run(None, given)[0], dtype=np.float32)
        scores[0, ~self._shown] = -np.inf
        scores[0, known] = -np.inf
        return top_k(scores, self._ids, k).row(0)


def _options() -> onnxruntime.SessionOptions:
    """One thread that does not spin while it waits; memory goes back, for a web process has other work."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    return options


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
