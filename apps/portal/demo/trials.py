"""Randomised trials inside the history: coupons by shopper and sponsored slots by page, with their true
effects.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from apps.portal.demo.behaviour import (
    Bools,
    Minds,
    buy_odds,
    cart_odds,
    click_odds,
    examined,
    ready_odds,
)
from apps.portal.demo.catalogue import Floats, Ints
from apps.portal.demo.leaves import vocabulary
from apps.portal.demo.storefront import PLACES, Page, Visit

COUPON_WAVES = (0.2, 0.42, 0.64, 0.86)
COUPON_DAYS, COUPON_PERCENT, COUPON_SHARE = 7.0, 10, 0.4
AD_PLACE, AD_SHARE = 1, 0.12


@dataclass
class Coupons:
    """`arm` [m, waves]: 1 received, 0 held back, -1 not in the trial. `none` and `with_` collect, per
    shopper and wave, the log-probability of buying nothing in the coupon's days without and with it."""

    day: Floats
    arm: Ints
    none: Floats
    with_: Floats

    def lift(self, minds: Minds, users: Ints, day: Floats) -> Floats:
        """What active coupons add to the log-odds of reaching the till [s]."""
        wave = self.wave(day)
        active = (wave >= 0) & (self.arm[users, np.maximum(wave, 0)] == 1)
        return np.where(active, minds.tastes.coupon[users], 0.0).astype(np.float32)

    def wave(self, day: Floats) -> Ints:
        """The wave whose days contain `day` [s], -1 none."""
        inside = (day[:, None] >= self.day[None, :]) & (day[:, None] < self.day[None, :] + COUPON_DAYS)
        return np.where(inside.any(axis=1), inside.argmax(axis=1), -1)

    def note(self, minds: Minds, users: Ints, day: Floats, empty: Floats) -> None:
        """Remember sessions: `empty` [s] is the log-probability of buying nothing once at the till."""
        wave = self.wave(day)
        rows = (wave >= 0) & (self.arm[users, np.maximum(wave, 0)] >= 0)
        who, which, some = users[rows], wave[rows], 1 - np.exp(empty[rows])
        base = minds.tastes.ready[who]
        np.add.at(self.none, (who, which), np.log1p(-ready_odds(base) * some))
        np.add.at(self.with_, (who, which), np.log1p(-ready_odds(base + minds.tastes.coupon[who]) * some))

    def truths(self) -> dict[str, dict[str, Any]]:
        """By wave: how many took part and the true average effect on buying within the coupon's days."""
        found = {}
        for wave in range(len(self.day)):
            tested = self.arm[:, wave] >= 0
            effect = np.exp(self.none[tested, wave]) - np.exp(self.with_[tested, wave])
            found[f"C{wave + 1}"] = {
                "shoppers": int(tested.sum()),
                "treated": int((self.arm[:, wave] == 1).sum()),
                "percent": COUPON_PERCENT,
                "day": float(self.day[wave]),
                "effect": float(effect.mean()) if len(effect) else 0.0,
            }
        return found


def coupons_plan(minds: Minds, joined: Floats, days: int, rng: np.random.Generator) -> Coupons:
    """Draw who takes part in each wave and, by a fair coin, who gets the coupon."""
    day = np.array([round(days * share) for share in COUPON_WAVES], dtype=np.float32)
    shape = (len(joined), len(day))
    inside = (rng.random(shape) < COUPON_SHARE) & (joined[:, None] < day[None, :])
    arm = np.where(inside, rng.integers(0, 2, shape), -1)
    return Coupons(day, arm, np.zeros(shape, np.float32), np.zeros(shape, np.float32))


@dataclass
class Sponsors:
    """One advertised product a zone: `item` by leaf [leaves] (-1: none), and the running truth by product."""

    item: Ints
    tally: dict[int, list[float]] = field(default_factory=dict)

    def place(self, minds: Minds, visit: Visit, rng: np.random.Generator) -> tuple[Visit, Ints, Bools]:
        """Insert advertisements into some pages. Returns the pages, the product advertised on each (-1: page
        not in the trial) and whether it was really shown (otherwise the page stayed as it was)."""
        eligible = (visit.kind == Page.CATEGORY) | (visit.kind == Page.SEARCH)
        item = np.where(eligible & (rng.random(len(eligible)) < AD_SHARE), self.item[visit.leaf], -1)
        item = np.where(minds.traits.born[item] <= visit.day, item, -1)
        shown = (item >= 0) & (rng.random(len(item)) < 0.5)
        pages = visit.shown.copy()
        for row in np.flatnonzero(shown):
            rest = visit.shown[row][visit.shown[row] != item[row]][: PLACES - 1]
            pages[row] = _filled(rest, int(item[row]))
        self._note(minds, visit, item)
        return Visit(**{**visit.__dict__, "shown": pages}), item, shown

    def _note(self, minds: Minds, visit: Visit, item: Ints) -> None:
        """Add the expected clicks and purchases with and without the advertisement on each page of the
        trial.
        """
        rows = np.flatnonzero(item >= 0)
        ads = item[rows]
        wanting = minds.wanting(visit.users[rows], ads[:, None], visit.day[rows])[:, 0]
        click = click_odds(wanting)
        ready = ready_odds(minds.tastes.ready[visit.users[rows]])
        buy = click * cart_odds(wanting) * buy_odds(wanting) * ready
        look = examined(PLACES)
        organic = (visit.shown[rows] == ads[:, None]) @ look
        for ad in np.unique(ads):
            mine = ads == ad
            gain = look[AD_PLACE] - organic[mine]
            row = self.tally.setdefault(int(ad), [0.0, 0.0, 0.0])
            row[0] += float(mine.sum())
            row[1] += float((gain * click[mine]).sum())
            row[2] += float((gain * buy[mine]).sum())

    def truths(self, skus: list[str]) -> dict[str, dict[str, Any]]:
        """By advertised sku: pages in the trial and the true effect of a shown slot on clicks and
        purchases.
        """
        return {
            skus[item]: {"pages": int(pages), "click_effect": clicks / pages, "purchase_effect": buys / pages}
            for item, (pages, clicks, buys) in self.tally.items()
            if pages
        }


def _filled(rest: Ints, item: int) -> Ints:
    page = np.full(PLACES, -1, dtype=np.int64)
    row = np.insert(rest, min(AD_PLACE, len(rest)), item)
    page[: len(row)] = row
    return page


def sponsors_plan(minds: Minds, rng: np.random.Generator) -> Sponsors:
    """Choose one older product of middling appeal in every zone of the category tree."""
    leaves = vocabulary().leaves
    traits = minds.traits
    by_leaf = np.full(len(leaves), -1, dtype=np.int64)
    for zone in dict.fromkeys(leaf.zone for leaf in leaves):
        members = [i for i, leaf in enumerate(leaves) if leaf.zone == zone]
        mine = np.flatnonzero(np.isin(traits.leaf, members) & (traits.born < 0) & (traits.appeal < 0.6))
        if len(mine):
            by_leaf[members] = rng.choice(mine)
    return Sponsors(by_leaf)
