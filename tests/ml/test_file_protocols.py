from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.ml.base import TrainOptions
from apps.ml.cli import main
from apps.ml.file_protocols import default_budget
from apps.ml.list_questions import (
    BlendTable,
    Questions,
    answered,
    blended,
    judge,
    per_question,
    prefixes,
    single,
    standard,
)
from apps.ml.list_scorers import ModelScorer
from apps.ml.models.list_model import lists_from
from apps.ml.text_files import EventLists, repeats_of_neighbours
from apps.ml.topn import Floats

Run = Callable[..., dict[str, Any]]
N_ITEMS = 60


def chains(n: int, seed: int = 0, length: int = 8) -> list[list[int]]:
    """Lists that mostly go from an item to the next one of its ring."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        at = int(rng.integers(N_ITEMS))
        items = [at]
        while len(items) < length:
            at = (at + 1) % N_ITEMS if rng.random() < 0.8 else int(rng.integers(N_ITEMS))
            if at not in items:
                items.append(at)
        found.append(items)
    return found


def written(path: Path, rows: Sequence[Sequence[object]]) -> str:
    path.write_text("\n".join(" ".join(map(str, row)) for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def answer(*arguments: str) -> dict[str, Any]:
        assert main([*arguments, "--budget-seconds", "8", "--threads", "1", "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return found

    return answer


def test_leave_one_out_finds_the_order(tmp_path: Path, run: Run) -> None:
    rows = [[f"u{user}", *(f"i{item}" for item in items)] for user, items in enumerate(chains(150))]
    found = run("evaluate", "--sequences", written(tmp_path / "all.txt", rows))
    assert {"chosen", "hr10", "ndcg10", "recall20", "seconds", "by_model"} <= set(found)
    assert found["hr10"] > 0.7
    assert found["ndcg10"] > 3 * found["by_model"]["popularity"]["ndcg10"]
    assert found["by_model"][found["chosen"]]["ndcg10"] == found["ndcg10"]
    assert found["questions"] == 150
    assert "without those the user already has" in found["protocol"]


def test_repeats_are_answers_where_they_are_usual(tmp_path: Path, run: Run) -> None:
    rng = np.random.default_rng(0)
    rows = [[f"u{user}", *rng.choice(rng.choice(300, 3), 9).tolist()] for user in range(80)]
    found = run("evaluate", "--sequences", written(tmp_path / "all.txt", rows))
    assert found["repeated_share"] > 0.5
    assert found["hr10"] > 0.9
    assert "already has included" in found["protocol"]


def test_a_given_split_is_judged_beside_popularity(tmp_path: Path, run: Run) -> None:
    rng = np.random.default_rng(1)
    train, test = [], [["stranger", 1]]
    for user in range(120):
        own = rng.permutation(20)[:12] + 20 * (user % 3)
        train.append([f"u{user}", *own[:9].tolist()])
        test.append([f"u{user}", *own[9:].tolist(), "unseen"])
    found = run(
        "evaluate", "--train", written(tmp_path / "a.txt", train), "--test", written(tmp_path / "b.txt", test)
    )
    # 3 of 11 open items of the taste are right, and a fourth of the truth nobody can know
    assert found["recall20"] == pytest.approx(0.75, abs=0.05)
    assert found["by_model"]["popularity"]["recall20"] < 0.5
    assert found["questions"] == 120
    assert any("not in the train file and are not judged" in said for said in found["warnings"])


def test_every_prefix_of_a_session_is_asked(tmp_path: Path, run: Run) -> None:
    train = written(tmp_path / "a.txt", chains(200, length=5))
    test = written(tmp_path / "b.txt", [*chains(30, seed=5, length=4), [999, 998], [3]])
    found = run("sessions", "--train", train, "--test", test)
    assert found["questions"] == 90
    assert found["p20"] > 0.8
    assert 0.5 < found["mrr20"] < found["p20"]
    assert found["by_model"]["session_popularity"]["p20"] < 0.6
    assert any("fewer than two known items" in said for said in found["warnings"])


def test_nothing_to_ask_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = written(tmp_path / "a.txt", [["u1", "a", "b"], ["u2", "c"]])
    other = written(tmp_path / "b.txt", [["v1", "a"]])
    assert main(["evaluate", "--sequences", short]) == 1
    assert "no user has 3 events" in capsys.readouterr().err
    assert main(["evaluate", "--train", short, "--test", other]) == 1
    assert "none of its users is in the train file" in capsys.readouterr().err
    assert main(["evaluate", "--train", short]) == 1
    assert "go together" in capsys.readouterr().err
    assert main(["sessions", "--train", other, "--test", short]) == 1
    assert "fewer than 2 sessions" in capsys.readouterr().err


class Fixed:
    """The same scores for every list."""

    def __init__(self, scores: Sequence[float]) -> None:
        self.scores = np.array(scores, dtype=np.float32)

    def score(self, lists: EventLists) -> Floats:
        return np.tile(self.scores, (len(lists), 1))


def lists_of(*rows: Sequence[int], n_items: int = 40) -> EventLists:
    return lists_from([np.array(row, dtype=np.int64) for row in rows], n_items, 100)


def test_figures_by_hand() -> None:
    scores = np.arange(40, 0, -1, dtype=np.float32)[None, :].repeat(2, axis=0)
    found = per_question(scores, lists_of([2, 15, 30], [0]))
    assert found["hit10"].tolist() == [1.0, 1.0]
    assert found["recall20"].tolist() == pytest.approx([2 / 3, 1.0])
    assert found["mrr10"].tolist() == pytest.approx([1 / 3, 1.0])
    gains = 1 / np.log2(np.array([4, 17]))
    assert found["ndcg20"][0] == pytest.approx(gains.sum() / (1 + 1 / np.log2(3) + 0.5))
    assert found["ndcg10"][0] == pytest.approx(gains[0] / (1 + 1 / np.log2(3) + 0.5))


def test_own_items_are_no_answers_and_no_number_stays_missing() -> None:
    lists = lists_of([0, 1], [2], n_items=30)
    asked = Questions(lists, single(lists, np.array([2, 0])), exclude=True)
    assert judge(Fixed([3.0, 2.0, 1.0] + [0.5] * 27), asked)["hit10"] == 1.0
    broken = judge(Fixed([np.nan] * 30), asked)
    assert np.isfinite(list(broken.values.values())).all()


def test_a_blend_weighs_what_helps() -> None:
    rng = np.random.default_rng(0)
    right = rng.integers(0, 40, 300)
    lists = lists_of(*([int(item)] for item in rng.integers(0, 40, 300)))
    signal = np.zeros((300, 40), dtype=np.float32)
    signal[np.arange(300), right] = 1.5

    class Noisy:
        def __init__(self, strength: float, seed: int) -> None:
            noise = np.random.default_rng(seed).standard_normal((300, 40))
            self.all = (strength * signal + noise).astype(np.float32)

        def score(self, lists: EventLists) -> Floats:
            return self.all[: len(lists)].copy()

    scorers = {"good": Noisy(1.0, 1), "also": Noisy(1.0, 2), "noise": Noisy(0.0, 3)}
    table = BlendTable.build(scorers, Questions(lists, single(lists, right), False))
    weights, gain = table.weights(10)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert min(weights["good"], weights["also"]) > 0.25
    assert weights["noise"] < 0.15
    assert gain > 1.1


def test_prefixes_end_before_their_item() -> None:
    asked, following = prefixes(lists_of([1, 2, 3], [4], [5, 6]))
    assert [asked.row(row).tolist() for row in range(len(asked))] == [[1], [1, 2], [5]]
    assert following.tolist() == [2, 3, 6]


def test_the_budget_grows_with_the_file() -> None:
    assert [default_budget(n) for n in (1_000, 800_000, 10**8)] == [600.0, 1_000.0, 1_800.0]


def test_one_right_item_is_judged_like_several_and_a_tie_is_no_hit() -> None:
    rng = np.random.default_rng(3)
    scores = rng.standard_normal((50, 40)).astype(np.float32)
    right = rng.integers(0, 40, 50)
    lists = lists_of(*([int(item)] for item in right))
    found = per_question(scores, lists)
    rank = (np.argsort(np.argsort(-scores, axis=1), axis=1))[np.arange(50), right]
    np.testing.assert_array_equal(found["hit10"], rank < 10)
    np.testing.assert_allclose(found["ndcg20"], np.where(rank < 20, 1 / np.log2(rank + 2), 0))
    np.testing.assert_allclose(found["mrr20"], np.where(rank < 20, 1 / (rank + 1), 0))
    assert per_question(np.zeros((50, 40), np.float32), lists)["hit10"].sum() == 0


@pytest.mark.parametrize("exclude", [True, False])
def test_a_blend_is_the_sum_of_z_scores(exclude: bool) -> None:
    rng = np.random.default_rng(4)
    lists = lists_of(*([int(item), (int(item) + 3) % 40, int(item)] for item in rng.integers(0, 40, 20)))
    asked = Questions(lists, single(lists, np.zeros(20, np.int64)), exclude)

    class Given:
        def __init__(self, scale: float, offset: float) -> None:
            self.scores = (rng.standard_normal((20, 40)) ** 3 * scale + offset).astype(np.float32)

        def score(self, lists: EventLists) -> Floats:
            return self.scores.copy()

    one, two = answered(Given(1.0, 5.0), asked), answered(Given(100.0, -20.0), asked)
    found = blended({"one": one, "two": two}, {"one": 0.7, "two": 0.3})
    expected = 0.7 * standard(one.scores) + 0.3 * standard(two.scores)
    assert np.isneginf(found).sum() == (40 if exclude else 0)
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(expected))
    able = np.isfinite(found)
    shift = np.where(able, found - np.where(able, expected, 0), np.nan)
    np.testing.assert_allclose(np.nanstd(shift, axis=1), 0, atol=1e-4)


def test_a_part_that_is_all_alike_leaves_a_blend_its_order() -> None:
    lists = lists_of([0, 1], [2], n_items=30)
    asked = Questions(lists, single(lists, np.array([2, 0])), exclude=True)
    flat, good = answered(Fixed([1.0] * 30), asked), answered(Fixed(list(range(30))), asked)
    found = blended({"flat": flat, "good": good}, {"flat": 0.5, "good": 0.5})
    assert not np.isnan(found).any()
    assert np.isneginf(found[0, :2]).all()
    assert found[0].argmax() == found[1].argmax() == 29


@pytest.mark.parametrize("command", ["sequences", "given", "sessions"])
def test_odd_files_are_answered_within_a_short_budget(command: str, tmp_path: Path, run: Run) -> None:
    rng = np.random.default_rng(6)
    users = ["ünïcode", "a b".replace(" ", "_"), "7", "007", "-1", "x" * 80]
    rows: list[list[object]] = [
        [f"u{row}", *(f"{item}#" for item in rng.integers(0, 30, 6))] for row in range(40)
    ]
    rows += [[user, *rng.integers(0, 30, 5).tolist()] for user in users]
    rows += [["lonely", "only"], ["empty"], [], rows[0], ["u1", "5#"], ["again", *["9#"] * 7]]
    rng.shuffle(rows)
    first = written(tmp_path / "a.txt", rows)
    second = written(tmp_path / "b.txt", [*rows[:20], [], ["nobody", "nothing"]])
    arguments = {
        "sequences": ("evaluate", "--sequences", first),
        "given": (
            "evaluate",
            "--train",
            first,
            "--test",
            written(tmp_path / "c.txt", [["u2", "1#", "new"], ["7", "29#"]]),
        ),
        "sessions": ("sessions", "--train", first, "--test", second),
    }[command]
    found = run(*arguments)
    figures = [
        value for row in found["by_model"].values() for value in row.values() if isinstance(value, float)
    ]
    assert np.isfinite(figures).all()
    assert "popularity" in found["by_model"]
    assert found["questions"] > 0


def test_a_network_answers_any_list_and_ranks_what_it_never_met_last() -> None:
    rng = np.random.default_rng(0)
    taught = lists_of(*(rng.integers(0, 20, 6).tolist() for _ in range(40)), n_items=25)
    scorer = ModelScorer.fit("gru4rec", {"preset": "tiny", "epochs": 1}, taught, TrainOptions())
    found = scorer.score(lists_of([1, 2], [24], [], [3, 24], n_items=25))
    assert np.isfinite(found).all()
    assert found[0, :20].min() > found[0, 20:].max()
    assert found[1].argmax() == found[2].argmax() == scorer.popular.argmax()
    whole = lists_of(*(rng.permutation(25).tolist() for _ in range(10)), n_items=25)
    every = ModelScorer.fit("gru4rec", {"preset": "tiny", "epochs": 1}, whole, TrainOptions())
    np.testing.assert_allclose(
        every.score(whole.take(np.arange(3))),
        every.model.score_sessions([whole.row(row) for row in range(3)]),
        rtol=1e-5,
    )


def test_a_file_of_prefixes_counts_each_session_once(tmp_path: Path, run: Run) -> None:
    whole = chains(80, length=5)
    cut = [row[:end] for row in whole for end in range(len(row), 1, -1)]
    test = written(tmp_path / "b.txt", chains(20, seed=5, length=4))
    plain = run("sessions", "--train", written(tmp_path / "a.txt", whole), "--test", test)
    found = run("sessions", "--train", written(tmp_path / "c.txt", cut), "--test", test)
    assert any("240 train lines" in said for said in found["warnings"])
    name = "session_popularity"
    assert found["by_model"][name]["mrr20"] == plain["by_model"][name]["mrr20"]
    assert not repeats_of_neighbours(lists_of([1, 2, 3], [2, 3], [1], [1, 2], [1, 2])).any()
    assert repeats_of_neighbours(lists_of([1, 2], [1, 2, 3], [1, 2, 3, 4], [4, 5])).tolist() == [1, 1, 0, 0]
