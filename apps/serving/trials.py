"""Running experiments as slates see them: who is in, what their variant shows, what is remembered of it.

They are read with the live state and so are followed within two seconds; to assign costs a few hashes and no
query. A slate is attributed to an experiment only when a variant decided it. Nobody without a shopper id or
session takes part, nor who wants nothing personal.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from apps.experiments.assignment import (
    BUCKETS,
    Allocation,
    assign_slot,
    layer_bucket,
    slot_at,
    variant_drawn,
)
from apps.serving.publications import COLUMNS, PAGE_SIZE, Pins, PublicationState, publication_read
from apps.serving.shoppers import ShopperState
from apps.serving.slate import Attribution, Context

logger = logging.getLogger(__name__)
HOLDOUT, INTERLEAVING, SWITCHBACK = "holdout", "interleaving", "switchback"
# Holdouts first: who is held back is in no other experiment.
EXPERIMENTS = """
SELECT e.id, e.code, e.kind, e.salt, l.salt, e.layer_from, e.layer_to, e.traffic, e.audience, e.triggered,
       e.slot_minutes, extract(epoch FROM e.started_at)::float8
FROM experiments_experiment e JOIN experiments_layer l ON l.id = e.layer_id
WHERE e.status = 'running' ORDER BY (e.kind = 'holdout') DESC, e.id
"""
VARIANTS = """
SELECT v.experiment_id, v.code, v.share, v.is_control
FROM experiments_variant v JOIN experiments_experiment e ON e.id = v.experiment_id
WHERE e.status = 'running' ORDER BY v.experiment_id, v.position, v.id
"""
ARMS = f"""
SELECT v.experiment_id, v.code, p.code, w.page_size, {COLUMNS}
FROM experiments_variantpublication w
JOIN experiments_variant v ON v.id = w.variant_id
JOIN experiments_experiment e ON e.id = v.experiment_id
JOIN merchandising_placement p ON p.id = w.placement_id
JOIN merchandising_publication b ON b.id = w.publication_id
WHERE e.status = 'running' ORDER BY w.id
"""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom an experiment is about; None and empty: everybody. known: whether the shop knows the shopper.
    new: first seen since the experiment began, which stays true however often they come back; False: before.
    regions, languages: lower case.
    """

    known: bool | None = None
    new: bool | None = None
    regions: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()

    def holds(self, shopper: ShopperState, context: Context, language: str, started: float) -> bool:
        """Whether it holds who asks. Who does not say their device or language is in no audience of any."""
        if self.known is not None and self.known != (shopper.id is not None):
            return False
        if self.new is not None:
            is_new = shopper.first_seen is None or shopper.first_seen >= started
            if self.new != is_new:
                return False
        if self.regions and (context.region or shopper.region).casefold() not in self.regions:
            return False
        if self.devices and context.device not in self.devices:
            return False
        spoken = language.casefold()
        return not self.languages or spoken in self.languages or spoken.partition("-")[0] in self.languages


EVERYBODY = Audience()


def audience_read(stored: Any) -> Audience:
    """The audience of an experiment's JSON; raises ValueError, TypeError or AttributeError for another shape.

    {"known": null | bool, "history": null | "new" | "returning", "regions": [], "languages": [],
     "devices": []}
    """
    history, known = stored.get("history") or None, stored.get("known")
    if history not in (None, "new", "returning") or known not in (None, True, False):
        raise ValueError(f"audience {stored!r} has a history or a known that nobody wrote")
    regions, languages, devices = (
        frozenset(str(one).casefold() for one in stored.get(name) or ())
        for name in ("regions", "languages", "devices")
    )
    new = None if history is None else history == "new"
    return Audience(known, new, regions, languages, devices)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A running experiment. started: seconds since 1970. control: a variant's code. only_different: a slate
    counts only where the variants' slates differ.
    """

    id: int
    code: str
    kind: str
    allocation: Allocation
    control: str
    audience: Audience = EVERYBODY
    only_different: bool = False
    slot_minutes: int = 60
    started: float = 0.0

    @property
    def rivals(self) -> Allocation:
        """What is interleaved with control: of the other variants one for each unit, drawn by a salt of its
        own.
        """
        whole, own = self.allocation, [one for one in self.allocation.variants if one[0] != self.control]
        total = sum(share for _, share in own) or 1.0
        shares = tuple((code, share / total) for code, share in own)
        return Allocation(f"{whole.salt}:rival", "", 0, BUCKETS, 1.0, shares)

    def variant_of(self, unit: str, at: float) -> str | None:
        """The variant of a unit at this moment (seconds since 1970); None when it does not take part."""
        return _variant(self, unit, at, {})


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment on one placement: what each variant shows. Of a holdout's variants some show nothing of
    their own. turns: what it decides, by variant.
    """

    experiment: Experiment
    arms: Mapping[str, PublicationState] = field(default_factory=dict)
    turns: Mapping[str, "Turn"] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        turns = {}
        for code, share in self.experiment.allocation.variants:
            free = self.experiment.kind == HOLDOUT and code != self.experiment.control
            attribution = Attribution(self.experiment.id, self.experiment.code, code, share)
            turns[code] = Turn(self, None if free else self.arms.get(code), free, attribution)
        object.__setattr__(self, "turns", turns)


@dataclass(frozen=True, slots=True)
class Turn:
    """What an experiment decides for one request. publication: None for the live one. free: whether other
    experiments may decide, for this is a holdout's other part.
    """

    trial: Trial
    publication: PublicationState | None
    free: bool
    attribution: Attribution


def unit_of(shopper: ShopperState, name: str, session: str, anonymous: str = "") -> str:
    """What experiments divide; "" for who takes part in none.

    name: the shopper's id as the request has it. anonymous: the id they were known by until a moment ago,
    which counts while the shop knows nothing of the new one. A shopper who could not be looked up may be
    known by another id than the request's: they take part in nothing, so that nobody is counted in the wrong
    variant.
    """
    if shopper.unit:
        return shopper.unit
    if name:
        return (anonymous or name) if shopper.was_read else ""
    return f"session:{session}" if session else ""


def turn_of(
    trials: Sequence[Trial],
    *,
    shopper: ShopperState,
    unit: str,
    context: Context,
    language: str,
    at: float,
) -> Turn | None:
    """Whose turn it is: the first experiment of a placement that the unit takes part in.

    Who is in a holdout's other part goes on to the rest; a slate that none of those decides counts for it.
    """
    buckets: dict[str, int] = {}
    held: Turn | None = None
    for trial in trials:
        experiment = trial.experiment
        if experiment.audience is not EVERYBODY and not experiment.audience.holds(
            shopper, context, language, experiment.started
        ):
            continue
        variant = _variant(experiment, unit, at, buckets)
        if variant is None:
            continue
        turn = trial.turns[variant]
        if turn.free:
            held = held or turn
            continue
        if experiment.kind == SWITCHBACK:
            slot = slot_at(at, experiment.slot_minutes)
            turn = replace(turn, attribution=replace(turn.attribution, slot=slot))
        if held is None:
            return turn
        also = (held.attribution.experiment_id, held.attribution.variant)
        return replace(turn, attribution=replace(turn.attribution, holdout=also))
    return held


def _variant(experiment: Experiment, unit: str, at: float, buckets: dict[str, int]) -> str | None:
    """buckets: of the unit by layer's salt, as far as they are known."""
    allocation = experiment.allocation
    if experiment.kind == SWITCHBACK:
        return assign_slot(allocation, slot_at(at, experiment.slot_minutes))
    if not unit:
        return None
    if allocation.layer_from > 0 or allocation.layer_to < BUCKETS:
        bucket = buckets.get(allocation.layer_salt)
        if bucket is None:
            bucket = buckets[allocation.layer_salt] = layer_bucket(allocation.layer_salt, unit)
        if not allocation.layer_from <= bucket < allocation.layer_to:
            return None
    return variant_drawn(allocation, unit)


# -- reading -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Running:
    """All running experiments, holdouts first, and by placement's code what their variants show."""

    experiments: tuple[Experiment, ...] = ()
    trials: Mapping[str, tuple[Trial, ...]] = field(default_factory=dict)


def running_read(cursor: Any, known: Mapping[int, PublicationState]) -> Running:
    """Running experiments from the database. known: publications read before, for they never change.

    An experiment that can't be read takes part in nothing, and one of whose publications can't be decides no
    slate of that placement: everybody gets what is live, and nobody is counted.
    """
    cursor.execute(EXPERIMENTS)
    rows = cursor.fetchall()
    if not rows:
        return Running()
    cursor.execute(VARIANTS)
    variants = cursor.fetchall()
    experiments = [one for row in rows if (one := _experiment(row, variants)) is not None]
    cursor.execute(ARMS)
    arms: dict[tuple[int, str], dict[str, PublicationState | None]] = {}
    for experiment_id, variant, placement, page_size, *row in cursor.fetchall():
        publication = known.get(row[0]) or publication_read(row)
        size = row[PAGE_SIZE] or page_size
        if publication is not None and publication.page_size != size:
            publication = replace(publication, page_size=size)
        arms.setdefault((experiment_id, placement), {})[variant] = publication
    trials: dict[str, list[Trial]] = {}
    every = list(dict.fromkeys(placement for _, placement in arms))
    for experiment in experiments:
        own = [name for pk, name in arms if pk == experiment.id]
        # Who is held out is so on placements, too, that there were none of when the holdout began.
        for placement in every if experiment.kind == HOLDOUT else own:
            trial = _trial(experiment, placement, arms.get((experiment.id, placement), {}))
            if trial is not None:
                trials.setdefault(placement, []).append(trial)
    return Running(tuple(experiments), {code: tuple(found) for code, found in trials.items()})


def _experiment(row: Sequence[Any], variants: Iterable[Sequence[Any]]) -> Experiment | None:
    pk, code, kind, salt, layer_salt, start, end, traffic, audience, triggered, slot_minutes, started = row
    own = [
        (name, share, is_control)
        for experiment_id, name, share, is_control in variants
        if experiment_id == pk
    ]
    try:
        found = audience_read(orjson.loads(audience) if isinstance(audience, str) else audience)
        control = next(name for name, _, is_control in own if is_control)
    except (ValueError, TypeError, AttributeError, StopIteration) as error:
        logger.error("experiment %s can't be read and takes part in nothing: %r", code, error)
        return None
    return Experiment(
        id=pk,
        code=code,
        kind=kind,
        allocation=Allocation(
            salt, layer_salt, start, end, traffic, tuple((name, share) for name, share, _ in own)
        ),
        control=control,
        audience=EVERYBODY if found == EVERYBODY else found,
        only_different=triggered == "different",
        slot_minutes=max(slot_minutes, 1),
        started=started or 0.0,
    )


def _trial(
    experiment: Experiment, placement: str, arms: Mapping[str, PublicationState | None]
) -> Trial | None:
    readable = {variant: publication for variant, publication in arms.items() if publication is not None}
    wanted = {variant for variant, share in experiment.allocation.variants if share > 0}
    if experiment.kind == HOLDOUT:
        wanted = set(arms)
    missing = sorted(wanted - set(readable))
    if missing:
        logger.error(
            "experiment %s decides nothing on %s: its %s can't be read",
            experiment.code,
            placement,
            ", ".join(missing),
        )
        return None
    return Trial(experiment, readable)


def trials_ready(
    trials: Mapping[str, tuple[Trial, ...]], ready: frozenset[Pins]
) -> dict[str, tuple[Trial, ...]]:
    """Those whose pinned versions all have their lists. The others wait until they are built."""
    found = {}
    for placement, those in trials.items():
        kept = []
        for trial in those:
            pinned = {arm.pins for arm in trial.arms.values() if arm.pins}
            if pinned <= ready:
                kept.append(trial)
            else:
                code = trial.experiment.code
                logger.error("experiment %s decides nothing on %s: a version has no lists", code, placement)
        if kept:
            found[placement] = tuple(kept)
    return found
