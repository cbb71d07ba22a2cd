"""What is asked of our lists on Online Retail, and whether it was reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.ml.evaluate import Variant
from tests.benchmarks.models.ensembles import BLENDED, HYBRID, STACKED, STACKED_WIDE
from tests.benchmarks.models.entrants import BAR, BAR_WIDE, CHOICE, PERSONAL
from tests.benchmarks.models.standings import LEAST_COVERAGE, Ratio, Standing, ratio

COMBINATIONS = (HYBRID, STACKED, STACKED_WIDE, BLENDED, CHOICE)
REFERENCE = "implicit ALS"


@dataclass(frozen=True)
class Goal:
    """a relative to b. target: the least ratio of the windows' means. aim: what to hope for, 0 for none."""

    variant: Variant
    metric: str
    a: str
    b: str
    ratio: Ratio
    target: float
    aim: float = 0.0

    @property
    def met(self) -> bool:
        """Reached, and where more than a draw is asked also beyond chance."""
        return self.ratio.windows >= self.target and (self.target < 1 or self.ratio.low > 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "goal": f"{self.metric} on {self.variant}: {self.a} / {self.b}",
            "figure": round(self.ratio.windows, 4),
            "pooled": [round(value, 4) for value in (self.ratio.pooled, self.ratio.low, self.ratio.high)],
            "by_window": [round(value, 4) for value in self.ratio.by_window],
            "target": self.target,
            "aim": self.aim or None,
            "met": self.met,
        }


def best(
    standings: Sequence[Standing], variant: Variant, metric: str = "ndcg10", coverage: float = 0.0
) -> Standing | None:
    """The highest mean of the windows; None when nobody has lists with that coverage."""
    able = [
        one for one in standings if not one.error and one.mean(variant, "coverage10") >= coverage
    ]  # errors stand in the table, not here
    return max(able, key=lambda one: one.mean(variant, metric), default=None)


def goals_of(standings: Sequence[Standing]) -> list[Goal]:
    """All goals that can be judged by what took part.

    The best of ours is the combination with the highest NDCG@10 that keeps the coverage asked for on *new*;
    the best peer is the best on the test windows themselves, which favours it.
    """
    named = {one.name: one for one in standings if not one.error}
    ours = [named[name] for name in COMBINATIONS if name in named]
    peers = [one for one in standings if not one.ours]
    found: list[Goal] = []

    def compare(
        a: Standing | None,
        b: Standing | None,
        variant: Variant,
        target: float,
        aim: float = 0.0,
        metric: str = "ndcg10",
    ) -> None:
        if a is not None and b is not None:
            found.append(Goal(variant, metric, a.name, b.name, ratio(a, b, variant, metric), target, aim))

    new = best(ours, "new", coverage=LEAST_COVERAGE) or best(ours, "new")
    everything = best(ours, "all")
    compare(new, best(peers, "new"), "new", 1.28, 1.4)
    compare(everything, named.get(REFERENCE), "all", 1.4, 1.5)
    compare(everything, named.get(PERSONAL), "all", 1.17, 1.25)
    compare(everything, best(peers, "all"), "all", 1.0)
    for bar in (BAR, BAR_WIDE):
        compare(new, named.get(bar), "new", 1.08)
        compare(new, named.get(bar), "new", 0.98, metric="recall20")
    return found


def coverage_goal(standings: Sequence[Standing]) -> dict[str, Any]:
    """Coverage of the combination the goals on *new* are judged by."""
    ours = [one for one in standings if one.name in COMBINATIONS]
    new = best(ours, "new", coverage=LEAST_COVERAGE) or best(ours, "new")
    figure = 0.0 if new is None else new.mean("new", "coverage10")
    return {
        "goal": f"coverage@10 on new: {'nobody' if new is None else new.name}",
        "figure": round(figure, 4),
        "target": LEAST_COVERAGE,
        "met": figure >= LEAST_COVERAGE,
    }
