"""Rules as typed values. `parsing` reads and writes their JSON shape."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from apps.merchandising.rules.facts import CATEGORY_SEPARATOR, ProductFacts


def same_text(value: Any, wanted: str) -> bool:
    """Whether an attribute's value is this text; case does not matter, true is 'true', a list has any."""
    if isinstance(value, list | tuple):
        return any(same_text(part, wanted) for part in value)
    return str(value).casefold() == wanted.casefold()


@dataclass(frozen=True, slots=True)
class ProductTarget:
    """These products. For a pin: the first of them that can be shown."""

    type: ClassVar[str] = "product"
    skus: tuple[str, ...]

    def matches(self, facts: ProductFacts) -> bool:
        return facts.sku in self.skus


@dataclass(frozen=True, slots=True)
class CategoryTarget:
    """A category with everything below it."""

    type: ClassVar[str] = "category"
    path: str

    def matches(self, facts: ProductFacts) -> bool:
        return facts.category == self.path or facts.category.startswith(self.path + CATEGORY_SEPARATOR)


@dataclass(frozen=True, slots=True)
class BrandTarget:
    """All products of a brand; case does not matter."""

    type: ClassVar[str] = "brand"
    brand: str

    def matches(self, facts: ProductFacts) -> bool:
        return facts.brand.casefold() == self.brand.casefold()


@dataclass(frozen=True, slots=True)
class AttributeTarget:
    """Products whose attribute has this value."""

    type: ClassVar[str] = "attribute"
    name: str
    value: str

    def matches(self, facts: ProductFacts) -> bool:
        return self.name in facts.attributes and same_text(facts.attributes[self.name], self.value)


@dataclass(frozen=True, slots=True)
class TagTarget:
    """Products with a tag such as 'promotion' (see `facts.tags_of`)."""

    type: ClassVar[str] = "tag"
    tag: str

    def matches(self, facts: ProductFacts) -> bool:
        return self.tag.casefold() in facts.tags


Target = ProductTarget | CategoryTarget | BrandTarget | AttributeTarget | TagTarget
Operator = Literal["eq", "ne", "in", "gte", "lte"]
NUMERIC_FIELDS = ("price", "stock")
TEXT_FIELDS = ("brand", "category", "tag", "attribute")


@dataclass(frozen=True, slots=True)
class Condition:
    """A test a product must pass. name: the attribute, for field 'attribute'. value: a number for price and
    stock, text for the others, texts for 'in'.

    An unknown price or attribute fails every test but 'ne'; a stock that is not counted passes 'gte'.
    """

    field: str
    op: Operator
    value: float | str | tuple[str, ...]
    name: str = ""

    def passes(self, facts: ProductFacts) -> bool:
        if self.field in NUMERIC_FIELDS:
            return self._number_passes(facts)
        wanted = self.value if isinstance(self.value, tuple) else (str(self.value),)
        found = any(self._text_is(facts, text) for text in wanted)
        return not found if self.op == "ne" else found

    def _number_passes(self, facts: ProductFacts) -> bool:
        number = facts.price if self.field == "price" else facts.stock
        if number is None:
            return self.op == "ne" or (self.field == "stock" and self.op == "gte")
        limit = self.value
        if not isinstance(limit, int | float):
            raise TypeError(f"a test of {self.field} needs a number, not {limit!r}")
        match self.op:
            case "gte":
                return number >= limit
            case "lte":
                return number <= limit
            case "ne":
                return number != limit
        return number == limit

    def _text_is(self, facts: ProductFacts, text: str) -> bool:
        match self.field:
            case "brand":
                return facts.brand.casefold() == text.casefold()
            case "category":
                return CategoryTarget(text).matches(facts)
            case "tag":
                return text.casefold() in facts.tags
        return self.name in facts.attributes and same_text(facts.attributes[self.name], text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What all rules share. start is inclusive, end exclusive; None is open."""

    kind: ClassVar[str]
    id: str
    enabled: bool = True
    start: datetime | None = None
    end: datetime | None = None
    note: str = ""

    def state(self, now: datetime) -> str:
        """'active', 'disabled', 'not_started' or 'ended' at this moment."""
        if not self.enabled:
            return "disabled"
        if self.start is not None and now < self.start:
            return "not_started"
        if self.end is not None and now >= self.end:
            return "ended"
        return "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin(Rule):
    """Puts one product at a position (1 is first): the first named sku, or the best ranked match, that can
    be shown.
    """

    kind: ClassVar[str] = "pin"
    position: int
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Boost(Rule):
    """Lifts matches by `strength` (0 to 1] of the distance from the worst candidate's score to the best."""

    kind: ClassVar[str] = "boost"
    strength: float
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Bury(Rule):
    """Lowers matches by `strength` (0 to 1] of the distance from the best candidate's score to the worst."""

    kind: ClassVar[str] = "bury"
    strength: float
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Hide(Rule):
    """Never shows the matches."""

    kind: ClassVar[str] = "hide"
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter(Rule):
    """Shows only products that pass the condition."""

    kind: ClassVar[str] = "filter"
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit(Rule):
    """At most `max` items of a slate per category, per brand, or of all matches of `target` together.

    by: 'category' (level: depth counted from the root, None the product's own category), 'brand' or 'target'.
    With a target only its matches are counted. A product without category or brand is not counted.
    """

    kind: ClassVar[str] = "limit"
    max: int
    by: Literal["category", "brand", "target"] = "category"
    level: int | None = None
    target: Target | None = None

    def bucket(self, facts: ProductFacts) -> str | None:
        """The name of the pot this product counts in, None when the limit does not concern it."""
        if self.target is not None and not self.target.matches(facts):
            return None
        if self.by == "target":
            return "*"
        if self.by == "brand":
            return facts.brand.casefold() or None
        if self.level is None:
            return facts.category or None
        return CATEGORY_SEPARATOR.join(facts.category.split(CATEGORY_SEPARATOR)[: self.level]) or None
