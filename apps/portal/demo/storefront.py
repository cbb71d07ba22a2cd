"""The shop as it was before RecoPortal: the pages that history was made on. They know nothing of tastes.

Category and search pages sort by sales with some shuffling, the home page shows best-sellers, and there are
pages of new arrivals and promotions. Every page shows the same number of products.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from apps.portal.demo.behaviour import Bools, Minds
from apps.portal.demo.catalogue import Floats, Ints, Traits
from apps.portal.demo.leaves import vocabulary

PLACES = 16
POOL = 64


class Page(IntEnum):
    """Kinds of pages of the old storefront."""

    CATEGORY = 0
    SEARCH = 1
    HOME = 2
    NEW = 3
    PROMOTIONS = 4
    BESIDE = 5


PAGE_SHARES = (0.40, 0.24, 0.20, 0.07, 0.09)


@dataclass
class Shelf:
    """What the storefront sorts by in one week: `sales` [n] so far (decayed), and the leaf lists [leaves,
    c].
    """

    traits: Traits
    by_leaf: Ints
    sales: Floats
    week: int

    def popularity(self) -> Floats:
        """The sorting figure of best-seller lists [n]."""
        return np.log1p(self.sales).astype(np.float32)


def shelf_build(traits: Traits, rng: np.random.Generator) -> Shelf:
    """An opening shelf: sales of the time before history follow a product's hidden appeal, with luck."""
    leaves = len(vocabulary().leaves)
    widest = int(np.bincount(traits.leaf, minlength=leaves).max())
    by_leaf = np.full((leaves, widest), -1, dtype=np.int64)
    for leaf in range(leaves):
        mine = np.flatnonzero(traits.leaf == leaf)
        by_leaf[leaf, : len(mine)] = mine
    sales = np.exp(0.8 * traits.appeal + rng.normal(0, 0.5, len(traits.leaf)) + 0.8) * (traits.born < 0)
    return Shelf(traits=traits, by_leaf=by_leaf, sales=sales.astype(np.float32), week=0)


@dataclass(frozen=True)
class Visit:
    """Pages opened by shoppers: whose [p], when [p], of which kind [p] and leaf [p] (-1: no leaf), the
    products shown [p, PLACES], and for searches what they had in mind [p] and the words used: 0 plain,
    1 colour, 2 style, 3 brand."""

    users: Ints
    day: Floats
    kind: Ints
    leaf: Ints
    shown: Ints
    target: Ints
    wording: Ints


def leaf_choose(minds: Minds, users: Ints, day: Floats, rng: np.random.Generator) -> Ints:
    """Which category each shopper turns to: by liking, need and season."""
    leaves = len(minds.season)
    week = (day // 7).astype(np.int64)
    liking = 1.0 * minds.tastes.weights[users, :leaves]
    need = minds.tastes.need[users, week % minds.tastes.need.shape[1]]
    rows = np.arange(len(users))
    for slot in range(need.shape[1]):
        liking[rows, need[:, slot]] += 1.6
    angle = minds.season[:, (minds.first_day + day.astype(np.int64)) % 365].T
    chosen: Ints = (liking + 0.7 * angle + _gumbel(liking.shape, rng)).argmax(axis=1)
    return chosen


def visit_pages(
    minds: Minds, shelf: Shelf, users: Ints, day: Floats, kind: Ints, leaf: Ints, rng: np.random.Generator
) -> Visit:
    """Lay out the pages that shoppers open."""
    width = max(shelf.by_leaf.shape[1], POOL)
    candidates = np.full((len(users), width), -1, dtype=np.int64)
    candidates[:, : shelf.by_leaf.shape[1]] = shelf.by_leaf[leaf]
    popularity = shelf.popularity()
    listless = (kind == Page.HOME) | (kind == Page.NEW) | (kind == Page.PROMOTIONS)
    for page, pool in _pools(shelf, popularity, float(day.min(initial=0.0)), rng).items():
        candidates[kind == page] = -1
        candidates[kind == page, : len(pool)] = pool
    known = np.maximum(candidates, 0)
    score = popularity[known] + 0.75 * _gumbel(candidates.shape, rng)
    target, wording = _intents(minds, users, candidates, kind, rng)
    score += 2.5 * (_matches(shelf.traits, candidates, target, wording) & (kind == Page.SEARCH)[:, None])
    score[(candidates < 0) | (shelf.traits.born[known] > day[:, None])] = -np.inf
    order = np.argsort(-score, axis=1)[:, :PLACES]
    shown = np.take_along_axis(candidates, order, axis=1)
    shown[np.isinf(np.take_along_axis(score, order, axis=1))] = -1
    return Visit(users, day, kind, np.where(listless, -1, leaf), shown, target, wording)


def _pools(shelf: Shelf, popularity: Floats, day: float, rng: np.random.Generator) -> dict[Page, Ints]:
    born = shelf.traits.born
    there = np.flatnonzero(born <= day + 7)
    fresh = there[np.argsort(-born[there])]
    week = min(shelf.week, shelf.traits.discount.shape[1] - 1)
    reduced = np.flatnonzero((shelf.traits.discount[:, week] > 0) & (born <= day))
    return {
        Page.HOME: there[np.argsort(-popularity[there])][:POOL],
        Page.NEW: fresh[:POOL],
        Page.PROMOTIONS: rng.permutation(reduced)[:POOL],
    }


def _intents(
    minds: Minds, users: Ints, candidates: Ints, kind: Ints, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """For searches, the product in mind (-1 elsewhere) and how it is put into words."""
    target = np.full(len(users), -1, dtype=np.int64)
    wording = rng.choice(4, size=len(users), p=(0.34, 0.3, 0.16, 0.2))
    rows = np.flatnonzero(kind == Page.SEARCH)
    if len(rows):
        items = candidates[rows]
        liking = minds.utility[users[rows][:, None], np.maximum(items, 0)] + _gumbel(items.shape, rng)
        liking[items < 0] = -np.inf
        target[rows] = items[np.arange(len(rows)), liking.argmax(axis=1)]
    colourless = (target >= 0) & (minds.traits.family[np.maximum(target, 0)] < 0) & (wording == 1)
    wording[colourless] = 0
    return target, wording


def _matches(traits: Traits, candidates: Ints, target: Ints, wording: Ints) -> Bools:
    items, mind = np.maximum(candidates, 0), np.maximum(target, 0)[:, None]
    how = wording[:, None]
    match = ((how == 1) & (traits.family[items] == traits.family[mind])) | (
        (how == 2) & (traits.style[items] == traits.style[mind])
    )
    return match | ((how == 3) & (traits.brand[items] == traits.brand[mind]))


def _gumbel(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Gumbel noise in single precision, which is twice as fast as NumPy's own."""
    return -np.log(-np.log(rng.random(shape, dtype=np.float32) * 0.999998 + 1e-6)).astype(np.float32)
