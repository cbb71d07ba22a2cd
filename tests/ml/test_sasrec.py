from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from apps.ml.artifacts import Parts
from apps.ml.base import TrainOptions
from apps.ml.configs.sequences import SasRecConfig
from apps.ml.dataset import DAY, Dataset
from apps.ml.errors import InvalidValue
from apps.ml.evaluate import evaluate_lists, truth_of
from apps.ml.models.sasrec import CausalSelfAttention, SasRecModel, SasRecNet
from apps.ml.models.sequence_model import carried_over
from apps.ml.train import train
from tests.ml.conformance import Conformance, fitted
from tests.ml.planted import ITEM_BASE, PER_TASTE, START, interactions_frame, planted_split


class TestSasRec(Conformance):
    family = "sasrec"
    floors = {"new": 0.45, "all": 0.4}


def net() -> SasRecNet:
    torch.manual_seed(2)
    made = SasRecNet(30, SasRecConfig(width=16, max_length=12, heads=2)).eval()
    for weights in made.parameters():  # far from their small start, so that a mistake shows
        torch.nn.init.normal_(weights, std=0.3)
    return made


def test_attention_scales_before_the_softmax_and_looks_back_only() -> None:
    torch.manual_seed(4)
    attention = CausalSelfAttention(16, 2)
    x = 3.0 * torch.randn(3, 7, 16)
    query, key, value = (
        part.detach().view(3, 7, 2, 8).transpose(1, 2) for part in attention.project(x).split(16, dim=2)
    )
    heads = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    by_hand = torch.zeros_like(heads)
    for row, head, position in np.ndindex(3, 2, 7):
        products = [float(query[row, head, position] @ key[row, head, to]) for to in range(position + 1)]
        scaled = np.exp(np.array(products) / math.sqrt(8) - max(products) / math.sqrt(8))
        for to, weight in enumerate(scaled / scaled.sum()):
            by_hand[row, head, position] += float(weight) * value[row, head, to]
    torch.testing.assert_close(heads, by_hand, rtol=1e-4, atol=1e-5)
    merged = attention.merge(by_hand.transpose(1, 2).reshape(3, 7, 16))
    torch.testing.assert_close(attention(x), merged, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("position", [0, 3, 6])
def test_a_later_item_changes_no_earlier_position(position: int) -> None:
    torch.manual_seed(0)
    before = torch.randint(0, 30, (4, 8))
    after = before.clone()
    after[:, position + 1 :] = torch.randint(0, 30, after[:, position + 1 :].shape)
    model = net()
    left, right = model.hidden(before, None), model.hidden(after, None)
    torch.testing.assert_close(left[:, : position + 1], right[:, : position + 1])
    assert not torch.allclose(left[:, position + 1 :], right[:, position + 1 :])


def test_an_earlier_item_and_its_place_do_matter() -> None:
    model = net()
    rows = torch.tensor([[1, 2, 3], [2, 1, 3], [4, 2, 3]])
    scores = model(rows, torch.tensor([3, 3, 3]))
    assert not torch.allclose(scores[0], scores[1], atol=1e-3)
    assert not torch.allclose(scores[0], scores[2], atol=1e-3)


def test_padding_changes_nothing() -> None:
    model = net()
    alone = model(torch.tensor([[5, 6]]), torch.tensor([2]))
    padded = model(torch.tensor([[5, 6, 30, 30], [1, 2, 3, 4]]), torch.tensor([2, 4]))
    torch.testing.assert_close(padded[:1], alone)


def test_the_item_vectors_that_are_read_also_score() -> None:
    model = net()
    rows, lengths = torch.tensor([[3, 9]]), torch.tensor([2])
    expected = model.hidden(rows, None)[:, -1] @ model.items.weight[:30].T + model.level
    torch.testing.assert_close(model(rows, lengths), expected)


def test_a_session_is_one_forward_pass_and_can_be_traced() -> None:
    model = net()
    rows, lengths = torch.tensor([[3, 9, 4, 30]]), torch.tensor([3])
    batch, longest = torch.export.Dim("batch"), torch.export.Dim("longest", max=12)
    shapes = {"items_BM": {0: batch, 1: longest}, "lengths_B": {0: batch}}
    given = (torch.cat([rows, rows]), torch.cat([lengths, lengths]))
    traced = torch.export.export(model, given, dynamic_shapes=shapes).module()
    other = (torch.tensor([[8, 1, 5], [2, 30, 30], [4, 5, 30]]), torch.tensor([3, 1, 2]))
    torch.testing.assert_close(traced(*other), model(*other))


def test_the_history_of_training_is_kept() -> None:
    metrics = fitted("sasrec").metrics
    assert len(metrics["history"]) == metrics["epochs"]
    assert metrics["history"][-1]["loss"] < metrics["history"][0]["loss"]
    assert metrics["core_seconds"] > 0
    assert metrics["peak_memory_mb"] > 50


def test_a_longer_session_than_the_model_reads_counts_by_its_end() -> None:
    model = fitted("sasrec")
    assert isinstance(model, SasRecModel)
    size = model.config.max_length
    ids = ITEM_BASE + np.arange(3 * size) % PER_TASTE
    rows = model.history.items.rows(ids)
    np.testing.assert_allclose(model.score_sessions([rows]), model.score_sessions([rows[-size:]]))


def test_a_warm_start_takes_new_items_in_and_keeps_what_was_learned() -> None:
    frame = interactions_frame()
    frame = frame[frame["timestamp"] < planted_split().cut]
    fresh = [ITEM_BASE + 1, ITEM_BASE + 17, ITEM_BASE + 70]
    old = Dataset.from_frames(frame[~frame["item_id"].isin(fresh) & (frame["timestamp"] < START + 60 * DAY)])
    first = train("sasrec", {"preset": "tiny"}, old)
    now = Dataset.from_frames(frame)
    config = {"preset": "tiny", "warm_epochs": 3}
    second = train("sasrec", config, now, TrainOptions(start=first))
    assert isinstance(first, SasRecModel)
    assert isinstance(second, SasRecModel)
    assert second.metrics["epochs"] == 3
    assert second.net.n_items == first.net.n_items + 3
    top = second.recommend(now.known_users, 15)
    assert np.isin(fresh, top.ids[:, :10]).all()
    truth = truth_of(planted_split(), "all")
    figures = [
        evaluate_lists(model.recommend(truth.users, 20, exclude="none"), truth, 90).mean("ndcg10")
        for model in (second, train("sasrec", config | {"epochs": 3}, now), fitted("sasrec"))
    ]
    assert figures[0] > figures[1]  # three epochs from nothing
    assert figures[0] > 0.9 * figures[2]


def test_weights_are_carried_to_the_rows_of_the_same_items() -> None:
    start = fitted("sasrec")
    assert isinstance(start, SasRecModel)
    n_items = start.net.n_items
    made = SasRecModel.net_of(n_items + 4, start.config)
    rows = np.arange(n_items) + 2
    rows[5] = -1
    untouched = made.items.weight[0].clone()
    known = carried_over(made, start, rows)
    assert known.sum() == n_items - 1
    assert torch.equal(made.items.weight[9], start.net.items.weight[7])
    assert torch.equal(made.level[2:5], start.net.level[:3])
    assert torch.equal(made.items.weight[0], untouched)
    assert torch.equal(made.items.weight[-2:], start.net.items.weight[-2:])
    assert torch.equal(made.state_dict()["norm.weight"], start.net.state_dict()["norm.weight"])
    wider = SasRecModel.net_of(n_items, SasRecConfig(width=32, max_length=20))
    assert not carried_over(wider, start, np.arange(n_items)).any()


@pytest.mark.parametrize(
    "config",
    [
        {"time_buckets": 8},
        {"crop": 0.5, "mask": 0.2, "reorder": 0.5, "horizon": 3, "repeats": "last"},
        {"precision": "bfloat16", "optimiser": "adamax", "schedule": "plateau"},
    ],
)
def test_its_dials_leave_it_a_good_model(config: dict[str, Any]) -> None:
    model = train("sasrec", {"preset": "tiny"} | config, planted_split().train)
    truth = truth_of(planted_split(), "all")
    lists = model.recommend(truth.users, 20, exclude="none")
    assert evaluate_lists(lists, truth, 90).mean("ndcg10") > 0.4
    again = SasRecModel.from_artifact(
        Parts("sasrec", model.config.to_dict(), model.to_arrays(), model.history.to_arrays())
    )
    assert (again.recommend(truth.users, 20, exclude="none").ids == lists.ids).all()


def test_the_width_is_a_multiple_of_the_heads() -> None:
    with pytest.raises(InvalidValue, match="multiple of heads"):
        SasRecConfig(width=10, heads=4)
