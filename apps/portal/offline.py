"""What weights would have been worth on past purchases, beside live's, with intervals and a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from django.utils.translation import gettext as _

from apps.merchandising.models import Placement, PlacementKind
from apps.portal import formats
from apps.serving.offline import OfflineFigures, blend_evaluate


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of the draft and of live, as the reader's language writes it; ranges are 95 % intervals."""

    name: str
    help: str
    draft: str
    draft_range: str
    live: str
    live_range: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table with its verdict (tone: good, bad or muted), or why there is none."""

    rows: tuple[Row, ...] = ()
    verdict: str = ""
    tone: str = "muted"
    sample: str = ""
    missing: str = ""


MEASURES = ("ndcg10", "recall20", "coverage10")


def measure_words(code: str) -> tuple[str, str]:
    """A measure's name and its one sentence."""
    return {
        "ndcg10": (
            _("Found in the first 10 (NDCG@10)"),
            _("How high the products stand that the shopper then bought; 1 is perfect."),
        ),
        "recall20": (
            _("Found in the first 20 (recall@20)"),
            _("The share of what shoppers then bought that is among the first 20."),
        ),
        "coverage10": (
            _("Catalogue shown (coverage@10)"),
            _("The share of the catalogue that appears in somebody's first 10."),
        ),
    }[code]


def _range(figures: OfflineFigures, code: str) -> str:
    interval = figures.intervals.get(code)
    if interval is None:
        return ""
    return f"{formats.number(interval[0], 3)} – {formats.number(interval[1], 3)}"


def _value(figures: OfflineFigures, code: str) -> str:
    value = figures.metrics[code]
    return formats.percent(value, 1) if code.startswith("coverage") else formats.number(value, 3)


def verdict_of(draft: OfflineFigures, live: OfflineFigures) -> tuple[str, str]:
    """Better or worse where the interval of the difference over the same shoppers leaves out 0; what lies
    between may be chance.
    """
    if np.array_equal(draft.per_user["ndcg10"], live.per_user["ndcg10"]):
        return _("The same as live."), "muted"
    gap = draft.difference(live)
    if gap.low > 0:
        return _("▲ Better than live on past purchases."), "good"
    if gap.high < 0:
        return _("▼ Worse than live on past purchases."), "bad"
    return _("No clear difference from live: it may be chance."), "muted"


def offline_figures(placement: Placement, weights: Mapping[str, float]) -> Comparison:
    """The weights and live's, judged on the same shoppers; only placements made for shoppers can be."""
    if placement.kind != PlacementKind.SHOPPER:
        return Comparison(missing=_("Only placements made for a shopper can be measured on past purchases."))
    live = placement.live_publication
    protocol: Literal["new", "all"] = "all" if placement.repeat_purchases else "new"
    normalisation = live.normalisation if live else "z"
    draft = blend_evaluate(weights=weights, protocol=protocol, normalisation=normalisation)
    now = blend_evaluate(weights=live.weights if live else {}, protocol=protocol, normalisation=normalisation)
    if draft is None or now is None:
        return Comparison(missing=_("There is nothing to measure on yet: train the models first."))
    rows = tuple(
        Row(
            *measure_words(code),
            _value(draft, code),
            _range(draft, code),
            _value(now, code),
            _range(now, code),
        )
        for code in MEASURES
    )
    sample = _("%(n)s shoppers whose last purchases no model has seen; intervals at 95%%.")
    verdict, tone = verdict_of(draft, now)
    return Comparison(rows, verdict, tone, sample % {"n": formats.number(draft.users)})
