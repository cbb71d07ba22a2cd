"""What the sources of a blend are called, and what each one knows, for people who sell things."""

from dataclasses import dataclass, replace

from django.utils.translation import gettext_lazy as _

from apps.merchandising.blends import BUILT_IN_SOURCES, DISCOUNT, DUE, GIVEN, NEWNESS, OWN_SOURCES, SPONSOR
from apps.training.config_fields import family_facts
from apps.training.models import Recipe
from apps.training.selectors import versions_live

COLOURS = 8
OWN_COLOUR = 8  # sources without a model have the colour of ink
TEXTURES = 6  # plain, stripes four ways, checks: more sources than colours stay apart
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
    DISCOUNT: (_("Discount"), _("By how much of its price a product is down.")),
    DUE: (_("Due again"), _("What this shopper is due to buy again.")),
    SPONSOR: (_("Sponsors"), _("What showing it is expected to earn: click rate times bid.")),
    GIVEN: (_("Storefront's order"), _("The order in which the storefront sent the products.")),
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
    """One source as people see it; `color` is its fixed place among the eight source colours, `texture` tells
    it from the others of that colour. `active`: whether its recipe is in use.
    """

    code: str
    name: str
    summary: str
    color: int
    texture: int = 0
    active: bool = True

    @property
    def paint(self) -> str:
        """The CSS background of its dot and its part of a bar."""
        solid = f"var(--source-{self.color})"
        pale = f"color-mix(in oklab, {solid} 35%, var(--rp-surface))"
        stripes = f"{solid} 0 3px, {pale} 3px 6px"
        return (
            solid,
            f"repeating-linear-gradient(135deg, {stripes})",
            f"repeating-linear-gradient(45deg, {stripes})",
            f"repeating-linear-gradient(0deg, {stripes})",
            f"repeating-linear-gradient(90deg, {stripes})",
            f"repeating-conic-gradient({solid} 0 25%, {pale} 0 50%) 0 0 / 6px 6px",
        )[self.texture]


def sources_named() -> dict[str, SourceName]:
    """Every source a blend may name, by code: the built-in ones in the order of their colours, then the
    others by name. Those not in use are among them, since a past slate may name them.
    """
    found = {
        code: SourceName(code, str(NAMES[code][0]), str(NAMES[code][1]), place)
        for place, code in enumerate(BUILT_IN_SOURCES)
    }
    more: dict[str, SourceName] = {}
    for recipe in Recipe.objects.order_by("color", "code"):
        active = recipe.active and recipe.archived_at is None
        if recipe.code in found:
            found[recipe.code] = replace(found[recipe.code], active=active)
        else:
            more[recipe.code] = _recipe_named(recipe, active)
    found |= dict(sorted(more.items(), key=lambda pair: pair[1].name.casefold()))
    for texture, code in enumerate(OWN_SOURCES.values()):
        name, summary = NAMES[code]
        found[code] = SourceName(code, str(name), str(summary), OWN_COLOUR, texture)
    return found


def _recipe_named(recipe: Recipe, active: bool) -> SourceName:
    """A source beyond the built-in ones: a family's own recipe goes by the family's name, a recipe of the
    shop's own by the name it was given.
    """
    facts = family_facts(recipe.family)
    name = facts.title if recipe.code == recipe.family else recipe.name
    color, texture = recipe.color % COLOURS, recipe.color // COLOURS % TEXTURES
    return SourceName(recipe.code, name, family_summary(recipe.family), color, texture, active)


def family_name(family: str) -> str:
    """What a family is called."""
    return str(NAMES[family][0]) if family in NAMES else family_facts(family).title


def family_summary(family: str) -> str:
    """What sources of a family know, in words."""
    return str(NAMES[family][1]) if family in NAMES else family_facts(family).summary


def sources_live() -> set[str]:
    """Codes of the sources that have something to say: a live model, or none needed."""
    return {*OWN_SOURCES.values(), *versions_live()}


def source_name(code: str, known: dict[str, SourceName]) -> str:
    """The name of a source or of a fill."""
    if code in known:
        return known[code].name
    return str(FILL.get(code) or code)
