from __future__ import annotations

import numpy as np
import pytest

from apps.ml.rank_fusion import fuse
from apps.ml.topn import PADDING_ID, TopN

LEFT = TopN.from_lists([([1, 2, 3], [9.0, 8.0, 1.0]), ([5], [1.0])], 3)
RIGHT = TopN.from_lists([([3, 4], [0.2, 0.1]), ([], [])], 3)


def test_fusion_is_what_the_formula_gives_by_hand() -> None:
    fused = fuse([LEFT, RIGHT], 4)
    assert fused.ids[0].tolist() == [3, 1, 2, 4]
    expected = [1 / 63 + 1 / 61, 1 / 61, 1 / 62, 1 / 62]
    np.testing.assert_allclose(fused.scores[0], expected, rtol=1e-6)
    assert fused.ids[1].tolist() == [5, PADDING_ID, PADDING_ID, PADDING_ID]
    assert np.isneginf(fused.scores[1, 1:]).all()


def test_weights_and_constant_count_and_scores_do_not() -> None:
    weighted = fuse([LEFT, RIGHT], 3, weights=[0.0, 2.0], constant=1.0)
    assert weighted.ids[0].tolist() == [3, 4, PADDING_ID]
    np.testing.assert_allclose(weighted.scores[0, :2], [2 / 2, 2 / 3])
    assert weighted.ids[1].tolist() == [PADDING_ID] * 3
    louder = TopN(LEFT.ids, (LEFT.scores * 100).astype(np.float32))
    np.testing.assert_array_equal(fuse([louder, RIGHT], 4).ids, fuse([LEFT, RIGHT], 4).ids)


def test_lists_that_say_nothing_give_empty_lists() -> None:
    assert fuse([TopN.empty(2, 5)], 3).lengths.tolist() == [0, 0]
    assert fuse([LEFT], 3, weights=[0.0]).lengths.tolist() == [0, 0]


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in rows"):
        fuse([LEFT, TopN.empty(3, 3)], 3)
    with pytest.raises(ValueError, match="no lists"):
        fuse([], 3)
    with pytest.raises(ValueError, match="finite"):
        fuse([LEFT], 3, weights=[float("nan")])
    with pytest.raises(ValueError, match="constant"):
        fuse([LEFT], 3, constant=-1.0)
