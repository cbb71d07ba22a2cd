"""The one training loop of every network: dials, early stopping, cancellation, progress, several processes.

Under torchrun every process calls `optimise` with its own share of the data; gradients are averaged by
DistributedDataParallel, and a step is weighted by the terms of all processes, so that it equals the step of
one process with the whole batch. Only the first process reports.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from apps.ml.base import Progress, TrainOptions
from apps.ml.configs.dials import Activation, Dials
from apps.ml.errors import InvalidValue

BatchT = TypeVar("BatchT")
BatchT_co = TypeVar("BatchT_co", covariant=True)

MOMENTUM = 0.9
PLATEAU_FACTOR, PLATEAU_EPOCHS = 0.5, 1
REPORT_SECONDS = 1.0


class Batches(Protocol[BatchT_co]):
    """What is trained on. len(): steps of an epoch; epoch(rng): its batches, drawn with this generator."""

    def __len__(self) -> int: ...

    def epoch(self, rng: np.random.Generator) -> Iterator[BatchT_co]: ...


class Summed(NamedTuple):
    """A loss as a weighted sum and the sum of the weights, where batches hold unequally many terms."""

    total: torch.Tensor
    terms: float


Loss = Callable[[nn.Module, BatchT], torch.Tensor | Summed]
"""Called with the module (or its distributed wrapper: call it, don't look inside) and a batch."""


@dataclass(frozen=True)
class TensorBatches:
    """Rows of parallel tensors, reshuffled every epoch. draw: may replace a batch, e.g. to add negatives.

    tensors: each [n, ...]; batch_size: rows in a step of this process.
    """

    tensors: Sequence[torch.Tensor]
    batch_size: int
    draw: Callable[[np.random.Generator, tuple[torch.Tensor, ...]], tuple[torch.Tensor, ...]] | None = None

    def __len__(self) -> int:
        return -(-len(self.tensors[0]) // self.batch_size)

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[torch.Tensor, ...]]:
        order = torch.from_numpy(rng.permutation(len(self.tensors[0])))
        for rows in order.split(self.batch_size):
            batch = tuple(tensor[rows] for tensor in self.tensors)
            yield batch if self.draw is None else self.draw(rng, batch)


def optimise(
    module: nn.Module,
    batches: Batches[BatchT],
    loss: Loss[BatchT],
    dials: Dials,
    options: TrainOptions,
    validate: Callable[[nn.Module], float] | None = None,
) -> list[dict[str, Any]]:
    """Trains the module in place; returns one dict per epoch run.

    validate: called in evaluation mode after each epoch, higher is better; the best epoch's weights are
    restored at the end. Without it the last weights stay and `patience` has nothing to watch. The dicts hold
    epoch, loss (mean per term, penalties left out), metric (or None), learning_rate at the epoch's end,
    seconds (wall) and best (whether its weights were the best so far). `options.seconds` may end it within an
    epoch. Raises Cancelled when `options.should_stop` says so, InvalidValue when the loss is no number any
    more.
    """
    run = _Run(module, dials, options, _agreed_steps(len(batches)))
    rng = np.random.default_rng((options.seed, process_rank()))
    # each process its own dropout; the starting weights come from the first one's
    torch.manual_seed(options.seed * 1_000_003 + process_rank())
    history: list[dict[str, Any]] = []
    best, waited = -math.inf, 0
    best_state: dict[str, Any] | None = None
    for epoch in range(1, dials.epochs + 1):
        started = time.perf_counter()
        mean = run.epoch(epoch, islice(_cycle(batches, rng), run.steps), loss)
        metric = None if validate is None else _judged(module, validate)
        better = metric is not None and metric > best
        if metric is not None and better:
            best, waited, best_state = metric, 0, copy.deepcopy(module.state_dict())
        else:
            waited += 1
        run.epoch_end(mean if metric is None else -metric)
        history.append(
            {
                "epoch": epoch,
                "loss": mean,
                "metric": metric,
                "learning_rate": run.rate,
                "seconds": round(time.perf_counter() - started, 4),
                "best": better or metric is None,
            }
        )
        run.report(
            Progress(
                "epochs",
                epoch / dials.epochs,
                epoch,
                dials.epochs,
                mean if metric is None else metric,
                "loss" if metric is None else "held-out",
            )
        )
        if run.over or (metric is not None and dials.patience is not None and waited >= dials.patience):
            break
    if best_state is not None:
        module.load_state_dict(best_state)
    module.eval()
    return history


class _Run:
    """The module with its optimiser and its rate."""

    def __init__(self, module: nn.Module, dials: Dials, options: TrainOptions, steps: int) -> None:
        self.dials, self.options, self.steps = dials, options, steps
        self.device = next(module.parameters()).device
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.wrapped = DistributedDataParallel(module) if process_count() > 1 else module
        self.optimiser = optimiser_of(self.parameters, dials)
        self.plateau, self.stale, self.best = 1.0, 0, math.inf
        self.reported_at = 0.0
        # clocks of several processes differ, and all must take equally many steps
        self.limit = options.seconds if process_count() == 1 else None
        self.begun = time.monotonic()
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._share)

    @property
    def rate(self) -> float:
        return float(self.optimiser.param_groups[0]["lr"])

    @property
    def over(self) -> bool:
        """Whether the seconds of the options are used up."""
        return self.limit is not None and time.monotonic() - self.begun >= self.limit

    def _share(self, step: int) -> float:
        steps = self.steps * self.dials.epochs
        if self.limit:
            # where time runs out before the steps do, the rate comes down with the time
            step = max(step, int((time.monotonic() - self.begun) / self.limit * steps))
        return rate_share(self.dials, step, steps) * self.plateau

    def epoch(self, epoch: int, batches: Iterator[BatchT], loss: Loss[BatchT]) -> float:
        """One pass; the mean loss over the terms of all processes."""
        self.wrapped.train()
        total, terms = torch.zeros((), dtype=torch.float64), 0.0
        for step, batch in enumerate(batches, 1):
            self.options.check()
            found = self._step(batch, loss)
            total += found.total.detach().double().cpu()
            terms += found.terms
            self._report_inside(epoch, step)
            if self.over:
                break
        summed = summed_over_processes(torch.stack([total, torch.tensor(terms, dtype=torch.float64)]))
        mean = float(summed[0] / summed[1].clamp_min(1e-6))
        if not math.isfinite(mean):
            remedy = f"The loss is {mean} after epoch {epoch}; use a lower rate or a clip_norm."
            raise InvalidValue("learning_rate", self.dials.learning_rate, remedy)
        return mean

    def _step(self, batch: BatchT, loss: Loss[BatchT]) -> Summed:
        half = self.dials.precision == "bfloat16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half):
            found = loss(self.wrapped, batch)
        if not isinstance(found, Summed):
            found = Summed(found, 1.0)
        goal = found.total * (process_count() / max(_all_terms(found.terms), 1e-6))
        if self.dials.l1:
            goal = goal + self.dials.l1 * sum(weights.abs().sum() for weights in self.parameters)
        self.optimiser.zero_grad(set_to_none=True)
        goal.backward()
        if self.dials.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.dials.clip_norm)
        self.optimiser.step()
        self.scheduler.step()
        return found

    def epoch_end(self, watched: float) -> None:
        """Lowers the rate where nothing was gained; watched: lower is better."""
        if self.dials.schedule != "plateau":
            return
        if watched < self.best:
            self.best, self.stale = watched, 0
            return
        self.stale += 1
        if self.stale > PLATEAU_EPOCHS:
            self.plateau, self.stale = self.plateau * PLATEAU_FACTOR, 0
            for group in self.optimiser.param_groups:
                group["lr"] *= PLATEAU_FACTOR

    def _report_inside(self, epoch: int, step: int) -> None:
        now = time.monotonic()
        if step < self.steps and now - self.reported_at > REPORT_SECONDS:
            self.reported_at = now
            done = (epoch - 1 + step / self.steps) / self.dials.epochs
            self.report(Progress("epochs", done, message=f"epoch {epoch}/{self.dials.epochs}"))

    def report(self, progress: Progress) -> None:
        if process_rank() == 0:
            self.options.report(progress)
        else:
            self.options.check()


def optimiser_of(parameters: Sequence[nn.Parameter], dials: Dials) -> torch.optim.Optimizer:
    """torch's optimiser of this name with the dials' rate and decay."""
    rate, decay = dials.learning_rate, dials.l2
    if dials.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=MOMENTUM, weight_decay=decay)
    if dials.optimiser == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=True)
    if dials.optimiser == "adamax":
        return torch.optim.Adamax(parameters, lr=rate, weight_decay=decay)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)


def rate_share(dials: Dials, step: int, steps: int) -> float:
    """Share of the learning rate in force at this step (from 0) of all steps; plateau is not in it."""
    warm = math.ceil(dials.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    done = min((step - warm) / max(steps - warm, 1), 1.0)
    if dials.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * done))
    if dials.schedule == "linear":
        return 1.0 - done
    return 1.0


def activation_of(name: Activation) -> nn.Module:
    """The activation of this name as a module."""
    modules: dict[str, type[nn.Module]] = {
        "relu": nn.ReLU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
    }
    return modules[name]()


# -- several processes


def process_rank() -> int:
    """This process's number under torchrun, else 0."""
    return torch.distributed.get_rank() if _distributed() else 0


def process_count() -> int:
    """How many processes train together; 1 outside torchrun."""
    return torch.distributed.get_world_size() if _distributed() else 1


def own_batch_size(dials: Dials) -> int:
    """This process's part of the dials' batch."""
    return max(1, dials.batch_size // process_count())


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def summed_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The sum of each process's values, on the CPU; the values themselves outside torchrun."""
    if process_count() > 1:
        values = values.cuda() if torch.distributed.get_backend() == "nccl" else values
        torch.distributed.all_reduce(values)
    return values.cpu()


def _all_terms(terms: float) -> float:
    if process_count() == 1:
        return terms
    return float(summed_over_processes(torch.tensor([terms], dtype=torch.float64))[0])


def _agreed_steps(own: int) -> int:
    """Steps of an epoch: the mean over processes, since all of them must take equally many."""
    total = float(summed_over_processes(torch.tensor([float(own)], dtype=torch.float64))[0])
    return max(1, round(total / process_count()))


def _cycle(batches: Batches[BatchT], rng: np.random.Generator) -> Iterator[BatchT]:
    """The epoch's batches, and again from the start where other processes have more."""
    while len(batches):
        yield from batches.epoch(rng)


def _judged(module: nn.Module, validate: Callable[[nn.Module], float]) -> float:
    """The first process's verdict, told to all."""
    module.eval()
    with torch.no_grad():
        own = validate(module) if process_rank() == 0 else 0.0
    return float(summed_over_processes(torch.tensor([float(own)], dtype=torch.float64))[0])
