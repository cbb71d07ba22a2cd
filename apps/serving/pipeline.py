"""recommend: a request in, a slate out. The only way by which anything is ever recommended.

sources → blend → rules → fill → slate. Usually two queries: the shopper, and the lists, those of the session
with them; a shopper nobody knows costs one more for the session, as some kinds of placement do for their
products. Everything else is in the process's memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from apps.events.exposures import ExposureRow
from apps.merchandising.rules import RuledItem
from apps.serving.catalogue import NEW_DAYS, CatalogueItem
from apps.serving.decide import FILL, POOL_TIER, SEEN_TIER, Decision, decide
from apps.serving.explain import trace_of
from apps.serving.interleaved import slate_interleaved
from apps.serving.publications import PublicationState
from apps.serving.reasons import RULE, Reasons
from apps.serving.slate import Attribution, Slate, SlateItem, SlateRequest, request_id_make

LOW_STOCK = 5


def recommend(request: SlateRequest, publication: PublicationState | None = None) -> Slate:
    """The slate for this request, with the placement's live publication or a preview's.

    Raises NotFound for an unknown placement, InvalidInput for a page size or number of items out of range,
    ServiceUnavailable when the database is away and this process knows nothing yet.
    """
    return slate_of(decide(request, publication))


def slate_of(decision: Decision) -> Slate:
    """The answer for a decision."""
    slate = _slate_of(decision)
    if decision.other is None or decision.draft is None:
        return slate
    return slate_interleaved(slate, _slate_of(decision.other), decision.draft)


def _slate_of(decision: Decision) -> Slate:
    """By one publication."""
    asking, request = decision.asking, decision.request
    items = tuple(_items(decision))
    return Slate(
        request_id=request_id_make(),
        placement=asking.placement.code,
        items=items,
        rung=decision.rung,
        publication_id=asking.publication.id,
        publication_number=asking.publication.number,
        model_versions=versions_of(decision, [item.source for item in items]),
        shopper_id=asking.shopper.id,
        served_at=decision.now,
        session=request.session if asking.personalised else "",
        language=request.language,
        charges=charges_of(decision, [item.product_id for item in items]),
        attribution=decision.attribution,
        trace=trace_of(decision, items) if request.explain else None,
    )


def versions_of(decision: Decision, mains: Iterable[str]) -> dict[str, int]:
    """Source to the version that gave the slate its lists. mains: as of `mains_of`."""
    sources = decision.gathered.sources
    versions = {source.source: source.version_id for source in sources if source.version_id}
    for source in set(mains).intersection(FILL) - set(versions):
        versions[source] = decision.asking.live.versions[source]
    return versions


def charges_of(decision: Decision, page: Sequence[int]) -> dict[int, tuple[int, float]]:
    """Of a page's product ids the sponsored ones, each with its campaign and what a click costs it."""
    pool = decision.gathered.pool
    if pool is None or not pool.offers:
        return {}
    return pool.charges(page, decision.asking.placement.second_price)


def mains_of(decision: Decision, page: Sequence[int]) -> list[tuple[str, Sequence[float]]]:
    """For each product of the page the source that gave it the most, and the gains from all sources."""
    blend, names = decision.blend, [source.source for source in decision.gathered.sources]
    mains: list[tuple[str, Sequence[float]]] = [(decision.fill.get(pk, RULE), ()) for pk in page]
    places, columns = (np.array(page, dtype=np.int64)[:, None] == blend.ids).nonzero()
    if len(columns):
        parts = blend.parts[:, columns]
        # Of sources that list the item the one that gave it the most, the first of equals.
        best = np.where(blend.listed[:, columns], parts, -np.inf).argmax(axis=0)
        for place, main, gains in zip(places.tolist(), best.tolist(), parts.T.tolist(), strict=True):
            mains[place] = (names[main], gains)
    return mains


def _items(decision: Decision) -> Iterator[SlateItem]:
    names = [source.source for source in decision.gathered.sources]
    mains = mains_of(decision, [item.product_id for item in decision.ruled.items])
    reasons = Reasons(decision)
    for ruled, shown, (main, gains) in zip(decision.ruled.items, decision.ruled.shown, mains, strict=True):
        facts = decision.asking.catalogue.items[ruled.product_id]
        reason = reasons.of(ruled.product_id, shown.pin is not None, facts, main)
        yield _item(decision, ruled, facts, main, dict(zip(names, gains, strict=False)), reason)


def _item(
    decision: Decision,
    ruled: RuledItem,
    facts: CatalogueItem,
    source: str,
    parts: Mapping[str, float],
    reason: tuple[str, int | None],
) -> SlateItem:
    code, seed = reason
    language = decision.request.language
    return SlateItem(
        product_id=facts.product_id,
        sku=facts.sku,
        position=ruled.position,
        score=ruled.adjusted if ruled.tier <= SEEN_TIER else None,
        source=source,
        parts=parts,
        title=facts.title_in(language),
        price=facts.price,
        currency=facts.currency,
        image=facts.image,
        category=facts.category,
        brand=facts.brand,
        stock=facts.stock,
        badges=_badges(decision, ruled, facts),
        reason=code,
        reason_item=seed,
        reason_title=decision.asking.catalogue.items[seed].title_in(language) if seed is not None else "",
    )


def _badges(decision: Decision, ruled: RuledItem, facts: CatalogueItem) -> tuple[str, ...]:
    badges = [effect.code for effect in ruled.effects if effect.code != "admitted"]
    if decision.now.timestamp() - facts.first_seen < NEW_DAYS * 86_400:
        badges.append("new")
    if facts.stock is not None and facts.stock <= LOW_STOCK:
        badges.append("low_stock")
    if decision.gathered.pool is not None and ruled.product_id in decision.gathered.pool.offers:
        badges.append("sponsored")
    if ruled.tier > POOL_TIER:
        badges.append("fill")
    return tuple(dict.fromkeys(badges))


def exposure_of(slate: Slate) -> ExposureRow:
    """What is remembered of a served slate.

    propensities are 1, for a publication always shows this item here for this request; of an interleaved
    slate they are the chances of the draft. Under an experiment they hold given the variant: `share` in the
    context is the probability of that.
    """
    return ExposureRow(
        request_id=slate.request_id,
        served_at=slate.served_at,
        placement=slate.placement,
        product_ids=[item.product_id for item in slate.items],
        sources=[item.source for item in slate.items],
        propensities=[item.propensity for item in slate.items],
        rung=str(slate.rung),
        shopper_id=slate.shopper_id,
        session=slate.session,
        publication_id=slate.publication_id,
        experiment_id=slate.experiment_id,
        variant=slate.variant,
        context=context_of(slate.charges, slate.attribution),
        model_version_ids=sorted(set(slate.model_versions.values())),
    )


def context_of(
    charges: Mapping[int, tuple[int, float]], attribution: Attribution | None
) -> dict[str, Any] | None:
    """What an exposure keeps beside its columns: what clicks on sponsored products cost, and how the
    experiment came to decide (`Attribution.context`).
    """
    if not charges and attribution is None:
        return None
    kept = attribution.context() if attribution is not None else {}
    if charges:
        kept["sponsored"] = {str(pk): charge for pk, charge in charges.items()}
    return kept
