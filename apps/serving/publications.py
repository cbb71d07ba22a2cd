"""A publication as values: weights, rules and what else a slate takes from it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from apps.core.errors import InvalidInput
from apps.merchandising.rules import RuleSet, rules_parse
from apps.ml.blend import NORMALISATIONS

Pins = tuple[tuple[str, int], ...]
"""Sources with the model version whose lists they use instead of the live one's, by source."""
COLUMNS = "b.id, b.number, b.weights, b.normalisation, b.rules, b.page_size, b.versions"
# The place of the page size among them.
PAGE_SIZE = 5
PAGE_MAX = 100


@dataclass(frozen=True, slots=True)
class PublicationState:
    """Weights and rules as a slate uses them. id and number are None for a preview. page_size: None for the
    placement's.
    """

    weights: Mapping[str, float]
    rules: RuleSet
    normalisation: str = "z"
    id: int | None = None
    number: int | None = None
    page_size: int | None = None
    pins: Pins = ()


def publication_preview(
    *,
    weights: Mapping[str, float],
    rules: Any = (),
    normalisation: str = "z",
    page_size: int | None = None,
    versions: Mapping[str, int] | None = None,
) -> PublicationState:
    """Unpublished weights and rules (JSON shape) for `pipeline.recommend`; raises InvalidInput.

    versions: source to model version. They are used if the publication of an open experiment pins the very
    same ones, for only then are their lists at hand; else the live ones are.
    """
    ruleset = RuleSet(rules_parse(rules))
    return PublicationState(
        dict(weights), ruleset, normalisation, page_size=page_size, pins=pins_of(versions or {})
    )


def pins_of(versions: Mapping[str, Any]) -> Pins:
    """The pinned versions in their one order."""
    return tuple(sorted((str(source), int(version)) for source, version in versions.items()))


def publication_read(row: Sequence[Any]) -> PublicationState | None:
    """A row of COLUMNS as values; None when its JSON has a shape that nothing here wrote."""
    pk, number, raw_weights, normalisation, rules, page_size, versions = row
    try:
        weights = {str(source): float(weight) for source, weight in orjson.loads(raw_weights).items()}
        ruleset = RuleSet(rules_parse(orjson.loads(rules)))
        pins = pins_of(orjson.loads(versions))
    except (InvalidInput, ValueError, TypeError, AttributeError, LookupError):
        return None
    sound = all(0 <= one < math.inf for one in weights.values())
    if normalisation not in NORMALISATIONS or not sound or not 1 <= (page_size or 1) <= PAGE_MAX:
        return None
    return PublicationState(weights, ruleset, normalisation, pk, number, page_size, pins)
