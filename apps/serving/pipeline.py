"""recommend: a request in, a slate out. The only way by which anything is ever recommended.

sources → blend → rules → fill → slate. At most three queries: the shopper, the lists, and, where the ladder
goes one rung down, the lists of that rung. Everything else is in the process's memory.
"""

from collections.abc import Mapping
from uuid import uuid4

from apps.events.exposures import ExposureRow
from apps.merchandising.rules import RuledItem
from apps.ml.blend import BlendResult
from apps.serving.catalogue import NEW_DAYS, CatalogueItem
from apps.serving.decide import FILL, POOL_TIER, SEEN_TIER, Decision, decide
from apps.serving.explain import trace_of
from apps.serving.live import PublicationState
from apps.serving.reasons import RULE, Reasons
from apps.serving.slate import Slate, SlateItem, SlateRequest

LOW_STOCK = 5


def recommend(request: SlateRequest, publication: PublicationState | None = None) -> Slate:
    """The slate for this request, with the placement's live publication or a preview's.

    Raises NotFound for an unknown placement, InvalidInput for a page size or number of items out of range,
    ServiceUnavailable when the database is away and this process knows nothing yet.
    """
    return slate_of(decide(request, publication))


def slate_of(decision: Decision) -> Slate:
    """The answer for a decision."""
    asking, request = decision.asking, decision.request
    items, pool = tuple(_items(decision)), decision.gathered.pool
    page = [item.product_id for item in items]
    versions = {source.source: source.version_id for source in decision.gathered.sources if source.version_id}
    for source in {item.source for item in items if item.source in FILL} - set(versions):
        versions[source] = asking.live.versions[source]
    return Slate(
        request_id=uuid4(),
        placement=asking.placement.code,
        items=items,
        rung=decision.rung,
        publication_id=asking.publication.id,
        publication_number=asking.publication.number,
        model_versions=versions,
        shopper_id=asking.shopper.id,
        served_at=decision.now,
        session=request.session if asking.personalised else "",
        language=request.language,
        charges=pool.charges(page, asking.placement.second_price) if pool and pool.offers else {},
        trace=trace_of(decision, items) if request.explain else None,
    )


def _items(decision: Decision) -> list[SlateItem]:
    sources = decision.gathered.sources
    page = [item.product_id for item in decision.ruled.items]
    wanted = set(page)
    listed = [wanted.intersection(source.found.ids.tolist()) for source in sources]
    columns = _columns(decision.blend, wanted)
    names = [source.source for source in sources]
    reasons = Reasons(decision)
    items = []
    for ruled in decision.ruled.items:
        product_id = ruled.product_id
        column = columns.get(product_id)
        parts = decision.blend.parts[:, column].tolist() if column is not None else []
        main = decision.fill.get(product_id, RULE)
        if column is not None:
            best = max((part, -n) for n, part in enumerate(parts) if product_id in listed[n])
            main = names[-best[1]]
        facts = decision.asking.catalogue.items[product_id]
        reason = reasons.of(ruled, facts, main)
        items.append(_item(decision, ruled, facts, main, dict(zip(names, parts, strict=False)), reason))
    return items


def _columns(blend: BlendResult, wanted: set[int]) -> dict[int, int]:
    """Column of the blend for each wanted product that is in it."""
    return {pk: column for column, pk in enumerate(blend.ids.tolist()) if pk in wanted}


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

    propensities are 1: the policy is deterministic, it always shows this item here for this request.
    """
    charged = {"sponsored": {str(pk): charge for pk, charge in slate.charges.items()}}
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
        context=charged if slate.charges else None,
        model_version_ids=sorted(set(slate.model_versions.values())),
    )
