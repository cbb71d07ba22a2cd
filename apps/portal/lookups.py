"""Samples of shoppers and products, and titles in the reader's language."""

from collections.abc import Iterable

from django.utils.translation import get_language

from apps.catalog.models import Product
from apps.catalog.selectors import available_filter, product_get_by_skus
from apps.events.models import Shopper

RECENT = 500


def reader_language(chosen: str = "") -> str:
    """The language titles are shown in: the one chosen, else the reader's."""
    return chosen or get_language() or ""


def shoppers_sample(count: int) -> list[Shopper]:
    """Some of the shoppers active last, spread evenly; the same ones each time."""
    latest = list(Shopper.objects.filter(merged_into=None).order_by("-last_seen_at", "pk")[:RECENT])
    return latest[:: max(1, len(latest) // max(count, 1))][:count]


def products_sample(count: int, *, at_random: bool = False) -> list[str]:
    """SKUs of some products that can be sold; the same ones each time unless `at_random`."""
    sold = Product.objects.filter(available_filter())
    if at_random:
        return list(sold.order_by("?").values_list("sku", flat=True)[:count])
    skus = list(sold.order_by("sku").values_list("sku", flat=True)[:RECENT])
    return skus[:: max(1, len(skus) // max(count, 1))][:count]


def titles(skus: Iterable[str]) -> dict[str, str]:
    """Titles by SKU in the reader's language."""
    return {sku: one.title for sku, one in product_get_by_skus(skus, language=reader_language()).items()}


def brands() -> list[str]:
    """All brands of the catalogue, by name."""
    named = Product.objects.exclude(brand="").order_by("brand")
    return list(named.values_list("brand", flat=True).distinct()[:1000])
