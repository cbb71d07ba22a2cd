"""What a recipe's page tells of its live version: figures, segments, examples with reasons, cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.catalog.selectors import ProductFacts, product_get_many
from apps.events.models import Shopper
from apps.portal.lookups import reader_language
from apps.portal.model_lines import PROTOCOLS, Cell, cell
from apps.portal.words.model_settings import setting_words, value_text
from apps.portal.words.ranker_facts import fact_words
from apps.portal.words.sources import sources_named
from apps.training.models import ModelVersion

# Name and one sentence of every figure a version may hold, in the order they are shown.
FIGURES: Mapping[str, tuple[Any, Any]] = {
    "ndcg10": (
        "NDCG@10",
        gettext_lazy("How high what was bought stands in the first 10; 1 is perfect."),
    ),
    "recall20": ("Recall@20", gettext_lazy("The share of what was bought that is among the first 20.")),
    "precision10": ("Precision@10", gettext_lazy("The share of the first 10 that was bought.")),
    "f1_10": ("F1@10", gettext_lazy("Precision and recall of the first 10 in one figure.")),
    "map10": ("MAP@10", gettext_lazy("Precision averaged over the places of what was bought.")),
    "mrr10": ("MRR@10", gettext_lazy("One divided by the place of the first product that was bought.")),
    "hit10": ("Hit@10", gettext_lazy("The share of shoppers who bought any of the first 10.")),
    "auc": ("AUC", gettext_lazy("How often a bought product stands above one that was not.")),
    "coverage10": ("Coverage@10", gettext_lazy("The share of the catalogue in somebody's first 10.")),
    "gini10": ("Gini@10", gettext_lazy("0: all products are shown alike; 1: one is shown to everybody.")),
    "novelty10": (gettext_lazy("Novelty"), gettext_lazy("How little known the products shown are, in bits.")),
    "serendipity10": (
        gettext_lazy("Serendipity"),
        gettext_lazy("The share of what was bought that is no bestseller."),
    ),
    "diversity10": (gettext_lazy("Diversity"), gettext_lazy("How unlike the products of one list are.")),
    "calibration10": (
        gettext_lazy("Calibration"),
        gettext_lazy("How far the categories shown are from those bought; 0 is best."),
    ),
    "popularity10": (
        gettext_lazy("Popularity of what is shown"),
        gettext_lazy("How popular the products shown are, 0 to 1."),
    ),
    "head_share10": (
        gettext_lazy("Share of bestsellers"),
        gettext_lazy("The share of the products shown that are bestsellers."),
    ),
}
SEGMENTS: Mapping[str, Any] = {
    "new": gettext_lazy("Shoppers with little history"),
    "returning": gettext_lazy("Returning shoppers"),
    "head": gettext_lazy("Bestsellers"),
    "tail": gettext_lazy("The long tail"),
}
SOURCES = "sources"
"""The one setting that is no number: what a learned ranking orders."""
SEGMENT_FIGURES = ("ndcg10", "recall20")


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure on each protocol."""

    name: str
    help: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment's figures on one protocol."""

    name: str
    shoppers: int | None
    values: list[float | None]


@dataclass(frozen=True, slots=True)
class Reason:
    """What speaks for a recommendation: a product of the history or a search, with its share."""

    title: str
    share: float


@dataclass(frozen=True, slots=True)
class Example:
    """A recommendation with its reasons."""

    shopper: str
    title: str
    sku: str
    reasons: list[Reason]

    @property
    def words(self) -> str:
        """What is recommended to whom; the reasons follow."""
        who = self.shopper or _("a shopper")
        return _("For %(shopper)s: %(product)s, because they chose:") % {
            "shopper": who,
            "product": self.title,
        }


@dataclass(frozen=True, slots=True)
class CostRow:
    """What a version cost and brought. gain: NDCG@10 above popularity; per_minute: of it, per core-minute."""

    version: ModelVersion
    core_seconds: float | None
    memory_mb: float | None
    gain: float | None
    low: float | None
    high: float | None
    per_minute: float | None
    previous: dict[str, Any] | None


def figure_rows(version: ModelVersion) -> list[FigureRow]:
    """Every figure that the version holds, on both protocols."""
    rows = [
        FigureRow(str(name), str(told), [cell(version, protocol, code) for protocol in PROTOCOLS])
        for code, (name, told) in FIGURES.items()
    ]
    return [row for row in rows if any(one.value is not None for one in row.cells)]


def segment_rows(version: ModelVersion, protocol: str) -> list[SegmentRow]:
    """The segments' figures; empty for a version judged without them."""
    found = version.metrics.get(protocol, {}).get("segments", {})
    return [
        SegmentRow(
            str(SEGMENTS[code]),
            round(figures["users"]) if "users" in figures else None,
            [figures.get(name) if figures.get("users") else None for name in SEGMENT_FIGURES],
        )
        for code, figures in found.items()
        if code in SEGMENTS
    ]


def examples(version: ModelVersion) -> list[Example]:
    """The version's explained recommendations; a product or shopper that is gone is left out or unnamed."""
    stored = version.example.get("shown", [])
    reasons = [reason for one in stored for reason in one["reasons"]]
    items = {one["item"] for one in [*stored, *reasons] if "item" in one}
    products = product_get_many(items, language=reader_language())
    shoppers = dict(
        Shopper.objects.filter(pk__in={one["user"] for one in stored}).values_list("pk", "external_id")
    )
    return [
        Example(
            shopper=shoppers.get(one["user"], ""),
            title=products[one["item"]].title,
            sku=products[one["item"]].sku,
            reasons=[
                Reason(title, reason["share"])
                for reason in one["reasons"]
                if (title := _reason_title(reason, products))
            ],
        )
        for one in stored
        if one["item"] in products
    ]


def _reason_title(reason: Mapping[str, Any], products: Mapping[int, ProductFacts]) -> str:
    """The product or the search; "" for a product that is gone."""
    if "query" in reason:
        return _("searched for “%(query)s”") % {"query": reason["query"]}
    found = products.get(reason["item"])
    return found.title if found else ""


def leading(version: ModelVersion) -> list[str]:
    """Titles of what a list for everybody begins with; empty for personal lists."""
    ids = version.example.get("leading", [])
    products = product_get_many(ids, language=reader_language())
    return [products[one].title for one in ids if one in products]


def importance_rows(version: ModelVersion) -> list[tuple[str, float]]:
    """What a learned ranking looks at, with its share of all that it gains by; empty for other families."""
    names = {code: source.name for code, source in sources_named().items()}
    found = version.example.get("importance", {})
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    return [(fact_words(feature, names), share) for feature, share in ordered]


def cost_rows(versions: Sequence[ModelVersion], protocol: str) -> list[CostRow]:
    """Cost and gain of versions that know what they cost, in the order given."""
    return [_cost_row(version, protocol) for version in versions if version.cost]


def _cost_row(version: ModelVersion, protocol: str) -> CostRow:
    checks = [one for one in version.gate.get("checks", []) if one["protocol"] == protocol]
    popular = next((one for one in checks if one["against"] == "popular"), None)
    core = version.cost.get("core_seconds")
    gain = popular["difference"] if popular and version.recipe.family != "popular" else None
    return CostRow(
        version=version,
        core_seconds=core,
        memory_mb=version.cost.get("peak_memory_mb"),
        gain=gain,
        low=popular["low"] if popular and gain is not None else None,
        high=popular["high"] if popular and gain is not None else None,
        per_minute=gain / (core / 60) if gain is not None and core else None,
        previous=next((one for one in checks if one["against"] == "live"), None),
    )


def settings_told(config: Mapping[str, Any], family: str) -> list[tuple[str, str, str]]:
    """Every setting of a version: what it is called, its value, and what it does."""
    found = []
    # what is ordered comes before how
    for name, value in sorted(config.items(), key=lambda pair: pair[0] != SOURCES):
        if name == SOURCES:
            named = sources_named()
            ordered = [named[code].name if code in named else code for code in value]
            found.append((_("Sources it orders"), _(", ").join(ordered) or _("what is live"), ""))
            continue
        words, told = setting_words(name, family)
        found.append((words, value_text(value, name), told))
    return found
