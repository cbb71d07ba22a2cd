"""Which sponsored products stand where, and what a click on them costs. Pure: campaigns and counts in, offers
out.

Ranked by expected earning: smoothed click rate × bid. A campaign ahead of its day's share waits, so that its
budget lasts the day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

# A product nobody was shown yet is taken to be clicked as often as sponsored products are on the whole, which
# so many showings of its own outweigh.
PRIOR_SHOWN = 200.0
PRIOR_RATE = 0.02
# A campaign may run ahead of the clock by this share of its day, so that it starts at all.
HEAD_START = 0.02


@dataclass(frozen=True, slots=True)
class Offer:
    """One product of one campaign. bid, spent, budget: money of the shop; spent and budget of this day.

    rate: probability of a click when shown. starts_at, ends_at: epoch seconds, ends_at None for no end. day:
    epoch seconds at which the shop's day began.
    """

    campaign_id: int
    product_id: int
    bid: float
    rate: float
    spent: float
    budget: float
    starts_at: float
    ends_at: float | None
    day_start: float
    day_end: float

    @property
    def expected(self) -> float:
        """What showing it once is expected to earn."""
        return self.rate * self.bid

    def runs(self, moment: float) -> bool:
        """Whether it takes part now: within its period and not ahead of its pace."""
        if moment < self.starts_at or (self.ends_at is not None and moment >= self.ends_at):
            return False
        spent = self.spent if moment < self.day_end else 0.0
        return spent + self.bid <= self.budget and spent <= self.budget * self.share_due(moment)

    def share_due(self, moment: float) -> float:
        """The share of the day's budget that may be gone by now: the part of the day's running time that has
        passed, with a small head start.
        """
        start = max(self.day_start, self.starts_at)
        end = self.day_end if self.ends_at is None else min(self.day_end, self.ends_at)
        if moment >= self.day_end:
            length = self.day_end - self.day_start
            start, end = self.day_end, self.day_end + length
        passed = (moment - start) / (end - start) if end > start else 1.0
        return min(1.0, HEAD_START + passed)


def rate_smoothed(clicks: float, shown: float, rate: float) -> float:
    """Clicks per showing, drawn to `rate` by PRIOR_SHOWN imagined showings (the mean of a Beta posterior)."""
    return (clicks + PRIOR_SHOWN * rate) / (shown + PRIOR_SHOWN)


def offers_ranked(offers: Iterable[Offer], now: datetime) -> list[Offer]:
    """Those that run now, what earns most first; each product once, for its best offer."""
    moment = now.timestamp()
    running = [offer for offer in offers if offer.runs(moment)]
    best: dict[int, Offer] = {}
    for offer in sorted(running, key=lambda one: (-one.expected, one.campaign_id)):
        best.setdefault(offer.product_id, offer)
    return list(best.values())


def click_prices(shown: Sequence[Offer], second_price: bool) -> list[float]:
    """What a click on each of these costs, in their order on the slate: the bid, or what the next one would
    have needed to be beaten (Edelman, Ostrovsky and Schwarz 2007), never above the bid.
    """
    if not second_price:
        return [round(offer.bid, 4) for offer in shown]
    prices = []
    for offer, below in zip(shown, [*shown[1:], None], strict=True):
        needed = below.expected / offer.rate if below is not None and offer.rate else 0.0
        prices.append(round(min(offer.bid, max(needed, 0.01)), 4))
    return prices
