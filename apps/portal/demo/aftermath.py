"""What follows a purchase: returns, star ratings and a survey, days later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.portal.demo.behaviour import Minds
from apps.portal.demo.catalogue import Floats, Ints
from apps.portal.demo.leaves import vocabulary
from apps.portal.demo.ledger import Ledger

RATED, SURVEYED = 0.12, 0.03


@dataclass(frozen=True)
class Order:
    """Purchase lines [k]."""

    users: Ints
    items: Ints
    sessions: Ints
    day: NDArray[np.float64]
    quantity: NDArray[np.float64]
    price: Floats

    def __len__(self) -> int:
        return len(self.users)


def satisfaction(minds: Minds, orders: Order) -> Floats:
    """How pleased the buyer is with each line: the product's quality and how well it suited, around 0 [k]."""
    suited = minds.utility[orders.users, orders.items]
    return (0.9 * minds.traits.quality[orders.items] + 0.25 * (suited - 1.5)).astype(np.float32)


def aftermath_add(ledger: Ledger, minds: Minds, orders: Order, rng: np.random.Generator) -> None:
    """Add returns, ratings and survey scores to the ledger."""
    count = len(orders)
    pleased = satisfaction(minds, orders)
    fit = np.array([leaf.fit for leaf in vocabulary().leaves])[minds.traits.leaf[orders.items]]
    sent_back = rng.random(count) < 1 / (1 + np.exp(2.6 - 1.1 * fit + 0.7 * pleased))
    rows = np.flatnonzero(sent_back)
    nowhere = np.full(count, -1)
    ledger.add(
        "return",
        day=orders.day[rows] + rng.uniform(3, 14, len(rows)),
        user=orders.users[rows],
        session=nowhere[rows],
        item=orders.items[rows],
        quantity=orders.quantity[rows],
        price=orders.price[rows],
    )
    rows = np.flatnonzero(rng.random(count) < RATED)
    ledger.add(
        "rating",
        day=orders.day[rows] + rng.uniform(3, 20, len(rows)),
        user=orders.users[rows],
        session=nowhere[rows],
        item=orders.items[rows],
        value=stars(pleased[rows], rng),
    )
    rows = np.flatnonzero(rng.random(count) < SURVEYED)
    score = np.clip(np.round(7.6 + 1.4 * pleased[rows] + rng.normal(0, 1.3, len(rows))), 0, 10)
    ledger.add(
        "survey_score",
        day=orders.day[rows] + rng.uniform(0.01, 2, len(rows)),
        user=orders.users[rows],
        session=nowhere[rows],
        value=score,
    )


def stars(pleased: Floats, rng: np.random.Generator) -> NDArray[np.float64]:
    """Star ratings 1 to 5 from satisfaction; most are fours and fives, as in any shop."""
    return np.clip(np.round(3.75 + 0.75 * pleased + rng.normal(0, 0.65, len(pleased))), 1, 5)
