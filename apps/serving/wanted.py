"""What one request wants of products, beside what rules say: its filters, exclusions and currency."""

from collections.abc import Callable

from apps.core.errors import InvalidInput
from apps.merchandising.rules.facts import CATEGORY_SEPARATOR
from apps.merchandising.rules.types import same_text
from apps.serving.catalogue import Catalogue, CatalogueItem
from apps.serving.slate import ANY_PRODUCT, Filters, SlateRequest

Test = Callable[[int], bool]


def wanted_test(request: SlateRequest, catalogue: Catalogue) -> Test | None:
    """Whether a product may be shown for this request; None when it asks nothing special.

    Raises InvalidInput for a currency that nothing is priced in, which would leave nothing to show.
    """
    filters, currency = request.filters, request.currency
    if not (request.exclude or currency or filters is not ANY_PRODUCT):
        return None
    if currency and currency not in catalogue.currencies:
        known = ", ".join(sorted(catalogue.currencies)) or "none"
        raise InvalidInput(field="currency", value=currency, remedy=f"Prices are in {known}.")
    by_sku, items = catalogue.by_sku, catalogue.items
    named = [by_sku[sku].product_id for sku in request.exclude if sku in by_sku]
    excluded = catalogue.variants(named) if named else set()
    brands = {brand.casefold() for brand in filters.brands}

    def wanted(product_id: int) -> bool:
        item = items.get(product_id)
        if item is None or product_id in excluded or (currency and item.currency != currency):
            return False
        return (not brands or item.brand.casefold() in brands) and passes(filters, item)

    return wanted


def passes(filters: Filters, item: CatalogueItem) -> bool:
    """Whether a product passes all filters but that of brands; an unknown price passes no limit of price."""
    category = filters.category
    if category and not (
        item.category == category or item.category.startswith(category + CATEGORY_SEPARATOR)
    ):
        return False
    low, high, price = filters.price_min, filters.price_max, item.price
    if low is not None and (price is None or price < low):
        return False
    if high is not None and (price is None or price > high):
        return False
    if filters.in_stock and item.stock is not None and item.stock <= 0:
        return False
    attributes = item.attributes
    return all(name in attributes and same_text(attributes[name], text) for name, text in filters.attributes)
