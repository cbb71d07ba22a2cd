"""Something to look at where the reader has chosen nothing, and slates to try an effect on."""

from collections.abc import Sequence
from dataclasses import replace

from apps.events.selectors import shopper_surprise
from apps.merchandising.models import PlacementKind
from apps.portal.context_bar import PageContext
from apps.portal.lookups import products_sample, shoppers_sample
from apps.portal.slates import slate_preview
from apps.serving.live import PublicationState

SAMPLED = 20
CART_SIZE = 2


def with_sample(bar: PageContext) -> str:
    """The query with what the placement needs, picked at random; "" when nothing is missing."""
    missing = {}
    if bar.seeds_missing:
        count = CART_SIZE if bar.needs == PlacementKind.CART else 1
        missing["items"] = ",".join(products_sample(count, at_random=True))
    elif bar.needs == PlacementKind.SHOPPER and not bar.shopper:
        shopper = shopper_surprise()
        missing["shopper"] = shopper.external_id if shopper else ""
    if bar.placement is None or not any(missing.values()):
        return ""
    return bar.query(placement=bar.placement.code, **missing)


def slates_sampled(bar: PageContext, count: int = SAMPLED) -> Sequence[PageContext]:
    """The same place for other shoppers (or products, or carts): what an effect is tried on."""
    if bar.needs == PlacementKind.ITEM:
        return [replace(bar, skus=(sku,)) for sku in products_sample(count)]
    if bar.needs == PlacementKind.CART:
        skus = products_sample(count * CART_SIZE)
        return [replace(bar, skus=tuple(skus[at : at + CART_SIZE])) for at in range(0, len(skus), CART_SIZE)]
    return [replace(bar, shopper=one.external_id) for one in shoppers_sample(count)]


def slates_changed(bar: PageContext, publication: PublicationState) -> tuple[int, int]:
    """How many sampled slates `publication` would change, and how many were tried."""
    tried = slates_sampled(bar)
    return sum(slate_preview(one, publication).changed > 0 for one in tried), len(tried)
