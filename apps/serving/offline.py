"""What weights would have been worth: the served blend on the lists that the live versions were judged by.

Lists, truth and metrics come from each version's artifact folder (training.registry). They are as long as
those that are stored and read (ml.base.Model.served_lists), so that what is judged is what shoppers get. The
first call of a process reads and lays them out; after that another set of weights costs one product and one
count of hits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from apps.core.errors import InvalidInput
from apps.ml.blend import BlendTable
from apps.ml.evaluate import (
    USER_METRICS,
    VARIANTS,
    Evaluation,
    Interval,
    PerUser,
    Truth,
    Variant,
    paired_difference,
    per_user_metrics,
)
from apps.ml.topn import SERVED_LIST_LENGTH, TopN
from apps.serving.memory import memory_current
from apps.training.evaluations import Judged, judged_read
from apps.training.models import ModelVersion

SHOWN = 20
# Shoppers laid out at once: whole lists of 1,000 take room, what can reach the first SHOWN places does not.
LAID_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class OfflineFigures:
    """metrics: means over test shoppers (ndcg10, recall20, mrr10, hit10, precision10) and coverage10.
    intervals: bootstrap 95 % interval of each mean. sources: what took part; left_out: weighted sources whose
    version was judged on other data, or not at all. per_user: each mean's values, in an order that all
    figures of the same live versions and protocol share.
    """

    protocol: str
    users: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    sources: tuple[str, ...]
    left_out: tuple[str, ...]
    per_user: Mapping[str, PerUser]

    def difference(self, other: "OfflineFigures", metric: str = "ndcg10") -> Interval:
        """This mean less the other's over the same shoppers, with its bootstrap 95 % interval."""
        return paired_difference(self.per_user[metric], other.per_user[metric])

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "protocol": self.protocol,
            "users": self.users,
            "metrics": dict(self.metrics),
            "intervals": {name: list(pair) for name, pair in self.intervals.items()},
            "sources": list(self.sources),
            "left_out": list(self.left_out),
        }


@dataclass(frozen=True, slots=True)
class _Laid:
    """Lists of several sources over one set of test shoppers, laid out for blending, block below block."""

    sources: tuple[str, ...]
    tables: tuple[BlendTable, ...]
    truth: Truth
    catalogue_size: int

    def blend(self, weights: list[float]) -> TopN:
        """The first SHOWN places of every test shopper's slate, before rules."""
        return TopN.stack([table.blend(weights, SHOWN) for table in self.tables], SHOWN)


def blend_evaluate(
    *, weights: Mapping[str, float], protocol: Variant = "new", normalisation: str = "z"
) -> OfflineFigures | None:
    """The figures of these weights under a protocol ('new' or 'all'); None when no weighted source has any.

    Only versions judged on the same test shoppers can be blended; the snapshot with most of the sources
    counts. Raises InvalidInput for an unknown protocol.
    """
    if protocol not in VARIANTS:
        raise InvalidInput(field="protocol", value=protocol, remedy=f"Choose one of {', '.join(VARIANTS)}.")
    versions = memory_current().live.versions
    rows = ModelVersion.objects.filter(pk__in=versions.values()).order_by("recipe__color", "recipe__code")
    judged = rows.values_list("recipe__code", "artifact_path", "snapshot_hash")
    laid = _laid(tuple(judged), protocol, normalisation)
    wanted = [source for source, weight in weights.items() if weight > 0]
    if laid is None or not any(source in laid.sources for source in wanted):
        return None
    top = laid.blend([float(weights.get(source, 0.0)) for source in laid.sources])
    shown = np.unique(top.ids[:, :10])
    coverage = float((shown >= 0).sum()) / max(laid.catalogue_size, 1)
    evaluation = Evaluation(per_user_metrics(top, laid.truth), coverage)
    metrics = {name: round(evaluation.mean(name), 6) for name in (*USER_METRICS, "coverage10")}
    intervals = {name: (round(one.low, 6), round(one.high, 6)) for name, one in evaluation.intervals.items()}
    left_out = tuple(source for source in wanted if source not in laid.sources)
    return OfflineFigures(
        protocol, len(laid.truth), metrics, intervals, laid.sources, left_out, evaluation.per_user
    )


@lru_cache(maxsize=4)
def _laid(versions: tuple[tuple[str, str, str], ...], protocol: Variant, normalisation: str) -> _Laid | None:
    """Read once per process and set of versions, given as source, artifact folder and snapshot."""
    judged: dict[str, dict[str, Judged]] = {}
    for source, folder, snapshot in versions:
        judgement = judged_read(Path(folder) / "eval")
        if judgement is not None and len(judgement[protocol].truth):
            judged.setdefault(snapshot, {})[source] = judgement[protocol]
    if not judged:
        return None
    group = max(judged.values(), key=len)
    first = next(iter(group.values()))
    tables = []
    for start in range(0, len(first.truth), LAID_AT_ONCE):
        rows = np.arange(start, min(start + LAID_AT_ONCE, len(first.truth)))
        tops = [one.top.take(rows) for one in group.values()]
        whole = BlendTable.from_lists(tops, normalisation)
        # Normalised over whole lists; candidates are what some list has among its first ones.
        tables.append(whole.near([top.head(SERVED_LIST_LENGTH) for top in tops]))
    return _Laid(tuple(group), tuple(tables), first.truth, first.catalogue_size)
