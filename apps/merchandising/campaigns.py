"""Sponsors' campaigns: written by staff, counted from what was shown and clicked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q, Sum

from apps.accounts.models import User
from apps.accounts.selectors import shop_settings_get
from apps.accounts.services import audit_record
from apps.catalog.models import Product
from apps.core import clock
from apps.core.errors import InvalidInput
from apps.merchandising.models import Campaign, CampaignDay

SKUS_MAX = 200
BID_MAX = Decimal("10000")
BUDGET_MAX = Decimal("10000000")
FIELDS = ("name", "sponsor", "skus", "bid", "daily_budget", "starts_at", "ends_at", "active")
# A click comes within a day of its slate, or is not charged.
CLICK_HOURS = 24
# An exposure of a sponsored placement carries, by product, the campaign and what a click was to cost then. A
# showing is charged once, however often it is clicked.
COUNT = """
WITH shown AS (
    SELECT e.request_id, (s.value->>0)::bigint AS campaign_id, s.key::bigint AS product_id,
           (s.value->>1)::numeric AS price, e.served_at
    FROM events_exposure e CROSS JOIN LATERAL jsonb_each(e.context->'sponsored') AS s
    WHERE e.served_at >= %(start)s AND e.served_at < %(end)s AND e.context ? 'sponsored'
), clicked AS (
    SELECT DISTINCT s.request_id, s.product_id
    FROM shown s JOIN events_interaction i ON i.request_id = s.request_id AND i.product_id = s.product_id
    JOIN events_eventkind k ON k.id = i.kind_id AND k.role = 'click'
    WHERE NOT i.bot AND i.occurred_at >= %(start)s AND i.occurred_at < %(clicks_end)s
)
INSERT INTO merchandising_campaignday (campaign_id, product_id, day, shown, clicks, spend)
SELECT s.campaign_id, s.product_id, %(day)s, count(*), count(c.request_id),
       coalesce(sum(s.price) FILTER (WHERE c.request_id IS NOT NULL), 0)
FROM shown s JOIN merchandising_campaign m ON m.id = s.campaign_id
LEFT JOIN clicked c ON c.request_id = s.request_id AND c.product_id = s.product_id
GROUP BY s.campaign_id, s.product_id ORDER BY s.campaign_id, s.product_id
ON CONFLICT (campaign_id, product_id, day) DO UPDATE
SET shown = excluded.shown, clicks = excluded.clicks, spend = excluded.spend
WHERE (merchandising_campaignday.shown, merchandising_campaignday.clicks, merchandising_campaignday.spend)
      IS DISTINCT FROM (excluded.shown, excluded.clicks, excluded.spend)
"""


def campaigns_count(*, now: datetime | None = None) -> int:
    """Count today and yesterday, in the shop's time zone, anew; returns how many rows changed."""
    moment = (now or clock.now()).astimezone(shop_settings_get().zone)
    today = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    changed = 0
    with connection.cursor() as cursor:
        for start in (today - timedelta(days=1), today):
            end = start + timedelta(days=1)
            values = {
                "day": start.date(),
                "start": start,
                "end": end,
                "clicks_end": end + timedelta(hours=CLICK_HOURS),
            }
            cursor.execute(COUNT, values)
            changed += cursor.rowcount
    return changed


@dataclass(frozen=True, slots=True)
class CampaignLine:
    """A campaign with what it ever got, and what it spent on the day asked for."""

    campaign: Campaign
    shown: int
    clicks: int
    spend: Decimal
    spent_today: Decimal


def campaign_lines(*, day: date) -> list[CampaignLine]:
    """All campaigns, the active ones first."""
    rows = CampaignDay.objects.values_list("campaign_id").annotate(
        all_shown=Sum("shown"),
        all_clicks=Sum("clicks"),
        all_spend=Sum("spend"),
        spent_today=Sum("spend", filter=Q(day=day)),
    )
    counts = {row[0]: row[1:] for row in rows}
    lines = []
    for campaign in Campaign.objects.order_by("-active", F("ends_at").asc(nulls_last=True), "name"):
        shown, clicks, spend, today = counts.get(campaign.pk, (0, 0, Decimal(), None))
        lines.append(CampaignLine(campaign, shown, clicks, spend, today or Decimal()))
    return lines


@transaction.atomic
def campaign_save(*, campaign: Campaign | None = None, actor: User | None = None, **facts: Any) -> Campaign:
    """Make a campaign or change any of FIELDS; in force within two seconds. InvalidInput names the field."""
    before = _facts(campaign) if campaign is not None else None
    saved = campaign or Campaign(starts_at=clock.now())
    for name, value in facts.items():
        if name not in FIELDS:
            raise InvalidInput(field=name, value=value, remedy=f"Change one of {', '.join(FIELDS)}.")
        setattr(saved, name, value.strip() if isinstance(value, str) else value)
    _check(saved)
    saved.save()
    audit_record(
        actor=actor,
        verb="campaign.update" if before else "campaign.create",
        object_type="campaign",
        object_id=saved.pk,
        object_label=saved.name,
        before=before,
        after=_facts(saved),
        reason="",
    )
    return saved


def _facts(campaign: Campaign) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value := getattr(campaign, name), Decimal | datetime) else value
        for name in FIELDS
    }


def _check(campaign: Campaign) -> None:
    if not 1 <= len(campaign.name) <= 80:
        raise InvalidInput(field="name", value=campaign.name, remedy="Give a name of 1 to 80 characters.")
    if len(campaign.sponsor) > 80:
        raise InvalidInput(field="sponsor", value=campaign.sponsor, remedy="Use at most 80 characters.")
    _money_check("bid", campaign.bid, BID_MAX)
    _money_check("daily_budget", campaign.daily_budget, BUDGET_MAX)
    if campaign.daily_budget < campaign.bid:
        remedy = f"Give at least the bid of one click, {campaign.bid}."
        raise InvalidInput(field="daily_budget", value=campaign.daily_budget, remedy=remedy)
    if campaign.ends_at is not None and campaign.ends_at <= campaign.starts_at:
        raise InvalidInput(field="ends_at", value=campaign.ends_at, remedy="Choose a moment after the start.")
    campaign.skus = _skus_checked(campaign.skus)


def _money_check(field: str, value: Any, most: Decimal) -> None:
    if not isinstance(value, Decimal) or not value.is_finite() or not Decimal("0.01") <= value <= most:
        raise InvalidInput(field=field, value=value, remedy=f"Give an amount from 0.01 to {most}.")


def _skus_checked(skus: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(skus))
    if not 1 <= len(wanted) <= SKUS_MAX:
        raise InvalidInput(field="skus", value=len(wanted), remedy=f"Name 1 to {SKUS_MAX} products.")
    known = set(Product.objects.filter(sku__in=wanted).values_list("sku", flat=True))
    unknown = [sku for sku in wanted if sku not in known]
    if unknown:
        remedy = "Name products of the catalogue by their sku."
        raise InvalidInput(field="skus", value=", ".join(unknown)[:200], remedy=remedy)
    return wanted
