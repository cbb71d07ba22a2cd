"""Adjusted p-values as statsmodels has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from apps.experiments.stats.corrections import adjusted, benjamini_hochberg, holm

PS = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@pytest.mark.parametrize(
    "ps",
    [
        [0.2],
        [0.01, 0.04, 0.03, 0.005],
        [0.5, 0.5, 0.5],
        [0.0, 1.0, 1e-300, 0.04],
        [0.9, 0.8, 0.0004, 0.0004, 0.2],
    ],
)
def test_holm(ps: list[float]) -> None:
    assert holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]))


@given(PS)
def test_benjamini_hochberg(ps: list[float]) -> None:
    assert benjamini_hochberg(ps) == pytest.approx(list(multipletests(ps, method="fdr_bh")[1]))


@given(PS)
def test_order_is_kept_and_no_matter(ps: list[float]) -> None:
    for rule in (holm, benjamini_hochberg):
        back = rule(ps[::-1])
        assert rule(ps) == back[::-1]
        pairs = sorted(zip(ps, rule(ps), strict=True), key=lambda pair: pair[0])
        assert all(p is not None and p >= raw for raw, p in pairs)
        found = [p for _, p in pairs if p is not None]
        assert found == sorted(found)


def test_none_is_no_comparison() -> None:
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]
    assert benjamini_hochberg([0.01, None, 0.04]) == [0.02, None, 0.04]
    assert holm([None]) == [None]
    assert benjamini_hochberg([]) == []


def test_by_name() -> None:
    ps = [0.01, 0.02, None, 0.04]
    assert adjusted(ps, "none") == ps
    assert adjusted(ps, "holm") == holm(ps)
    assert adjusted(ps, "bh") == benjamini_hochberg(ps)
