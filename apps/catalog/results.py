"""What an upsert of many rows reports."""

from dataclasses import dataclass, field

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
