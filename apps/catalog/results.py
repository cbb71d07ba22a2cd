"""What an upsert of many rows reports."""

from dataclasses import dataclass, field
from typing import Any

from apps.core.errors import RowError


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """How many rows were new, changed or the same already, and which were refused (by line)."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    errors: list[RowError] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """All rows that came in."""
        return self.inserted + self.updated + self.unchanged + len(self.errors)

    def answer(self) -> dict[str, Any]:
        """As the API answers a batch; a refused row's line is its place in the batch, from 0."""
        return {
            "inserted": self.inserted,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "rejected": [
                {"index": error.line, "field": error.field, "value": error.value, "remedy": error.remedy}
                for error in sorted(self.errors, key=lambda error: error.line)
            ],
        }
