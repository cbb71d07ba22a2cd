"""Offline NDCG and coverage of a blend on past purchases, beside live's (stub)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from apps.merchandising.models import Placement


@dataclass(frozen=True, slots=True)
class Figures:
    rows: list[str] = field(default_factory=list)
    missing: str = ""


def offline_figures(placement: Placement, weights: Mapping[str, float]) -> Figures:
    return Figures(missing=_("There is nothing to measure on yet: train the models first."))
