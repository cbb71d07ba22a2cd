"""What the engine knows of a product: plain values, no ORM rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CATEGORY_SEPARATOR = " > "


@dataclass(slots=True)
class ProductFacts:
    """One product. category: path from the root, parts joined by ' > '. stock: None is not counted.

    available_from / available_until: epoch seconds, from inclusive, until exclusive. listed: False for a
    product that the feed has not described yet. tags: words such as 'promotion'.
    """

    product_id: int
    sku: str
    category: str = ""
    brand: str = ""
    price: float | None = None
    stock: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    group_key: str = ""
    available_from: float | None = None
    available_until: float | None = None
    listed: bool = True

    def unavailable(self, at: float) -> str | None:
        """Why the product can't be sold at this moment (epoch seconds), as a code; None when it can."""
        reason = self.unavailable_ever
        if reason is not None:
            return reason
        if self.available_from is not None and at < self.available_from:
            return "not_yet"
        if self.available_until is not None and at >= self.available_until:
            return "ended"
        return None

    @property
    def unavailable_ever(self) -> str | None:
        """Why the product can't be sold at any moment, as its facts stand."""
        if not self.listed:
            return "unlisted"
        if self.stock is not None and self.stock <= 0:
            return "out_of_stock"
        return None

    @property
    def group(self) -> str | int:
        """What variants of one product share; a product without a group key is alone."""
        return self.group_key or self.product_id


def tags_of(attributes: Mapping[str, Any]) -> frozenset[str]:
    """The tags in a product's attributes: the list `tags`, and the name of every attribute that is true."""
    listed = attributes.get("tags")
    names = [str(tag) for tag in listed] if isinstance(listed, list | tuple) else []
    names += [str(name) for name, value in attributes.items() if value is True]
    return frozenset(name.casefold() for name in names)


def category_prefixes(path: str) -> list[str]:
    """A category and all above it, the category itself first: 'A > B' gives ['A > B', 'A']."""
    parts = path.split(CATEGORY_SEPARATOR) if path else []
    return [CATEGORY_SEPARATOR.join(parts[:n]) for n in range(len(parts), 0, -1)]
