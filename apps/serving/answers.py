"""The answer to a client as bytes, made without the objects that pages and traces want.

What a slate says of a product is the same each time: it is written once per product and language, and again
when the product changes. `slate_body` says the same of a `Slate`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from apps.events.exposures import ExposureRow
from apps.serving.catalogue import CatalogueItem
from apps.serving.decide import SEEN_TIER, Decision
from apps.serving.pipeline import charges_of, context_of, exposure_of, mains_of, slate_of, versions_of
from apps.serving.reasons import Reasons, reason_words, words_of
from apps.serving.slate import Attribution, Slate, request_id_make

# About half a kilobyte each.
WRITTEN_MAX = 50_000
_written: dict[tuple[int, str], tuple[CatalogueItem, str]] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """content: JSON, as the API documents it. exposure: what is remembered of it."""

    content: bytes
    exposure: ExposureRow


def answer_of(decision: Decision) -> Answer:
    """The answer for a decision that nobody asked to explain."""
    if decision.draft is not None:
        slate = slate_of(decision)
        return Answer(orjson.dumps(slate_body(slate)), exposure_of(slate))
    asking, request = decision.asking, decision.request
    language, pool = request.language, decision.gathered.pool
    shown = decision.ruled.shown
    catalogue, offers = asking.catalogue.items, pool.offers if pool is not None else {}
    page = [place.product_id for place in shown]
    mains = [main for main, _gains in mains_of(decision, page)]
    reason_of = Reasons(decision).of
    items = []
    for position, (place, source) in enumerate(zip(shown, mains, strict=True), 1):
        product_id, score = place.product_id, place.adjusted
        item = catalogue[product_id]
        code, seed = reason_of(product_id, place.pin is not None, item, source)
        title = catalogue[seed].title_in(language) if seed is not None else ""
        known = _written.get((product_id, language))
        items.append(
            f"{known[1] if known is not None and known[0] is item else _write(item, language)}"
            f'"position":{position},"score":{_number(score) if place.tier <= SEEN_TIER else "null"},'
            f'"source":{_quoted(source)},"reason":{_reason(code, title, language)},'
            f'"sponsored":{"true" if product_id in offers else "false"}}}'
        )
    request_id, rung, publication = request_id_make(), str(decision.rung), asking.publication
    attribution = decision.attribution
    content = (
        f'{{"request_id":"{request_id}","placement":{_quoted(asking.placement.code)},'
        f'"publication":{"null" if publication.number is None else publication.number},'
        f'"experiment":{"null" if attribution is None else _experiment(attribution)},'
        f'"rung":"{rung}","items":[{",".join(items)}]}}'
    )
    exposure = ExposureRow(
        request_id=request_id,
        served_at=decision.now,
        placement=asking.placement.code,
        product_ids=page,
        sources=mains,
        propensities=[1.0] * len(page),
        rung=rung,
        shopper_id=asking.shopper.id,
        session=request.session if asking.personalised else "",
        publication_id=publication.id,
        experiment_id=attribution.experiment_id if attribution is not None else None,
        variant=attribution.variant if attribution is not None else "",
        context=context_of(charges_of(decision, page), attribution),
        model_version_ids=sorted(set(versions_of(decision, mains).values())),
    )
    return Answer(content.encode(), exposure)


def _write(item: CatalogueItem, language: str) -> str:
    """What a slate says of this product, up to what depends on the slate; kept."""
    said = orjson.dumps(
        {
            "sku": item.sku,
            "title": item.title_in(language),
            "price": item.price,
            "currency": item.currency,
            "image": item.image,
            "category": item.category,
            "brand": item.brand,
        }
    ).decode()
    written = said[:-1] + ","
    if len(_written) >= WRITTEN_MAX:
        _written.clear()
    _written[item.product_id, language] = (item, written)
    return written


def _experiment(attribution: Attribution) -> str:
    return f'{{"code":{_quoted(attribution.experiment)},"variant":{_quoted(attribution.variant)}}}'


def _number(value: float | None) -> str:
    return "null" if value is None else repr(value)


@lru_cache(maxsize=1_000)
def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


@lru_cache(maxsize=20_000)
def _reason(code: str, title: str, language: str) -> str:
    return orjson.dumps(words_of(code, title, language)).decode()


def slate_body(slate: Slate) -> dict[str, Any]:
    """The slate as the API answers it."""
    body: dict[str, Any] = {
        "request_id": str(slate.request_id),
        "placement": slate.placement,
        "publication": slate.publication_number,
        "experiment": {"code": slate.experiment, "variant": slate.variant} if slate.experiment else None,
        "rung": str(slate.rung),
        "items": [
            {
                "sku": item.sku,
                "title": item.title,
                "price": item.price,
                "currency": item.currency,
                "image": item.image,
                "category": item.category,
                "brand": item.brand,
                "position": item.position,
                "score": item.score,
                "source": item.source,
                "reason": reason_words(item, slate.language),
                "sponsored": "sponsored" in item.badges,
            }
            for item in slate.items
        ],
    }
    if slate.trace is not None:
        body["trace"] = slate.trace
    return body
