"""Slates as pages show them: cards with their move against live, bars of sources, words.

The one place of the portal that asks serving for slates; Inspect, Weights, Rules and History share it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.portal.context_bar import PageContext
from apps.portal.lookups import reader_language
from apps.portal.words.reasons import badge_words, rung_words
from apps.portal.words.sources import SourceName, source_name, sources_named
from apps.serving.live import PublicationState
from apps.serving.pipeline import recommend
from apps.serving.slate import Slate, SlateItem, SlateRequest

BADGE_TONES = {"pinned": "accent", "boosted": "good", "buried": "warn", "low_stock": "warn", "new": "good"}
ICONS = {
    "pinned": "keep",
    "boosted": "arrow_upward",
    "buried": "arrow_downward",
    "low_stock": "inventory",
    "promotion": "sell",
}


@dataclass(frozen=True, slots=True)
class Part:
    """What one source adds to a product's bar; `width` in percent of the slate's widest bar."""

    source: SourceName
    width: float
    value: float


@dataclass(frozen=True, slots=True)
class Badge:
    """A mark on a card."""

    code: str
    words: str
    tone: str
    icon: str


@dataclass(frozen=True, slots=True)
class Card:
    """One product of a slate. `moved`: places up (positive) against live, None when live does not show it."""

    item: SlateItem
    badges: tuple[Badge, ...]
    parts: tuple[Part, ...]
    main_source: str
    compared: bool
    moved: int | None

    @property
    def places(self) -> int:
        """How many places it moved, whichever way."""
        return abs(self.moved or 0)

    @property
    def move_words(self) -> str:
        """The move against live, for ears."""
        if not self.compared or self.moved == 0:
            return ""
        if self.moved is None:
            return _("not on the live slate")
        up = ngettext("up %(n)s place", "up %(n)s places", abs(self.moved))
        down = ngettext("down %(n)s place", "down %(n)s places", abs(self.moved))
        return (up if self.moved > 0 else down) % {"n": abs(self.moved)}

    @property
    def bar_words(self) -> str:
        """What the bar shows, for ears."""
        whole = sum(part.width for part in self.parts) or 1.0
        ordered = sorted(self.parts, key=lambda part: -part.width)[:3]
        return _(", ").join(
            _("%(source)s %(share)s%%")
            % {"source": part.source.name, "share": round(100 * part.width / whole)}
            for part in ordered
        )


@dataclass(frozen=True, slots=True)
class SlateView:
    """A slate with what the page says about it. `gone`: on the live slate, not on this one."""

    slate: Slate
    cards: tuple[Card, ...]
    gone: tuple[SlateItem, ...]
    legend: tuple[SourceName, ...]
    rung: str
    compared: bool

    @property
    def changed(self) -> int:
        """How many cards differ from live, by place or by being new."""
        return sum(card.moved != 0 for card in self.cards) if self.compared else 0

    @property
    def summary(self) -> str:
        """One sentence on the difference, announced when the slate changes."""
        if not self.compared:
            return ""
        fresh = sum(card.moved is None for card in self.cards)
        moved = self.changed - fresh
        if not self.changed:
            return _("Same as live.")
        parts = []
        if moved:
            parts.append(ngettext("%(n)s product moves", "%(n)s products move", moved) % {"n": moved})
        if fresh:
            parts.append(ngettext("%(n)s comes in", "%(n)s come in", fresh) % {"n": fresh})
        if self.gone:
            out = ngettext("%(n)s goes out", "%(n)s go out", len(self.gone))
            parts.append(out % {"n": len(self.gone)})
        return _(", ").join(parts) + _(".")


def slate_request(bar: PageContext, *, shopper: str | None = None, explain: bool = False) -> SlateRequest:
    """The question the context bar asks; `shopper` replaces the bar's."""
    assert bar.placement is not None
    who = bar.shopper if shopper is None else shopper
    return SlateRequest(
        placement=bar.placement.code,
        shopper=who or None,
        items=bar.seeds,
        language=reader_language(bar.lang),
        explain=explain,
        now=bar.at,
    )


def _floors(items: Sequence[SlateItem]) -> dict[str, float]:
    """The least each source gives to any product of the slate: what its bar starts from."""
    floors: dict[str, float] = {}
    for item in items:
        for source, value in item.parts.items():
            floors[source] = min(value, floors.get(source, value))
    return floors


def _badges(item: SlateItem) -> tuple[Badge, ...]:
    return tuple(
        Badge(code, badge_words(code), BADGE_TONES.get(code, ""), ICONS.get(code, "")) for code in item.badges
    )


def _parts(
    item: SlateItem, floors: Mapping[str, float], widest: float, names: Mapping[str, SourceName]
) -> tuple[Part, ...]:
    gains = {source: value - floors[source] for source, value in item.parts.items() if source in names}
    ordered = sorted(gains, key=lambda source: names[source].color)
    return tuple(
        Part(names[source], 100 * gains[source] / widest, item.parts[source])
        for source in ordered
        if gains[source] > 0
    )


def view_of(slate: Slate, live: Slate | None = None) -> SlateView:
    """Lay `slate` out as cards, marked with their moves against `live`."""
    names = sources_named()
    floors = _floors(slate.items)
    widest = max((sum(v - floors[s] for s, v in item.parts.items()) for item in slate.items), default=0.0)
    before = {item.product_id: item.position for item in live.items} if live else {}
    here = {item.product_id for item in slate.items}
    cards = tuple(
        Card(
            item=item,
            badges=_badges(item),
            parts=_parts(item, floors, widest or 1.0, names),
            main_source=source_name(item.source, names),
            compared=live is not None,
            moved=before[item.product_id] - item.position if item.product_id in before else None,
        )
        for item in slate.items
    )
    gone = tuple(item for item in live.items if item.product_id not in here) if live else ()
    used = {source for item in slate.items for source in item.parts}
    legend = tuple(name for code, name in names.items() if code in used)
    return SlateView(slate, cards, gone, legend, rung_words(slate.rung), live is not None)


def slate_live(bar: PageContext) -> SlateView:
    """What shoppers get now."""
    return view_of(recommend(slate_request(bar)))


def slate_preview(
    bar: PageContext, publication: PublicationState, *, shopper: str | None = None
) -> SlateView:
    """What shoppers would get with an unpublished `publication`, marked against what is live (whatever an
    experiment gives this shopper).
    """
    return slates_beside(bar, publication, shopper=shopper)[1]


def slates_beside(
    bar: PageContext, publication: PublicationState, *, shopper: str | None = None
) -> tuple[SlateView, SlateView]:
    """What is live, and what shoppers would get with `publication`, marked against it."""
    request = slate_request(bar, shopper=shopper)
    live = recommend(replace(request, experiments=False))
    return view_of(live), view_of(recommend(request, publication=publication), live)


def slate_explained(bar: PageContext, publication: PublicationState | None) -> Slate:
    """The slate with its whole trace."""
    return recommend(replace(slate_request(bar), explain=True), publication=publication)
