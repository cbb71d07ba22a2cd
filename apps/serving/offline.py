"""What weights would have been worth: the served blend on the lists that the live versions were judged by.

Lists, truth and metrics come from each version's artifact folder (training.registry). The first call of a
process reads and lays them out; after that another set of weights costs one product and one count of hits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from apps.core.errors import InvalidInput
from apps.ml.blend import BlendTable
from apps.ml.evaluate import USER_METRICS, VARIANTS, Truth, Variant, per_user_metrics
from apps.ml.topn import SERVED_LIST_LENGTH
from apps.serving.memory import memory_current
from apps.training.evaluations import Judged, judged_read
from apps.training.models import ModelVersion

SHOWN = 20
Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class OfflineFigures:
    """metrics: means over test shoppers (ndcg10, recall20, mrr10, hit10, precision10) and coverage10.
    intervals: 95 % normal-approximation interval of each mean. sources: what took part; left_out: weighted
    sources whose version was judged on other data, or not at all.
    """

    protocol: str
    users: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    sources: tuple[str, ...]
    left_out: tuple[str, ...]

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
    """Lists of several sources over one set of test shoppers, laid out for blending."""

    sources: tuple[str, ...]
    table: BlendTable
    truth: Truth
    catalogue_size: int


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
    vector = [float(weights.get(source, 0.0)) for source in laid.sources]
    top = laid.table.blend(vector, SHOWN)
    per_user = per_user_metrics(top, laid.truth)
    users = len(laid.truth)
    metrics: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for name in USER_METRICS:
        values = per_user[name]
        mean = float(values.mean())
        half = Z95 * float(values.std(ddof=1)) / float(np.sqrt(users)) if users > 1 else 0.0
        metrics[name] = round(mean, 6)
        intervals[name] = (round(mean - half, 6), round(mean + half, 6))
    shown = np.unique(top.ids[:, :10])
    metrics["coverage10"] = round(float((shown >= 0).sum()) / max(laid.catalogue_size, 1), 6)
    left_out = tuple(source for source in wanted if source not in laid.sources)
    return OfflineFigures(protocol, users, metrics, intervals, laid.sources, left_out)


@lru_cache(maxsize=8)
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
    tops = [one.top.head(SERVED_LIST_LENGTH) for one in group.values()]
    first = next(iter(group.values()))
    return _Laid(tuple(group), BlendTable.from_lists(tops, normalisation), first.truth, first.catalogue_size)
