"""What every family must do, whatever it is: subclass Conformance, name the family and its quality floor."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from apps.ml.artifacts import load_model, parts_read, save_model
from apps.ml.base import Contribution, Model, Progress, TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.errors import ArtifactInvalid, Cancelled, DataMissing, InvalidValue
from apps.ml.evaluate import VARIANTS, Variant, evaluate_lists, truth_of
from apps.ml.registry import FAMILIES
from apps.ml.topn import TopN
from apps.ml.train import train
from tests.ml.planted import (
    ITEM_BASE,
    UNKNOWN_ITEM,
    UNKNOWN_USER,
    interactions_frame,
    items_frame,
    planted,
    planted_split,
    shoppers_frame,
)

EXCLUDE: dict[Variant, Any] = {"new": "bought", "all": "none"}


@cache
def fitted(family: str) -> Model[Any]:
    return train(family, {"preset": "tiny"}, planted_split(FAMILIES[family].explicit).train)


@cache
def ndcg(family: str, variant: Variant) -> float:
    truth = truth_of(planted_split(FAMILIES[family].explicit), variant)
    top = fitted(family).recommend(truth.users, 20, exclude=EXCLUDE[variant])
    return evaluate_lists(top, truth, planted_split(FAMILIES[family].explicit).catalogue_size).mean("ndcg10")


def assert_same(left: TopN, right: TopN) -> None:
    np.testing.assert_array_equal(left.ids, right.ids)
    np.testing.assert_array_equal(left.scores, right.scores)


def assert_close(left: TopN, right: TopN) -> None:
    """Equal but for rounding: blocks of other sizes may add in another order."""
    finite = np.isfinite(left.scores)
    np.testing.assert_array_equal(finite, np.isfinite(right.scores))
    np.testing.assert_allclose(left.scores[finite], right.scores[finite], rtol=1e-4, atol=1e-5)
    assert (left.ids == right.ids).mean() > 0.98


class Conformance:
    """family: name in the registry. floors: NDCG@10 on the planted data per variant judged; beats: the
    variants in which the family must beat popularity. says: which calls give non-empty lists. tells_new:
    recommends what the shopper has not chosen. explains: names items of the history. adds_up: the relative
    error within which the contributions of a history sum to the score, 0 where they do not.
    """

    family: ClassVar[str]
    floors: ClassVar[dict[Variant, float]]
    beats: ClassVar[tuple[Variant, ...]] = VARIANTS
    says: ClassVar[tuple[str, ...]] = ("users", "sessions", "similar")
    answers_strangers: ClassVar[bool] = False
    tells_new: ClassVar[bool] = True
    explains: ClassVar[bool] = True
    adds_up: ClassVar[float] = 0.0

    @property
    def rated(self) -> bool:
        return FAMILIES[self.family].explicit

    @property
    def model(self) -> Model[Any]:
        return fitted(self.family)

    @property
    def users(self) -> np.ndarray:
        return planted_split(self.rated).train.known_users

    @property
    def sessions(self) -> list[list[int]]:
        return [[ITEM_BASE, ITEM_BASE + 1], [ITEM_BASE + 20], [ITEM_BASE + 40, UNKNOWN_ITEM]]

    def test_lists_are_sorted_distinct_and_padded_at_the_end(self) -> None:
        for top in (
            self.model.recommend(self.users, 500),
            self.model.recommend_sessions(self.sessions, 500),
            self.model.similar(planted(self.rated).known_items, 500),
        ):
            assert top.ids.dtype == np.int64
            assert top.scores.dtype == np.float32
            assert top.k == 500
            for row in range(len(top)):
                ids, scores = top.row(row)
                assert len(np.unique(ids)) == len(ids)
                assert np.isfinite(scores).all()
                assert (np.diff(scores) <= 0).all()
                assert (top.ids[row, len(ids) :] == -1).all()
                assert np.isneginf(top.scores[row, len(ids) :]).all()

    def test_it_says_what_it_should(self) -> None:
        assert (self.model.recommend(self.users, 10, exclude="none").lengths > 0).all() == (
            "users" in self.says
        )
        assert (self.model.recommend_sessions(self.sessions, 10).lengths > 0).all() == (
            "sessions" in self.says
        )
        assert (self.model.similar(self.sessions[0], 10).lengths > 0).all() == ("similar" in self.says)

    def test_bought_items_are_filtered_and_can_be_kept(self) -> None:
        history = self.model.history
        fresh = self.model.recommend(self.users, 90, exclude="bought")
        kept = self.model.recommend(self.users, 90, exclude="none")
        found = 0
        for row, user in enumerate(self.users):
            bought = history.items.ids[history.bought[int(history.users.rows([int(user)])[0])].indices]
            assert not np.isin(fresh.row(row)[0], bought).any()
            found += int(np.isin(kept.row(row)[0], bought).sum())
        assert found > 0

    def test_rejected_items_never_appear(self) -> None:
        history = self.model.history
        assert history.rejected.nnz > 0
        top = self.model.recommend(self.users, 90, exclude="none")
        for row, user in enumerate(self.users):
            rejected = history.items.ids[history.rejected[int(history.users.rows([int(user)])[0])].indices]
            assert not np.isin(top.row(row)[0], rejected).any()

    def test_unavailable_items_never_appear(self) -> None:
        items = items_frame()
        items["available"] = items["item_id"] % 2 == 0
        dataset = Dataset.from_frames(interactions_frame(rated=self.rated), items, shoppers_frame())
        model = train(self.family, {"preset": "tiny"}, dataset)
        for top in (
            model.recommend(dataset.known_users, 90, exclude="none"),
            model.recommend_sessions(self.sessions, 90),
            model.similar(dataset.known_items, 90),
        ):
            assert (top.ids[top.ids >= 0] % 2 == 0).all()

    def test_unknown_user_gets_an_empty_list_or_the_one_for_anyone(self) -> None:
        top = self.model.recommend([int(self.users[0]), UNKNOWN_USER, int(self.users[1])], 10, exclude="none")
        assert (top.lengths[1] > 0) == self.answers_strangers
        assert_close(top.take(np.array([0, 2])), self.model.recommend(self.users[:2], 10, exclude="none"))

    def test_unknown_items_are_ignored(self) -> None:
        known = self.model.recommend_sessions([[ITEM_BASE, ITEM_BASE + 3]], 10)
        mixed = self.model.recommend_sessions([[ITEM_BASE, UNKNOWN_ITEM, ITEM_BASE + 3]], 10)
        assert_same(known, mixed)
        stranger = self.model.recommend_sessions([[UNKNOWN_ITEM], []], 10)
        assert (stranger.lengths > 0).all() == self.answers_strangers
        assert self.model.similar([UNKNOWN_ITEM], 10).lengths.tolist() == [0]

    def test_a_session_and_an_item_are_not_their_own_companions(self) -> None:
        top = self.model.recommend_sessions(self.sessions, 90)
        for row, session in enumerate(self.sessions):
            assert not np.isin(top.row(row)[0], session).any()
        items = planted(self.rated).known_items
        assert not (self.model.similar(items, 90).ids == items[:, None]).any()

    def test_nothing_asked_nothing_answered(self) -> None:
        assert len(self.model.recommend([], 10)) == 0
        assert len(self.model.recommend_sessions([], 10)) == 0
        assert len(self.model.similar([], 10)) == 0

    def test_save_and_load_give_the_same_answer(self, tmp_path: Path) -> None:
        save_model(self.model, tmp_path / "model")
        for loaded in (load_model(tmp_path / "model"), type(self.model).load(tmp_path / "model")):
            assert loaded.config == self.model.config
            assert loaded.metrics == self.model.metrics
            assert_same(loaded.recommend(self.users, 20), self.model.recommend(self.users, 20))
            assert_same(
                loaded.recommend_sessions(self.sessions, 20), self.model.recommend_sessions(self.sessions, 20)
            )
            items = planted(self.rated).known_items
            assert_same(loaded.similar(items, 20), self.model.similar(items, 20))

    def test_an_altered_artifact_is_refused(self, tmp_path: Path) -> None:
        self.model.save(tmp_path / "model")
        weights = tmp_path / "model" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
        with pytest.raises(ArtifactInvalid, match=r"model\.safetensors: sha256"):
            load_model(tmp_path / "model")
        shutil.rmtree(tmp_path / "model")
        with pytest.raises(ArtifactInvalid, match="manifest"):
            load_model(tmp_path / "model")

    def test_a_list_is_explained_by_what_the_shopper_chose(self) -> None:
        history = self.model.history
        explained = 0
        for user in self.users[:10]:
            row = int(history.users.rows([int(user)])[0])
            own = history.items.ids[self.model.items_of(row)]
            for item in self.model.recommend([int(user)], 3, exclude="none").row(0)[0]:
                found = self.model.explain(int(user), int(item), 4)
                self.assert_reasons(found, own, 4)
                explained += bool(found)
        assert (explained > 0) == self.explains
        assert self.model.explain(UNKNOWN_USER, ITEM_BASE) == []
        assert self.model.explain(int(self.users[0]), UNKNOWN_ITEM) == []

    def test_a_session_is_explained_by_its_items(self) -> None:
        explained = 0
        for session in self.sessions:
            for item in self.model.recommend_sessions([session], 3).row(0)[0]:
                found = self.model.explain_session([*session, UNKNOWN_ITEM, session[0]], int(item), 4)
                self.assert_reasons(found, np.array(session), 4)
                explained += bool(found)
        assert (explained > 0) == (self.explains and "sessions" in self.says)
        assert self.model.explain_session([], ITEM_BASE) == []
        assert self.model.explain_session(self.sessions[0], UNKNOWN_ITEM) == []

    def assert_reasons(self, found: list[Contribution], own: np.ndarray, n: int) -> None:
        shares = [reason.share for reason in found]
        assert len(found) <= n
        assert shares == sorted(shares, reverse=True)
        assert all(0 < share <= 1 for share in shares)
        assert sum(shares) <= 1 + 1e-9
        assert len(found) == n or not found or sum(shares) == pytest.approx(1.0)
        assert len({reason.item_id for reason in found}) == len(found)
        assert {reason.item_id for reason in found} <= set(own.tolist())

    def test_terms_add_up_to_the_score_where_the_family_says_so(self) -> None:
        for row in self.model.history.users.rows(self.users[:5]) if self.adds_up else []:
            scores = self.model.score_users(np.array([row]))[0]
            items = self.model.items_of(int(row))
            for item in np.argsort(-scores)[:5]:
                terms = self.model.contributions(int(row), items, int(item))
                assert terms.sum() == pytest.approx(float(scores[item]), rel=self.adds_up)

    def test_fold_in_of_the_same_data_gives_the_same_lists(self) -> None:
        if not self.model.folds_in:
            with pytest.raises(InvalidValue, match="train it again"):
                self.model.fold_in(planted_split(self.rated).train)
            return
        folded = self.model.fold_in(planted_split(self.rated).train)
        left, right = folded.recommend(self.users, 10), self.model.recommend(self.users, 10)
        same = [len(np.intersect1d(a[a >= 0], b[b >= 0])) for a, b in zip(left.ids, right.ids, strict=True)]
        assert sum(same) >= 0.9 * (right.ids >= 0).sum()

    def test_a_new_shopper_is_folded_in(self) -> None:
        if not self.model.folds_in:
            return
        item = ITEM_BASE + 20
        rows = [(9_001, item), (9_001, item + 1), (9_001, UNKNOWN_ITEM), (9_002, UNKNOWN_ITEM)]
        frame = pd.DataFrame(rows, columns=["user_id", "item_id"]).assign(
            timestamp=planted_split(self.rated).train.end + np.arange(4.0)
        )
        folded = self.model.fold_in(Dataset.from_frames(frame))
        assert folded.history.items is self.model.history.items
        lists = folded.recommend([9_001, int(self.users[0])], 10)
        assert (lists.lengths[0] > 0) == ("users" in self.says and self.tells_new)
        assert (lists.lengths[1] > 0) == self.answers_strangers
        assert not np.isin([item, item + 1, UNKNOWN_ITEM], lists.ids).any()
        assert (folded.recommend([9_001], 10, exclude="none").lengths[0] > 0) == ("users" in self.says)
        assert_same(folded.similar([item], 10), self.model.similar([item], 10))
        assert len(self.model.recommend([9_001], 10).row(0)[0]) == 0 or self.answers_strangers

    def test_a_warm_start_is_used_or_ignored(self) -> None:
        options = TrainOptions(start=self.model)
        again = train(self.family, {"preset": "tiny"}, planted_split(self.rated).train, options)
        if not self.model.warm_starts:
            assert_same(again.recommend(self.users, 20), self.model.recommend(self.users, 20))
        else:
            truth = truth_of(planted_split(self.rated), "all")
            top = again.recommend(truth.users, 20, exclude="none")
            found = evaluate_lists(top, truth, planted_split(self.rated).catalogue_size).mean("ndcg10")
            assert found >= ndcg(self.family, "all") * 0.95

    def test_a_folder_of_another_version_is_refused(self, tmp_path: Path) -> None:
        self.model.save(tmp_path / "model")
        parts = parts_read(tmp_path / "model")
        gone = min(parts.arrays)
        old = replace(parts, arrays={name: array for name, array in parts.arrays.items() if name != gone})
        with pytest.raises(ArtifactInvalid, match="retrain"):
            type(self.model).from_artifact(old)
        with pytest.raises(ArtifactInvalid, match="retrain"):
            type(self.model).from_artifact(replace(parts, config={**parts.config, "gone": 1}))

    def test_same_seed_same_result(self) -> None:
        again = train(self.family, {"preset": "tiny"}, planted_split(self.rated).train, TrainOptions(seed=0))
        assert_same(again.recommend(self.users, 20), self.model.recommend(self.users, 20))

    def test_batch_equals_single(self) -> None:
        few = self.users[:12]
        batch = self.model.recommend(few, 20)
        single = TopN.stack([self.model.recommend([int(user)], 20) for user in few], 20)
        assert_close(batch, single)
        batch = self.model.recommend_sessions(self.sessions, 20)
        assert_close(batch, TopN.stack([self.model.recommend_sessions([s], 20) for s in self.sessions], 20))

    def test_blocks_side_by_side_give_the_same_lists(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = self.model.recommend(self.users, 20)
        alone = self.model.recommend_sessions(self.sessions, 20)
        monkeypatch.setattr(type(self.model), "block_cells", 7 * len(self.model.history.items))
        monkeypatch.setattr(self.model, "threads", 3)
        assert_close(self.model.recommend(self.users, 20), whole)
        monkeypatch.setattr(type(self.model), "block_cells", 1)
        assert_close(self.model.recommend_sessions(self.sessions, 20), alone)

    def test_the_scale_of_event_weights_changes_no_list(self) -> None:
        frame = interactions_frame(rated=self.rated)
        frame["weight"] *= 8.0
        scaled = Dataset.from_frames(frame, items_frame(), shoppers_frame()).before(
            planted_split(self.rated).cut
        )
        again = train(self.family, {"preset": "tiny"}, scaled)
        assert_close(again.recommend(self.users, 20), self.model.recommend(self.users, 20))

    def test_cancellation_is_honoured(self) -> None:
        calls = 0

        def stop() -> bool:
            nonlocal calls
            calls += 1
            return calls > 1

        with pytest.raises(Cancelled):
            train(self.family, {"preset": "tiny"}, planted(self.rated), TrainOptions(should_stop=stop))

    def test_progress_rises_to_the_end(self) -> None:
        seen: list[Progress] = []
        train(self.family, {"preset": "tiny"}, planted(self.rated), TrainOptions(on_progress=seen.append))
        fractions = [progress.fraction for progress in seen]
        assert fractions == sorted(fractions)
        assert seen[0].fraction == 0.0
        assert seen[-1] == Progress("fitted", 1.0)

    def test_the_smallest_shop_trains(self) -> None:
        frame = interactions_frame(rated=self.rated)
        kind = "rating" if self.rated else "purchase"
        frame = frame[(frame["kind"] == kind) & (frame["user_id"] >= 0)].head(1)
        model = train(self.family, {"preset": "tiny"}, Dataset.from_frames(frame))
        assert len(model.recommend(frame["user_id"].tolist(), 10)) == 1
        if self.rated:
            return  # a rating nobody gave is none
        anonymous = replace(Dataset.from_frames(frame.assign(user_id=-1)))
        assert len(train(self.family, {"preset": "tiny"}, anonymous).recommend([UNKNOWN_USER], 10)) == 1

    def test_no_events_are_named_as_the_problem(self) -> None:
        with pytest.raises(DataMissing, match="no events"):
            train(
                self.family,
                {"preset": "tiny"},
                Dataset.from_frames(interactions_frame(rated=self.rated).head(0)),
            )

    def test_every_preset_is_a_valid_config(self) -> None:
        family = FAMILIES[self.family]
        for config in family.presets.values():
            assert family.config_class.from_dict(config.to_dict()) == config

    def test_it_fits_on_the_cpu(self) -> None:
        model = train(
            self.family, {"preset": "tiny"}, planted_split(self.rated).train, TrainOptions(device="cpu")
        )
        assert_same(model.recommend(self.users, 20), self.model.recommend(self.users, 20))

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
    def test_it_fits_on_cuda_as_on_the_cpu(self) -> None:
        truth = truth_of(planted_split(self.rated), "all")
        model = train(
            self.family, {"preset": "tiny"}, planted_split(self.rated).train, TrainOptions(device="cuda")
        )
        top = model.recommend(truth.users, 20, exclude="none")
        found = evaluate_lists(top, truth, planted_split(self.rated).catalogue_size).mean("ndcg10")
        assert found == pytest.approx(ndcg(self.family, "all"), abs=0.02)

    def test_quality_floor_on_planted_data(self) -> None:
        for variant, floor in self.floors.items():
            assert ndcg(self.family, variant) >= floor

    def test_it_beats_popularity_where_it_should(self) -> None:
        for variant in self.beats:
            assert ndcg(self.family, variant) > ndcg("popular", variant) * 1.3
