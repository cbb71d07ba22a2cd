"""The REST API as a storefront sees it: one kept-alive connection, patience with a shop that restarts."""

import http.client
import json
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from apps.core.errors import InvalidInput, RecoPortalError

TIMEOUT = 30.0
EVENTS_AT_ONCE = 1_000
_PASSING = {429, 502, 503, 504}


class StorefrontError(RecoPortalError):
    """The API refused a call, or could not be reached for too long."""

    code = "storefront_error"
    status = 502


@dataclass
class StorefrontClient:
    """`patience` is how many seconds a call may be repeated while the shop is away or busy."""

    base_url: str
    api_key: str
    patience: float = 60.0
    calls: int = 0
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def slate(
        self,
        placement: str,
        *,
        shopper: str = "",
        items: tuple[str, ...] = (),
        session: str = "",
        n: int = 12,
    ) -> dict[str, Any]:
        """GET a slate: {"request_id", "items": [{"sku", ...}], ...}."""
        query = {"shopper": shopper, "items": ",".join(items), "session": session, "n": str(n)}
        given = urllib.parse.urlencode({name: value for name, value in query.items() if value})
        return self._call("GET", f"/api/v1/recommendations/{placement}?{given}")

    def events(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """POST events in batches; the answers added up. Rejected events are our mistake and raise."""
        total: dict[str, Any] = {"accepted": 0, "duplicates": 0}
        for start in range(0, len(events), EVENTS_AT_ONCE):
            answer = self._call("POST", "/api/v1/events", {"events": events[start : start + EVENTS_AT_ONCE]})
            if answer["rejected"]:
                raise StorefrontError(f"The events API refused an event of ours: {answer['rejected'][0]}")
            total = {name: total[name] + answer[name] for name in total}
        return total

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call, repeated while the shop is away or busy. Events carry ids, so repeating them is safe."""
        data = None if body is None else json.dumps(body).encode()
        until, wait = time.monotonic() + self.patience, 0.25
        while True:
            problem, hint = "", wait
            try:
                status, text, retry_after = self._send(method, path, data)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                problem = f"{type(error).__name__}: {error}"
            else:
                self.calls += 1
                if status == 200:
                    answer: dict[str, Any] = json.loads(text)
                    return answer
                problem = f"{status}: {text[:300].decode(errors='replace')}"
                if status not in _PASSING:
                    raise StorefrontError(f"{method} {path} was answered {problem}")
                hint = max(wait, retry_after)
            if time.monotonic() + hint > until:
                raise StorefrontError(
                    f"{method} {self.base_url}{path} failed for {self.patience:.0f} s: {problem}"
                )
            time.sleep(hint)
            wait = min(wait * 2, 5.0)

    def _send(self, method: str, path: str, data: bytes | None) -> tuple[int, bytes, float]:
        if self._connection is None:
            self._connection = _connect(self.base_url)
        headers = {"Authorization": f"Api-Key {self.api_key}"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        prefix = urllib.parse.urlsplit(self.base_url).path.rstrip("/")
        self._connection.request(method, prefix + path, data, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        later = answer.headers.get("Retry-After", "")
        return answer.status, text, float(later) if later.isdigit() else 0.0


def _connect(base_url: str) -> http.client.HTTPConnection:
    parts = urllib.parse.urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(field="base-url", value=base_url, remedy="Write it like http://127.0.0.1:8000.")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname, parts.port, timeout=TIMEOUT)
