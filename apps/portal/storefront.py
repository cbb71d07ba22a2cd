"""The demo storefront's own shop: its key, its departments and its product pages.

It is open while its publishable key is: an admin opens it with one button and closes it by revoking the key.
"""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q

from apps.accounts.models import ApiClient, User
from apps.accounts.services import PUBLISHABLE_SCOPES, api_client_create, api_client_rotate
from apps.catalog.models import Category, Product
from apps.catalog.selectors import (
    ProductFacts,
    available_filter,
    categories_all,
    product_get_by_skus,
    product_search,
)
from apps.core.errors import NotFound
from apps.events.models import Shopper
from apps.merchandising.models import Placement
from apps.merchandising.selectors import placement_list
from apps.portal.lookups import shoppers_sample

CLIENT_NAME = "demo storefront"
FOUND_MOST = 120
PEOPLE = 8


@dataclass(frozen=True, slots=True)
class Department:
    """A category as the storefront shows it, with those right below it."""

    path: str
    name: str
    parents: tuple[tuple[str, str], ...]
    children: tuple[tuple[str, str], ...]


def storefront_key() -> str:
    """The key the pages carry, "" while the storefront is closed."""
    live = ApiClient.objects.filter(name=CLIENT_NAME, revoked_at=None).exclude(public_key="")
    return live.values_list("public_key", flat=True).first() or ""


def storefront_open(*, actor: User | None = None) -> str:
    """Open the storefront if it is closed; returns its key."""
    if key := storefront_key():
        return key
    revoked = ApiClient.objects.filter(name=CLIENT_NAME).exclude(public_key="").first()
    if revoked is not None:
        return api_client_rotate(client_id=revoked.pk, actor=actor)[1]
    return api_client_create(name=CLIENT_NAME, scopes=PUBLISHABLE_SCOPES, origins=(), actor=actor)[1]


def placements_by_kind() -> dict[str, str]:
    """The code of the first placement of each kind: what a shelf of that kind asks for."""
    codes: dict[str, str] = {}
    rows: list[Placement] = list(placement_list())
    for row in rows:
        codes.setdefault(row.kind, row.code)
    return codes


def _named(category: Category, language: str) -> str:
    name: str = category.names.get(language) or category.name
    return name


def departments(language: str) -> list[tuple[str, str]]:
    """Path and name of the categories of the storefront's menu: the first level that has more than one."""
    rows = list(categories_all())
    for depth in sorted({row.depth for row in rows}):
        level = [row for row in rows if row.depth == depth]
        if len(level) > 1:
            return [(row.path, _named(row, language)) for row in level]
    return [(row.path, _named(row, language)) for row in rows[:1]]


def department(path: str, language: str) -> Department:
    """One category; NotFound when there is none of this path."""
    rows = {row.path: row for row in categories_all()}
    if path not in rows:
        raise NotFound(f"There is no category {path!r}.")
    parts = path.split(" > ")
    above = [" > ".join(parts[:end]) for end in range(1, len(parts))]
    children = [row for row in rows.values() if row.path.rpartition(" > ")[0] == path]
    return Department(
        path=path,
        name=_named(rows[path], language),
        parents=tuple((one, _named(rows[one], language)) for one in above if one in rows),
        children=tuple((row.path, _named(row, language)) for row in children),
    )


def department_pictures(paths: list[str]) -> dict[str, str]:
    """A picture for each category, of a product that can be sold there; without one it is left out."""
    sold = Product.objects.filter(available_filter()).exclude(image_url="")
    inside = Q(category__path=OuterRef("path")) | Q(category__path__startswith=OuterRef("path"))
    there = Category.objects.filter(path__in=paths).filter(Exists(sold.filter(inside)))
    pictures = {}
    for path in there.values_list("path", flat=True):
        within = sold.filter(Q(category__path=path) | Q(category__path__startswith=f"{path} > "))
        picture = within.order_by("-first_seen_at", "sku").values_list("image_url", flat=True).first()
        if picture:
            pictures[path] = picture
    return pictures


def product_shown(sku: str, language: str) -> ProductFacts:
    """The product of a product page; NotFound when nothing is known of it."""
    product = product_get_by_skus([sku], language=language).get(sku)
    if product is None or product.placeholder:
        raise NotFound(f"There is no product {sku!r}.")
    return product


def skus_found(query: str, language: str) -> list[str]:
    """Skus that a search finds, best first; the API puts them in the shopper's order."""
    return [product.sku for product in product_search(query, FOUND_MOST, language=language)] if query else []


def people() -> list[Shopper]:
    """Shoppers whose eyes staff may look through."""
    return shoppers_sample(PEOPLE)
