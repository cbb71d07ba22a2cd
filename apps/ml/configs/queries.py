"""Settings of: what shoppers searched for, as a signal beside what they opened and bought."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.ml.configs import Config, number, share


@dataclass(frozen=True)
class QueryDials(Config):
    """How recent searches are listened to; without searches in the data none of it has an effect.

    queries: whether they are. query_memory: the last searches that count, asked at most query_hours before
    the moment. query_decay: each event or search that came after a search leaves this much of it.
    """

    queries: bool = field(default=True, metadata={"tune": False})
    query_memory: int = number(3, 1, tune=False)
    query_decay: float = share(0.5, tune=False)
    query_hours: float = number(24.0, 0.01, tune=False)
