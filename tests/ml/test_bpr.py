from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from apps.ml.base import TrainOptions
from apps.ml.configs.factors import BprConfig
from apps.ml.dataset import Dataset
from apps.ml.models.bpr import BprModel, _Learner
from apps.ml.signals import user_item
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted


class TestBpr(Conformance):
    family = "bpr"
    floors = {"new": 0.4, "all": 0.35}


def learner(**settings: float) -> _Learner:
    config = BprConfig.from_dict({"preset": "tiny", **settings})
    return _Learner(user_item(planted(), None, "max"), config, 0, torch.device("cpu"))


def test_gradients_are_those_of_the_objective() -> None:
    """One batch against automatic differentiation of the published sum, duplicates included."""
    one = learner(regularisation=0.0)
    generator = torch.Generator().manual_seed(3)
    user = torch.randint(0, 5, (40,), generator=generator)
    item, other = torch.randint(0, 90, (2, 40), generator=generator)
    users, items = one.users.clone().requires_grad_(), one.items.clone().requires_grad_()
    margin = (users[user] * (items[item] - items[other])).sum(1)
    torch.nn.functional.logsigmoid(margin).sum().backward()
    before, squares = one.items.clone(), one.item_squares.clone()
    one._batch(user, item, other, items_learn=True)
    assert items.grad is not None
    assert users.grad is not None
    step = one.config.learning_rate * items.grad / (squares + items.grad**2).sqrt()
    torch.testing.assert_close(one.items - before, step, rtol=1e-4, atol=1e-6)


def test_what_is_drawn_against_a_choice_was_not_chosen() -> None:
    one = learner()
    user = one.keys // one.n_items
    clashes = np.isin(user * one.n_items + one._others(user), one.keys).mean()
    assert clashes < 0.02


def test_recent_choices_are_drawn_more_often() -> None:
    rows = [(user, item, moment) for user in range(40) for item, moment in ((10, 1.0e9), (20, 1.7e9))]
    rows += [(user, 30, 1.7e9) for user in range(40, 60)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    model = train("bpr", {"preset": "tiny", "half_life_days": 30.0}, Dataset.from_frames(frame))
    lists = model.recommend([1], 3, exclude="none")
    assert lists.ids[0, 0] == 20


def test_the_loss_falls_and_a_warm_start_begins_low() -> None:
    seen: list[float] = []
    options = TrainOptions(on_progress=lambda p: seen.append(p.metric) if p.metric is not None else None)
    model = train("bpr", {"preset": "tiny"}, planted(), options)
    assert seen[-1] < seen[0] * 0.8
    first = seen[0]
    seen.clear()
    options = TrainOptions(on_progress=options.on_progress, start=model)
    train("bpr", {"preset": "tiny", "epochs": 1}, planted(), options)
    assert seen[0] < first * 0.9


def test_folding_in_leaves_the_items_alone() -> None:
    model = train("bpr", {"preset": "tiny"}, planted())
    assert isinstance(model, BprModel)
    folded = model.fold_in(planted())
    np.testing.assert_array_equal(folded.item_factors, model.item_factors)
