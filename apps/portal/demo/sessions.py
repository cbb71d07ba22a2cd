"""When shoppers come: sessions with their weekday, hour, channel and growth; and when staples run out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.portal.demo.behaviour import Bools
from apps.portal.demo.catalogue import Floats, Ints
from apps.portal.demo.shoppers import Population

# Share of sessions by hour of the day, on weekdays and at weekends, on the web and in the app.
_HOURS = {
    "web": "1 .5 .3 .2 .3 .6 1.4 2.6 4 5 5.4 5.6 6.4 6 5.2 5 5.2 5.6 6 7 8.4 8.6 6 3",
    "app": "1.6 .8 .4 .3 .4 1.2 3.4 6.2 6 4 3.4 3.8 5.6 5 3.8 3.6 4 6 7 7 8 9 7.4 4",
    "weekend": "1.4 .9 .5 .3 .3 .4 .7 1.4 3 5 6.6 7 6.6 6.2 6.4 6.6 6.4 6 5.6 6 7 7 5 2.6",
}
_WEB, _APP, _WEEKEND = (np.array(line.split(), dtype=float) for line in _HOURS.values())


@dataclass(frozen=True)
class Sessions:
    """Sessions in time order: whose [s], at which day and fraction [s], in the app or not [s], how many
    pages are opened [s] before anybody means to buy, and the staples that are bought in them:
    `staple_session` points at a session for each of `staple_item`."""

    users: Ints
    day: NDArray[np.float64]
    app: Bools
    pages: Ints
    staple_session: Ints
    staple_item: Ints


def sessions_draw(
    population: Population, *, horizon: float, first_weekday: int, rng: np.random.Generator
) -> Sessions:
    """Draw all identified sessions from day 0 to `horizon`; `first_weekday` is 0 for Monday."""
    count = len(population)
    visits = rng.poisson(population.activity * (horizon - population.joined))
    users = np.repeat(np.arange(count), visits)
    day = _days(users, population.joined, horizon, first_weekday, rng)
    staple_user, staple_item, staple_day = _staples_due(population, horizon, rng)
    # One shopper's staples that run out within three days are bought together.
    key = staple_user * 10_000 + np.round(staple_day / 3).astype(np.int64)
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    users = np.concatenate([users, staple_user[first]])
    day = np.concatenate([day, staple_day[first]])
    order = np.argsort(day, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    app = rng.random(len(users)) < population.app[users]
    pages = np.concatenate([1 + rng.poisson(0.9, visits.sum()), rng.poisson(0.5, len(first))])
    day = np.floor(day) + _fractions(day, app, first_weekday, rng)
    sessions_before = visits.sum()
    users, day, app, pages = users[order], day[order], app[order], pages[order]
    return Sessions(users, day, app, pages, place[sessions_before + group], staple_item)


def _days(
    users: Ints, joined: Floats, horizon: float, first_weekday: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    days = np.arange(int(np.ceil(horizon)))
    weekend = ((days + first_weekday) % 7) >= 5
    weight = (1 + 0.28 * weekend) * (1 + 0.25 * days / len(days)) * rng.lognormal(0, 0.05, len(days))
    edges = np.cumsum(weight) / weight.sum()
    low = np.interp(joined[users], np.arange(len(days) + 1), np.concatenate([[0.0], edges]))
    draw = low + (1 - low) * rng.random(len(users))
    return np.searchsorted(edges, draw).clip(max=len(days) - 1).astype(float)


def _fractions(
    day: NDArray[np.float64], app: Bools, first_weekday: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    weekend = ((day.astype(np.int64) + first_weekday) % 7) >= 5
    draw, hour = rng.random(len(day)), np.zeros(len(day))
    for profile, mine in ((_WEB, ~weekend & ~app), (_APP, ~weekend & app), (_WEEKEND, weekend)):
        hour[mine] = np.searchsorted(np.cumsum(profile) / profile.sum(), draw[mine])
    return (np.minimum(hour, 23) + rng.random(len(day))) / 24


def _staples_due(
    population: Population, horizon: float, rng: np.random.Generator
) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Every purchase of a staple: user, item, day. One in ten is missed."""
    tastes = population.tastes
    who, slot = np.nonzero(tastes.staple >= 0)
    times = int(np.ceil(horizon / 7.0)) + 1
    due = tastes.phase[who, slot][:, None] + tastes.interval[who, slot][:, None] * np.arange(times)[None, :]
    due = due + rng.normal(0, 1.2, due.shape)
    happens = (due > population.joined[who][:, None]) & (due >= 0) & (due < horizon - 0.01)
    happens &= rng.random(due.shape) < 0.9
    row, turn = np.nonzero(happens)
    return who[row], tastes.staple[who, slot][row], due[row, turn]
