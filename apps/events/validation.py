"""The one rule book for an event: both the API and bulk imports go by it. No database, no pandas."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from apps.core.errors import RowError, shorten
from apps.events.bots import agent_is_bot
from apps.events.kinds import KindFacts
from apps.events.models import EventRole

# A device's clock may be this far ahead; what claims to be later is refused, not moved: a moved event would
# be a made-up one.
FUTURE_TOLERANCE = timedelta(minutes=5)
# Nothing was sold online before; an earlier date is a broken clock.
EPOCH = datetime(1995, 1, 1, tzinfo=UTC)
MAX_NUMBER = 1e9
MAX_CONTEXT_BYTES = 4_000
MAX_QUERY = 300
LIMITS = {"client_event_id": 80, "shopper": 80, "sku": 64, "session": 64, "channel": 20, "kind": 40,
          "anonymous": 80}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of a batch of events, by place in the batch, from 0: `rejected[i].line` was refused,
    those in `repeated` were known before or came twice (small batches only), all others are new.
    """

    accepted: int = 0
    duplicates: int = 0
    rejected: list[RowError] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EventRules:
    """What an event is checked against: the kinds, the moment of receipt and the oldest moment taken.

    ahead: how far the sender's clock is ahead of ours; its moments are moved back by that.
    bot: the sender is a known robot.
    """

    kinds: Mapping[str, KindFacts]
    now: datetime
    oldest: datetime = EPOCH
    ahead: timedelta = timedelta(0)
    bot: bool = False


class Refused(Exception):
    """One event can't be taken; carried to the batch's answer as a RowError."""

    def __init__(self, field: str, value: Any, remedy: str) -> None:
        super().__init__(remedy)
        self.field, self.value, self.remedy = field, shorten(value), remedy

    def at(self, line: int) -> RowError:
        """This refusal as the report of row `line`."""
        return RowError(line=line, field=self.field, value=self.value, remedy=self.remedy)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(name, value, "Send text.")
        value = str(value)
    value = value.strip()
    if len(value) > LIMITS[name]:
        raise Refused(name, value, f"Send at most {LIMITS[name]} characters.")
    return _storable(name, value)


def _storable(name: str, value: str) -> str:
    if "\x00" in value:
        raise Refused(name, value.replace("\x00", "\\0"), "Send text without NUL characters.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Refused(name, ascii(value), "Send valid Unicode text.") from None
    return value


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(name, value, "Send a number.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not -MAX_NUMBER <= number <= MAX_NUMBER:  # also refuses nan
        raise Refused(name, value, f"Send a number from {-MAX_NUMBER:.0f} to {MAX_NUMBER:.0f}.")
    return number


def _moment(row: Mapping[str, Any], rules: EventRules) -> datetime:
    value = row.get("occurred_at")
    if value is None or value == "":
        return rules.now
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise Refused(
                "occurred_at", value, "Send ISO 8601 with an offset, like 2026-11-22T14:00:00Z."
            ) from None
    elif isinstance(value, datetime):
        moment = value
    else:
        raise Refused("occurred_at", value, "Send ISO 8601 text with an offset, like 2026-11-22T14:00:00Z.")
    if moment.tzinfo is None:
        raise Refused("occurred_at", value, "Add the offset from UTC, like 2026-11-22T14:00:00Z.")
    try:
        moment = moment.astimezone(UTC) - rules.ahead
    except OverflowError:
        raise Refused("occurred_at", value, "Send a moment between 1995 and now.") from None
    if moment > rules.now + FUTURE_TOLERANCE:
        raise Refused(
            "occurred_at", value, "It lies in the future. Mend the device's clock, or leave the field out."
        )
    if moment < rules.oldest:
        raise Refused(
            "occurred_at", value, f"It is before {rules.oldest:%Y-%m-%d}. Load old events with a bulk import."
        )
    return moment


def _request_id(row: Mapping[str, Any]) -> str | None:
    value = row.get("request_id")
    if value is None or value == "":
        return None
    if isinstance(value, UUID):
        return str(value)
    try:
        return str(UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise Refused("request_id", value, "Send the request_id of the recommendations answer.") from None


def context_json(value: Any) -> str | None:
    """`value` as the JSON we keep; None when it is empty. Raises Refused."""
    if value is None or value == {}:
        return None
    if not isinstance(value, Mapping):
        raise Refused("context", value, "Send a JSON object.")
    try:
        encoded = orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        raise Refused("context", value, "Send a JSON object of text, numbers and lists.") from None
    if len(encoded) > MAX_CONTEXT_BYTES:
        raise Refused(
            "context", encoded[:60].decode("utf-8", "replace"), f"Send at most {MAX_CONTEXT_BYTES} bytes."
        )
    if b"\\u0000" in encoded:
        raise Refused("context", encoded[:60].decode("utf-8", "replace"), "Send text without NUL characters.")
    return encoded.decode()


def kind_of(row: Mapping[str, Any], rules: EventRules) -> KindFacts:
    """The event's kind. Raises Refused."""
    code = row.get("kind")
    kind = rules.kinds.get(code) if isinstance(code, str) else None
    if kind is None or not kind.active:
        known = ", ".join(sorted(code for code, fact in rules.kinds.items() if fact.active))
        raise Refused("kind", "" if code is None else code, f"Send one of: {known}. Staff can add kinds.")
    return kind


def event_check(row: Any, rules: EventRules) -> dict[str, Any]:
    """One event as the row to be stored (columns `lines.COLUMNS`); raises Refused naming the bad field."""
    if not isinstance(row, Mapping):
        raise Refused("event", row, "Send a JSON object.")
    kind = kind_of(row, rules)
    client_event_id = _text(row, "client_event_id")
    if not client_event_id:
        raise Refused(
            "client_event_id", "", "Send an id of your own that is the same when the event is sent again."
        )
    sku = _text(row, "sku")
    if not sku and kind.needs_product:
        raise Refused("sku", "", f"A {kind.code} event needs the sku of its product.")
    request_id = _request_id(row)
    if request_id is None and kind.role == EventRole.SEEN:
        raise Refused(
            "request_id", "", f"A {kind.code} event needs the request_id of the slate that was seen."
        )
    quantity = _number(row, "quantity")
    if quantity is not None and quantity <= 0:
        raise Refused("quantity", quantity, "Send a number above 0; to undo a purchase send a return event.")
    price = _number(row, "price")
    if price is not None and price < 0:
        raise Refused("price", price, "Send a price of 0 or more.")
    value = _number(row, "value")
    if value is None and kind.role == EventRole.RATING:
        raise Refused("value", "", f"A {kind.code} event needs its value.")
    query = row.get("query") or ""
    if not isinstance(query, str):
        raise Refused("query", query, "Send text.")
    bot = row.get("bot")
    if bot not in (None, True, False):
        raise Refused("bot", bot, "Send true or false.")
    agent = row.get("user_agent") or ""
    if not isinstance(agent, str):
        raise Refused("user_agent", agent, "Send text.")
    return {
        "client_event_id": client_event_id,
        "kind_id": kind.id,
        "mood": kind.mood,
        "occurred_at": _moment(row, rules),
        "shopper": _text(row, "shopper"),
        "sku": sku,
        "quantity": 1.0 if quantity is None else quantity,
        "price": None if price is None else round(price, 2),
        "value": value,
        "session": _text(row, "session"),
        "channel": _text(row, "channel"),
        "request_id": request_id,
        "query": _storable("query", query.strip()[:MAX_QUERY]),
        "context": context_json(row.get("context")),
        "anonymous": _text(row, "anonymous"),
        "bot": bool(bot) or rules.bot or agent_is_bot(agent),
    }


@dataclass(frozen=True, slots=True)
class Checked:
    """A small batch after the check. good: rows to be stored, ids distinct; places: of each in the batch;
    again: places of good rows whose id came earlier in the batch.
    """

    good: list[dict[str, Any]]
    places: list[int]
    again: list[int]
    rejected: list[RowError]

    def result(self, repeats: Container[str]) -> RecordResult:
        """The batch's answer, when the ids in `repeats` turn out to be known."""
        known = [
            place
            for place, row in zip(self.places, self.good, strict=True)
            if row["client_event_id"] in repeats
        ]
        repeated = sorted(known + self.again)
        return RecordResult(
            accepted=len(self.good) - len(known),
            duplicates=len(repeated),
            rejected=self.rejected,
            repeated=repeated,
        )


def events_check(*, rows: Sequence[Any], rules: EventRules) -> Checked:
    """Check a small batch; a bad event is refused alone."""
    good: dict[str, dict[str, Any]] = {}
    places: list[int] = []
    again: list[int] = []
    rejected: list[RowError] = []
    for place, row in enumerate(rows):
        try:
            event = event_check(row, rules)
        except Refused as refused:
            rejected.append(refused.at(place))
            continue
        if good.setdefault(event["client_event_id"], event) is event:
            places.append(place)
        else:
            again.append(place)
    return Checked(list(good.values()), places, again, rejected)
