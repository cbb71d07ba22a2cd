from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity

from apps.ml import similarity


def matrix(seed: int = 0, rows: int = 40) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix((rng.random((rows, 25)) * (rng.random((rows, 25)) < 0.3)).astype(np.float32))


def test_nearest_are_the_largest_cosines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "PRODUCT_CELLS", 150)
    rows = matrix()
    found = similarity.nearest(rows, rows, k=5, selves=np.arange(40)).toarray()
    expected = cosine_similarity(rows)
    np.fill_diagonal(expected, 0.0)
    expected[expected < np.sort(expected, axis=1)[:, -5][:, None]] = 0.0
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_shrinking_damps_what_has_little_evidence() -> None:
    queries, rows = matrix(1, 3), matrix(2)
    lengths = np.outer(similarity.norms(queries), similarity.norms(rows))
    expected = (queries @ rows.T).toarray() / (lengths + 2.0)
    np.testing.assert_allclose(
        similarity.nearest(queries, rows, 40, shrink=2.0).toarray(), expected, rtol=1e-5
    )


def test_bm25_is_the_textbook_formula() -> None:
    counts = matrix()
    dense = counts.toarray().astype(np.float64)
    documents = (dense > 0).sum(axis=0)
    length = dense.sum(axis=1, keepdims=True)
    saturated = dense * 2.2 / (dense + 1.2 * (0.25 + 0.75 * length / length.mean()))
    expected = saturated * np.log1p(len(dense) / (1.0 + documents))
    np.testing.assert_allclose(similarity.weigh(counts, "bm25").toarray(), expected, rtol=1e-5)
    assert similarity.weigh(counts, "cosine").toarray().tolist() == counts.toarray().tolist()


def test_empty_rows_have_no_neighbours() -> None:
    empty = sparse.csr_matrix((np.zeros(0, np.float32), (np.zeros(0, int), np.zeros(0, int))), shape=(2, 25))
    assert similarity.nearest(empty, matrix(), 3).nnz == 0
    assert similarity.normalised(empty).nnz == 0
    assert similarity.nearest(empty[:0], matrix(), 3).shape == (0, 40)
