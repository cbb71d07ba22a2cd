"""Which variants somebody has, for what the storefront builds itself; the same that slates go by."""

from dataclasses import dataclass
from datetime import datetime

from apps.core import clock
from apps.events.exposures import ExposureRow
from apps.experiments.assignment import slot_at, variant_drawn
from apps.serving.memory import memory_current
from apps.serving.shoppers import ShopperState
from apps.serving.slate import Attribution, SlateRequest, request_id_make
from apps.serving.trials import HOLDOUT, INTERLEAVING, SWITCHBACK, Experiment, unit_of

# What an exposure says where no slate was: in place of a placement, and of what the slate stood on.
NO_PLACEMENT, FEATURE = "", "feature"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One running experiment. variant: None for who takes no part; in_audience: whether it is about them."""

    experiment: Experiment
    variant: str | None
    in_audience: bool


@dataclass(frozen=True, slots=True)
class Assignments:
    """unit: "" for who is in no experiment at all. Of every running experiment one, in its order."""

    unit: str
    shopper: ShopperState
    at: datetime
    found: tuple[Assignment, ...]


def assignments_read(request: SlateRequest) -> Assignments:
    """What whoever asks has in each running experiment; usually one query, for the shopper.

    Of the request counts what says who asks: shopper, session, anonymous, personalised, language, context.
    """
    memory, now = memory_current(), clock.now()
    shopper = ShopperState()
    if request.personalised and (request.shopper or request.session):
        shopper = memory.read_shopper(request.shopper or "", request.session)
    personalised = request.personalised and not shopper.opted_out
    if not personalised:
        shopper = ShopperState()
    unit = unit_of(shopper, request.shopper or "", request.session, request.anonymous) if personalised else ""
    found: list[Assignment] = []
    held = False
    for experiment in memory.live.experiments:
        inside = (
            personalised
            and (bool(unit) or experiment.kind == SWITCHBACK)
            and experiment.audience.holds(shopper, request.context, request.language, experiment.started)
        )
        variant = experiment.variant_of(unit, now.timestamp()) if inside and not held else None
        if variant is not None and experiment.kind == INTERLEAVING:
            variant = variant_drawn(experiment.rivals, unit)
        held = held or (experiment.kind == HOLDOUT and variant == experiment.control)
        found.append(Assignment(experiment, variant, inside))
    return Assignments(unit, shopper, now, tuple(found))


def exposure_of_feature(request: SlateRequest, known: Assignments, one: Assignment) -> ExposureRow | None:
    """What is remembered when the storefront shows a variant of its own; None for who has none."""
    if one.variant is None:
        return None
    experiment = one.experiment
    allocation = experiment.rivals if experiment.kind == INTERLEAVING else experiment.allocation
    switched = experiment.kind == SWITCHBACK
    attribution = Attribution(
        experiment.id,
        experiment.code,
        one.variant,
        allocation.share_of(one.variant),
        unit=known.unit if known.shopper.id is None and request.shopper else "",
        slot=slot_at(known.at.timestamp(), experiment.slot_minutes) if switched else None,
        device=request.context.device,
    )
    return ExposureRow(
        request_id=request_id_make(),
        served_at=known.at,
        placement=NO_PLACEMENT,
        product_ids=(),
        sources=(),
        propensities=(),
        rung=FEATURE,
        shopper_id=known.shopper.id,
        session=request.session,
        experiment_id=attribution.experiment_id,
        variant=attribution.variant,
        context=attribution.context(),
    )
