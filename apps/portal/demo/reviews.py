"""Reviews in two languages whose true opinion of every aspect is known."""

import tomllib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from apps.portal.demo.aftermath import Order, satisfaction, stars
from apps.portal.demo.behaviour import Minds
from apps.portal.demo.catalogue import Catalogue, Floats
from apps.portal.demo.leaves import FOLDER, Leaf
from apps.portal.demo.shoppers import Population
from apps.portal.demo.wording import lowered

ASPECTS = ("quality", "fit", "delivery", "price", "design")
WRITTEN = 0.22
# How much each aspect weighs in the stars.
GRAVITY = np.array([2.0, 1.2, 0.8, 1.0, 1.0])


@dataclass(frozen=True)
class Reviews:
    """`frame` is what is imported; `truths` gives, per review, {aspect: +1 or -1} for the aspects it speaks
    of.
    """

    frame: pd.DataFrame
    truths: dict[str, dict[str, int]]


@cache
def _phrases() -> dict[str, Any]:
    with (FOLDER / "reviews.toml").open("rb") as file:
        return tomllib.load(file)


def reviews_build(
    catalogue: Catalogue,
    population: Population,
    minds: Minds,
    orders: Order,
    start: datetime,
    horizon: float,
    rng: np.random.Generator,
) -> Reviews:
    """Let about a fifth of the buyers write; opinions follow hidden quality, fit, delivery luck, price and
    taste.
    """
    delay = rng.uniform(3, 25, len(orders))
    once = np.zeros(len(orders), dtype=bool)
    key = orders.users * np.int64(len(catalogue)) + orders.items
    once[np.unique(key, return_index=True)[1]] = True
    writes = once & (rng.random(len(orders)) < WRITTEN) & (orders.day + delay < horizon)
    rows = np.flatnonzero(writes)
    opinion = _opinions(minds, orders, rows, rng)
    speaks = rng.random(opinion.shape) < (0.55, 0.4, 0.3, 0.35, 0.45)
    speaks[np.arange(len(rows)), rng.integers(len(ASPECTS), size=len(rows))] = True
    heard = speaks * GRAVITY
    feeling = (opinion * heard).sum(axis=1) / heard.sum(axis=1)
    rating = stars(0.4 * satisfaction(minds, orders)[rows] + 1.9 * feeling - 0.7, rng)
    draws = rng.integers(1 << 30, size=(len(rows), len(ASPECTS) + 1))
    skus, people = catalogue.products["sku"].to_numpy(), population.shoppers["external_id"].to_numpy()
    texts, truths = [], {}
    for nth, row in enumerate(rows):
        look = catalogue.looks[orders.items[row]]
        zh = bool(population.chinese[orders.users[row]])
        noun = look.leaf.nouns[look.noun]
        said = {aspect: int(opinion[nth, a]) for a, aspect in enumerate(ASPECTS) if speaks[nth, a]}
        texts.append(_text(said, rating[nth], draws[nth], noun.zh if zh else lowered(noun.en), zh, look.leaf))
        truths[f"review-{nth + 1:05d}"] = said
    moments = pd.to_datetime([start], utc=True)[0] + pd.to_timedelta(orders.day[rows] + delay[rows], unit="D")
    frame = pd.DataFrame(
        {
            "external_id": list(truths),
            "shopper": people[orders.users[rows]],
            "sku": skus[orders.items[rows]],
            "rating": rating.astype(int),
            "text": texts,
            "language": np.where(population.chinese[orders.users[rows]], "zh-hans", "en"),
            "written_at": moments,
        }
    )
    return Reviews(frame, truths)


def _opinions(minds: Minds, orders: Order, rows: Any, rng: np.random.Generator) -> Floats:
    """+1 or -1 per review and aspect."""
    traits, items, users = minds.traits, orders.items[rows], orders.users[rows]
    luck = rng.normal(0, 0.7, (len(rows), len(ASPECTS)))
    runs_odd = np.abs(traits.latent[items, 0]) - 1.5
    cheap = minds.tastes.promo[users] * 0.3 * traits.price_level[items]
    base = np.stack(
        [
            1.2 * traits.quality[items] + 0.3,
            0.5 - 0.8 * runs_odd,
            np.full(len(rows), 0.75),
            0.5 - cheap,
            0.3 + 0.2 * (minds.utility[users, items] - 1.0),
        ],
        axis=1,
    )
    return np.where(base + luck > 0, 1, -1).astype(np.float32)


def _topic(aspect: str, leaf: Leaf) -> str:
    """What an aspect means for this kind of product: chocolate has no fit, and its design is its wrapping."""
    if leaf.pack:
        return {"quality": "goods", "fit": "pack_size", "design": "packaging"}.get(aspect, aspect)
    return "size" if aspect == "fit" and not leaf.fit else aspect


def _text(said: dict[str, int], rating: float, draws: Any, noun: str, zh: bool, leaf: Leaf) -> str:
    phrases, language = _phrases(), int(zh)
    mood = "good" if rating >= 4 else "mixed" if rating == 3 else "bad"
    options = phrases["opening"][mood]
    parts = [options[draws[-1] % len(options)][language].format(noun=noun)] if draws[-1] % 5 else []
    for aspect, opinion in said.items():
        topic = _topic(aspect, leaf)
        options = phrases[topic]["good" if opinion > 0 else "bad"]
        parts.append(options[draws[ASPECTS.index(aspect)] % len(options)][language])
    return ("" if zh else " ").join(parts)
