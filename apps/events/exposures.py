"""What a served slate leaves behind."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ExposureRow:
    """One served slate. `product_ids`, `sources` and `propensities` have one order: that of the slate.

    `sources` names for each item the source that gave it the most; `propensities` are probabilities (0 to 1]
    that the policy shows the item at its place. Ids of higher apps are plain values.

    Under an experiment propensities hold given the variant, and `context` keeps how that came about:
    `share`, the probability of the variant; `unit`, where shopper and session do not tell it; `teams` of an
    interleaved slate; `slot` of a switchback; `holdout`, the one the unit belongs to beside; `device`.
    Without a placement it is a variant that the storefront showed by itself.
    """

    request_id: UUID
    served_at: datetime
    placement: str
    product_ids: Sequence[int]
    sources: Sequence[str]
    propensities: Sequence[float]
    rung: str
    shopper_id: int | None = None
    session: str = ""
    publication_id: int | None = None
    experiment_id: int | None = None
    variant: str = ""
    model_version_ids: Sequence[int] = ()
    query: str = ""
    context: dict[str, Any] | None = field(default=None)

    def __post_init__(self) -> None:
        if not len(self.product_ids) == len(self.sources) == len(self.propensities):
            raise ValueError(
                "product_ids, sources and propensities must be of one length; pass one of each per item"
            )
