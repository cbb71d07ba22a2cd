"""What a shopper did, grouped by session, with the products' pictures."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.utils.translation import gettext as _

from apps.catalog.selectors import ProductFacts
from apps.events.models import EventRole, Shopper
from apps.events.selectors import TimelineEvent, shopper_timeline

GAP = timedelta(minutes=30)
MOST_EVENTS = 120
ICONS = {
    EventRole.VIEW: "visibility",
    EventRole.CLICK: "ads_click",
    EventRole.SEARCH: "search",
    EventRole.CART: "add_shopping_cart",
    EventRole.PURCHASE: "shopping_bag",
    EventRole.RETURN: "assignment_return",
    EventRole.RATING: "star",
    EventRole.LIKE: "favorite",
    EventRole.DISLIKE: "thumb_down",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """One line: the same thing done `times` times in a row."""

    words: str
    role: str
    icon: str
    product: ProductFacts | None
    query: str
    times: int


@dataclass(frozen=True, slots=True)
class Session:
    """Events with gaps under 30 minutes; the newest line first."""

    start: datetime
    channel: str
    events: int
    lines: tuple[Happening, ...]


def kind_words(event: TimelineEvent) -> str:
    """What the shopper did; a shop's own kind goes by the name it was given."""
    known = {
        "view": _("viewed"),
        "click": _("clicked"),
        "search": _("searched"),
        "add_to_cart": _("put in the cart"),
        "purchase": _("bought"),
        "return": _("returned"),
        "rating": _("rated"),
        "like": _("liked"),
        "favourite": _("marked as favourite"),
        "share": _("shared"),
        "play": _("played"),
        "not_interested": _("not interested"),
        "dislike": _("disliked"),
        "survey": _("answered a survey"),
    }
    return known.get(event.kind, event.kind_name)


def timeline(*, shopper: Shopper, language: str, until: datetime | None = None) -> list[Session]:
    """The shopper's last sessions, newest first; what they were merely shown is left out."""
    events = [
        event
        for event in shopper_timeline(shopper.pk, MOST_EVENTS, language=language)
        if event.role != EventRole.SEEN and (until is None or event.occurred_at <= until)
    ]
    return [_session(part) for part in _sessions(events)]


def _sessions(events: list[TimelineEvent]) -> Iterable[list[TimelineEvent]]:
    part: list[TimelineEvent] = []
    for event in events:
        if part and part[-1].occurred_at - event.occurred_at >= GAP:
            yield part
            part = []
        part.append(event)
    if part:
        yield part


def _session(events: list[TimelineEvent]) -> Session:
    lines = []
    for _key, same in groupby(
        events, key=lambda event: (event.kind, event.product.id if event.product else 0, event.query)
    ):
        alike = list(same)
        first = alike[0]
        icon = ICONS.get(EventRole(first.role), "radio_button_unchecked")
        lines.append(Happening(kind_words(first), first.role, icon, first.product, first.query, len(alike)))
    return Session(events[-1].occurred_at, events[0].channel, len(events), tuple(lines))
