from __future__ import annotations

import numpy as np
import pytest

from apps.ml.list_scorers import NeighbourLists, NeighbourScorer
from apps.ml.models.list_model import lists_from
from tests.ml.conformance import Conformance

SESSIONS = [[0, 1, 2], [1, 3], [0, 4, 5, 1], [6, 7]]
ASKED = [[0, 1], [1], [6]]


class TestSessionKnn(Conformance):
    family = "session_knn"
    floors = {"new": 0.5, "all": 0.45}


@pytest.mark.parametrize("near", [1.0, 0.5])
@pytest.mark.parametrize("recent", [0.0, 2.0])
def test_evidence_is_the_formula_spelled_out(near: float, recent: float) -> None:
    how = NeighbourLists(neighbours=10, decay=0.5, near=near, idf=1.0, length=0.5, recent=recent)
    lists = lists_from([np.array(session) for session in SESSIONS], 8, 50)
    found = NeighbourScorer.fit(how, lists).evidence(lists_from([np.array(a) for a in ASKED], 8, 50))
    expected = np.zeros((len(ASKED), 8))
    for row, asked in enumerate(ASKED):
        for number, session in enumerate(SESSIONS):
            common = [item for item in asked if item in session]
            if not common:
                continue
            likeness = 0.0
            for item in common:
                held = sum(item in other for other in SESSIONS)
                back = len(asked) - 1 - asked.index(item)
                likeness += 0.5**back * np.log1p(len(SESSIONS) / (1 + held))
            likeness /= len(session) ** 0.5
            likeness *= np.exp(-recent * (len(SESSIONS) - 1 - number) / len(SESSIONS))
            anchor = session.index(common[-1])
            for place, item in enumerate(session):
                expected[row, item] += likeness * near ** max(abs(place - anchor) - 1, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_only_the_nearest_speak() -> None:
    how = NeighbourLists(neighbours=1, decay=1.0, near=1.0, length=0.0)
    lists = lists_from([np.array(session) for session in SESSIONS], 8, 50)
    found = NeighbourScorer.fit(how, lists).evidence(lists_from([np.array([0, 4])], 8, 50))[0]
    assert np.flatnonzero(found).tolist() == [0, 1, 4, 5]
