"""Shoppers from whom nothing is learned: leave them out of snapshots, take them back. Both are audited.

What they did stays stored and counted; only what is trained from now on knows nothing of it.
"""

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.core import clock
from apps.core.errors import InvalidInput
from apps.datasets.models import LeftOutShopper
from apps.events.models import Shopper

NAMED = 200
"""Shoppers named in one audit entry; all are counted."""


@transaction.atomic
def shoppers_leave_out(*, shoppers: Collection[int], by: User | None, reason: str = "") -> int:
    """Leave these shoppers (ids) out of every snapshot from now on; returns how many are new to that.

    InvalidInput when none of them is known. Those left out already stay so, with the reason they had.
    """
    known = Shopper.objects.filter(pk__in=shoppers, merged_into=None).in_bulk()
    if not known:
        raise InvalidInput(
            field="shoppers", value=list(shoppers)[:5], remedy=_("Choose at least one shopper.")
        )
    before = set(LeftOutShopper.objects.filter(shopper_id__in=known).values_list("shopper_id", flat=True))
    fresh = [pk for pk in sorted(known) if pk not in before]
    moment = clock.now()
    LeftOutShopper.objects.bulk_create(
        [
            LeftOutShopper(shopper_id=pk, reason=reason.strip(), left_out_at=moment, left_out_by=by)
            for pk in fresh
        ],
        ignore_conflicts=True,
    )
    if fresh:
        _noted("shoppers.leave_out", [known[pk] for pk in fresh], by, after=True, reason=reason.strip())
    return len(fresh)


@transaction.atomic
def shoppers_take_back(*, shoppers: Collection[int], by: User | None) -> int:
    """Learn from these shoppers (ids) again, from the next snapshot on; returns how many were left out."""
    rows = LeftOutShopper.objects.select_for_update(of=("self",)).filter(shopper_id__in=shoppers)
    found = [row.shopper for row in rows.select_related("shopper")]
    if found:
        LeftOutShopper.objects.filter(shopper__in=found).delete()
        _noted("shoppers.take_back", found, by, after=False)
    return len(found)


def _noted(verb: str, shoppers: list[Shopper], by: User | None, *, after: bool, reason: str = "") -> None:
    names = [shopper.external_id for shopper in shoppers]
    facts: dict[str, Any] = {"shoppers": names[:NAMED], "count": len(names)}
    audit_record(
        actor=by,
        verb=verb,
        object_type="shopper",
        object_id=shoppers[0].pk,
        object_label=names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more",
        before=facts | {"left_out": not after},
        after=facts | {"left_out": after},
        reason=reason,
    )
