from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from apps.ml.errors import Cancelled
from apps.ml.local_regression import LocalHow, local_regression
from apps.ml.models.list_model import lists_from
from apps.ml.ordered_items import Regression, moments, regression, ridge_of
from apps.ml.text_files import EventLists

N_ITEMS = 40
ORDERED = Regression(ridge=5.0, whole=0.5, forward=1.0, backward=0.5)
PLAIN = Regression(ridge=5.0, whole=1.0, forward=0.0, dropout=0.3, length_exponent=0.5)


def tastes(groups: int, seed: int = 0) -> EventLists:
    """Lists within one group of items each."""
    rng = np.random.default_rng(seed)
    size = N_ITEMS // groups
    rows = [
        rng.permutation(size)[: rng.integers(size // 4, size // 2 + 1)] + size * (row % groups)
        for row in range(300)
    ]
    return lists_from(rows, N_ITEMS, 100)


@pytest.mark.parametrize("how", [ORDERED, PLAIN])
@pytest.mark.parametrize("local", [LocalHow(N_ITEMS, 1, N_ITEMS), LocalHow(N_ITEMS, 7, N_ITEMS)])
def test_a_neighbourhood_of_everything_is_the_whole_regression(how: Regression, local: LocalHow) -> None:
    lists = tastes(1)
    gram, cross = moments(lists, how)
    found = local_regression(gram, cross, ridge_of(gram, how), local)
    np.testing.assert_allclose(found.toarray(), regression(lists, how), atol=2e-5)


def test_groups_without_anything_in_common_need_only_their_own_neighbourhood() -> None:
    lists = tastes(4)
    gram, cross = moments(lists, ORDERED)
    found = local_regression(gram, cross, ridge_of(gram, ORDERED), LocalHow(10, 4, 10), threads=2)
    np.testing.assert_allclose(found.toarray(), regression(lists, ORDERED), atol=2e-5)


def test_only_the_largest_weights_are_kept() -> None:
    lists = tastes(1)
    gram, _ = moments(lists, PLAIN)
    whole = regression(lists, PLAIN)
    found = local_regression(gram, None, ridge_of(gram, PLAIN), LocalHow(N_ITEMS, 5, 6)).toarray()
    for column in range(N_ITEMS):
        best = np.sort(np.argsort(-np.abs(whole[:, column]))[:6])
        assert np.flatnonzero(found[:, column]).tolist() == best.tolist()


def test_items_nobody_shares_have_no_weights() -> None:
    gram = sparse.csr_matrix(np.diag([3.0, 0.0, 1.0]).astype(np.float32))
    found = local_regression(gram, None, np.ones(3, np.float32), LocalHow())
    assert found.shape == (3, 3)
    assert found.nnz == 0


def test_it_can_be_cancelled() -> None:
    def stop() -> None:
        raise Cancelled("enough")

    gram, _ = moments(tastes(1), PLAIN)
    with pytest.raises(Cancelled):
        local_regression(gram, None, ridge_of(gram, PLAIN), LocalHow(), check=stop)
