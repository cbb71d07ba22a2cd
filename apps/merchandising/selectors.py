"""Reads: placements, drafts, history and what changed between two publications."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from apps.core.errors import NotFound
from apps.merchandising.blends import BUILT_IN_SOURCES
from apps.merchandising.models import Draft, Placement, Publication
from apps.training.models import Recipe


@dataclass(frozen=True, slots=True)
class WeightChange:
    """One source's weight before and after; None where the source was not named."""

    source: str
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule in both versions, in its JSON shape, and the names of the fields that differ."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BlendDiff:
    """What changed from one version of a placement to another. Rules are matched by id."""

    weights: tuple[WeightChange, ...] = ()
    normalisation: tuple[str, str] | None = None
    rules_added: tuple[Mapping[str, Any], ...] = ()
    rules_removed: tuple[Mapping[str, Any], ...] = ()
    rules_changed: tuple[RuleChange, ...] = ()
    rules_reordered: bool = False
    empty: bool = field(default=True)


def placement_list(*, archived: bool = False) -> QuerySet[Placement]:
    """Placements with their live publication and draft; the archived ones only when asked for."""
    placements = Placement.objects.select_related("live_publication", "draft")
    return placements if archived else placements.filter(archived_at=None)


def placement_get(*, code: str) -> Placement:
    """The placement of this code that is not archived; NotFound names those there are."""
    placement = placement_list().filter(code=code).first()
    if placement is None:
        known = ", ".join(placement_list().values_list("code", flat=True)) or "none"
        raise NotFound(f"There is no placement {code!r}. Known placements: {known}.")
    return placement


def sources_known() -> tuple[str, ...]:
    """Codes a blend may name, in their fixed order: every recipe, and the built-in ones before they exist."""
    recipes = list(Recipe.objects.order_by("color", "code").values_list("code", flat=True))
    return tuple(dict.fromkeys([*recipes, *BUILT_IN_SOURCES]))


def publication_history(*, placement: Placement) -> QuerySet[Publication]:
    """All publications of a placement, the newest first, with who made them."""
    return placement.publications.select_related("published_by", "returned_to").order_by("-number")


def publication_get(*, placement: Placement, number: int) -> Publication:
    """One numbered publication of a placement."""
    publication = placement.publications.filter(number=number).first()
    if publication is None:
        raise NotFound(f"Placement {placement.code!r} has no publication {number}.")
    return publication


def draft_diff(*, placement: Placement) -> BlendDiff:
    """What publishing the draft would change."""
    live = placement.live_publication
    draft = Draft.objects.get(placement=placement)
    if live is None:
        return blend_diff({}, [], draft.weights, draft.rules)
    return blend_diff(live.weights, live.rules, draft.weights, draft.rules)


def publication_diff(*, before: Publication, after: Publication) -> BlendDiff:
    """What changed from one publication to another."""
    normalisation = (before.normalisation, after.normalisation)
    return blend_diff(
        before.weights,
        before.rules,
        after.weights,
        after.rules,
        normalisation=normalisation if before.normalisation != after.normalisation else None,
    )


def blend_diff(
    weights_before: Mapping[str, float],
    rules_before: Sequence[Mapping[str, Any]],
    weights_after: Mapping[str, float],
    rules_after: Sequence[Mapping[str, Any]],
    *,
    normalisation: tuple[str, str] | None = None,
) -> BlendDiff:
    """The difference between two blends with their rules (JSON shapes)."""
    weights = tuple(
        WeightChange(source, weights_before.get(source), weights_after.get(source))
        for source in dict.fromkeys([*weights_before, *weights_after])
        if weights_before.get(source) != weights_after.get(source)
    )
    old = {str(rule["id"]): rule for rule in rules_before}
    new = {str(rule["id"]): rule for rule in rules_after}
    changed = tuple(
        RuleChange(old[key], new[key], _fields_changed(old[key], new[key]))
        for key in new
        if key in old and old[key] != new[key]
    )
    added = tuple(new[key] for key in new if key not in old)
    removed = tuple(old[key] for key in old if key not in new)
    reordered = [key for key in old if key in new] != [key for key in new if key in old]
    empty = not (weights or normalisation or changed or added or removed or reordered)
    return BlendDiff(weights, normalisation, added, removed, changed, reordered, empty)


def _fields_changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key))
