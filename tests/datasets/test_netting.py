"""Returns take from the latest earlier purchases, and it is known when."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.datasets.netting import returns_net

EVENT = st.tuples(
    st.integers(-1, 2), st.integers(0, 1), st.sampled_from([1.0, 2.0, 3.0, 0.5, 12.0]), st.booleans()
)


def net(events: list[tuple[int, int, float, bool]]) -> list[float]:
    """The function under test, on a list of (shopper, product, quantity, is_return)."""
    columns = list(zip(*events, strict=True)) if events else [(), (), (), ()]
    return returns_net(
        shopper=np.array(columns[0], dtype=np.int64),
        product=np.array(columns[1], dtype=np.int64),
        quantity=np.array(columns[2], dtype=np.float64),
        is_return=np.array(columns[3], dtype=bool),
        timestamp=np.arange(len(events), dtype=np.float64),
    ).left.tolist()


def by_stack(events: list[tuple[int, int, float, bool]]) -> list[float]:
    """One by one, as one would by hand."""
    left = [0.0 if is_return else quantity for _s, _p, quantity, is_return in events]
    for place, (shopper, product, quantity, is_return) in enumerate(events):
        if not is_return or shopper < 0:
            continue
        for earlier in range(place - 1, -1, -1):
            if events[earlier][:2] == (shopper, product):
                taken = min(left[earlier], quantity)
                left[earlier] -= taken
                quantity -= taken
    return left


@settings(max_examples=150, deadline=None)
@given(events=st.lists(EVENT, max_size=25))
def test_equals_the_stack(events: list[Any]) -> None:
    assert net(events) == pytest.approx(by_stack(events), abs=1e-5)


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([(1, 1, 5.0, False), (1, 1, 3.0, False), (1, 1, 4.0, True)], [4.0, 0.0, 0.0]),
        ([(1, 1, 4.0, True), (1, 1, 5.0, False)], [0.0, 5.0]),
        ([(1, 1, 5.0, False), (1, 1, 9.0, True), (1, 1, 2.0, False)], [0.0, 0.0, 2.0]),
        ([(1, 1, 5.0, False), (2, 1, 5.0, True), (1, 2, 5.0, True)], [5.0, 0.0, 0.0]),
        ([(-1, 1, 5.0, False), (-1, 1, 5.0, True)], [5.0, 0.0]),
        ([], []),
    ],
)
def test_known_cases(events: list[Any], left: list[float]) -> None:
    assert net(events) == left


def test_the_moment_a_purchase_is_undone_is_known() -> None:
    netted = returns_net(
        shopper=np.ones(4, dtype=np.int64),
        product=np.ones(4, dtype=np.int64),
        quantity=np.array([2.0, 3.0, 2.0, 2.0]),
        is_return=np.array([False, False, True, True]),
        timestamp=np.array([10.0, 20.0, 30.0, 40.0]),
    )
    assert netted.left.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert netted.undone_at.tolist() == [np.inf, 40.0, np.inf, np.inf]
