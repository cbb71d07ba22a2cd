"""What an adapter makes of a file."""

from dataclasses import dataclass, field

import pandas as pd

# Columns of the frame of left-out lines.
SKIPPED_COLUMNS = ["line", "reason", "field", "value", "remedy"]


@dataclass(frozen=True, slots=True)
class DatasetFrames:
    """Frames as the services take them, and every line that is in none of them.

    rows: lines of the file (without its header). skipped: one row per left-out line with SKIPPED_COLUMNS, so
    that rows = events (or products, where the file holds products) + skipped. currency and time_zone are
    those of the data.
    """

    rows: int
    products: pd.DataFrame
    shoppers: pd.DataFrame
    events: pd.DataFrame
    skipped: pd.DataFrame
    title: str
    currency: str
    time_zone: str = "UTC"
    languages: tuple[str, ...] = field(default=("en",))

    def skipped_counts(self) -> dict[str, int]:
        """How many lines were left out, by reason."""
        return {str(key): int(n) for key, n in self.skipped["reason"].value_counts(sort=False).items()}
