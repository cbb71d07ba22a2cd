from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from apps.ml.blend import NORMALISATIONS, BlendTable, blend_lists, blend_many
from apps.ml.topn import TopN

CF = (np.array([1, 2, 3]), np.array([9.0, 5.0, 1.0]))
CONTENT = (np.array([4, 3, 1]), np.array([0.9, 0.5, 0.4]))


@st.composite
def lists_of_sources(draw: st.DrawFn, n_sources: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for _ in range(n_sources):
        ids = draw(st.lists(st.integers(0, 12), unique=True, max_size=8))
        scores = sorted(
            draw(st.lists(st.integers(-40, 40), min_size=len(ids), max_size=len(ids))), reverse=True
        )
        found.append((np.array(ids, dtype=np.int64), np.array(scores, dtype=np.float64)))
    return found


WEIGHTS = st.lists(st.sampled_from([0.0, 0.2, 0.5, 1.0, 3.0]), min_size=3, max_size=3)


def test_score_is_the_weighted_sum_of_z_scores_with_the_minimum_for_missing() -> None:
    blend = blend_lists([CF, CONTENT], [0.7, 0.3])
    cf, content = stats.zscore(CF[1]), stats.zscore(CONTENT[1])
    expected = {
        1: 0.7 * cf[0] + 0.3 * content[2],
        2: 0.7 * cf[1] + 0.3 * content[2],
        3: 0.7 * cf[2] + 0.3 * content[1],
        4: 0.7 * cf[2] + 0.3 * content[0],
    }
    assert blend.ids.tolist() == sorted(expected, key=lambda item: -expected[item])
    assert blend.scores.tolist() == pytest.approx([expected[item] for item in blend.ids.tolist()])
    np.testing.assert_allclose(blend.parts.sum(axis=0), blend.scores)
    assert blend.parts[0].tolist() == pytest.approx(
        [0.7 * cf[min(item, 3) - 1] for item in blend.ids.tolist()]
    )


def test_alpha_mix_of_two_models_is_the_two_source_case() -> None:
    alpha = 0.4
    half = blend_lists([CF, CONTENT], [alpha, 1 - alpha])
    scaled = blend_lists([CF, CONTENT], [alpha * 10, (1 - alpha) * 10])
    assert half.ids.tolist() == scaled.ids.tolist()


@settings(max_examples=200, deadline=None)
@given(
    sources=lists_of_sources(),
    weights=WEIGHTS,
    scale=st.sampled_from([0.001, 0.5, 3.0, 1000.0]),
    shift=st.sampled_from([-500.0, 0.0, 0.25, 700.0]),
    which=st.integers(0, 2),
)
def test_rescaling_a_source_never_changes_the_slate(
    sources: list[tuple[np.ndarray, np.ndarray]], weights: list[float], scale: float, shift: float, which: int
) -> None:
    before = blend_lists(sources, weights)
    ids, scores = sources[which]
    sources[which] = (ids, scores * scale + shift)
    after = blend_lists(sources, weights)
    assert after.ids.tolist() == before.ids.tolist()
    np.testing.assert_allclose(after.scores, before.scores, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(lists_of_sources(), min_size=1, max_size=4),
    weights=WEIGHTS,
    name=st.sampled_from(sorted(NORMALISATIONS)),
)
def test_many_at_once_equal_one_by_one(
    rows: list[list[tuple[np.ndarray, np.ndarray]]], weights: list[float], name: str
) -> None:
    tops = [TopN.from_lists([row[source] for row in rows], k=9) for source in range(3)]
    many = blend_many(tops, weights, k=20, normalisation=name, block=2)
    for index, row in enumerate(rows):
        one = blend_lists(row, weights, normalisation=name)
        ids, scores = many.row(index)
        assert ids.tolist() == one.ids[:20].tolist()
        np.testing.assert_allclose(scores, one.scores[:20], atol=1e-5)


def test_a_constant_list_counts_nothing_but_brings_its_items() -> None:
    flat = (np.array([7, 8]), np.array([0.1, 0.1]))
    blend = blend_lists([CF, flat], [1.0, 1.0])
    assert set(blend.ids.tolist()) == {1, 2, 3, 7, 8}
    assert blend.parts[1].tolist() == [0.0] * 5


def test_a_source_of_weight_zero_says_nothing() -> None:
    blend = blend_lists([CF, CONTENT], [1.0, 0.0])
    assert blend.ids.tolist() == [1, 2, 3]
    assert blend.parts[1].tolist() == [0.0] * 3


def test_padding_and_empty_sources_are_ignored() -> None:
    padded = (np.array([1, 2, 3, -1]), np.array([9.0, 5.0, 1.0, -np.inf]))
    empty = (np.zeros(0, dtype=np.int64), np.zeros(0))
    assert blend_lists([padded, empty], [1.0, 2.0]).ids.tolist() == [1, 2, 3]
    assert blend_lists([empty], [1.0]).ids.tolist() == []
    assert blend_lists([], []).parts.shape == (0, 0)
    assert len(blend_many([], [], 5)) == 0


def test_equal_scores_are_ordered_by_id() -> None:
    left, right = (np.array([9, 2]), np.array([1.0, 0.0])), (np.array([4, 2]), np.array([5.0, 3.0]))
    assert blend_lists([left, right], [1.0, 1.0]).ids.tolist() == [4, 9, 2]


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.1], [1.0, float("nan")], [1.0, float("inf")]])
def test_wrong_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        blend_lists([CF, CONTENT], weights)


def test_wrong_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="equal 1-D shapes"):
        blend_lists([(np.array([1, 2]), np.array([1.0]))], [1.0])
    with pytest.raises(ValueError, match="unknown"):
        blend_lists([CF], [1.0], normalisation="softmax")
    with pytest.raises(ValueError, match="differ in rows"):
        BlendTable.from_lists([TopN.empty(1, 2), TopN.empty(2, 2)])


def test_a_table_of_heads_keeps_the_norms_of_the_whole_lists() -> None:
    tops = [TopN.from_lists([CF], 3), TopN.from_lists([CONTENT], 3)]
    whole = BlendTable.from_lists(tops)
    near = whole.near([top.head(1) for top in tops])
    assert near.ids.tolist() == [[1, 4]]
    np.testing.assert_array_equal(near.norms[:, 0, :], whole.norms[:, 0, [0, 3]])
    assert near.blend([1.0, 1.0], 2).ids.tolist() == [[1, 4]]
