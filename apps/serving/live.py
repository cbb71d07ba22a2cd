"""What is live: placements with their publications, and the model versions whose lists are served.

One cheap query over the small tables themselves says whether anything changed: no writer has to announce a
change, so none can forget to.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from django.db import connection

from apps.core import clock
from apps.core.errors import InvalidInput, NotFound
from apps.merchandising.models import SeenAction
from apps.merchandising.rules import RuleSet, rules_parse
from apps.ml.blend import NORMALISATIONS
from apps.ml.registry import FAMILIES
from apps.serving.auction import Offer
from apps.serving.kinds import KINDS
from apps.serving.lists import StoredList, lists_read
from apps.serving.models import ListScope
from apps.serving.offers import offers_read
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
       (SELECT s.time_zone FROM accounts_shopsettings s), (SELECT current_date)
"""
PLACEMENTS = """
SELECT p.code, p.kind, p.name, p.page_size, p.repeat_purchases, p.bought_days, p.seen_action, p.seen_minutes,
       p.second_price, p.trace_share, b.id, b.number, b.weights, b.normalisation, b.rules
FROM merchandising_placement p JOIN merchandising_publication b ON b.id = p.live_publication_id
WHERE p.archived_at IS NULL ORDER BY p.id
"""
# The place of its id in a row of PLACEMENTS; the rest of a publication follows.
PUBLICATION = 10
PUBLICATIONS_BEFORE = """
SELECT o.id, o.number, o.weights, o.normalisation, o.rules
FROM merchandising_publication o JOIN merchandising_publication b ON b.placement_id = o.placement_id
WHERE b.id = %s AND o.id <> b.id ORDER BY o.published_at DESC, o.number DESC LIMIT 20
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
class PublicationState:
    """Weights and rules as a slate uses them. id and number are None for a preview."""

    weights: Mapping[str, float]
    rules: RuleSet
    normalisation: str = "z"
    id: int | None = None
    number: int | None = None


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


def publication_preview(
    *, weights: Mapping[str, float], rules: Any = (), normalisation: str = "z"
) -> PublicationState:
    """Unpublished weights and rules (JSON shape) for `pipeline.recommend`; raises InvalidInput."""
    return PublicationState(dict(weights), RuleSet(rules_parse(rules)), normalisation)


@dataclass(frozen=True, slots=True)
class LiveState:
    """All of it at one moment. versions: source to the version whose lists are served. shared: sources with
    one list for every shopper. families: source to its model family. everyone: version id to its list for
    anybody. segments: segment key to the source and its list. categories: category key to its list by source.
    offers: what sponsors offer.
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

    def placement(self, code: str) -> PlacementState:
        """The placement of this code; NotFound names those there are."""
        placement = self.placements.get(code)
        if placement is None:
            known = ", ".join(self.placements) or "none"
            raise NotFound(f"There is no placement {code!r}. Known placements: {known}.")
        return placement


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
        cursor.execute(VERSIONS)
        rows = cursor.fetchall()
        versions = {str(code): int(version_id) for code, version_id, _ in rows}
        shared = frozenset(str(code) for code, _, family in rows if _is_shared(family))
        keys = [(version_id, int(ListScope.EVERYONE), 0) for version_id in versions.values()]
        scopes = [int(ListScope.SEGMENT), int(ListScope.CATEGORY)]
        for version_id in versions.values():
            cursor.execute(KEYS, [version_id, scopes, SHARED_MAX])
            keys += [(version_id, scope, key) for scope, key in cursor.fetchall()]
    lists = lists_read(keys)
    sources = {version_id: source for source, version_id in versions.items()}
    everyone = {key[0]: found for key, found in lists.items() if key[1] == ListScope.EVERYONE}
    segments = {
        key[2]: (sources[key[0]], found) for key, found in lists.items() if key[1] == ListScope.SEGMENT
    }
    categories: dict[int, dict[str, StoredList]] = {}
    for (version_id, scope, key), found in lists.items():
        if scope == ListScope.CATEGORY:
            categories.setdefault(key, {})[sources[version_id]] = found
    families = {str(code): str(family) for code, _, family in rows}
    offers = offers_read(clock.now())
    return LiveState(
        fingerprint, placements, versions, shared, everyone, segments, families, categories, offers
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
        publication = _publication(row[PUBLICATION:]) or PublicationState({}, RuleSet(()))
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
    readable = (_publication(older) for older in cursor.fetchall())
    return replace(placement, publication=next(filter(None, readable), placement.publication))


def _publication(row: Sequence[Any]) -> PublicationState | None:
    """A publication as values; None when its JSON has a shape that nothing here wrote."""
    pk, number, raw_weights, normalisation, rules = row
    try:
        weights = {str(source): float(weight) for source, weight in orjson.loads(raw_weights).items()}
        ruleset = RuleSet(rules_parse(orjson.loads(rules)))
    except (InvalidInput, ValueError, TypeError, AttributeError, LookupError):
        return None
    if normalisation not in NORMALISATIONS or not all(0 <= one < math.inf for one in weights.values()):
        return None
    return PublicationState(weights, ruleset, normalisation, pk, number)
