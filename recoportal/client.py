"""A shop's own client of RecoPortal's REST API: one file, the standard library alone, safe between threads.

    from recoportal.client import RecoPortal

    with RecoPortal("https://reco.shop.example", api_key) as reco:
        slate = reco.slate("home", shopper="c-4711", n=8)
        skus = [item.sku for item in slate.items]
        reco.event("click", sku=skus[0], shopper="c-4711", request_id=slate.request_id)

Events are gathered and sent in the background; each gets an id when it is made and keeps it however often it
is sent, so the server stores it once. `flush` waits for them, `close` flushes. Whoever must know at once that
events are safe calls `send`, which returns when they are acknowledged.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import threading
import time
import urllib.parse
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any

BATCH_MOST = 1_000
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
WAIT_FIRST, WAIT_MOST = 0.1, 5.0
# A longer question is posted: addresses have limits on the way.
ADDRESS_MOST = 1_800
Event = dict[str, Any]


class ApiError(Exception):
    """The API refused a call, or could not be reached for as long as it was tried.

    status: of the answer, 0 without one. code, field, value, remedy: as the API put them, "" without.
    """

    def __init__(self, message: str, *, status: int = 0, error: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        given = error or {}
        self.status = status
        self.code = str(given.get("code") or "")
        self.field = str(given.get("field") or "")
        self.value = str(given.get("value") or "")
        self.remedy = str(given.get("remedy") or "")


@dataclass(frozen=True, slots=True)
class Item:
    """One product of a slate. price: None where the catalogue has none. reason: in the language asked for.

    extra: whatever else the API said.
    """

    sku: str
    title: str
    price: float | None
    currency: str
    image: str
    category: str
    brand: str
    position: int
    score: float | None
    source: str
    reason: str = ""
    sponsored: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slate:
    """What a placement shows, best first. request_id: goes with the events that follow from it.

    rung: what it stands on ("shopper" is best). experiment: {"code", "variant"} that decided it, None where
    none did. extra: whatever else the API said, such as the trace.
    """

    request_id: str
    placement: str
    publication: int | None
    rung: str
    items: tuple[Item, ...]
    experiment: Mapping[str, str] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event the API did not take: what is wrong with it and how to mend it."""

    event: Mapping[str, Any]
    field: str
    value: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of events: duplicates had been stored before."""

    accepted: int = 0
    duplicates: int = 0
    rejected: tuple[Rejected, ...] = ()

    def __add__(self, other: Sent) -> Sent:
        return Sent(
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
        )


class RecoPortal:
    """The API behind `base_url`, called with a secret key.

    timeout: seconds for one attempt. patience: seconds during which a call is repeated while the server is
    away or busy; 0: one attempt. flush_every: seconds that events may be gathered; most_waiting: events kept
    while the server is away, the oldest are let go beyond. on_rejected: called with each refused event, from
    the thread that sends; on_lost: with each event let go.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = 5.0,
        patience: float = 10.0,
        flush_every: float = 1.0,
        batch: int = 500,
        most_waiting: int = 100_000,
        on_rejected: Callable[[Rejected], None] | None = None,
        on_lost: Callable[[Event], None] | None = None,
    ) -> None:
        parts = urllib.parse.urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url: {base_url!r} is no address; write it like https://reco.shop.example")
        self._host, self._port, self._secure = parts.hostname, parts.port, parts.scheme == "https"
        self._prefix = parts.path.rstrip("/") + "/api/v1"
        self._headers = {"Authorization": f"Api-Key {api_key}", "User-Agent": "recoportal-client/1"}
        self.timeout, self.patience = timeout, patience
        self.flush_every, self.batch, self.most_waiting = flush_every, min(batch, BATCH_MOST), most_waiting
        self.on_rejected, self.on_lost = on_rejected, on_lost
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._process = os.getpid()
        self._waiting: deque[Event] = deque()
        self._changed = threading.Condition()
        self._sending = 0
        self._closed = threading.Event()
        self._urgent = threading.Event()
        self._sender: threading.Thread | None = None

    # --- slates ---

    def slate(
        self,
        placement: str,
        *,
        shopper: str = "",
        items: Sequence[str] = (),
        session: str = "",
        n: int | None = None,
        language: str = "",
        personalised: bool = True,
        patience: float | None = None,
        **more: Any,
    ) -> Slate:
        """What the placement shows. more: the API's other parameters (category, exclude, price_max, …).

        Raises ApiError; a storefront then shows what it shows without recommendations.
        """
        asked = {
            "shopper": shopper,
            "items": list(items),
            "session": session,
            "n": n,
            "lang": language,
            "personalised": None if personalised else False,
            **more,
        }
        given = {name: value for name, value in asked.items() if value not in (None, "", [], ())}
        path = f"/recommendations/{urllib.parse.quote(placement, safe='')}"
        address = f"{path}?{urllib.parse.urlencode({name: _text(value) for name, value in given.items()})}"
        wait = self.patience if patience is None else patience
        if len(address) <= ADDRESS_MOST:
            return _slate(self._call("GET", address if given else path, None, wait))
        return _slate(self._call("POST", path, given, wait))

    def assignments(
        self,
        *,
        shopper: str = "",
        session: str = "",
        experiment: str = "",
        expose: bool = False,
        patience: float | None = None,
        **more: Any,
    ) -> dict[str, str | None]:
        """Experiment to the shopper's variant, None where they take no part, for what you build yourself.

        experiment: only this one; empty when it does not run. expose: its variant is shown now, which is what
        results are counted from. more: anonymous, personalised, lang, device, region. Raises ApiError.
        """
        asked = {"shopper": shopper, "session": session, "experiment": experiment, **more}
        given = {name: _text(value) for name, value in asked.items() if value not in (None, "")}
        if expose:
            given["expose"] = "1"
        address = f"/assignments?{urllib.parse.urlencode(given)}"
        body = self._call("GET", address, None, self.patience if patience is None else patience)
        return {one["experiment"]: one["variant"] for one in body["assignments"]}

    # --- events ---

    def event(self, kind: str, **fields: Any) -> str:
        """Gather one event for the background; returns its id. Fields as in the API: shopper, sku, session,
        quantity, price, value, request_id, query, context, …; datetimes must be aware.
        """
        made = event_make(kind, **fields)
        with self._changed:
            if self._closed.is_set():
                raise ApiError("This client is closed.")
            self._waiting.append(made)
            lost = [self._waiting.popleft() for _ in range(len(self._waiting) - self.most_waiting)]
            if self._sender is None or not self._sender.is_alive():  # also after a fork
                self._sender = threading.Thread(target=self._send_all, name="recoportal-events", daemon=True)
                self._sender.start()
            if len(self._waiting) >= self.batch:
                self._urgent.set()
        for one in lost:
            if self.on_lost:
                self.on_lost(one)
        return str(made["client_event_id"])

    def send(self, events: Sequence[Event]) -> Sent:
        """Send events (see `event_make`) now, in batches; returns when all are acknowledged.

        Raises ApiError when that does not happen within `patience`; sending the same events again is safe.
        """
        total = Sent()
        for start in range(0, len(events), BATCH_MOST):
            total += self._events_post(list(events[start : start + BATCH_MOST]), self.patience)
        return total

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until what was gathered is acknowledged; tells whether it was in time."""
        with self._changed:
            self._urgent.set()
            return self._changed.wait_for(lambda: not self._waiting and not self._sending, timeout)

    def close(self, timeout: float = 30.0) -> bool:
        """Flush, stop the background and drop the connections; tells whether everything was acknowledged."""
        done = self.flush(timeout)
        self._closed.set()
        self._urgent.set()
        if self._sender is not None:
            self._sender.join(timeout=1.0)
        while self._idle:
            self._idle.pop().close()
        return done

    def __enter__(self) -> RecoPortal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Events that are not acknowledged yet."""
        return len(self._waiting) + self._sending

    def _send_all(self) -> None:
        """The background: batches in order, each tried until it is answered."""
        wait = WAIT_FIRST
        while not self._closed.is_set():
            self._urgent.wait(self.flush_every)
            with self._changed:
                self._urgent.clear()
                rows = [self._waiting.popleft() for _ in range(min(self.batch, len(self._waiting)))]
                self._sending = len(rows)
            if not rows:
                continue
            answered = False
            try:
                sent = self._events_post(rows, 0.0)
                answered = True
            except ApiError as error:
                # Refused as a whole (a body too large, a key that may not): again it would be the same.
                answered = 0 < error.status < 500 and error.status not in PASSING
                sent = Sent(rejected=tuple(Rejected(row, "", "", str(error)) for row in rows))
            if answered:
                wait = WAIT_FIRST
                for one in sent.rejected:
                    if self.on_rejected:
                        self.on_rejected(one)
            with self._changed:
                self._sending = 0
                if not answered:
                    self._waiting.extendleft(reversed(rows))
                if self._waiting:
                    self._urgent.set()
                self._changed.notify_all()
            if not answered:
                self._closed.wait(wait * random.uniform(0.5, 1.0))
                wait = min(wait * 2, WAIT_MOST)

    def _events_post(self, rows: list[Event], patience: float) -> Sent:
        answer = self._call("POST", "/events", {"events": rows}, patience)
        rejected = tuple(
            Rejected(rows[one["index"]], one["field"], one["value"], one["remedy"])
            for one in answer["rejected"]
        )
        return Sent(int(answer["accepted"]), int(answer["duplicates"]), rejected)

    # --- calls ---

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, patience: float
    ) -> dict[str, Any]:
        """One call, repeated while the server is away or busy. Safe: slates only read, events carry ids."""
        data = None if body is None else json.dumps(body, default=_json).encode()
        until, wait = time.monotonic() + patience, WAIT_FIRST
        while True:
            hint = wait
            try:
                status, text, retry_after = self._send_once(method, self._prefix + path, data)
            except (OSError, http.client.HTTPException) as error:
                problem = ApiError(f"{method} {path.partition('?')[0]}: {type(error).__name__}: {error}")
            else:
                if status == 200:
                    answer: dict[str, Any] = json.loads(text)
                    return answer
                problem = _refusal(method, path, status, text)
                if status not in PASSING:
                    raise problem
                hint = max(wait, retry_after)
            if time.monotonic() + hint > until:
                raise problem
            time.sleep(hint * random.uniform(0.7, 1.0))
            wait = min(wait * 2, WAIT_MOST)

    def _send_once(self, method: str, path: str, data: bytes | None) -> tuple[int, bytes, float]:
        """One attempt over an idle connection or a new one; status, body, seconds of Retry-After."""
        if self._process != os.getpid():  # a fork's connections are its parent's
            self._idle, self._process = deque(), os.getpid()
        reused = True
        try:
            connection = self._idle.pop()
        except IndexError:
            connection, reused = self._connect(), False
        headers = self._headers if data is None else {**self._headers, "Content-Type": "application/json"}
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError):
            connection.close()
            if not reused:
                raise
            # The server had let go of an idle connection: a new one, at once.
            while self._idle:
                with contextlib.suppress(IndexError):
                    self._idle.pop().close()
            return self._send_once(method, path, data)
        except BaseException:
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            self._idle.append(connection)
        later = answer.headers.get("Retry-After", "")
        return answer.status, text, float(later) if later.isdigit() else 0.0

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self.timeout)


def event_make(kind: str, **fields: Any) -> Event:
    """An event with an id and a moment of its own, unless `client_event_id` and `occurred_at` are given."""
    event: Event = {"kind": kind, "client_event_id": uuid.uuid4().hex, "occurred_at": datetime.now(UTC)}
    event |= {name: value for name, value in fields.items() if value is not None}
    at = event["occurred_at"]
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise ValueError("occurred_at: give an aware datetime, for example datetime.now(UTC)")
        event["occurred_at"] = at.isoformat()
    return event


def _text(value: Any) -> str:
    """A parameter as an address has it: lists joined by commas, flags as 1 and 0."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{text}" for name, text in value.items())
    return str(value) if isinstance(value, str | int | float) else ",".join(str(one) for one in value)


def _json(value: Any) -> Any:
    """What JSON does not know: moments, exact amounts, sets, ids."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return list(value) if isinstance(value, tuple | set | frozenset) else str(value)


ITEM_FIELDS = tuple(name for name in Item.__slots__ if name != "extra")
SLATE_FIELDS = tuple(name for name in Slate.__slots__ if name not in ("items", "experiment", "extra"))


def _slate(body: Mapping[str, Any]) -> Slate:
    return Slate(
        **{name: body[name] for name in SLATE_FIELDS},
        experiment=body.get("experiment"),
        items=tuple(_item(row) for row in body["items"]),
        extra={
            name: value for name, value in body.items() if name not in (*SLATE_FIELDS, "items", "experiment")
        },
    )


def _item(row: Mapping[str, Any]) -> Item:
    known = {name: row[name] for name in ITEM_FIELDS if name in row}
    return Item(**known, extra={name: value for name, value in row.items() if name not in known})


def _refusal(method: str, path: str, status: int, text: bytes) -> ApiError:
    try:
        error = json.loads(text)["error"]
        message = str(error["message"])
    except (ValueError, KeyError, TypeError):
        error, message = {}, text[:200].decode(errors="replace")
    return ApiError(f"{method} {path.partition('?')[0]}: {status}: {message}", status=status, error=error)
