"""What a model keeps of its data besides what it learned, and sparse matrices as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml import signals
from apps.ml.dataset import Dataset, IdMap


@dataclass(frozen=True)
class History:
    """Id maps, what was chosen before, and what may be recommended.

    bought / rejected: bool CSR [n_users, n_items]. candidates: bool [n_items]. active: bool [n_users], had
    any event.
    """

    users: IdMap
    items: IdMap
    bought: signals.Csr
    rejected: signals.Csr
    candidates: NDArray[np.bool_]
    active: NDArray[np.bool_]

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> Self:
        active = np.zeros(len(dataset.users), dtype=np.bool_)
        active[dataset.user[dataset.user >= 0]] = True
        return cls(
            dataset.users,
            dataset.items,
            signals.bought(dataset),
            signals.rejected(dataset),
            dataset.candidates.copy(),
            active,
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "user_ids": self.users.ids,
            "item_ids": self.items.ids,
            "candidates": self.candidates,
            "active": self.active,
            **csr_to_arrays("bought", self.bought),
            **csr_to_arrays("rejected", self.rejected),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        users, items = IdMap(arrays["user_ids"]), IdMap(arrays["item_ids"])
        shape = (len(users), len(items))
        return cls(
            users,
            items,
            csr_from_arrays("bought", arrays, shape),
            csr_from_arrays("rejected", arrays, shape),
            arrays["candidates"],
            arrays["active"],
        )


def csr_to_arrays(name: str, matrix: signals.Csr) -> dict[str, NDArray[Any]]:
    """A CSR matrix as three arrays under `name.`."""
    return {
        f"{name}.indptr": matrix.indptr.astype(np.int64),
        f"{name}.indices": matrix.indices.astype(np.int32),
        f"{name}.data": matrix.data,
    }


def csr_from_arrays(name: str, arrays: dict[str, NDArray[Any]], shape: tuple[int, int]) -> signals.Csr:
    return sparse.csr_matrix(
        (arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"]), shape=shape
    )
