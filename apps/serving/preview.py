"""Weights and rules that staff try on one request: an earlier publication, a blend of their own, or both."""

from collections.abc import Mapping
from dataclasses import replace

from apps.core.errors import InvalidInput
from apps.merchandising.blends import weights_parse
from apps.merchandising.selectors import placement_get, publication_get, sources_known
from apps.serving.publications import PublicationState, publication_preview

PARAMETERS = ("publication", "blend")


def preview_parse(placement_code: str, asked: Mapping[str, str]) -> PublicationState | None:
    """What staff ask to see instead of what is live; None when they ask nothing.

    publication: a number of the placement's history. blend: "ease:0.5,als:0.2", in place of its weights.
    Raises InvalidInput or NotFound.
    """
    number, blend = asked.get("publication", ""), asked.get("blend", "")
    if not number and not blend:
        return None
    placement = placement_get(code=placement_code)
    chosen = placement.live_publication
    if number:
        if not (number.isascii() and number.isdigit() and len(number) <= 9):
            remedy = "Send the number of a publication, as History shows it."
            raise InvalidInput(field="publication", value=number, remedy=remedy)
        chosen = publication_get(placement=placement, number=int(number))
    weights = chosen.weights if chosen is not None else {}
    if blend:
        weights = weights_parse(_blend(blend), sources=sources_known(), kind=placement.kind)
    rules = chosen.rules if chosen is not None else ()
    normalisation = chosen.normalisation if chosen is not None else "z"
    preview = publication_preview(
        weights=weights,
        rules=rules,
        normalisation=normalisation,
        page_size=chosen.page_size if chosen is not None else None,
        versions=chosen.versions if chosen is not None else {},
    )
    return replace(preview, number=chosen.number if chosen is not None and not blend else None)


def _blend(text: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in text.split(","):
        source, _, weight = part.partition(":")
        try:
            weights[source.strip()] = float(weight)
        except ValueError as error:
            remedy = "Send sources with weights from 0 to 1, like ease:0.5,als:0.2."
            raise InvalidInput(field="blend", value=text[:200], remedy=remedy) from error
    return weights
