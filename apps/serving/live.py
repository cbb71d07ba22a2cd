"""What is live: placements with their publications, and the model versions whose lists are served.

One cheap query over the small tables themselves says whether anything changed: no writer has to announce a
change, so none can forget to.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connection

from apps.core import clock
from apps.core.errors import NotFound
from apps.merchandising.models import SeenAction
from apps.merchandising.rules import RuleSet
from apps.ml.registry import FAMILIES
from apps.serving.auction import Offer
from apps.serving.kinds import KINDS
from apps.serving.lists import ListKey, StoredList, lists_read
from apps.serving.models import ListScope
from apps.serving.offers import offers_read
from apps.serving.pinned import PinnedVersion, pinned_read
from apps.serving.publications import COLUMNS, Pins, PublicationState, publication_read
from apps.serving.publications import publication_preview as publication_preview
from apps.serving.trials import Experiment, Trial, running_read, trials_ready
from recoportal.patience import Patience

logger = logging.getLogger(__name__)
# One row that changes whenever anything a slate stands on (but products) changes.
FINGERPRINT = """
SELECT (SELECT md5(string_agg(p::text, ',' ORDER BY p.id)) FROM merchandising_placement p),
       (SELECT string_agg(concat_ws(':', v.id, v.status, b.completed_at), ',' ORDER BY v.id)
        FROM training_modelversion v JOIN serving_listbuild b ON b.version_id = v.id
        WHERE b.completed_at IS NOT NULL),
       (SELECT concat_ws(':', sum(c.xmin::text::bigint), count(*)) FROM merchandising_campaign c),
       (SELECT concat_ws(':', max(d.id), sum(d.xmin::text::bigint)) FROM merchandising_campaignday d
        WHERE d.day > current_date - 2),
       (SELECT s.time_zone FROM accounts_shopsettings s), (SELECT current_date),
       (SELECT md5(string_agg(concat_ws(':', e.id, e.code, e.kind, e.status, e.layer_id, e.layer_from,
                   e.layer_to, e.traffic, e.salt, e.audience, e.triggered, e.slot_minutes, e.started_at, v.id,
                   v.code, v.share, v.is_control, v.position, w.placement_id, w.publication_id, w.page_size),
               ',' ORDER BY e.id, v.id, w.id))
        FROM experiments_experiment e LEFT JOIN experiments_variant v ON v.experiment_id = e.id
        LEFT JOIN experiments_variantpublication w ON w.variant_id = v.id WHERE e.status <> 'ended')
"""
PLACEMENTS = f"""
SELECT p.code, p.kind, p.name, p.page_size, p.repeat_purchases, p.bought_days, p.seen_action, p.seen_minutes,
       p.second_price, p.trace_share, {COLUMNS}
FROM merchandising_placement p JOIN merchandising_publication b ON b.id = p.live_publication_id
WHERE p.archived_at IS NULL ORDER BY p.id
"""
# The place of its id in a row of PLACEMENTS; the rest of a publication follows.
PUBLICATION = 10
# What was live before: a trial publication never was.
PUBLICATIONS_BEFORE = f"""
SELECT {COLUMNS}
FROM merchandising_publication b JOIN merchandising_publication l ON l.placement_id = b.placement_id
WHERE l.id = %s AND b.id <> l.id AND NOT b.trial ORDER BY b.published_at DESC, b.number DESC LIMIT 20
"""
# Per recipe the live version if its lists are complete, else the newest version whose lists are.
VERSIONS = """
SELECT DISTINCT ON (r.id) r.code, v.id, r.family
FROM training_modelversion v
JOIN training_recipe r ON r.id = v.recipe_id
JOIN serving_listbuild b ON b.version_id = v.id
WHERE b.completed_at IS NOT NULL AND v.status IN ('live', 'retired')
  AND EXISTS (SELECT 1 FROM training_modelversion l WHERE l.recipe_id = r.id AND l.status = 'live')
ORDER BY r.id, (v.status = 'live') DESC, b.completed_at DESC
"""
KEYS = """
SELECT scope, key FROM serving_candidatelist WHERE version_id = %s AND scope = ANY(%s)
ORDER BY scope, key LIMIT %s
"""
# A process that has something to answer from waits no longer for the question whether that is still right.
ANSWER_SECONDS = 1.0
# Lists of regions and categories that are held in memory, of one version: some 1.2 kB each.
SHARED_MAX = 5_000


@dataclass(frozen=True, slots=True)
class PlacementState:
    """A placement with its live publication."""

    code: str
    kind: str
    name: str
    page_size: int
    repeat_purchases: bool
    publication: PublicationState
    bought_days: int | None = None
    seen_action: str = SeenAction.KEEP
    seen_minutes: int = 60
    second_price: bool = False
    trace_share: float = 0.0


@dataclass(frozen=True, slots=True)
class LiveState:
    """All of it at one moment. versions: source to the version whose lists are served. shared: sources with
    one list for every shopper. families: source to its model family. everyone: version id to its list for
    anybody. segments: segment key to the source and its list. categories: category key to its list by source.
    offers: what sponsors offer. experiments: those that run; trials: by placement, what they show there.
    pinned: the same state with other versions in place of the live ones, for publications that name them.
    """

    fingerprint: tuple[Any, ...] | None = None
    placements: Mapping[str, PlacementState] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    everyone: Mapping[int, StoredList] = field(default_factory=dict)
    segments: Mapping[int, tuple[str, StoredList]] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[int, Mapping[str, StoredList]] = field(default_factory=dict)
    offers: Sequence[Offer] = ()
    experiments: Sequence[Experiment] = ()
    trials: Mapping[str, tuple[Trial, ...]] = field(default_factory=dict)
    pinned: Mapping[Pins, "LiveState"] = field(default_factory=dict)

    def placement(self, code: str) -> PlacementState:
        """The placement of this code; NotFound names those there are."""
        placement = self.placements.get(code)
        if placement is None:
            known = ", ".join(self.placements) or "none"
            raise NotFound(f"There is no placement {code!r}. Known placements: {known}.")
        return placement

    def for_publication(self, publication: PublicationState) -> "LiveState":
        """This state as the publication wants it: with the versions it pins where their lists are at hand."""
        return self.pinned.get(publication.pins, self) if publication.pins else self


def live_read(known: LiveState) -> LiveState:
    """The present state; `known` itself when nothing changed."""
    # Taking a connection asks the server, too.
    with Patience(None if known.fingerprint is None else ANSWER_SECONDS), connection.cursor() as cursor:
        cursor.execute(FINGERPRINT)
        fingerprint = tuple(cursor.fetchone())
    if fingerprint == known.fingerprint:
        return known
    with connection.cursor() as cursor:
        cursor.execute(PLACEMENTS)
        rows = cursor.fetchall()
        placements = {row[0]: _placement(row, known) for row in rows}
        unreadable = [row for row in rows if placements[row[0]].publication.id != row[PUBLICATION]]
        placements |= {row[0]: _placement_before(cursor, row, known) for row in unreadable}
        running = running_read(cursor, _publications_of(known))
        cursor.execute(VERSIONS)
        served = {str(code): (int(pk), str(family)) for code, pk, family in cursor.fetchall()}
        pinned = pinned_read(cursor)
        every = {pk for pk, _ in served.values()} | {
            one.version_id for found in pinned.values() for one in found
        }
        keys = _shared_keys(cursor, sorted(every))
    lists = lists_read(keys)
    state = LiveState(
        fingerprint,
        placements,
        everyone={key[0]: found for key, found in lists.items() if key[1] == ListScope.EVERYONE},
        offers=offers_read(clock.now()),
        experiments=running.experiments,
        trials=trials_ready(running.trials, frozenset(pinned)),
    )
    views = {pins: _with_versions(state, _replaced(served, found), lists) for pins, found in pinned.items()}
    return replace(_with_versions(state, served, lists), pinned=views)


def _publications_of(known: LiveState) -> dict[int, PublicationState]:
    """Those read before, by id: their rules are warm."""
    arms = [arm for trials in known.trials.values() for trial in trials for arm in trial.arms.values()]
    every = [*(placement.publication for placement in known.placements.values()), *arms]
    return {one.id: one for one in every if one.id is not None}


def _replaced(
    served: Mapping[str, tuple[int, str]], pinned: Iterable[PinnedVersion]
) -> dict[str, tuple[int, str]]:
    return {**served, **{one.source: (one.version_id, one.family) for one in pinned}}


def _shared_keys(cursor: Any, versions: Iterable[int]) -> list[ListKey]:
    """Keys of the lists that are held in memory."""
    versions = list(versions)
    keys: list[ListKey] = [(version_id, int(ListScope.EVERYONE), 0) for version_id in versions]
    scopes = [int(ListScope.SEGMENT), int(ListScope.CATEGORY)]
    for version_id in versions:
        cursor.execute(KEYS, [version_id, scopes, SHARED_MAX])
        keys += [(version_id, scope, key) for scope, key in cursor.fetchall()]
    return keys


def _with_versions(
    state: LiveState, served: Mapping[str, tuple[int, str]], lists: Mapping[ListKey, StoredList]
) -> LiveState:
    """The state that serves these versions: source to version id and family."""
    sources = {version_id: source for source, (version_id, _) in served.items()}
    segments: dict[int, tuple[str, StoredList]] = {}
    categories: dict[int, dict[str, StoredList]] = {}
    for (version_id, scope, key), found in lists.items():
        source = sources.get(version_id)
        if source is None:
            continue
        if scope == ListScope.SEGMENT:
            segments[key] = (source, found)
        elif scope == ListScope.CATEGORY:
            categories.setdefault(key, {})[source] = found
    return replace(
        state,
        versions={source: version_id for source, (version_id, _) in served.items()},
        shared=frozenset(source for source, (_, family) in served.items() if _is_shared(family)),
        families={source: family for source, (_, family) in served.items()},
        segments=segments,
        categories=categories,
    )


def _is_shared(family: str) -> bool:
    return family in FAMILIES and FAMILIES[family].shared


def _placement(row: tuple[Any, ...], known: LiveState) -> PlacementState:
    """The placement with its publication; with an empty one, without id, when nobody can read that."""
    code, kind, name, page_size, repeats, *handling = row[:PUBLICATION]
    before = known.placements.get(code)
    if before is not None and before.publication.id == row[PUBLICATION]:
        publication = before.publication  # immutable, and its rules are warm
    else:
        publication = publication_read(row[PUBLICATION:]) or PublicationState({}, RuleSet(()))
    repeats = repeats or KINDS[kind].repeats
    return PlacementState(code, kind, name, page_size, repeats, publication, *handling)


def _placement_before(cursor: Any, row: tuple[Any, ...], known: LiveState) -> PlacementState:
    """The placement with what this process served before, else the latest publication that can be read."""
    placement = _placement(row, known)
    before = known.placements.get(placement.code)
    if before is not None and before.publication.id is not None:
        return replace(placement, publication=before.publication)
    logger.error("%s: its live publication #%s can't be read", placement.code, row[PUBLICATION + 1])
    cursor.execute(PUBLICATIONS_BEFORE, [row[PUBLICATION]])
    readable = (publication_read(older) for older in cursor.fetchall())
    return replace(placement, publication=next(filter(None, readable), placement.publication))
