from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from apps.ml.topn import TopN, top_k


@settings(max_examples=150, deadline=None)
@given(
    scores=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 12)),
        elements=st.sampled_from([-np.inf, 0, 1, 2, 3]),
    ),
    k=st.integers(1, 15),
)
def test_top_k_is_a_stable_sort_cut_at_k(scores: np.ndarray, k: int) -> None:
    ids = np.arange(scores.shape[1], dtype=np.int64) * 3 + 1
    top = top_k(scores.copy(), ids, k)
    for row, values in enumerate(scores):
        order = [column for column in np.argsort(-values, kind="stable") if np.isfinite(values[column])][:k]
        found_ids, found_scores = top.row(row)
        assert found_ids.tolist() == ids[order].tolist()
        assert found_scores.tolist() == values[order].tolist()


@pytest.mark.parametrize("decimals", [0, 1, 7])
@pytest.mark.parametrize("missing", [0.0, 0.6, 0.99])
def test_long_rows_are_ranked_as_by_a_full_sort(decimals: int, missing: float) -> None:
    rng = np.random.default_rng(decimals)
    for n_items, k in ((400, 1), (431, 20), (997, 100), (64, 60)):
        scores = np.round(rng.standard_normal((6, n_items)), decimals).astype(np.float32)
        scores[rng.random(scores.shape) < missing] = np.nan if n_items == 431 else -np.inf
        scores[0] = 1.0
        clean = np.where(np.isnan(scores), -np.inf, scores)
        order = np.argsort(-clean, axis=1, kind="stable")[:, :k]
        expected = np.take_along_axis(clean, order, axis=1)
        top = top_k(scores, np.arange(n_items), k)
        np.testing.assert_array_equal(top.scores, expected)
        np.testing.assert_array_equal(top.ids, np.where(np.isneginf(expected), -1, order))


def test_nan_is_no_candidate() -> None:
    top = top_k(np.array([[np.nan, 1.0, np.nan]], dtype=np.float32), np.array([4, 5, 6]), 3)
    assert top.ids.tolist() == [[5, -1, -1]]


def test_ragged_lists_are_padded_and_cut() -> None:
    top = TopN.from_lists([([3, 1, 2], [3.0, 2.0, 1.0]), ([], [])], k=2)
    assert top.ids.tolist() == [[3, 1], [-1, -1]]
    assert top.lengths.tolist() == [2, 0]
    assert top.head(1).ids.tolist() == [[3], [-1]]
    assert TopN.stack([top, top], 2).ids.shape == (4, 2)


def test_unlike_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="equal 2-D shapes"):
        TopN(np.zeros((2, 3), dtype=np.int64), np.zeros((2, 2), dtype=np.float32))
