"""What the sources of a blend are called, and what each one knows, for people who sell things."""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from apps.merchandising.blends import BUILT_IN_SOURCES, NEWNESS
from apps.training.models import Recipe
from apps.training.selectors import versions_live

COLOURS = 8
NEWNESS_COLOUR = 8  # the one source without a model has the colour of ink
# The built-in sources; a recipe of the shop's own goes by the name it was given.
NAMES = {
    "popular": (_("Popularity"), _("What sells most in the whole shop; recent sales count more.")),
    "trend": (_("Recent trend"), _("What sells faster now than it did before.")),
    "personal": (_("Buy again"), _("What this shopper buys again and again, and lately.")),
    "item_knn": (_("Bought together"), _("What others bought along with this shopper's products.")),
    "user_knn": (_("Shoppers alike"), _("What shoppers with a similar history bought.")),
    "content": (_("Similar content"), _("Products whose text and category resemble this shopper's.")),
    "als": (_("Taste match"), _("Hidden tastes learned from everybody's history (iALS).")),
    NEWNESS: (_("Newness"), _("How lately a product came into the shop.")),
    "ease": (_("Product links"), _("Links between products learned from everybody's baskets (EASE).")),
}
# What fills a slate when the blend has too few products.
FILL = {
    "rule": _("Placed by a rule"),
    "trend": _("Recent trend"),
    "popular": _("Popularity"),
    "catalogue": _("Newest in the catalogue"),
}


@dataclass(frozen=True, slots=True)
class SourceName:
    """One source as people see it; `color` is its fixed place among the eight source colours."""

    code: str
    name: str
    summary: str
    color: int


def _named(code: str, color: int, fallback: str = "") -> SourceName:
    name, summary = NAMES.get(code, (fallback or code, ""))
    return SourceName(code, str(name), str(summary), color)


def sources_named() -> dict[str, SourceName]:
    """Every source a blend may name, by code, in the fixed order of their colours."""
    found = {code: _named(code, color) for color, code in enumerate(BUILT_IN_SOURCES)}
    for recipe in Recipe.objects.order_by("color", "code"):
        found[recipe.code] = _named(recipe.code, recipe.color % COLOURS, recipe.name)
    found[NEWNESS] = _named(NEWNESS, NEWNESS_COLOUR)
    return found


def sources_live() -> set[str]:
    """Codes of the sources that have something to say: a live model, or none needed."""
    return {NEWNESS, *versions_live()}


def source_name(code: str, known: dict[str, SourceName]) -> str:
    """The name of a source or of a fill."""
    if code in known:
        return known[code].name
    return str(FILL.get(code) or code)
