"""Reads of the catalogue."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.postgres.search import TrigramWordSimilarity
from django.db.models import Case, F, FloatField, Q, QuerySet, Value, When
from django.db.models.functions import Greatest

from apps.catalog.models import Category, FeedImport, Product, ProductText
from apps.core import clock

# Below this likeness a hit looks like a mistake to a reader.
MIN_LIKENESS = 0.3


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """A product as values; texts in the language asked for where there are any, else the product's own."""

    id: int
    sku: str
    title: str
    description: str
    category: str
    category_id: int | None
    brand: str
    price: Decimal | None
    list_price: Decimal | None
    currency: str
    cost: Decimal | None
    stock: int | None
    image_url: str
    group_key: str
    attributes: dict[str, Any]
    available_from: datetime | None
    available_until: datetime | None
    first_seen_at: datetime
    placeholder: bool

    def available(self, at: datetime | None = None) -> bool:
        """Whether it can be sold at `at` (now unless given): described, in its window, not sold out."""
        moment = at or clock.now()
        return (
            not self.placeholder
            and (self.stock is None or self.stock > 0)
            and (self.available_from is None or self.available_from <= moment)
            and (self.available_until is None or moment < self.available_until)
        )


def available_filter(at: datetime | None = None) -> Q:
    """The same rule as `ProductFacts.available`, as a query condition on Product."""
    moment = at or clock.now()
    return (
        Q(placeholder=False)
        & (Q(stock=None) | Q(stock__gt=0))
        & (Q(available_from=None) | Q(available_from__lte=moment))
        & (Q(available_until=None) | Q(available_until__gt=moment))
    )


def _facts(products: Iterable[Product], language: str) -> list[ProductFacts]:
    rows = list(products)
    texts: dict[int, ProductText] = {}
    if language:
        found = ProductText.objects.filter(product_id__in=[row.pk for row in rows], language=language)
        texts = {text.product_id: text for text in found}
    answer = []
    for row in rows:
        text = texts.get(row.pk) if row.language != language else None
        answer.append(
            ProductFacts(
                id=row.pk,
                sku=row.sku,
                title=text.title if text else row.title,
                description=(text.description if text else "") or row.description,
                category=row.category.path if row.category else "",
                category_id=row.category_id,
                brand=row.brand,
                price=row.price,
                list_price=row.list_price,
                currency=row.currency,
                cost=row.cost,
                stock=row.stock,
                image_url=row.image_url,
                group_key=row.group_key,
                attributes=row.attributes,
                available_from=row.available_from,
                available_until=row.available_until,
                first_seen_at=row.first_seen_at,
                placeholder=row.placeholder,
            )
        )
    return answer


def product_get_many(ids: Iterable[int], *, language: str = "") -> dict[int, ProductFacts]:
    """Facts by id, unknown ids left out. `language`: code of the texts wanted, "" the product's own."""
    products = Product.objects.filter(pk__in=list(ids)).select_related("category")
    return {facts.id: facts for facts in _facts(products, language)}


def product_get_by_skus(skus: Iterable[str], *, language: str = "") -> dict[str, ProductFacts]:
    """Facts by sku; unknown skus are left out."""
    products = Product.objects.filter(sku__in=list(skus)).select_related("category")
    return {facts.sku: facts for facts in _facts(products, language)}


def product_search(query: str, limit: int = 20, *, language: str = "") -> list[ProductFacts]:
    """Products a person may mean by `query`: sku or title that starts so, then titles that sound like it.

    An empty query gives the newest products. Titles in every language are searched.
    """
    query = query.replace("\0", "").strip()[:100]
    products = Product.objects.select_related("category")
    if not query:
        return _facts(products.order_by("-first_seen_at", "sku")[:limit], language)
    in_texts = ProductText.objects.filter(title__icontains=query).values("product_id")
    likeness = TrigramWordSimilarity(query, "title")
    found = products.annotate(
        likeness=Greatest(
            Case(
                When(sku__iexact=query, then=Value(4.0)),
                When(sku__istartswith=query, then=Value(3.0)),
                When(title__istartswith=query, then=Value(2.5)),
                When(title__icontains=query, then=Value(2.0)),
                When(pk__in=in_texts, then=Value(1.5)),
                default=Value(0.0),
                output_field=FloatField(),
            ),
            likeness,
        )
    )
    matching = found.filter(
        Q(sku__istartswith=query)
        | Q(title__icontains=query)
        | Q(title__trigram_word_similar=query)
        | Q(pk__in=in_texts),
        likeness__gte=MIN_LIKENESS,
    )
    return _facts(matching.order_by(F("likeness").desc(), "title", "sku")[:limit], language)


def categories_all() -> QuerySet[Category]:
    """The whole tree in path order."""
    return Category.objects.select_related("parent").order_by("path")


def category_descendant_ids(path: str) -> list[int]:
    """Ids of the category with this path and of all below it."""
    return list(
        Category.objects.filter(Q(path=path) | Q(path__startswith=f"{path} > ")).values_list("id", flat=True)
    )


def feed_imports_recent(limit: int = 20) -> list[FeedImport]:
    """The latest feed imports, newest first."""
    return list(FeedImport.objects.all()[:limit])
