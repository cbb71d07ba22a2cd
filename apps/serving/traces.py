"""Traces that are kept: of a sampled share of a placement's slates, and of what staff asked to explain."""

import logging
import random
from datetime import timedelta

from django.db import DatabaseError

from apps.core import clock
from apps.core.errors import RecoPortalError
from apps.serving.memory import OUTAGE, memory_current
from apps.serving.models import SlateTrace
from apps.serving.slate import Slate

logger = logging.getLogger(__name__)
KEPT_DAYS = 7
_random = random.Random()


def is_sampled(placement: str) -> bool:
    """Whether this slate's trace is to be kept, by the placement's share."""
    known = memory_current().live.placements.get(placement)
    return known is not None and known.trace_share > 0 and _random.random() < known.trace_share


def trace_keep(slate: Slate, *, for_staff: bool = False) -> None:
    """Store the slate's trace; never raises, for the answer is out and a trace may be lost."""
    if slate.trace is None:
        return
    try:
        if not memory_current().away:
            SlateTrace.objects.create(
                request_id=slate.request_id,
                at=slate.served_at,
                placement=slate.placement,
                shopper_id=slate.shopper_id,
                rung=str(slate.rung),
                for_staff=for_staff,
                trace=slate.trace,
            )
    except (*OUTAGE, DatabaseError, RecoPortalError):
        logger.exception("a trace was not kept")


def traces_prune() -> int:
    """Delete traces older than KEPT_DAYS; returns how many."""
    return SlateTrace.objects.filter(at__lt=clock.now() - timedelta(days=KEPT_DAYS)).delete()[0]
