"""Trial publications: what an experiment's variant shows, with a number in the placement's one history."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.merchandising.blends import weights_parse
from apps.merchandising.models import Placement, Publication
from apps.merchandising.rules import rules_dump, rules_parse
from apps.merchandising.selectors import sources_known
from apps.merchandising.services import PAGE_SIZE_MAX, placement_lock, publication_number_next
from apps.training.models import ModelVersion, VersionStatus


def versions_parse(versions: Any, *, weights: Mapping[str, float]) -> dict[str, int]:
    """Source to the model version it uses, or InvalidInput: each a version of that very source, with an
    artifact that passed its gate, and of a source that has a weight.
    """
    if not isinstance(versions, Mapping):
        raise InvalidInput(field="versions", value=versions, remedy="Give an object of source and version.")
    known = {
        (version.recipe.code, version.pk): version
        for version in ModelVersion.objects.filter(recipe__code__in=list(versions)).select_related("recipe")
    }
    for source, pk in versions.items():
        field = f"versions.{source}"
        version = known.get((source, pk))
        if isinstance(pk, bool) or version is None:
            raise InvalidInput(field=field, value=pk, remedy=f"Choose a version of {source!r}.")
        if version.status == VersionStatus.REFUSED:
            remedy = "The gate refused this version. Choose another one, or promote it with a reason first."
            raise InvalidInput(field=field, value=pk, remedy=remedy)
        if not weights.get(source):
            remedy = "Give this source a weight above 0, or leave its version to what is live."
            raise InvalidInput(field=field, value=pk, remedy=remedy)
    return {str(source): int(pk) for source, pk in versions.items()}


def page_size_parse(value: Any) -> int | None:
    """Items of a slate, or None for the placement's; InvalidInput for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= PAGE_SIZE_MAX:
        remedy = f"Give a whole number from 1 to {PAGE_SIZE_MAX}."
        raise InvalidInput(field="page_size", value=value, remedy=remedy)
    return value


@transaction.atomic
def trial_add(
    *,
    placement: Placement,
    weights: Mapping[str, float],
    rules: Sequence[Any] = (),
    normalisation: str = "z",
    page_size: int | None = None,
    versions: Mapping[str, int] | None = None,
    note: str = "",
    actor: User | None = None,
) -> Publication:
    """A publication that only an experiment shows; checked like any other. The draft stays as it is."""
    placement = placement_lock(placement)
    parsed = weights_parse(weights, sources=sources_known(), kind=placement.kind)
    return Publication.objects.create(
        placement=placement,
        number=publication_number_next(placement),
        weights=parsed,
        normalisation=normalisation,
        rules=rules_dump(rules_parse(rules)),
        trial=True,
        page_size=page_size_parse(page_size),
        versions=versions_parse(versions or {}, weights=parsed),
        note=note.strip()[:300],
        published_at=clock.now(),
        published_by=actor,
    )


@transaction.atomic
def trial_delete(*, publication: Publication) -> None:
    """Delete a trial that was never shown; the caller knows that (its experiment is still a draft)."""
    placement = placement_lock(publication.placement)
    if not publication.trial or placement.live_publication_id == publication.pk:
        raise Conflict(f"{publication} is no trial; publications are kept for good.")
    publication.delete()
