"""The whole catalogue as the engine sees it."""

import threading
from collections.abc import Iterable, Mapping

from apps.merchandising.rules.columns import ProductColumns
from apps.merchandising.rules.facts import ProductFacts


class FactsTable:
    """Facts of the whole catalogue by product id and by sku; shared between requests, only read here.

    Whoever changes the mappings tells `changed`.
    """

    __slots__ = ("_columns", "_making", "by_id", "by_sku")

    def __init__(self, by_id: Mapping[int, ProductFacts], by_sku: Mapping[str, ProductFacts]) -> None:
        self.by_id = by_id
        self.by_sku = by_sku
        self._columns: ProductColumns | None = None
        self._making = threading.Lock()

    @classmethod
    def of(cls, facts: Iterable[ProductFacts]) -> "FactsTable":
        """A table of these products."""
        rows = list(facts)
        return cls({row.product_id: row for row in rows}, {row.sku: row for row in rows})

    @property
    def columns(self) -> ProductColumns:
        """The same by row, made when first asked."""
        columns = self._columns
        if columns is None:
            with self._making:
                columns = self._columns
                if columns is None:
                    columns = self._columns = ProductColumns(self.by_id.values())
        return columns

    def changed(self, facts: ProductFacts) -> None:
        """This product was put into the mappings, new or in place of what it was."""
        with self._making:  # what is being made meanwhile may hold the old facts
            if self._columns is not None and not self._columns.put(facts):
                self._columns = None
