"""How complete the shop's data is: what models and slates would do better with. Reads only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import get_language_info, gettext_lazy
from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.core import clock
from apps.events.kinds import PRODUCT_ROLES

DAYS = 28
Window = Mapping[str, str | datetime | list[str]]
Level = Literal["good", "warn", "bad", "info"]
PRODUCTS = """
SELECT count(*) FILTER (WHERE NOT placeholder), count(*) FILTER (WHERE placeholder),
       count(*) FILTER (WHERE NOT placeholder AND description = ''),
       count(*) FILTER (WHERE NOT placeholder AND price IS NULL),
       count(*) FILTER (WHERE NOT placeholder AND category_id IS NULL),
       count(*) FILTER (WHERE NOT placeholder AND image_url = ''),
       count(*) FILTER (WHERE NOT placeholder AND cost IS NULL),
       count(*) FILTER (WHERE NOT placeholder AND stock <= 0)
FROM catalog_product
"""
TEXTS = """
SELECT count(*) FROM catalog_product p
WHERE NOT p.placeholder AND p.language <> %(language)s AND NOT EXISTS (
    SELECT FROM catalog_producttext t WHERE t.product_id = p.id AND t.language = %(language)s)
"""
EVENTS = """
SELECT count(*), count(*) FILTER (WHERE shopper_id IS NULL), count(*) FILTER (WHERE session = ''),
       count(*) FILTER (WHERE bot), count(DISTINCT (occurred_at AT TIME ZONE %(zone)s)::date)
FROM events_interaction WHERE occurred_at >= %(since)s AND occurred_at < %(until)s
"""
# What the sender gets wrong: no product, a clock ahead of ours, no price, one event under two ids.
SENDERS = """
SELECT count(*) FILTER (WHERE i.product_id IS NULL AND k.role = ANY(%(product_roles)s)),
       count(*) FILTER (WHERE i.occurred_at > i.received_at + interval '1 second'),
       count(*) FILTER (WHERE k.role = 'purchase'),
       count(*) FILTER (WHERE k.role = 'purchase' AND i.price IS NULL),
       count(*)
FROM events_interaction i JOIN events_eventkind k ON k.id = i.kind_id
WHERE i.occurred_at >= %(since)s AND i.occurred_at < %(until)s
"""
REPEATS = """
SELECT coalesce(sum(n - 1), 0)::bigint FROM (
    SELECT count(*) AS n FROM events_interaction
    WHERE occurred_at >= %(since)s AND occurred_at < %(until)s AND shopper_id IS NOT NULL
    GROUP BY shopper_id, product_id, kind_id, occurred_at, session HAVING count(*) > 1
) t
"""
TWINS = """
SELECT count(*) FROM (
    SELECT count(*) OVER (PARTITION BY lower(title), brand, group_key) AS n
    FROM catalog_product WHERE NOT placeholder
) t WHERE n > 1
"""
KINDS = """
SELECT k.code, k.name, count(i.id) FROM events_eventkind k
LEFT JOIN events_interaction i
    ON i.kind_id = k.id AND i.occurred_at >= %(since)s AND i.occurred_at < %(until)s
WHERE k.active GROUP BY k.id, k.code, k.name ORDER BY count(i.id) DESC, k.code
"""


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """`count` of `total` rows lack something; `why` says what that costs."""

    code: str
    title: str | Promise
    count: int
    total: int
    why: str | Promise
    level: Level

    @property
    def share(self) -> float | None:
        """The share concerned, 0 to 1; None when there is nothing to look at."""
        return self.count / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class KindCount:
    """Events of one kind in the days looked at."""

    code: str
    name: str
    events: int


@dataclass(frozen=True, slots=True)
class Quality:
    """The report: checks, and events of the last `days` days by kind."""

    checks: list[QualityCheck]
    kinds: list[KindCount]
    days: int


def quality_report() -> Quality:
    """Look at products and at the events of the last days."""
    until = clock.now()
    window: Window = {
        "since": until - timedelta(days=DAYS),
        "until": until,
        "zone": str(shop_settings_get().zone),
        "product_roles": [str(role) for role in PRODUCT_ROLES],
    }
    checks = [*_product_checks(), *_event_checks(window), *_sender_checks(window)]
    return Quality(checks, _kind_counts(window), DAYS)


def language_said(code: str) -> str:
    """A language's name in the reader's language; the code itself where Django does not know it."""
    try:
        return str(get_language_info(code)["name_translated"])
    except KeyError:
        return code


def _rows(query: str, parameters: Window) -> list[tuple[int, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def _level(count: int, total: int, *, warn: float, bad: float) -> Level:
    share = count / total if total else 0.0
    return "bad" if share >= bad else "warn" if share >= warn else "good"


def _product_checks() -> Iterable[QualityCheck]:
    total, unknown, text, price, category, image, cost, stock = _rows(PRODUCTS, {})[0]
    lacks = (
        ("description", gettext_lazy("Products without a description"), text,
         gettext_lazy("Content-based recommendations and search know only their title."), 0.05, 0.5),
        ("price", gettext_lazy("Products without a price"), price,
         gettext_lazy("Price filters leave them out, and revenue can't be counted."), 0.01, 0.2),
        ("category", gettext_lazy("Products without a category"), category,
         gettext_lazy("Category rules and diversity limits pass them by."), 0.02, 0.3),
        ("image", gettext_lazy("Products without a picture"), image,
         gettext_lazy("Shoppers hardly click on a card without one."), 0.01, 0.2),
        ("cost", gettext_lazy("Products without a cost"), cost,
         gettext_lazy("Their margin is not known."), 0.5, 2.0),
        ("stock", gettext_lazy("Products out of stock"), stock,
         gettext_lazy("No slate shows them."), 0.2, 0.6),
    )  # fmt: skip
    for code, title, count, why, warn, bad in lacks:
        yield QualityCheck(code, title, count, total, why, _level(count, total, warn=warn, bad=bad))
    why = gettext_lazy("Events name their SKU, but no feed has described them; they can't be shown.")
    both = total + unknown
    level = _level(unknown, both, warn=0.01, bad=0.2)
    yield QualityCheck(
        "placeholder", gettext_lazy("Products known only from events"), unknown, both, why, level
    )
    twins = _rows(TWINS, {})[0][0]
    yield QualityCheck(
        "twins", gettext_lazy("Products that look the same: one title and brand"), twins, total,
        gettext_lazy("A slate may show both. Give variants one group key, or remove the repeats."),
        _level(twins, total, warn=0.02, bad=0.3),
    )  # fmt: skip
    for language in shop_settings_get().languages:
        missing = _rows(TEXTS, {"language": language})[0][0]
        named = _("Products without a text in “%(language)s”") % {"language": language_said(language)}
        why = gettext_lazy("Shoppers of that language read them in another one.")
        level = _level(missing, total, warn=0.05, bad=0.9)
        yield QualityCheck(f"text-{language}", named, missing, total, why, level)


def _event_checks(window: Window) -> Iterable[QualityCheck]:
    total, anonymous, homeless, bots, days = _rows(EVENTS, window)[0]
    silent = max(0, DAYS - days)
    yield QualityCheck(
        "silent", gettext_lazy("Days without a single event"), silent, DAYS,
        gettext_lazy("Figures of those days are missing, and models learn from less."),
        _level(silent, DAYS, warn=0.03, bad=0.5),
    )  # fmt: skip
    yield QualityCheck(
        "anonymous", gettext_lazy("Events of visitors who are not known"), anonymous, total,
        gettext_lazy("They teach what sells, but make no personal slate."), "info",
    )  # fmt: skip
    yield QualityCheck(
        "session", gettext_lazy("Events without a session"), homeless, total,
        gettext_lazy("Baskets and visits of unknown visitors can't be told apart."),
        _level(homeless, total, warn=0.1, bad=0.7),
    )  # fmt: skip
    why = gettext_lazy("They are kept out of figures and models.")
    yield QualityCheck("bot", gettext_lazy("Events of bots"), bots, total, why, "info")


def _sender_checks(window: Window) -> Iterable[QualityCheck]:
    unjoined, early, purchases, unpriced, total = _rows(SENDERS, window)[0]
    repeats = _rows(REPEATS, window)[0][0]
    yield QualityCheck(
        "unjoined", gettext_lazy("Events that name no product"), unjoined, total,
        gettext_lazy("Nothing can be learned from them. Send the SKU."),
        _level(unjoined, total, warn=0.001, bad=0.1),
    )  # fmt: skip
    yield QualityCheck(
        "future", gettext_lazy("Events from the future"), early, total,
        gettext_lazy("The clock of the device that sent them is ahead."),
        _level(early, total, warn=0.01, bad=0.2),
    )  # fmt: skip
    yield QualityCheck(
        "repeats", gettext_lazy("Events that look like repeats under another id"), repeats, total,
        gettext_lazy("They count twice. Keep the client_event_id when an event is sent again."),
        _level(repeats, total, warn=0.02, bad=0.2),
    )  # fmt: skip
    yield QualityCheck(
        "unpriced", gettext_lazy("Purchases without a price"), unpriced, purchases,
        gettext_lazy("Revenue leaves them out."), _level(unpriced, purchases, warn=0.001, bad=0.1),
    )  # fmt: skip


def _kind_counts(window: Window) -> list[KindCount]:
    with connection.cursor() as cursor:
        cursor.execute(KINDS, window)
        return [KindCount(*row) for row in cursor.fetchall()]
