"""Events of the generated history while they are made, as columns, and the frame they end as."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.portal.demo.catalogue import Ints

KINDS = (
    "view", "click", "search", "add_to_cart", "purchase", "return", "rating", "favourite", "share",
    "not_interested", "survey_score", "coupon", "sponsored_impression",
)  # fmt: skip
CHANNELS = ("web", "app")
SECONDS = 86_400.0
_NUMBERS = ("user", "item", "session", "app", "query", "context", "bot")
_REALS = ("day", "quantity", "price", "value")


@dataclass
class Ledger:
    """`queries` and `contexts` hold each distinct text and object once; events point at them, -1 none."""

    parts: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    contexts: list[dict[str, Any]] = field(default_factory=list)
    _query_places: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, *, day: NDArray[Any], user: NDArray[Any], session: Ints, **columns: Any) -> None:
        """Add events of one kind; columns not given are empty. `user` -1 is somebody unknown."""
        count = len(day)
        given = {"day": day, "user": user, "session": session, **columns}
        part: dict[str, NDArray[Any]] = {"kind": np.full(count, KINDS.index(kind), dtype=np.int8)}
        for name in _NUMBERS:
            default = 0 if name in ("app", "bot") else -1
            part[name] = np.broadcast_to(np.asarray(given.get(name, default), dtype=np.int64), (count,))
        for name in _REALS:
            blank = 1.0 if name == "quantity" else np.nan
            part[name] = np.broadcast_to(np.asarray(given.get(name, blank), dtype=np.float64), (count,))
        self.parts.append(part)

    def query(self, text: str) -> int:
        """The place of a query's text."""
        place = self._query_places.get(text)
        if place is None:
            place = self._query_places[text] = len(self.queries)
            self.queries.append(text)
        return place

    def context(self, **data: Any) -> int:
        """The place of a context object."""
        if data not in self.contexts:
            self.contexts.append(data)
        return self.contexts.index(data)

    def frame(
        self, *, start: datetime, last_day: float, shoppers: list[str], skus: list[str], mark: str
    ) -> pd.DataFrame:
        """The events frame, in time order, without what would lie after `last_day`. `mark` keeps ids apart
        from those of another generated history."""
        columns = {name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]}
        order = np.argsort(columns["day"], kind="stable")
        order = order[columns["day"][order] < last_day]
        c = {name: values[order] for name, values in columns.items()}
        nanoseconds = (c["day"] * SECONDS * 1e3).astype(np.int64) * 1_000_000
        moments = pd.Series(pd.to_datetime(nanoseconds + pd.Timestamp(start).as_unit("ns").value, utc=True))
        return pd.DataFrame(
            {
                "client_event_id": [f"{mark}-{i:07d}" for i in range(len(order))],
                "kind": np.array(KINDS, dtype=object)[c["kind"]],
                "occurred_at": moments,
                "shopper": np.array([*shoppers, ""], dtype=object)[c["user"]],
                "sku": np.array([*skus, ""], dtype=object)[c["item"]],
                "quantity": c["quantity"],
                "price": np.round(c["price"], 2),
                "session": _sessions(c["session"], mark),
                "channel": np.array(CHANNELS, dtype=object)[c["app"]],
                "value": np.round(c["value"], 1),
                "request_id": "",
                "context": np.array([*self.contexts, None], dtype=object)[c["context"]],
                "query": np.array([*self.queries, ""], dtype=object)[c["query"]],
                "bot": c["bot"] == 1,
            }
        )


def _sessions(session: Ints, mark: str) -> NDArray[Any]:
    distinct, place = np.unique(session, return_inverse=True)
    names = np.array([f"{mark}-s{number:06d}" if number >= 0 else "" for number in distinct], dtype=object)
    return names[place]
