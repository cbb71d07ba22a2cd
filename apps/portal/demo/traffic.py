"""Shoppers at play: they ask for slates over the REST API, behave by hidden taste and report what they do.

The behaviour is `behaviour.play`, the one that made the history. With a policy other than `api` the answered
products are replaced by another ranking; such slates were never served, so their events carry no request id.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from apps.core import clock
from apps.portal.demo.behaviour import Play, play, ready_odds
from apps.portal.demo.catalogue import Floats, Ints
from apps.portal.demo.slates import rank_popular, rank_random, rank_true
from apps.portal.demo.truth import Stage
from recoportal.client import ApiError, RecoPortal

Policy = Literal["api", "true_taste", "popular", "random"]
POLICIES: tuple[Policy, ...] = ("api", "true_taste", "popular", "random")
PLACES = 12
NOBODY = ""
# A recommendation strip is not the page: most who scroll past it see it and give it no thought.
ATTENTION = 0.35


@dataclass
class Tally:
    """What happened so far; money in the shop's currency. `looked` counts positions seen."""

    sessions: int = 0
    slates: int = 0
    looked: int = 0
    clicked_slates: int = 0
    clicks: int = 0
    carts: int = 0
    purchases: int = 0
    revenue: float = 0.0
    dislikes: int = 0
    events: int = 0
    rungs: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the command's last line, with the rates people ask for."""
        slates, sessions = max(self.slates, 1), max(self.sessions, 1)
        return asdict(self) | {
            "revenue": round(self.revenue, 2),
            "ctr": round(self.clicked_slates / slates, 4),
            "purchases_per_session": round(self.purchases / sessions, 4),
        }


@dataclass
class _Visit:
    """One session as it goes: `put` are (item, request id, price) in the cart."""

    user: int
    shopper: str
    session: str
    channel: str
    ready: bool
    begun: datetime
    rng: np.random.Generator
    events: list[dict[str, Any]] = field(default_factory=list)
    put: list[tuple[int, str, float]] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    count: int = 0


class Crowd:
    """Plays sessions of the shoppers on `stage` against `client`."""

    def __init__(
        self,
        stage: Stage,
        client: RecoPortal,
        *,
        seed: int,
        policy: Policy = "api",
        anonymous_share: float = 0.0,
        attention: float = ATTENTION,
    ) -> None:
        """attention: share of slates that get any thought."""
        self.attention = attention
        self.stage, self.client, self.policy, self.seed = stage, client, policy, seed
        self.anonymous_share = anonymous_share
        self.items, self.tally = stage.item_of, Tally()
        self.allowed = np.sort(stage.popular)
        self.run = uuid.uuid4().hex[:8]
        odds = stage.activity / stage.activity.sum()
        self.edges = np.cumsum(odds)

    def play_one(self, number: int) -> None:
        """Play session `number`; the seed and the number decide who comes and how lucky they are."""
        visit = self._arrive(number)
        self.tally.sessions += 1
        self._slate(visit, "home", ())
        if not visit.shopper and visit.rng.random() < 0.6:
            return
        for item in visit.opened[:2]:
            self._slate(visit, "product", (item,))
        if visit.put:
            self._slate(visit, "cart", tuple(item for item, _, _ in visit.put[:5]))
        if visit.rng.random() < 0.25:
            self._slate(visit, "trending" if visit.rng.random() < 0.6 else "new", ())
        self._till(visit)

    def _arrive(self, number: int) -> _Visit:
        rng = np.random.default_rng([self.seed, number])
        user = min(int(np.searchsorted(self.edges, rng.random())), len(self.stage.shoppers) - 1)
        known = rng.random() >= self.anonymous_share
        odds = float(ready_odds(self.stage.minds.tastes.ready[user : user + 1])[0])
        return _Visit(
            user=user,
            shopper=self.stage.shoppers[user] if known else NOBODY,
            session=f"sim-{self.run}-{number}",
            channel="app" if rng.random() < self.stage.app[user] else "web",
            ready=bool(rng.random() < odds) and known,
            begun=clock.now(),
            rng=rng,
        )

    def _slate(self, visit: _Visit, placement: str, beside: tuple[int, ...]) -> None:
        """Ask for a slate, look through it, report."""
        skus = tuple(self.stage.skus[item] for item in beside)
        answer = self.client.slate(
            placement, shopper=visit.shopper, items=skus, session=visit.session, n=PLACES
        )
        rows = answer.items
        if not rows:
            return
        now = clock.now()
        user, day = np.array([visit.user]), np.array([self.stage.day_of(now)], dtype=np.float32)
        context = np.array([beside[0] if beside else -1])
        shown = self._ranked(user, day, context, visit, [row.sku for row in rows])
        request = answer.request_id if self.policy == "api" else ""
        prices = {row.sku: row.price or 0.0 for row in rows}
        wanting = self.stage.minds.wanting(user, shown, day, context)
        outcome = play(wanting, np.array([visit.ready]), visit.rng)
        if visit.rng.random() >= self.attention:
            nothing = np.zeros_like(outcome.looked)
            outcome = Play(outcome.looked, nothing, nothing, nothing, nothing)
        self.tally.slates += 1
        self.tally.rungs[answer.rung] = self.tally.rungs.get(answer.rung, 0) + 1
        self.tally.looked += int(outcome.looked.sum())
        self.tally.clicked_slates += int(outcome.clicked.any())
        for place in np.flatnonzero(outcome.looked[0]):
            item = int(shown[0, place])
            sku = self.stage.skus[item]
            if request:
                self._event(visit, "seen", sku, request)
            if outcome.clicked[0, place]:
                dwell = float(np.clip(visit.rng.lognormal(3.0 + 0.22 * wanting[0, place], 0.7), 2, 900))
                self._event(visit, "click", sku, request)
                self._event(visit, "view", sku, request, value=round(dwell, 1))
                visit.opened.append(item)
                self.tally.clicks += 1
            if outcome.carted[0, place] and item not in [put for put, _, _ in visit.put]:
                price = prices.get(sku) or float(self.stage.minds.traits.price[item, -1])
                self._event(visit, "add_to_cart", sku, request, price=round(price, 2))
                self.tally.carts += 1
                if outcome.bought[0, place]:
                    visit.put.append((item, request, price))
            if outcome.disliked[0, place] and visit.shopper:
                self._event(visit, "not_interested", sku, request)
                self.tally.dislikes += 1
        self._send(visit)

    def _ranked(self, user: Ints, day: Floats, context: Ints, visit: _Visit, skus: list[str]) -> Ints:
        """The slate as the policy has it [1, k]; products the truth does not know are never wanted."""
        minds, places = self.stage.minds, len(skus)
        if self.policy == "true_taste":
            return rank_true(minds, user, day, places, self.allowed, context)
        if self.policy == "popular":
            return rank_popular(minds, user, places, self.stage.popular)
        if self.policy == "random":
            return rank_random(minds, user, places, self.allowed, int(visit.rng.integers(1 << 30)))
        return np.array([[self.items.get(sku, -1) for sku in skus]])

    def _till(self, visit: _Visit) -> None:
        for item, request, price in visit.put:
            self._event(visit, "purchase", self.stage.skus[item], request, price=round(price, 2), quantity=1)
            self.tally.purchases += 1
            self.tally.revenue += price
            self.stage.minds.owned[visit.user, item] = True
        self._send(visit)

    def _event(self, visit: _Visit, kind: str, sku: str, request: str, **more: Any) -> None:
        visit.count += 1
        event = {
            "kind": kind,
            "client_event_id": f"{visit.session}-{visit.count}",
            "occurred_at": (clock.now() + timedelta(milliseconds=visit.count)).isoformat(),
            "shopper": visit.shopper,
            "sku": sku,
            "session": visit.session,
            "channel": visit.channel,
            **more,
        }
        if request:
            event["request_id"] = request
        elif self.policy != "api":
            event["context"] = {"policy": self.policy}
        visit.events.append(event)

    def _send(self, visit: _Visit) -> None:
        if visit.events:
            self.tally.events += events_send(self.client, visit.events)
            visit.events.clear()


def events_send(client: RecoPortal, events: list[dict[str, Any]]) -> int:
    """Send events until they are acknowledged; how many were new. A refused one is our mistake and raises."""
    sent = client.send(events)
    if sent.rejected:
        refused = sent.rejected[0]
        raise ApiError(f"An event of ours was refused: {refused.field} {refused.value!r}: {refused.remedy}")
    return sent.accepted


def crowd_run(
    crowd: Crowd,
    *,
    sessions: int | None,
    rate: float,
    until: float | None,
    on_progress: Callable[[Tally], None],
    every: float = 10.0,
) -> Tally:
    """Play `sessions` sessions (None: no end) at `rate` a second (0: as fast as it goes), no longer than
    `until` on the monotonic clock; reports every so many seconds."""
    began = spoke = time.monotonic()
    number = 0
    while sessions is None or number < sessions:
        now = time.monotonic()
        if until is not None and now >= until:
            break
        if rate and (ahead := number / rate - (now - began)) > 0:
            time.sleep(min(ahead, 1.0))
            continue
        crowd.play_one(number)
        number += 1
        if time.monotonic() - spoke >= every:
            spoke = time.monotonic()
            on_progress(crowd.tally)
    return crowd.tally
