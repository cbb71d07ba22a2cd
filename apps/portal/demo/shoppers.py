"""The demo shop's shoppers: what can be known of them (the shopper frame) and their hidden tastes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.portal.demo.catalogue import LATENT, Floats, Ints, Traits
from apps.portal.demo.leaves import Vocabulary, vocabulary

AGE_BANDS = ("18-24", "25-34", "35-49", "50-64", "65+")
INCOME_BANDS = ("low", "middle", "high")
REGIONS = {
    "DE-Berlin": 0.16, "DE-Bavaria": 0.13, "FR-Paris": 0.13, "FR-South": 0.07, "NL-Randstad": 0.11,
    "ES-Madrid": 0.09, "IT-Milan": 0.09, "AT-Vienna": 0.07, "IE-Dublin": 0.07, "BE-Brussels": 0.08,
}  # fmt: skip
CONSENT_SHARE = 0.7
CHINESE_SHARE = 0.24
NEEDS, STAPLES = 3, 3
FUTURE_WEEKS = 12


@dataclass(frozen=True)
class Tastes:
    """Hidden, per shopper [m].

    `weights` [m, d] meets the item features of `features`; `need` [m, weeks, 3] are the leaves a shopper is
    after in each week (they last two to four weeks); `staple` [m, 3] are products bought again every
    `interval` days, first on day `phase` (-1: none); `promo` and `novelty` scale the pull of discounts and
    new arrivals; `ready` is the log-odds that a session ends at the till, `coupon` what a coupon adds to it.
    """

    weights: Floats
    need: Ints
    staple: Ints
    interval: Floats
    phase: Floats
    promo: Floats
    novelty: Floats
    ready: Floats
    coupon: Floats


@dataclass(frozen=True)
class Population:
    """`shoppers` is the frame that is imported; `activity` [m] the mean number of sessions a day,
    `joined` [m] the day of the first one, `app` [m] the share of sessions in the app, `chinese` [m] the
    language spoken whether or not consented to be known."""

    shoppers: pd.DataFrame
    tastes: Tastes
    activity: Floats
    joined: Floats
    app: Floats
    chinese: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.activity)


def features(traits: Traits) -> Floats:
    """What tastes act upon: leaf, style, colour and brand one-hot, price, latent factors, appeal, quality
    [n, d].
    """
    words = vocabulary()
    one_hot = [
        np.eye(len(names), dtype=np.float32)[index]
        for names, index in (
            (words.leaves, traits.leaf),
            (words.styles, traits.style),
            (words.brands, traits.brand),
        )
    ]
    colour = np.eye(len(words.families) + 1, dtype=np.float32)[traits.family][:, :-1]
    price = np.stack([traits.price_level, traits.price_level**2], axis=1)
    hidden = np.concatenate([traits.latent, traits.appeal[:, None], traits.quality[:, None]], axis=1)
    return np.concatenate([*one_hot, colour, price, hidden], axis=1).astype(np.float32)


def population_build(
    *, count: int, traits: Traits, start: datetime, days: int, rng: np.random.Generator
) -> Population:
    """Make `count` shoppers, their tastes and their attributes, which go with taste."""
    words = vocabulary()
    lives = _lifestyles(count, len(words.lifestyles), rng)
    income = np.clip(
        lives @ np.array([life.income for life in words.lifestyles]) + rng.normal(0, 0.6, count), 0, 2
    )
    weights = _weights(words, lives, income, rng)
    promo = np.clip(rng.gamma(3.0, 0.33, count) * (1.5 - 0.4 * income), 0.05, 3.0)
    ready = rng.normal(-2.45, 0.7, count)
    # Bargain hunters are persuaded, the keen would have bought anyway, some with high income are put off.
    coupon = 0.95 * np.tanh(promo - 0.5) - 0.15 * (income > 1.7) - 0.25 * np.maximum(ready + 1.2, 0)
    joined = np.where(rng.random(count) < 0.72, 0.0, rng.uniform(0, days * 0.95, count))
    staple, interval, phase = _staples(words, weights @ features(traits).T, traits, rng)
    chinese = rng.random(count) < CHINESE_SHARE
    tastes = Tastes(
        weights=weights,
        need=_needs(words, weights, days // 7 + 1 + FUTURE_WEEKS, rng),
        staple=staple,
        interval=interval,
        phase=phase,
        promo=promo.astype(np.float32),
        novelty=rng.normal(0.25, 0.45, count).astype(np.float32),
        ready=ready.astype(np.float32),
        coupon=coupon.astype(np.float32),
    )
    return Population(
        shoppers=_frame(words, lives, income, joined, chinese, start, rng),
        tastes=tastes,
        activity=(rng.gamma(1.5, 1 / 1.5, count) * 0.155 + 0.01).astype(np.float32),
        joined=joined.astype(np.float32),
        app=np.clip(rng.beta(0.8, 1.0, count), 0, 1).astype(np.float32),
        chinese=chinese,
    )


def _lifestyles(count: int, kinds: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Shares of the lifestyles in each shopper: one leads, others colour it. [count, kinds], rows sum to
    1.
    """
    lives = rng.dirichlet(np.full(kinds, 0.25), count)
    lead = rng.integers(kinds, size=count)
    lives *= 0.55
    lives[np.arange(count), lead] += 0.45
    return lives


def _weights(
    words: Vocabulary, lives: NDArray[np.float64], income: NDArray[np.float64], rng: np.random.Generator
) -> Floats:
    count = len(lives)
    pull = np.array([[leaf.life.get(life.code, 0.0) for leaf in words.leaves] for life in words.lifestyles])
    leaf = 1.9 * lives @ pull + rng.normal(0, 0.8, (count, len(words.leaves))) + 0.1 * rng.normal(
        size=len(words.leaves)
    )  # fmt: skip
    likes = np.array([[float(style in life.styles) for style in words.styles] for life in words.lifestyles])
    style = 1.0 * lives @ likes + rng.normal(0, 0.5, (count, len(words.styles)))
    fashionable = 0.12 * rng.normal(size=len(words.families))
    colour = fashionable + rng.normal(0, 0.5, (count, len(words.families)))
    standing = 0.1 * rng.normal(size=len(words.brands))
    brand = standing + rng.normal(0, 0.5, (count, len(words.brands)))
    ideal = 0.7 * (income - 1) + rng.normal(0, 0.45, count)
    strictness = rng.uniform(0.12, 0.35, count)
    price = np.stack([2 * strictness * ideal, -strictness], axis=1)
    # Hidden factors follow lifestyle a little, so that like-minded shoppers agree for no visible reason.
    shared = rng.normal(size=(lives.shape[1], LATENT))
    latent = 0.32 * (0.7 * lives @ shared + rng.normal(0, 0.8, (count, LATENT)))
    plain = np.stack([rng.uniform(0.7, 1.3, count), rng.uniform(0.1, 0.5, count)], axis=1)
    leaf -= 0.8 * leaf.mean(axis=0) + 0.2 * leaf.mean()
    return np.concatenate([leaf, style, brand, colour, price, latent, plain], axis=1).astype(np.float32)


def _needs(words: Vocabulary, weights: Floats, weeks: int, rng: np.random.Generator) -> Ints:
    """Three current needs per shopper and week; each is kept with probability 0.7 from week to week."""
    count, leaves = len(weights), len(words.leaves)
    odds = np.exp(0.9 * weights[:, :leaves])
    edges = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
    need = np.empty((count, weeks, NEEDS), dtype=np.int64)
    for week in range(weeks):
        for slot in range(NEEDS):
            fresh = (rng.random(count)[:, None] > edges).sum(axis=1).clip(max=leaves - 1)
            keep = rng.random(count) < 0.7
            need[:, week, slot] = np.where(keep & (week > 0), need[:, max(week - 1, 0), slot], fresh)
    return need


def _staples(
    words: Vocabulary, utility: Floats, traits: Traits, rng: np.random.Generator
) -> tuple[Ints, Floats, Floats]:
    """Consumables a shopper has settled on: a favourite product, how often, and when first."""
    count = len(utility)
    cycle = np.array([leaf.replenish for leaf in words.leaves], dtype=float)
    staple = np.full((count, STAPLES), -1, dtype=np.int64)
    interval = np.full((count, STAPLES), 1.0)
    phase = np.zeros((count, STAPLES))
    wanted = utility + rng.gumbel(0, 0.5, utility.shape)
    wanted[:, (cycle[traits.leaf] == 0) | (traits.born > 0)] = -np.inf
    for slot in range(STAPLES):
        choice = wanted.argmax(axis=1)
        has = rng.random(count) < (0.36, 0.17, 0.07)[slot]
        staple[has, slot] = choice[has]
        days = cycle[traits.leaf[choice]] * rng.lognormal(0, 0.2, count)
        interval[:, slot] = np.maximum(days, 7.0)
        phase[:, slot] = rng.uniform(0, 1, count) * interval[:, slot]
        taken = traits.leaf[None, :] == traits.leaf[choice][:, None]
        wanted[taken] = -np.inf
    return staple, interval.astype(np.float32), phase.astype(np.float32)


def _frame(
    words: Vocabulary,
    lives: NDArray[np.float64],
    income: NDArray[np.float64],
    joined: NDArray[np.float64],
    chinese: NDArray[np.bool_],
    start: datetime,
    rng: np.random.Generator,
) -> pd.DataFrame:
    count = len(lives)
    ages = lives @ np.array([life.ages for life in words.lifestyles])
    age = (rng.random(count)[:, None] > np.cumsum(ages, axis=1)).sum(axis=1).clip(max=len(AGE_BANDS) - 1)
    share = lives @ np.array([life.female for life in words.lifestyles])
    gender = np.where(rng.random(count) < share, "female", "male")
    gender[rng.random(count) < 0.03] = "other"
    band = np.digitize(income, [0.75, 1.4])
    region = rng.choice(list(REGIONS), count, p=list(REGIONS.values()))
    consent = rng.random(count) < CONSENT_SHARE
    earlier = np.where(joined > 0, joined, -rng.uniform(0, 400, count))

    def known(values: NDArray[np.str_]) -> NDArray[np.str_]:
        return np.where(consent, values, "")

    return pd.DataFrame(
        {
            "external_id": [f"shopper-{i + 1:05d}" for i in range(count)],
            "age_band": known(np.array(AGE_BANDS)[age]),
            "gender": known(gender),
            "income_band": known(np.array(INCOME_BANDS)[band]),
            "region": known(region),
            "language": known(np.where(chinese, "zh-hans", "en")),
            "consent": consent,
            "first_seen": pd.to_datetime([start + timedelta(days=float(day)) for day in earlier], utc=True),
        }
    )
