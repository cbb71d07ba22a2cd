"""What models of shoppers alike share: a pool that stays when others are folded in, sessions asked like
shoppers, and reasons that divide each neighbour's say among the items in common.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from apps.ml.base import Model, positive_only
from apps.ml.configs.neighbours import UserKnnConfig
from apps.ml.configs.repeat import TifuKnnConfig
from apps.ml.dataset import IdMap, Ints
from apps.ml.models.item_knn import column_of
from apps.ml.signals import Csr
from apps.ml.topn import Floats

AlikeConfigT = TypeVar("AlikeConfigT", UserKnnConfig, TifuKnnConfig)


@dataclass
class ShoppersAlike(Model[AlikeConfigT]):
    """pool: the P shoppers learned from, who stay when others are folded in. neighbours: float32 CSR
    [n_users, P]. own: float32 CSR [n_users, N], what the shoppers are compared by; vectors: the same of the
    pool [P, N]. interest: float32 CSR [P, N], what neighbours bring in.
    """

    pool: IdMap
    neighbours: Csr
    own: Csr
    vectors: Csr
    interest: Csr

    folds_in: ClassVar[bool] = True

    @abstractmethod
    def asked(self, sessions: Sequence[Ints]) -> Csr:
        """Sessions as if they were shoppers: float32 CSR [n_sessions, N]."""

    @abstractmethod
    def alike(self, asked: Csr) -> Csr:
        """Weights of the nearest shoppers of the pool: float32 CSR [n, P]."""

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        """What shoppers with these items choose."""
        return positive_only((self.alike(self.asked(sessions)) @ self.interest).toarray())

    def score_similar(self, rows_B: Ints) -> Floats:
        return self.score_sessions([rows_B[i : i + 1] for i in range(len(rows_B))])

    def items_of(self, row: int) -> Ints:
        return self.own[row].indices.astype(np.int64)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Exact: a likeness is a sum over shared items, so each neighbour's say is divided among those they
        share.
        """
        own = self.asked([items_L]) if row is None else self.own[row]
        alike = self.alike(own) if row is None else self.neighbours[row]
        vectors = self.vectors[alike.indices]
        overlap = np.asarray((vectors @ own.T).todense(), dtype=np.float64).ravel()
        brought = column_of(self.interest, alike.indices.astype(np.int64), item)
        say = alike.data * brought / np.maximum(overlap, 1e-12)
        chosen = np.asarray(own[0, items_L].todense(), dtype=np.float64).ravel()
        return np.asarray(say @ vectors[:, items_L], dtype=np.float64).ravel() * chosen
