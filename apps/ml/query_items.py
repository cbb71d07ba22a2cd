"""What people went on to after a search: counts of items by query, smoothed with the match of the words.

    share(i | q) = (n(q, i) + prior * match(q, i)) / (n(q) + prior)

n(q, i): how strongly item i followed query q; n(q): its sum over items; match: squared cosine of the hashed
words of query and product by their rarity, so scaled that the catalogue sums to the best one's. A query never
heard before is answered by the match alone, one whose words no product has by the counts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.configs.sessions import ListQueryDials
from apps.ml.dataset import Ints
from apps.ml.history import csr_from_arrays, csr_to_arrays
from apps.ml.searches import text_keys, token_weights
from apps.ml.sequences import Sequences
from apps.ml.signals import Csr
from apps.ml.similarity import normalised

BUCKETS = 1 << 15


@dataclass(frozen=True)
class QueryItems:
    """keys: int64 [Q], ascending, of the queries heard (`text_keys`). followed: float32 CSR [Q, N], n(q, i).
    words: float32 CSR [BUCKETS, N], columns of length 1. rarity: float32 [BUCKETS].
    """

    keys: Ints
    followed: Csr
    words: Csr
    rarity: NDArray[np.float32]

    @classmethod
    def fit(cls, found: Sequences, queries: Sequence[str], texts: Sequence[str]) -> Self:
        """found: histories that listened. queries: those its `asked` counts by. texts: of the catalogue."""
        assert found.asked is not None
        n_items = len(texts)
        each = sparse.csr_matrix(
            (np.ones(len(found.items), np.float32), found.items, np.arange(len(found.items) + 1)),
            shape=(len(found.items), n_items),
        )
        followed = sparse.csr_matrix(found.asked.T @ each).astype(np.float32)
        heard = np.flatnonzero(np.diff(followed.indptr))
        keys = text_keys([queries[int(at)] for at in heard])
        order = np.argsort(keys)
        hashed = token_weights(texts, BUCKETS)
        common = np.bincount(hashed.indices, minlength=BUCKETS)
        rarity = np.log1p(n_items / (1.0 + common)).astype(np.float32)
        words = normalised(sparse.csr_matrix(hashed @ sparse.diags(rarity)))
        return cls(keys[order], sparse.csr_matrix(followed[heard[order]]), sparse.csr_matrix(words.T), rarity)

    def shares(self, texts: Sequence[str], prior: float) -> Csr:
        """share(i | q) of these queries: float32 CSR [n, N], rows sum to at most 1."""
        asked = normalised(sparse.csr_matrix(token_weights(texts, BUCKETS) @ sparse.diags(self.rarity)))
        match = sparse.csr_matrix(asked @ self.words).astype(np.float64)
        match.data **= 2
        best = match.max(axis=1).toarray().ravel()
        sums = np.asarray(match.sum(axis=1), dtype=np.float64).ravel()
        found = sparse.diags(prior * best / np.maximum(sums, 1e-12)) @ match
        heard = np.zeros(len(texts))
        if len(self.keys):
            keys = text_keys(texts)
            places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            seen = (self.keys[places] == keys).astype(np.float64)
            counts = sparse.diags(seen) @ self.followed[places]
            heard = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
            found = found + counts
        scale = 1.0 / np.maximum(heard + prior, 1e-12)
        return sparse.csr_matrix(sparse.diags(scale) @ found).astype(np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "query.keys": self.keys,
            **csr_to_arrays("query.followed", self.followed),
            **csr_to_arrays("query.words", self.words),
            "query.rarity": self.rarity,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], n_items: int) -> Self:
        keys = arrays["query.keys"]
        return cls(
            keys,
            csr_from_arrays("query.followed", arrays, (len(keys), n_items)),
            csr_from_arrays("query.words", arrays, (BUCKETS, n_items)),
            arrays["query.rarity"],
        )


def query_dials(config: Any) -> ListQueryDials | None:
    """The settings of searches where the family has them and they are on."""
    return config if isinstance(config, ListQueryDials) and config.queries else None
