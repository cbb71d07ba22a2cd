"""Experiments of a shop that has run some: real slates for simulated shoppers of the last two weeks.

The engine decides every slate as of its moment and `behaviour.play` what came of it, so what the pages show
was measured, not written down. One experiment harms and its guardrail ends it, one still runs, one is a
draft.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.core import clock
from apps.events.services import event_record_many, exposure_record_many
from apps.experiments.assignment import layer_bucket
from apps.experiments.models import BUCKETS, Experiment, ExperimentStatus
from apps.experiments.services import experiment_create, experiment_launch, variants_set
from apps.experiments.watching import experiment_watch
from apps.metrics.rollups import rollups_build
from apps.portal.demo.behaviour import Play, play, ready_odds
from apps.portal.demo.catalogue import Ints
from apps.portal.demo.traffic import ATTENTION, PLACES
from apps.portal.demo.truth import Stage, stage_load
from apps.serving.memory import memory_forget
from apps.serving.pipeline import exposure_of, recommend
from apps.serving.slate import Slate, SlateRequest

Say = Callable[[str], None]
SOURCE = "demo"
# Of shoppers who take part; what the others do would show nothing here.
SESSIONS_A_DAY = 450
# What a visit late in the day leads to belongs to the same day, and to the past.
DAY_PART = 0.98
PREMIUM = {"id": "premium", "kind": "filter", "condition": {"field": "price", "op": "gte", "value": 120}}


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment on the home page. started: days ago, None for a draft. days: so many at most."""

    code: str
    name: str
    hypothesis: str
    variant: str
    blend: Mapping[str, Any]
    started: int | None
    days: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)


# The last tenth of the layer is free for what visitors of the demo want to try.
FIRST, SECOND = 3 * BUCKETS // 10, 7 * BUCKETS // 10
PLANS = (
    Plan(
        "premium-home",
        "Premium home page",
        "Showing only products from 120 euros on the home page raises revenue per shopper without costing "
        "clicks.",
        "From 120 euros",
        {"from": "live", "rules": [PREMIUM]},
        started=13,
        days=6,
        fields={
            "layer_to": FIRST,
            "primary": "revenue_per_shopper",
            "secondary": ["conversion"],
            "guardrails": [{"metric": "ctr", "margin": 0.05}],
        },
    ),
    Plan(
        "taste-first",
        "Taste before trend",
        "Shoppers click more when their own taste outweighs what is popular at the moment.",
        "Taste first",
        {"from": "live", "weights": {"als": 0.6, "ease": 0.8, "content": 0.3}},
        started=6,
        days=6,
        fields={
            "layer_from": FIRST,
            "layer_to": SECOND,
            "primary": "ctr",
            "secondary": ["conversion"],
            "guardrails": [{"metric": "revenue_per_shopper", "margin": 0.1}],
        },
    ),
    Plan(
        "twenty-places",
        "Twenty instead of twelve",
        "A longer home page sells more.",
        "Twenty places",
        {"from": "live", "page_size": 20},
        started=None,
        fields={"layer_from": SECOND, "layer_to": 9 * BUCKETS // 10, "primary": "conversion"},
    ),
)


def experiments_seed(*, say: Say, sessions_a_day: int = SESSIONS_A_DAY, seed: int = 1) -> int:
    """Make the experiments that are not there and play their shoppers' days; returns how many were made.

    Raises NotFound without a demo shop.
    """
    there = set(Experiment.objects.values_list("code", flat=True))
    missing = [plan for plan in PLANS if plan.code not in there]
    if not missing:
        return 0
    stage = stage_load()
    now = clock.now()
    rng = np.random.default_rng(seed)
    for plan in missing:
        say(f"experiment {plan.code}")
        if plan.started is None:
            _design(plan)
            continue
        begun = now - timedelta(days=plan.started)
        with clock.pinned(begun):
            experiment = experiment_launch(actor=None, experiment_id=_design(plan).pk)
        odds = _visiting(stage, experiment)
        for day in range(plan.days):
            users = rng.choice(len(odds), sessions_a_day, p=odds)
            _day_play(stage, users, begun + timedelta(days=day), rng)
            with clock.pinned(begun + timedelta(days=day + 1)):
                experiment_watch(experiment_id=experiment.pk)
            experiment.refresh_from_db()
            if experiment.status == ExperimentStatus.ENDED:
                break
    memory_forget()
    rollups_build()
    return len(missing)


def _design(plan: Plan) -> Experiment:
    fields = {
        "code": plan.code,
        "name": plan.name,
        "hypothesis": plan.hypothesis,
        "placements": ["home"],
        "mde": 0.1,
        **plan.fields,
    }
    experiment = experiment_create(actor=None, fields=fields)
    variants_set(
        actor=None,
        experiment_id=experiment.pk,
        variants=[
            {"code": "control", "name": "As it is", "share": 0.5, "is_control": True, "blends": {}},
            {
                "code": "b",
                "name": plan.variant,
                "share": 0.5,
                "is_control": False,
                "blends": {"home": plan.blend},
            },
        ],
    )
    return experiment


def _visiting(stage: Stage, experiment: Experiment) -> NDArray[np.float64]:
    """The chance of each shopper to be the next visitor, of those in the experiment's slice [m]."""
    salt = experiment.layer.salt
    buckets = np.array([layer_bucket(salt, shopper) for shopper in stage.shoppers])
    inside = (buckets >= experiment.layer_from) & (buckets < experiment.layer_to)
    odds = np.where(inside, stage.activity, 0.0).astype(np.float64)
    chances: NDArray[np.float64] = odds / odds.sum()
    return chances


def _day_play(stage: Stage, users: Ints, begun: datetime, rng: np.random.Generator) -> None:
    """One day's visits to the home page: slates as of their moments, and what shoppers did with them."""
    memory_forget()  # it knows another day
    sessions = len(users)
    moments = [begun + timedelta(days=float(part)) for part in np.sort(rng.random(sessions) * DAY_PART)]
    visits = [f"past-{uuid.uuid4().hex}" for _ in moments]
    slates = []
    for user, moment, visit in zip(users.tolist(), moments, visits, strict=True):
        with clock.pinned(moment):
            request = SlateRequest(
                placement="home", shopper=stage.shoppers[user], session=visit, n=PLACES, now=moment
            )
            slates.append(recommend(request))
    exposure_record_many(exposures=[exposure_of(slate) for slate in slates], durable=False)
    known = stage.item_of
    shown = np.full((sessions, PLACES), -1, dtype=np.int64)
    for row, slate in enumerate(slates):
        skus = [item.sku for item in slate.items[:PLACES]]
        shown[row, : len(skus)] = [known.get(sku, -1) for sku in skus]
    day = np.array([stage.day_of(moment) for moment in moments], dtype=np.float32)
    ready = rng.random(sessions) < ready_odds(stage.minds.tastes.ready[users])
    outcome = play(stage.minds.wanting(users, shown, day), ready, rng)
    thought = rng.random(sessions) < ATTENTION
    rows = [
        row
        for place, slate in enumerate(slates)
        for row in _events(stage, slate, users[place], shown[place], outcome, place, bool(thought[place]))
    ]
    event_record_many(frame=pd.DataFrame(rows), source=SOURCE)


def _events(
    stage: Stage, slate: Slate, user: int, shown: Any, outcome: Play, place: int, thought: bool
) -> list[dict[str, Any]]:
    """What one visit reported: the slate was seen; what was clicked, put into the cart and bought of it."""
    rows: list[dict[str, Any]] = []

    def add(kind: str, sku: str = "", price: float | None = None) -> None:
        rows.append(
            {
                "kind": kind,
                "client_event_id": f"{slate.session}-{len(rows)}",
                "occurred_at": slate.served_at + timedelta(seconds=4 * (len(rows) + 1)),
                "shopper": stage.shoppers[user],
                "sku": sku,
                "price": price,
                "quantity": 1,
                "session": slate.session,
                "channel": "web",
                "request_id": str(slate.request_id),
            }
        )

    add("seen")
    for position, item in enumerate(slate.items[: len(shown)]):
        if not thought or not outcome.clicked[place, position]:
            continue
        add("click", item.sku)
        add("view", item.sku)
        if outcome.carted[place, position]:
            add("add_to_cart", item.sku, item.price)
        if outcome.bought[place, position]:
            add("purchase", item.sku, item.price)
            stage.minds.owned[user, int(shown[position])] = True
    return rows
