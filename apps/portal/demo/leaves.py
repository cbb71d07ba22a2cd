"""The demo shop's words: category leaves, brands, colours and styles, read once from `vocabulary/*.toml`.

Every phrase is a pair (English, Simplified Chinese). A leaf lists only facets, colours, styles and sizes
that make sense for its kind of product, so that no combination of them is nonsense.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "vocabulary"
DEPARTMENTS = ("kitchen", "home", "fashion", "outdoor", "living")
TITLE = ("{brand} {series} {facet} {noun}, {colour}", "{brand} {series} {colour}{facet}{noun}")
LEAD = ("{A} {style} {noun} in {colour} {facet}, {detail}.", "{style}{noun}，选用{colour}{facet}，{detail}。")
LEAD_PLURAL = ("{Style} {noun} in {colour} {facet}, {detail}.", LEAD[1])


class Pair(NamedTuple):
    """One phrase in both languages of the shop."""

    en: str
    zh: str


class Colour(NamedTuple):
    """`hex` is what pictures are drawn in; `family` is what tastes are about."""

    code: str
    en: str
    zh: str
    hex: str
    family: str


class Size(NamedTuple):
    """`factor` multiplies the price of the middle size."""

    en: str
    zh: str
    factor: float


@dataclass(frozen=True)
class Brand:
    """An invented brand; `tier` 1 is value, 2 middle, 3 premium."""

    name: str
    zones: tuple[str, ...]
    only: tuple[str, ...]
    tier: int
    style: str
    pitch: Pair

    def makes(self, leaf: "Leaf") -> bool:
        """Whether the brand offers this kind of product."""
        return leaf.zone in self.zones and (not self.only or leaf.code in self.only)


@dataclass(frozen=True)
class Lifestyle:
    """A hidden persona: whom it attracts and which styles it leans to. `income` runs 0 to 2."""

    code: str
    ages: tuple[float, ...]
    female: float
    income: float
    styles: tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """One leaf category and everything said about its products.

    `facet_name` is the attribute the facets belong to (material, scent, roast ...); `colours` is empty for
    goods without a colour of their own, whose packaging is drawn in `pack`; `replenish` is the usual number
    of days until the product is used up; `season` is (day of the year of the peak,
    strength on the log-odds scale).
    """

    code: str
    path: str
    zone: str
    nouns: tuple[Pair, ...]
    plural: bool
    facet_name: str
    facets: tuple[Pair, ...]
    colours: tuple[str, ...]
    pack: tuple[str, ...]
    styles: tuple[str, ...]
    sizes: tuple[Size, ...]
    size_list: tuple[str, ...]
    price: tuple[float, float]
    season: tuple[float, float]
    replenish: int
    fit: bool
    life: dict[str, float]
    goes_with: tuple[str, ...]
    details: tuple[Pair, ...]
    uses: tuple[Pair, ...]
    care: tuple[Pair, ...]
    title: Pair
    lead: Pair


@dataclass(frozen=True)
class Vocabulary:
    """All words of the shop, in the order of the files."""

    leaves: tuple[Leaf, ...]
    brands: tuple[Brand, ...]
    colours: dict[str, Colour]
    styles: dict[str, Pair]
    families: tuple[str, ...]
    lifestyles: tuple[Lifestyle, ...]
    series: tuple[str, ...]
    categories: dict[str, str]


def _toml(name: str) -> dict[str, Any]:
    with (FOLDER / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


def _pairs(rows: list[list[str]]) -> tuple[Pair, ...]:
    return tuple(Pair(*row) for row in rows)


def _leaf(row: dict[str, Any], palettes: dict[str, list[str]]) -> Leaf:
    palette = row.get("palette", [])
    plural = bool(row.get("plural", False))
    low, high = row["price"]
    season = row.get("season", [0, 0.0])
    return Leaf(
        code=row["code"],
        path=row["path"],
        zone=row.get("zone") or row["path"].split(" > ")[1],
        nouns=_pairs(row["nouns"]),
        plural=plural,
        facet_name=row.get("facet_name", "material"),
        facets=_pairs(row["facets"]),
        colours=tuple(palettes[palette] if isinstance(palette, str) else palette),
        pack=tuple(row.get("pack", ())),
        styles=tuple(row["styles"]),
        sizes=tuple(Size(*size) for size in row.get("sizes", ())),
        size_list=tuple(row.get("size_list", ())),
        price=(float(low), float(high)),
        season=(float(season[0]), float(season[1])),
        replenish=int(row.get("replenish", 0)),
        fit=bool(row.get("fit") or row.get("size_list")),
        life=dict(row["life"]),
        goes_with=tuple(row["goes_with"]),
        details=_pairs(row["details"]),
        uses=_pairs(row["uses"]),
        care=_pairs(row["care"]),
        title=Pair(*row.get("title", TITLE)),
        lead=Pair(*row.get("lead", LEAD_PLURAL if plural else LEAD)),
    )


@cache
def vocabulary() -> Vocabulary:
    """Read the vocabulary files once per process."""
    words = _toml("words")
    colours = {code: Colour(code, *row) for code, row in words["colours"].items()}
    leaves = [_leaf(row, words["palettes"]) for name in DEPARTMENTS for row in _toml(name)["leaf"]]
    brands = [
        Brand(
            row["name"],
            tuple(row["zones"]),
            tuple(row.get("only", ())),
            row["tier"],
            row["style"],
            Pair(*row["pitch"]),
        )
        for row in _toml("brands")["brand"]
    ]
    lifestyles = [
        Lifestyle(code, tuple(row["ages"]), row["female"], row["income"], tuple(row["styles"]))
        for code, row in words["lifestyles"].items()
    ]
    return Vocabulary(
        leaves=tuple(leaves),
        brands=tuple(brands),
        colours=colours,
        styles={code: Pair(*row) for code, row in words["styles"].items()},
        families=tuple(dict.fromkeys(colour.family for colour in colours.values())),
        lifestyles=tuple(lifestyles),
        series=tuple(words["series"]["names"]),
        categories=dict(words["categories"]),
    )
