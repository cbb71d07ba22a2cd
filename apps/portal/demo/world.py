"""The whole generated world: one seed, one moment, one call."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from apps.portal.demo.behaviour import Minds, minds_build
from apps.portal.demo.catalogue import Catalogue, catalogue_build
from apps.portal.demo.history import History, history_build
from apps.portal.demo.reviews import Reviews, reviews_build
from apps.portal.demo.shoppers import Population, population_build

PRODUCTS, SHOPPERS, DAYS, SEED = 2400, 5000, 90, 20


@dataclass(frozen=True)
class World:
    """`start` is the midnight (UTC) of day 0, `horizon` the moment `end` in days from it."""

    seed: int
    start: datetime
    end: datetime
    horizon: float
    catalogue: Catalogue
    population: Population
    minds: Minds
    history: History
    reviews: Reviews

    @property
    def products(self) -> pd.DataFrame:
        """The product feed."""
        return self.catalogue.products

    @property
    def shoppers(self) -> pd.DataFrame:
        """The shopper frame."""
        return self.population.shoppers

    @property
    def events(self) -> pd.DataFrame:
        """The events frame."""
        return self.history.events


def streams(seed: int) -> list[np.random.Generator]:
    """Independent randomness for products, shoppers, history and reviews, so that one may change alone."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)]


def world_build(
    *,
    end: datetime,
    seed: int = SEED,
    products: int = PRODUCTS,
    shoppers: int = SHOPPERS,
    days: int = DAYS,
    image_base: str = "/media/",
) -> World:
    """Generate the shop whose history ends at `end` (aware UTC). The same arguments give the same world."""
    start = (end - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    horizon = (end - start) / timedelta(days=1)
    products_rng, shoppers_rng, history_rng, reviews_rng = streams(seed)
    catalogue = catalogue_build(
        count=products, start=start, days=int(horizon), rng=products_rng, image_base=image_base
    )
    population = population_build(
        count=shoppers, traits=catalogue.traits, start=start, days=int(horizon), rng=shoppers_rng
    )
    minds = minds_build(catalogue.traits, population.tastes, start.timetuple().tm_yday)
    history = history_build(
        catalogue=catalogue,
        population=population,
        minds=minds,
        start=start,
        horizon=horizon,
        rng=history_rng,
        mark=f"h{seed}-{start:%y%m%d}",
    )
    reviews = reviews_build(catalogue, population, minds, history.orders, start, horizon, reviews_rng)
    return World(seed, start, end, horizon, catalogue, population, minds, history, reviews)
