"""Each dial does what it says, compared with torch's own parts used by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from apps.ml.base import Progress, TrainOptions
from apps.ml.configs.dials import Dials
from apps.ml.errors import Cancelled, InvalidValue
from apps.ml.optimise import TensorBatches, activation_of, optimise, rate_share

PLAIN = Dials(
    optimiser="sgd", learning_rate=0.05, clip_norm=None, batch_size=8, epochs=3, patience=None, warmup=0.0
)


def rows(n: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(5)
    x = torch.randn(n, 4, generator=rng)
    return x, x @ torch.tensor([1.0, -2.0, 0.5, 0.0]) + 0.1 * torch.randn(n, generator=rng)


def linear() -> nn.Linear:
    torch.manual_seed(3)
    return nn.Linear(4, 1)


def squared(net: nn.Module, batch: Sequence[torch.Tensor]) -> torch.Tensor:
    x, y = batch
    return ((net(x).squeeze(1) - y) ** 2).mean()


def fit(dials: Dials, **given: Any) -> tuple[nn.Linear, list[dict[str, Any]]]:
    net = given.pop("net", None) or linear()
    options = given.pop("options", TrainOptions())
    batches = TensorBatches(rows(), dials.batch_size)
    return net, optimise(net, batches, given.pop("loss", squared), dials, options, **given)


def by_hand(
    make: Callable[[Any], torch.optim.Optimizer], epochs: int = 3, batch: int = 8, clip: float | None = None
) -> nn.Linear:
    """The same steps written out, with the same order of rows."""
    net, (x, y) = linear(), rows()
    stepper = make(net.parameters())
    rng = np.random.default_rng((0, 0))
    for _ in range(epochs):
        for part in torch.from_numpy(rng.permutation(len(x))).split(batch):
            stepper.zero_grad()
            squared(net, (x[part], y[part])).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(net.parameters(), clip)
            stepper.step()
    return net


def assert_equal(left: nn.Module, right: nn.Module) -> None:
    for ours, theirs in zip(left.parameters(), right.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", lambda p, d: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=d)),
        ("adam", lambda p, d: torch.optim.Adam(p, lr=0.05, weight_decay=d)),
        ("adamw", lambda p, d: torch.optim.AdamW(p, lr=0.05, weight_decay=d)),
        ("adamax", lambda p, d: torch.optim.Adamax(p, lr=0.05, weight_decay=d)),
    ],
)
def test_an_optimiser_takes_the_steps_of_torchs_own(name: Any, make: Any, decay: float) -> None:
    net, _ = fit(replace(PLAIN, optimiser=name, l2=decay))
    assert_equal(net, by_hand(lambda parameters: make(parameters, decay)))


def test_a_first_adam_step_is_bias_corrected() -> None:
    net, _ = fit(replace(PLAIN, optimiser="adam", learning_rate=0.01, epochs=1, batch_size=24))
    moved = (net.weight - linear().weight).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.01), rtol=1e-3, atol=1e-5)


def test_the_gradient_is_clipped_to_the_norm() -> None:
    net, _ = fit(replace(PLAIN, clip_norm=0.2))
    assert_equal(net, by_hand(lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), clip=0.2))


def test_l1_drives_useless_weights_to_zero_and_l2_shrinks_all() -> None:
    dials = replace(PLAIN, epochs=150, learning_rate=0.01)
    plain, _ = fit(dials)
    sparse, _ = fit(replace(dials, l1=0.3))
    small, _ = fit(replace(dials, l2=2.0))
    assert abs(float(sparse.weight.detach()[0, 3])) < 0.02
    assert float(sparse.weight.detach()[0, 1]) < -1.5
    assert float(small.weight.detach().norm()) < 0.75 * float(plain.weight.detach().norm())


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1.0, 1.0, 0.5 + np.sqrt(0.125), 0.5, 0.5 - np.sqrt(0.125)]),
        ("plateau", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_schedules(schedule: Any, expected: list[float]) -> None:
    dials = replace(PLAIN, schedule=schedule, warmup=1 / 3)
    assert [rate_share(dials, step, 6) for step in range(6)] == pytest.approx(expected)
    assert rate_share(replace(dials, schedule="linear"), 6, 6) == 0.0


def test_the_rate_of_a_schedule_is_used_and_noted() -> None:
    _, history = fit(replace(PLAIN, schedule="linear", epochs=4))
    assert [row["learning_rate"] for row in history] == pytest.approx([0.0375, 0.025, 0.0125, 0.0])


def test_a_plateau_halves_the_rate() -> None:
    figures = iter([1.0, 2.0, 1.5, 1.5, 1.5, 1.5, 1.5])
    _, history = fit(
        replace(PLAIN, schedule="plateau", epochs=7), validate=lambda net: next(figures), net=linear()
    )
    assert [row["learning_rate"] for row in history] == pytest.approx(
        [0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125]
    )


def test_early_stopping_restores_the_best_weights() -> None:
    figures = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    seen = []

    def judge(net: nn.Module) -> float:
        assert not net.training
        seen.append({name: value.clone() for name, value in net.state_dict().items()})
        return next(figures)

    net, history = fit(replace(PLAIN, epochs=50, patience=2), validate=judge)
    assert [row["metric"] for row in history] == [0.1, 0.5, 0.4, 0.3]
    assert [row["best"] for row in history] == [True, True, False, False]
    assert all(torch.equal(value, seen[1][name]) for name, value in net.state_dict().items())
    assert not torch.equal(seen[1]["weight"], seen[3]["weight"])


def test_the_history_tells_each_epoch_and_progress_rises() -> None:
    told: list[Progress] = []
    _, history = fit(replace(PLAIN, epochs=4), options=TrainOptions(on_progress=told.append))
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[-1]["loss"] < history[0]["loss"]
    assert all(row["seconds"] > 0 for row in history)
    epochs = [progress for progress in told if progress.epochs]
    assert [progress.epoch for progress in epochs] == [1, 2, 3, 4]
    assert [progress.metric for progress in epochs] == [row["loss"] for row in history]
    assert [p.fraction for p in told] == sorted(p.fraction for p in told)
    assert told[-1].fraction == 1.0


def test_training_can_be_cancelled_inside_an_epoch() -> None:
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls > 2

    with pytest.raises(Cancelled):
        fit(replace(PLAIN, epochs=1), options=TrainOptions(should_stop=stop))


def test_learning_ends_with_its_seconds_and_the_rate_has_come_down() -> None:
    dials = replace(PLAIN, epochs=10**6, schedule="linear")
    _, history = fit(dials, options=TrainOptions(seconds=0.3))
    assert sum(row["seconds"] for row in history) >= 0.29
    assert history[-1]["epoch"] < 10**6
    # by the steps alone it would not have moved yet
    assert history[-1]["learning_rate"] < 0.9 * dials.learning_rate


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    def net() -> nn.Sequential:
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 1))

    def weights(seed: int) -> torch.Tensor:
        return fit(PLAIN, net=net(), options=TrainOptions(seed=seed))[0].state_dict()["0.weight"]

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_bfloat16_runs_the_products_in_half_width_and_reaches_the_same_place() -> None:
    types = set()

    def loss(net: nn.Module, batch: Sequence[torch.Tensor]) -> torch.Tensor:
        types.add(net(batch[0]).dtype)
        return squared(net, batch)

    dials = replace(PLAIN, epochs=60)
    half, history = fit(replace(dials, precision="bfloat16"), loss=loss)
    whole, exact = fit(dials)
    assert types == {torch.bfloat16}
    assert half.weight.dtype == torch.float32
    torch.testing.assert_close(half.weight, whole.weight, rtol=0.0, atol=0.03)
    assert history[-1]["loss"] == pytest.approx(exact[-1]["loss"], abs=0.02)


def test_a_loss_that_is_no_number_names_the_dial() -> None:
    with pytest.raises(InvalidValue, match="learning_rate"):
        fit(replace(PLAIN, learning_rate=1e9, epochs=20))


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "tanh", "sigmoid"])
def test_activations_are_torchs(name: Any) -> None:
    x = torch.linspace(-2, 2, 9)
    function = getattr(torch.nn.functional, name)
    torch.testing.assert_close(activation_of(name)(x), function(x))


def test_shares_are_below_one() -> None:
    with pytest.raises(InvalidValue, match="warmup"):
        Dials(warmup=1.0)
