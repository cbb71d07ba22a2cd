"""A steady load of slates and events, and what became of each."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.1
AGAIN_SECONDS = 0.1
SHOPPERS, PRODUCTS = 300, 900
BROKEN = (http.client.HTTPException, ConnectionError)


@dataclass(frozen=True, slots=True)
class Answer:
    """One slate. at: when it was asked for (monotonic). again: asked twice, for the connection broke."""

    at: float
    seconds: float
    status: int
    rung: str
    request_id: str
    publication: int | None
    again: bool


class Caller:
    """One connection to the site, kept alive; opened anew when it broke."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """Status and body; raises OSError or HTTPException when there is no answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        try:
            headers = {"Authorization": f"Api-Key {self._key}", "Content-Type": "application/json"}
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (*BROKEN, OSError):
            self._connection.close()
            self._connection = None
            raise


class Load:
    """Threads that ask and report until stopped. answers: of slates, in order.

    Events are sent again, with the same ids, until they are acknowledged, as any client must. A question
    whose connection breaks is asked once more on a new one, AGAIN_SECONDS later as `recoportal.client` does;
    broken a second time it failed. acknowledged: ids. refused: how many posts were not.
    """

    def __init__(self, port: int, key: str, name: str) -> None:
        self.port, self.key, self.name = port, key, name
        self.answers: list[Answer] = []
        self.acknowledged: list[str] = []
        self.posts = self.refused = 0
        self._stop = threading.Event()
        self._numbers = itertools.count()
        asking = [threading.Thread(target=self._ask, args=(part,)) for part in range(3)]
        self._threads = [*asking, threading.Thread(target=self._report)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, when what is on its way was answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, part: int) -> None:
        caller = Caller(self.port, self.key)
        for number in itertools.count(part * 100):
            if self._stop.wait(PAUSE_SECONDS):
                return
            path = f"/api/v1/recommendations/home?n=10&shopper=s{1 + number % SHOPPERS}"
            self.answers.append(self._asked(caller, path))

    def _asked(self, caller: Caller, path: str) -> Answer:
        began = time.monotonic()
        for again in (False, True):
            try:
                status, body = caller.call("GET", path)
            except BROKEN:
                time.sleep(AGAIN_SECONDS)
                continue
            except OSError:
                break
            seconds = time.monotonic() - began
            rung, request_id = str(body.get("rung", "")), str(body.get("request_id", ""))
            return Answer(began, seconds, status, rung, request_id, body.get("publication"), again)
        return Answer(began, time.monotonic() - began, 0, "", "", None, True)

    def _report(self) -> None:
        caller = Caller(self.port, self.key)
        while not self._stop.wait(PAUSE_SECONDS):
            self.post(caller, 2, lambda: self._stop.is_set())

    def post(self, caller: Caller, count: int, given_up: Callable[[], bool] = lambda: False) -> None:
        """Report new events until they are acknowledged, or nobody waits for it any more."""
        ids = [f"{self.name}-{next(self._numbers)}" for _ in range(count)]
        events = [
            {
                "kind": "view",
                "client_event_id": one,
                "shopper": f"s{1 + place % SHOPPERS}",
                "sku": f"P{1 + (place * 7) % PRODUCTS}",
            }
            for place, one in enumerate(ids)
        ]
        body = json.dumps({"events": events}).encode()
        while True:
            self.posts += 1
            try:
                status, said = caller.call("POST", "/api/v1/events", body)
            except (*BROKEN, OSError):
                status, said = 0, {}
            if status == 200 and not said["rejected"]:
                self.acknowledged += ids
                return
            self.refused += 1
            if given_up():
                return
            time.sleep(PAUSE_SECONDS)
