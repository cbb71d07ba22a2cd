from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from apps.ml.base import Progress, TrainOptions
from apps.ml.candidates import Held, Trials, sample_of, settings_near
from apps.ml.choice import Choice, Protocol, choose
from apps.ml.configs.factors import EaseConfig
from apps.ml.configs.popularity import PopularConfig
from apps.ml.dataset import DAY
from apps.ml.errors import Cancelled, DataMissing, InvalidValue
from apps.ml.objectives import Objective
from apps.ml.protocols import Variant, split_at
from apps.ml.topn import PADDING_ID
from tests.ml.planted import N_USERS, USER_BASE, planted, taste_of_item, taste_of_user

FEW = ["popular", "personal", "item_knn", "ease"]
USERS = np.arange(USER_BASE, USER_BASE + N_USERS)


class Ticking:
    """A clock that moves only when it is read, so that a budget is a number of readings."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@cache
def chosen(protocol: Protocol = "window", variant: Variant = "all") -> Choice:
    # every family has its turn and a ranker too, and the search of settings comes to an end
    return choose(
        planted(),
        protocol=protocol,
        variant=variant,
        days=15,
        budget_seconds=30.0,
        families=FEW,
        clock=Ticking(0.05),
    )


def test_a_choice_says_what_it_tried_and_why() -> None:
    found = chosen()
    assert set(FEW) <= set(found.by_model)
    assert "hybrid" in found.by_model
    assert set(found.weights) == set(found.configs)
    assert sum(found.weights.values()) == pytest.approx(1.0, abs=0.01)
    assert found.by_model["popular"]["ndcg10"] < found.by_model["ease"]["ndcg10"]
    best = max(found.weights, key=lambda name: found.weights[name])
    assert best != "popular"
    assert any("Orders repeat every" in message for message, _ in found.words)
    assert all(message % params for message, params in found.words)
    told = json.loads(json.dumps(found.to_dict()))
    assert told["configs"][best] == found.configs[best].to_dict()


def test_the_front_between_accuracy_and_coverage_has_no_dominated_point() -> None:
    values = [(point["ndcg"], point["coverage"]) for point in chosen().pareto]
    assert values
    for one in values:
        assert not any(other[0] >= one[0] and other[1] >= one[1] and other != one for other in values)


@pytest.mark.parametrize(
    ("protocol", "variant"), [("window", "all"), ("leave_one_out", "new"), ("given", "new")]
)
def test_a_choice_is_fitted_and_answers_in_every_protocol(protocol: Protocol, variant: Variant) -> None:
    found = chosen(protocol, variant)
    ready = found.fit(planted())
    top = ready.recommend([*USERS[:60].tolist(), 1], 10)
    assert top.ids.shape == (61, 10)
    assert not np.isnan(top.scores).any()
    own = taste_of_item(top.ids[:60, 0]) == taste_of_user(USERS[:60])
    assert own[top.ids[:60, 0] != PADDING_ID].mean() > 0.6
    assert set(ready.lists(USERS[:3])) == {*found.configs, found.kind}
    if protocol != "window":
        assert not any("days" in params for _, params in found.words)


def test_a_tiny_budget_gives_an_answer_and_a_warning() -> None:
    for step in (0.5, 20.0):
        found = choose(planted(), days=20, budget_seconds=5.0, families=FEW, clock=Ticking(step))
        assert found.configs
        assert found.warnings
        assert len(found.by_model) < len(FEW)
        assert found.fit(planted()).recommend(USERS[:2], 5).lengths.min() > 0


def test_a_longer_budget_tries_settings_and_never_those_of_a_hopeless_family() -> None:
    short = choose(planted(), days=20, budget_seconds=6.0, families=["popular", "ease"], clock=Ticking(0.02))
    assert short.by_model["ease"]["ndcg10"] > 2 * short.by_model["popular"]["ndcg10"]
    assert short.configs["ease"].to_dict().keys() == EaseConfig().to_dict().keys()


def test_a_mix_of_aims_is_chosen_by_weights_alone() -> None:
    wide = choose(
        planted(),
        days=20,
        budget_seconds=20.0,
        families=["personal", "ease"],
        variant="all",
        objective=Objective(ndcg=1.0, coverage=1.0, novelty=0.5),
        clock=Ticking(0.1),
    )
    assert wide.ranker is None
    assert {"ndcg", "coverage", "novelty"} <= set(wide.pareto[0])


def test_nobody_to_judge_and_wrong_arguments_are_said() -> None:
    data = planted()
    nobody = data.select(data.user < 0)
    with pytest.raises(DataMissing):
        choose(nobody, families=FEW)
    with pytest.raises(InvalidValue, match="budget_seconds"):
        choose(data, budget_seconds=0)
    with pytest.raises(InvalidValue, match="family"):
        choose(data, families=["magic"])
    with pytest.raises(Cancelled):
        choose(data, families=FEW, options=TrainOptions(should_stop=lambda: True))


def test_progress_is_told() -> None:
    seen: list[Progress] = []
    options = TrainOptions(on_progress=seen.append)
    choose(
        planted(),
        days=20,
        budget_seconds=9.0,
        families=["popular", "ease"],
        options=options,
        clock=Ticking(0.1),
    )
    fractions = [one.fraction for one in seen if one.stage != "ranker"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_settings_near_a_config_differ_in_one_field_and_are_valid() -> None:
    base = PopularConfig()
    found = list(settings_near(base))
    assert {name for name, _ in found} >= {"half_life_days", "anonymous"}
    for name, config in found:
        changed = {key for key, value in config.to_dict().items() if value != base.to_dict()[key]}
        assert changed == {name}
    assert None in [config.to_dict()["half_life_days"] for _, config in found]


def test_a_family_that_fails_is_left_out_with_its_reason() -> None:
    split = split_at(planted(), planted().end - 20 * DAY)
    held = Held.from_split(split, "all", seed=0)
    trials = Trials(TrainOptions(), deadline=1e9, clock=Ticking(0.0))
    empty = Held(
        type(split)(split.train.select(split.train.user < -5), split.test, split.cut), held.truth, "all"
    )
    assert trials.attempt("ease", EaseConfig(), empty) is None
    message, params = trials.warnings[0]
    assert "no events" in message % params


def test_a_sample_keeps_whole_shoppers() -> None:
    part = sample_of(planted(), events=600)
    assert 300 < len(part) < 1_200
    for user in np.unique(part.user):
        assert (part.user == user).sum() == (planted().user == user).sum()
