"""Ninety days of a shop before RecoPortal: sessions played week by week on the old storefront."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.portal.demo.aftermath import Order, aftermath_add
from apps.portal.demo.behaviour import Minds, Play, buy_odds, play, ready_odds
from apps.portal.demo.catalogue import Catalogue, Floats, Ints
from apps.portal.demo.ledger import SECONDS, Ledger
from apps.portal.demo.searches import query_words
from apps.portal.demo.sessions import Sessions, sessions_draw
from apps.portal.demo.shoppers import Population
from apps.portal.demo.storefront import (
    PAGE_SHARES,
    Page,
    Shelf,
    Visit,
    leaf_choose,
    shelf_build,
    visit_pages,
)
from apps.portal.demo.trials import Coupons, Sponsors, coupons_plan, sponsors_plan

VISITORS_PER_SESSION = 2.7
READY_PAGES = 3.0
PAGE_SECONDS, PLACE_SECONDS = 130.0, 6.0


@dataclass(frozen=True)
class History:
    """`events` is the frame that is imported; `orders` every purchase line; `sales` [n] units sold."""

    events: pd.DataFrame
    orders: Order
    sales: Floats
    coupons: Coupons
    sponsors: Sponsors


def history_build(
    *,
    catalogue: Catalogue,
    population: Population,
    minds: Minds,
    start: datetime,
    horizon: float,
    rng: np.random.Generator,
    mark: str,
) -> History:
    """Play `horizon` days from the midnight `start`; `minds.owned` is updated as shoppers buy."""
    days = int(horizon)
    sessions = sessions_draw(population, horizon=horizon, first_weekday=start.weekday(), rng=rng)
    shelf = shelf_build(catalogue.traits, rng)
    coupons = coupons_plan(minds, population.joined, days, rng)
    sponsors = sponsors_plan(minds, rng)
    ledger = Ledger()
    _coupon_events(ledger, coupons, rng)
    player = _Player(minds, population, sessions, shelf, coupons, sponsors, ledger, rng)
    for week in range(days // 7 + 1):
        player.week(week)
    player.visitors(horizon)
    player.bots(horizon)
    orders = player.orders()
    aftermath_add(ledger, minds, orders, rng)
    skus = catalogue.products["sku"].tolist()
    events = ledger.frame(
        start=start,
        last_day=horizon,
        shoppers=population.shoppers["external_id"].tolist(),
        skus=skus,
        mark=mark,
    )
    sales = np.bincount(orders.items, weights=orders.quantity, minlength=len(skus)).astype(np.float32)
    return History(events, orders, sales, coupons, sponsors)


def _coupon_events(ledger: Ledger, coupons: Coupons, rng: np.random.Generator) -> None:
    for wave, day in enumerate(coupons.day):
        for arm, name in ((1, "treated"), (0, "control")):
            users = np.flatnonzero(coupons.arm[:, wave] == arm)
            context = ledger.context(coupon=f"C{wave + 1}", arm=name, percent=10)
            ledger.add(
                "coupon",
                day=day + rng.uniform(0, 0.002, len(users)),
                user=users,
                session=np.full(len(users), -1),
                context=context,
            )


class _Player:
    """Plays the sessions of one week after another and keeps the books."""

    def __init__(
        self,
        minds: Minds,
        population: Population,
        sessions: Sessions,
        shelf: Shelf,
        coupons: Coupons,
        sponsors: Sponsors,
        ledger: Ledger,
        rng: np.random.Generator,
    ) -> None:
        self.minds, self.population, self.sessions = minds, population, sessions
        self.shelf, self.coupons, self.sponsors = shelf, coupons, sponsors
        self.ledger, self.rng = ledger, rng
        self.bought: list[tuple[NDArray[Any], ...]] = []
        self.contexts = {
            page: ledger.context(page=page.name.lower()) for page in Page
        }  # one object a kind of page

    def week(self, week: int) -> None:
        """Play one week's sessions, then let its sales move the best-seller lists."""
        s = self.sessions
        low, high = np.searchsorted(np.floor(s.day), [week * 7, week * 7 + 7])
        self.shelf.week = week
        if low == high:
            return
        ids = np.arange(low, high)
        lift = self.coupons.lift(self.minds, s.users[ids], s.day[ids].astype(np.float32))
        odds = ready_odds(self.minds.tastes.ready[s.users[ids]] + lift)
        ready = self.rng.random(len(ids)) < odds
        pages = s.pages[ids] + ready * self.rng.poisson(READY_PAGES, len(ids))
        page_session = np.repeat(ids, pages)
        nth = np.arange(len(page_session)) - np.repeat(np.cumsum(pages) - pages, pages)
        lines = self._open(page_session, nth, ready[page_session - low])
        session, item, carted, bought, empty, second = lines
        with_cart, first = np.unique(session[carted], return_index=True)
        goes_on = self.rng.random(len(with_cart)) < 0.6
        beside = item[carted][first][goes_on]
        more = self._open(
            with_cart[goes_on],
            pages[with_cart[goes_on] - low],
            ready[with_cart[goes_on] - low],
            beside,
        )
        session, item, carted, bought, empty, second = (
            np.concatenate([a, b]) for a, b in zip(lines, more, strict=True)
        )
        self._till(low, high, session, item, bought, second)
        chance = np.zeros(high - low, dtype=np.float32)
        np.add.at(chance, session[carted] - low, empty[carted])
        self.coupons.note(self.minds, s.users[ids], s.day[ids].astype(np.float32), chance)

    def _open(
        self, session: Ints, nth: Ints, ready: NDArray[np.bool_], beside: Ints | None = None
    ) -> tuple[Ints, Ints, NDArray[np.bool_], NDArray[np.bool_], Floats, Floats]:
        """Open the nth page of each session and write down what happens on it. Returns one row per product
        opened: session, item, put into the cart, bought, log-probability of not buying it, seconds since the
        session began."""
        users, day = self.sessions.users[session], self.sessions.day[session].astype(np.float32)
        visit = self._visit(users, day, beside)
        visit, ad, ad_shown = self.sponsors.place(self.minds, visit, self.rng)
        wanting = self.minds.wanting(users, visit.shown, day, beside)
        outcome = play(wanting, ready, self.rng)
        self._page_events(session, nth, visit, outcome, ad, ad_shown)
        row, place = np.nonzero(outcome.clicked)
        item, who = visit.shown[row, place], session[row]
        second = nth[row] * PAGE_SECONDS + place * PLACE_SECONDS + self.rng.uniform(8, 14, len(row))
        fresh = np.zeros(len(row), dtype=bool)
        fresh[np.unique(who * len(self.shelf.sales) + item, return_index=True)[1]] = True
        row, place, item, who, second = row[fresh], place[fresh], item[fresh], who[fresh], second[fresh]
        carted, bought = outcome.carted[row, place], outcome.bought[row, place]
        self._item_events(who, visit.kind[row], item, wanting[row, place], second, carted)
        empty = np.log1p(-buy_odds(wanting[row, place]))
        return who, item, carted, bought, empty, second

    def _visit(self, users: Ints, day: Floats, beside: Ints | None) -> Visit:
        if beside is None:
            kind = self.rng.choice(len(PAGE_SHARES), size=len(users), p=PAGE_SHARES)
            leaf = leaf_choose(self.minds, users, day, self.rng)
        else:
            kind = np.full(len(users), int(Page.BESIDE))
            partners = self.minds.goes_with[self.minds.traits.leaf[beside]]
            leaf = (partners * self.rng.random(partners.shape)).argmax(axis=1)
        return visit_pages(self.minds, self.shelf, users, day, kind, leaf, self.rng)

    def _base(self, session: Ints) -> dict[str, NDArray[np.int64]]:
        s = self.sessions
        return {"user": s.users[session], "session": session, "app": s.app[session].astype(np.int64)}

    def _page_events(
        self, session: Ints, nth: Ints, visit: Visit, outcome: Play, ad: Ints, ad_shown: NDArray[np.bool_]
    ) -> None:
        day, add = self.sessions.day, self.ledger.add
        found = np.flatnonzero(visit.kind == Page.SEARCH)
        chinese = self.population.chinese[visit.users[found]]
        words = query_words(self.minds.traits, visit.target[found], visit.wording[found], chinese, self.rng)
        add(
            "search",
            day=day[session[found]] + (nth[found] * PAGE_SECONDS + 3) / SECONDS,
            query=np.array([self.ledger.query(text) for text in words], dtype=np.int64),
            **self._base(session[found]),
        )
        trial = np.flatnonzero(ad >= 0)
        arms = [self.ledger.context(campaign="slot-2", arm=arm, position=2) for arm in ("withheld", "shown")]
        add(
            "sponsored_impression",
            day=day[session[trial]] + (nth[trial] * PAGE_SECONDS + 4) / SECONDS,
            item=ad[trial],
            context=np.array(arms)[ad_shown[trial].astype(np.int64)],
            **self._base(session[trial]),
        )
        row, place = np.nonzero(outcome.disliked & (visit.kind == Page.HOME)[:, None])
        add(
            "not_interested",
            day=day[session[row]] + (nth[row] * PAGE_SECONDS + place * PLACE_SECONDS + 7) / SECONDS,
            item=visit.shown[row, place],
            **self._base(session[row]),
        )

    def _item_events(
        self,
        session: Ints,
        kind: Ints,
        item: Ints,
        wanting: Floats,
        second: Floats,
        carted: NDArray[np.bool_],
    ) -> None:
        rng, day, add = self.rng, self.sessions.day[session], self.ledger.add
        dwell = np.clip(rng.lognormal(3.0 + 0.22 * wanting, 0.7), 2, 900)
        at = day + second / SECONDS
        listed = np.flatnonzero((kind != Page.CATEGORY) & (rng.random(len(item)) < 0.7))
        add(
            "click",
            day=at[listed] - 1 / SECONDS,
            item=item[listed],
            context=np.array([self.contexts[page] for page in Page])[kind[listed]],
            **self._base(session[listed]),
        )
        add("view", day=at, item=item, value=dwell, **self._base(session))
        add(
            "add_to_cart",
            day=at[carted] + np.minimum(dwell[carted] * 0.8, 90) / SECONDS,
            item=item[carted],
            price=self._price(item[carted], day[carted]),
            **self._base(session[carted]),
        )
        heart = rng.random((2, len(item)))
        for name, chosen in (
            ("favourite", heart[0] < 1 / (1 + np.exp(6.0 - 0.7 * wanting))),
            ("share", heart[1] < 0.004),
        ):
            rows = np.flatnonzero(chosen)
            add(name, day=at[rows] + 6 / SECONDS, item=item[rows], **self._base(session[rows]))

    def _price(self, item: Ints, day: NDArray[np.float64]) -> Floats:
        prices = self.minds.traits.price
        return prices[item, np.minimum((day // 7).astype(np.int64), prices.shape[1] - 1)]

    def _till(
        self, low: int, high: int, session: Ints, item: Ints, bought: NDArray[np.bool_], second: Floats
    ) -> None:
        """Check out: what was bought on pages, and the staples that are due in these sessions."""
        s, rng = self.sessions, self.rng
        due = (s.staple_session >= low) & (s.staple_session < high)
        last = np.zeros(high - low)
        np.maximum.at(last, session - low, second)
        staples = s.staple_session[due]
        put = s.day[staples] + (last[staples - low] + 40) / SECONDS
        goods = s.staple_item[due]
        self.ledger.add("view", day=put - 20 / SECONDS, item=goods, value=14.0, **self._base(staples))
        self.ledger.add(
            "add_to_cart", day=put, item=goods, price=self._price(goods, put), **self._base(staples)
        )
        who = np.concatenate([session[bought], staples])
        what = np.concatenate([item[bought], goods])
        once = np.unique(who * len(self.shelf.sales) + what, return_index=True)[1]
        who, what = who[once], what[once]
        day = s.day[who] + (last[who - low] + 150) / SECONDS
        several = self.minds.replenished[what] & (rng.random(len(what)) < 0.25)
        quantity = 1.0 + several + (rng.random(len(what)) < 0.04)
        users = s.users[who]
        reduced = self.coupons.lift(self.minds, users, s.day[who].astype(np.float32)) != 0
        price = self._price(what, day) * np.where(reduced, 0.9, 1.0)
        self.ledger.add("purchase", day=day, item=what, quantity=quantity, price=price, **self._base(who))
        self.bought.append((users, what, who, day, quantity, price))
        self.minds.owned[users, what] = True
        self.shelf.sales *= 0.93
        np.add.at(self.shelf.sales, what, quantity.astype(np.float32))

    def orders(self) -> Order:
        """All purchase lines so far."""
        users, items, sessions, day, quantity, price = (
            np.concatenate(column) for column in zip(*self.bought, strict=True)
        )
        return Order(users, items, sessions, day, quantity, price)

    def visitors(self, horizon: float) -> None:
        """People nobody knows: they open one page, look at a product or two, and leave."""
        count, rng = int(len(self.sessions.users) * VISITORS_PER_SESSION), self.rng
        model = rng.integers(len(self.sessions.users), size=count)
        day = np.clip(self.sessions.day[model] + rng.normal(0, 0.02, count), 0, horizon - 0.01)
        ids = len(self.sessions.users) + np.arange(count)
        typing = rng.spawn(1)[0]  # what is typed leaves all other draws as they are
        for low in range(0, count, 20_000):
            part = slice(low, low + 20_000)
            like = self.sessions.users[model[part]]
            when = day[part].astype(np.float32)
            visit = self._visit(like, when, None)
            want = self.minds.wanting(like, visit.shown, when) + rng.gumbel(0, 1.2, visit.shown.shape)
            picks = np.argsort(-want, axis=1)[:, :2]
            found = np.flatnonzero((visit.kind == Page.SEARCH) & (visit.target >= 0))
            chinese = self.population.chinese[like[found]]
            words = query_words(self.minds.traits, visit.target[found], visit.wording[found], chinese, typing)
            self.ledger.add(
                "search",
                day=day[part][found] + 2 / SECONDS,
                user=np.full(len(found), -1),
                session=ids[part][found],
                query=np.array([self.ledger.query(text) for text in words], dtype=np.int64),
                app=self.sessions.app[model[part]][found].astype(np.int64),
            )
            for turn in range(2):
                stays = np.flatnonzero(rng.random(len(like)) < (1.0, 0.16)[turn])
                item = visit.shown[stays, picks[stays, turn]]
                stays, item = stays[item >= 0], item[item >= 0]
                self.ledger.add(
                    "view",
                    day=day[part][stays] + (5 + 40 * turn) / SECONDS,
                    user=np.full(len(stays), -1),
                    session=ids[part][stays],
                    item=item,
                    value=np.clip(rng.lognormal(2.4, 0.8, len(stays)), 1, 300),
                    app=self.sessions.app[model[part]][stays].astype(np.int64),
                )

    def bots(self, horizon: float) -> None:
        """A few crawlers that open product after product every two seconds."""
        crawls, length, rng = max(2, len(self.population) // 120), 40, self.rng
        begin = np.repeat(rng.uniform(0, horizon - 0.1, crawls), length)
        there = np.flatnonzero(self.minds.traits.born <= 0)
        self.ledger.add(
            "view",
            day=begin + np.tile(np.arange(length), crawls) * 2 / SECONDS,
            user=np.full(crawls * length, -1),
            session=np.repeat(10_000_000 + np.arange(crawls), length),
            item=rng.choice(there, crawls * length),
            value=1.0,
            bot=1,
        )
