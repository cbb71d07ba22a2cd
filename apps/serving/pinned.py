"""Model versions that publications of experiments pin, in place of the live ones.

Their lists are built and kept like those of live versions (`serving.batch` asks here which), from the draft
of an experiment until it ends, so that an experiment can begin at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from apps.experiments.models import ExperimentStatus, VariantPublication
from apps.serving.publications import Pins, pins_of

PINNED = """
SELECT DISTINCT b.versions::text
FROM experiments_variantpublication w
JOIN experiments_variant v ON v.id = w.variant_id
JOIN experiments_experiment e ON e.id = v.experiment_id AND e.status <> 'ended'
JOIN merchandising_publication b ON b.id = w.publication_id
WHERE b.versions <> '{}'::jsonb
"""
COMPLETE = """
SELECT v.id, r.code, r.family
FROM training_modelversion v JOIN training_recipe r ON r.id = v.recipe_id
JOIN serving_listbuild b ON b.version_id = v.id
WHERE b.completed_at IS NOT NULL AND v.id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class PinnedVersion:
    """A version that stands in for its source's live one."""

    source: str
    version_id: int
    family: str


def pinned_read(cursor: Any) -> dict[Pins, tuple[PinnedVersion, ...]]:
    """What open experiments pin, as far as all lists of it are there."""
    cursor.execute(PINNED)
    wanted = [pins for (text,) in cursor.fetchall() if (pins := _parsed(orjson.loads(text)))]
    if not wanted:
        return {}
    cursor.execute(COMPLETE, [sorted({version for pins in wanted for _, version in pins})])
    complete = {(str(code), int(pk)): str(family) for pk, code, family in cursor.fetchall()}
    return {
        pins: tuple(PinnedVersion(*pin, complete[pin]) for pin in pins)
        for pins in wanted
        if all(pin in complete for pin in pins)
    }


def versions_pinned() -> set[int]:
    """Ids of all versions that experiments that have not ended pin."""
    stored = (
        VariantPublication.objects.exclude(variant__experiment__status=ExperimentStatus.ENDED)
        .exclude(publication__versions={})
        .values_list("publication__versions", flat=True)
    )
    return {version for versions in stored for _, version in _parsed(versions)}


def _parsed(versions: Mapping[str, Any]) -> Pins:
    """The pins of a publication; none of JSON in a shape that nothing here wrote."""
    try:
        return pins_of(versions)
    except (ValueError, TypeError, AttributeError):
        return ()
