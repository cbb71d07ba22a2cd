"""Reads behind the search-as-you-type fields."""

from django.db.models import Prefetch, Q
from django.utils.translation import get_language

from apps.catalog.models import Product, ProductText
from apps.events.models import Shopper


def shoppers_like(*, text: str, limit: int) -> list[Shopper]:
    """Shoppers whose id contains `text`, the most recently active first."""
    found = Shopper.objects.filter(merged_into=None).order_by("-last_seen_at", "external_id")
    return list((found.filter(external_id__icontains=text.strip()) if text.strip() else found)[:limit])


def shopper_random() -> Shopper | None:
    """A shopper picked at random among those active in the last weeks of the data."""
    latest = Shopper.objects.filter(merged_into=None).order_by("-last_seen_at")[:500]
    return Shopper.objects.filter(pk__in=latest.values("pk")).order_by("?").first()


def products_like(*, text: str, limit: int) -> list[Product]:
    """Products whose SKU or title (in any language) contains every word of `text`."""
    language = get_language() or "en"
    texts = Prefetch("texts", ProductText.objects.filter(language=language), to_attr="in_language")
    found = Product.objects.filter(placeholder=False).prefetch_related(texts)
    for word in text.split()[:6]:
        in_texts = Q(pk__in=ProductText.objects.filter(title__icontains=word).values("product_id"))
        found = found.filter(Q(sku__icontains=word) | Q(title__icontains=word) | in_texts)
    return list(found.order_by("title")[:limit])
