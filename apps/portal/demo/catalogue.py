"""The demo shop's products: what can be seen of them (the product frame) and what is hidden (`Traits`)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.portal.demo import wording
from apps.portal.demo.leaves import Colour, Leaf, Pair, Size, Vocabulary, vocabulary
from apps.portal.demo.wording import Look

LATENT = 8
IMAGE_FOLDER = "demo"
CURRENCY = "EUR"
_TIER_TASTE = {1: (2.0, 6.0), 2: (4.0, 5.0), 3: (6.5, 2.8)}

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Traits:
    """Per product, [n] unless said otherwise. `latent`, `appeal` and `quality` are visible to nobody.

    `style`, `family` (of colour, -1 none) and `brand` index the vocabulary; `price_level` is the standardised
    log price inside the leaf; `born` is the day it entered the shop, counted from the first day of history;
    `discount` [n, weeks] is the share taken off in each week of history and `price` what was asked then, the
    last week being the current one.
    """

    leaf: Ints
    style: Ints
    family: Ints
    brand: Ints
    group: Ints
    price_level: Floats
    latent: Floats
    appeal: Floats
    quality: Floats
    born: Floats
    full_price: Floats
    discount: Floats
    price: Floats


@dataclass(frozen=True)
class Catalogue:
    """`products` is the feed frame, row i being product i everywhere; `looks` draws the pictures."""

    products: pd.DataFrame
    looks: list[Look]
    traits: Traits

    def __len__(self) -> int:
        return len(self.looks)


def catalogue_build(
    *, count: int, start: datetime, days: int, rng: np.random.Generator, image_base: str = "/media/"
) -> Catalogue:
    """Make exactly `count` products; `start` is the first midnight of history, `days` its whole days."""
    words = vocabulary()
    looks, groups = _looks(words, count, rng)
    traits = _traits(words, looks, groups, days, rng)
    return Catalogue(_frame(looks, groups, traits, start, rng, image_base), looks, traits)


def _looks(words: Vocabulary, count: int, rng: np.random.Generator) -> tuple[list[Look], list[int]]:
    shares = rng.uniform(0.7, 1.3, len(words.leaves))
    quotas = np.floor(shares / shares.sum() * count).astype(int)
    quotas[: count - quotas.sum()] += 1
    looks: list[Look] = []
    groups: list[int] = []
    group = 0
    for leaf, quota in zip(words.leaves, quotas, strict=True):
        used: set[tuple[str, str]] = set()
        made = 0
        while made < quota:
            variants = _variants(words, leaf, used, rng)[: quota - made]
            looks += variants
            groups += [group] * len(variants)
            made += len(variants)
            group += 1
    return looks, groups


def _variants(
    words: Vocabulary, leaf: Leaf, used: set[tuple[str, str]], rng: np.random.Generator
) -> list[Look]:
    """One design of a leaf in one to four colours or sizes."""
    brands = [brand for brand in words.brands if brand.makes(leaf)]
    brand = brands[rng.integers(len(brands))]
    series = words.series[rng.integers(len(words.series))]
    while (brand.name, series) in used:
        series = words.series[rng.integers(len(words.series))]
        brand = brands[rng.integers(len(brands))]
    used.add((brand.name, series))
    own_style = brand.style in leaf.styles and rng.random() < 0.6
    style = brand.style if own_style else leaf.styles[rng.integers(len(leaf.styles))]
    facet = int(rng.integers(len(leaf.facets)))
    colours = _fitting_colours(words, leaf, facet)
    sizes: list[Size | None] = [*leaf.sizes] or [None]
    kind = rng.random()
    many_sizes = len(sizes) > 1 and kind < 0.45
    chosen_sizes = sizes if many_sizes else [sizes[rng.integers(len(sizes))]]
    if not many_sizes and kind < 0.8 and len(colours) > 1:
        chosen = rng.permutation(len(colours))[: rng.integers(2, 5)]
    else:
        chosen = rng.integers(len(colours), size=1)
    closes = [*leaf.care, brand.pitch]
    look = Look(
        leaf=leaf,
        brand=brand,
        series=series,
        noun=int(rng.integers(len(leaf.nouns))),
        facet=facet,
        style=style,
        style_name=words.styles[style],
        colour=None,
        pack=colours[chosen[0]],
        size=None,
        detail=_pick(leaf.details, rng),
        use=_pick(leaf.uses, rng),
        close=_pick(tuple(closes), rng),
    )
    return [
        Look(
            **{
                **look.__dict__,
                "size": size,
                "pack": colours[index],
                "colour": colours[index] if leaf.colours else None,
            }
        )
        for size in chosen_sizes
        for index in chosen
    ]


def _fitting_colours(words: Vocabulary, leaf: Leaf, facet: int) -> list[Colour]:
    """Colours that do not repeat the material's own name (no 'terracotta terracotta clay')."""
    material = leaf.facets[facet].en
    colours = [words.colours[code] for code in leaf.colours or leaf.pack]
    return [colour for colour in colours if colour.en.split()[0] not in material.split()]


def _pick(options: tuple[Pair, ...], rng: np.random.Generator) -> Pair:
    return options[rng.integers(len(options))]


def _traits(
    words: Vocabulary, looks: list[Look], groups: list[int], days: int, rng: np.random.Generator
) -> Traits:
    leaf_index = {leaf.code: i for i, leaf in enumerate(words.leaves)}
    brand_index = {brand.name: i for i, brand in enumerate(words.brands)}
    style_index = {code: i for i, code in enumerate(words.styles)}
    family_index = {family: i for i, family in enumerate(words.families)}
    group = np.array(groups)
    leaf = np.array([leaf_index[look.leaf.code] for look in looks])
    brand = np.array([brand_index[look.brand.name] for look in looks])
    price = _prices(looks, group, rng)
    log_price = np.log(price)
    level = np.zeros(len(looks))
    for i in range(len(words.leaves)):
        mine = leaf == i
        if mine.any():
            level[mine] = (log_price[mine] - log_price[mine].mean()) / (log_price[mine].std() + 1e-6)
    # Variants share nearly all of a design's hidden qualities; designs of a leaf and brand share some.
    designs = group.max() + 1
    latent = (
        0.45 * rng.normal(size=(len(words.leaves), LATENT))[leaf]
        + 0.35 * rng.normal(size=(len(words.brands), LATENT))[brand]
        + 0.8 * rng.normal(size=(designs, LATENT))[group]
    )
    appeal = rng.normal(0, 0.35, designs)[group] + rng.normal(0, 0.15, len(looks))
    quality = rng.normal(0, 0.7, designs)[group] + np.array([0.25 * (look.brand.tier - 2) for look in looks])
    born = np.where(
        rng.random(designs) < 0.13, days - rng.exponential(26, designs), -rng.uniform(20, 700, designs)
    )[group]
    discount = _discounts(leaf, brand, days, rng)
    asked = charm(price[:, None] * (1 - discount), rng.random(len(looks))[:, None])
    # Rounding may eat a small reduction; what is left of it is what counts and is advertised.
    asked = np.where((discount > 0) & (asked < 0.95 * price[:, None]), asked, price[:, None])
    discount = (1 - asked / price[:, None]).astype(np.float32)
    return Traits(
        leaf=leaf,
        style=np.array([style_index[look.style] for look in looks]),
        family=np.array([family_index[look.colour.family] if look.colour else -1 for look in looks]),
        brand=brand,
        group=group,
        price_level=level.astype(np.float32),
        latent=latent.astype(np.float32),
        appeal=appeal.astype(np.float32),
        quality=quality.astype(np.float32),
        born=np.minimum(born, days - 0.5).astype(np.float32),
        full_price=price.astype(np.float32),
        discount=discount,
        price=asked.astype(np.float32),
    )


def _prices(looks: list[Look], group: Ints, rng: np.random.Generator) -> NDArray[np.float64]:
    designs = group.max() + 1
    draw = rng.random(designs)
    quantile = np.array(
        [rng.beta(*_TIER_TASTE[look.brand.tier]) for look in looks]
    )  # one draw a product keeps the stream simple; the design's first is used
    first = np.unique(group, return_index=True)[1]
    low = np.array([look.leaf.price[0] for look in looks])
    high = np.array([look.leaf.price[1] for look in looks])
    raw = low * (high / low) ** quantile[first][group]
    raw *= np.array([look.size.factor if look.size else 1.0 for look in looks])
    return charm(raw, draw[group])


def charm(price: NDArray[np.float64], draw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to a price people know: ending in .95, .99 or, below ten, .49; large ones step by five."""
    whole = np.where(price >= 100, np.round(price / 5) * 5, np.maximum(np.round(price), 2.0))
    ending = np.where(draw < 0.5, 0.05, np.where((draw > 0.85) & (price < 10), 0.51, 0.01))
    return np.round(whole - ending, 2)


def _discounts(leaf: Ints, brand: Ints, days: int, rng: np.random.Generator) -> Floats:
    """Weekly promotions: each week some leaves and brands run one of 10 to 30 % on part of their goods."""
    weeks = days // 7 + 1
    off = np.zeros((len(leaf), weeks), dtype=np.float32)
    for week in range(weeks):
        for _ in range(4):
            rate = rng.choice([0.10, 0.15, 0.20, 0.25, 0.30])
            of_leaf = leaf == rng.integers(leaf.max() + 1)
            of_brand = brand == rng.integers(brand.max() + 1)
            joins = (of_leaf | of_brand) & (rng.random(len(leaf)) < 0.7)
            off[joins, week] = rate
    return off


def _frame(
    looks: list[Look],
    groups: list[int],
    traits: Traits,
    start: datetime,
    rng: np.random.Generator,
    image_base: str,
) -> pd.DataFrame:
    count = len(looks)
    sizes = np.bincount(traits.group)
    ordinal = np.concatenate([np.arange(size) for size in sizes])
    skus = [
        f"{look.leaf.code[:3].upper()}-{1000 + group}{'' if sizes[group] == 1 else 'ABCDEFGHIJKL'[nth]}"
        for look, group, nth in zip(looks, groups, ordinal, strict=True)
    ]
    off = traits.discount[:, -1].astype(float)
    margin = np.array([{1: 0.58, 2: 0.5, 3: 0.42}[look.brand.tier] for look in looks])
    fate = rng.random(count)
    plenty = np.round(rng.lognormal(4.0, 0.8, count))
    stock = np.where(fate < 0.05, 0, np.where(fate < 0.13, rng.integers(1, 5, count), plenty)).astype(int)
    titles = [wording.title(look) for look in looks]
    texts = [wording.description(look) for look in looks]
    created = [start + timedelta(days=float(born)) for born in traits.born]
    return pd.DataFrame(
        {
            "sku": skus,
            "title": [title.en for title in titles],
            "description": [text.en for text in texts],
            "language": "en",
            "title_zh_hans": [title.zh for title in titles],
            "description_zh_hans": [text.zh for text in texts],
            "category": [look.leaf.path for look in looks],
            "brand": [look.brand.name for look in looks],
            "price": np.round(traits.price[:, -1].astype(float), 2),
            "list_price": np.where(off > 0, np.round(traits.full_price.astype(float), 2), np.nan),
            "currency": CURRENCY,
            "cost": np.round(traits.full_price * (margin + rng.uniform(-0.05, 0.05, count)), 2),
            "stock": stock,
            "image_url": [f"{image_base}{IMAGE_FOLDER}/{sku}.svg" for sku in skus],
            "attributes": [_attributes(look, float(share)) for look, share in zip(looks, off, strict=True)],
            "group_key": [f"G{1000 + group}" if sizes[group] > 1 else "" for group in groups],
            "available_from": pd.to_datetime(created, utc=True),
            "available_until": pd.Series([pd.NaT] * count, dtype="datetime64[ns, UTC]"),
            "created_at": pd.to_datetime(created, utc=True),
        }
    )


def _attributes(look: Look, off: float) -> dict[str, object]:
    """What a shop's feed would say of the product beyond its columns."""
    leaf = look.leaf
    attributes: dict[str, object] = {leaf.facet_name: leaf.facets[look.facet].en, "style": look.style_name.en}
    if look.colour:
        attributes["colour"] = look.colour.en
        attributes["colour_family"] = look.colour.family
    if look.size:
        attributes["size"] = look.size.en
    if leaf.size_list:
        attributes["sizes"] = list(leaf.size_list)
    attributes["collection"] = look.series
    if off > 0:
        attributes["promotion"] = round(off * 100)
    return attributes
