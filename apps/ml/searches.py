"""What shoppers searched for: the searches of a dataset, which of them count at a moment, and their words.

Words are hashed, so no vocabulary is kept and any language works: writing without spaces is read by
characters and pairs of them, other words by themselves and by their triples of characters, which carry
plurals and slips of the hand.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.configs.queries import QueryDials

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Csr = sparse.csr_matrix

HOUR = 3_600.0
_WORD = re.compile(r"[^\W_]+")
# Han with its extensions, kana, Thai, Lao, Khmer, Burmese: written without spaces between words
_UNSPACED = re.compile("[\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")


def query_normalised(text: str) -> str:
    """The text as searches are compared: NFKC, no capitals, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclass(frozen=True)
class Searches:
    """Searches in order of time. user: int64 [s], row of the shopper, -1 for somebody unknown; basket: int64
    [s], code of the session as in the dataset's events, -1 for none of them; timestamp: float64 [s], epoch s;
    text: int64 [s], row of `texts`, which are normalised and distinct.
    """

    user: Ints
    basket: Ints
    timestamp: NDArray[np.float64]
    text: Ints
    texts: tuple[str, ...]

    @classmethod
    def none(cls) -> Self:
        """No searches."""
        empty = np.zeros(0, dtype=np.int64)
        return cls(empty, empty, np.zeros(0), empty, ())

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, user: Ints, basket: Ints) -> Self:
        """From a snapshot's searches (timestamp, query) with the rows of their shoppers and sessions.

        Left out: searches without a word, and those that belong to no shopper and no session of the data.
        """
        texts = np.array([query_normalised(str(text)) for text in frame["query"]], dtype=object)
        moments = frame["timestamp"].to_numpy(np.float64, na_value=np.nan)
        owned = (user >= 0) | (basket >= 0)
        kept = np.flatnonzero(owned & (texts != "") & np.isfinite(moments))
        kept = kept[np.argsort(moments[kept], kind="stable")]
        codes, names = pd.factorize(texts[kept])
        named = tuple(str(name) for name in names)
        return cls(user[kept], basket[kept], moments[kept], codes.astype(np.int64), named)

    def __len__(self) -> int:
        return len(self.text)

    def select(self, mask: Mask) -> Self:
        """Those under the mask; `texts` stays."""
        return replace(
            self,
            user=self.user[mask],
            basket=self.basket[mask],
            timestamp=self.timestamp[mask],
            text=self.text[mask],
        )

    def before(self, moment: float) -> Self:
        """Those asked earlier."""
        return self.select(self.timestamp < moment)

    def until(self, moments: NDArray[np.float64]) -> Self:
        """Without what each shopper asked from their moment on: float64 [n_users], infinite for no limit."""
        known = self.user >= 0
        limit = np.full(len(self), np.inf)
        limit[known] = moments[self.user[known]]
        return self.select(self.timestamp < limit)

    def heard(self, key_T: Ints, time_T: NDArray[np.float64], n_users: int, dials: QueryDials) -> Csr:
        """What had been asked lately when each event came: float32 CSR [T, len(texts)], weights of searches.

        key_T: whose event, the shopper's row or n_users + session, ascending, and events of a key in order
        of time. A search at the very moment of an event is not counted as earlier: coarse clocks would let
        what was asked about a product pass for what led to it.
        """
        n_events = len(key_T)
        own = np.where(self.user >= 0, self.user, n_users + self.basket)
        key, time = np.concatenate([key_T, own]), np.concatenate([time_T, self.timestamp])
        asked = np.arange(len(key)) >= n_events
        order = np.lexsort((asked, time, key))
        before = np.cumsum(asked[order])
        events_before = np.arange(len(order)) - before
        places = np.flatnonzero(~asked[order])
        # the events keep their order but for ties of time, which lexsort leaves as they came
        event, said = order[places], order[asked[order]] - n_events
        since = events_before[asked[order]]
        rows, columns, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
        for back in range(min(dials.query_memory, len(said))):
            rank = before[places] - 1 - back
            there = np.flatnonzero(rank >= 0)
            found = rank[there]
            near = (own[said[found]] == key_T[event[there]]) & (
                time_T[event[there]] - self.timestamp[said[found]] <= dials.query_hours * HOUR
            )
            there, found = there[near], found[near]
            between = events_before[places[there]] - 1 - since[found] + back
            rows.append(event[there])
            columns.append(self.text[said[found]])
            weights.append(dials.query_decay ** np.maximum(between, 0))
        value = np.concatenate(weights).astype(np.float32)
        pairs = (np.concatenate(rows), np.concatenate(columns))
        heard = sparse.csr_matrix((value, pairs), shape=(n_events, len(self.texts)))
        heard.eliminate_zeros()
        return heard


@dataclass(frozen=True)
class Heard:
    """What each shopper searched for last. now: float32 CSR [n_users, Q], weights; texts: the Q queries."""

    now: Csr
    texts: tuple[str, ...]

    @classmethod
    def nothing(cls, n_users: int) -> Self:
        """Nobody searched for anything."""
        none = np.zeros(0, dtype=np.int64)
        return cls(sparse.csr_matrix((np.zeros(0, np.float32), (none, none)), shape=(n_users, 0)), ())

    @classmethod
    def of(
        cls,
        searches: Searches,
        key_T: Ints,
        time_T: NDArray[np.float64],
        n_users: int,
        end: float,
        dials: QueryDials,
    ) -> Self:
        """As of `end`, for the shoppers of these events (see `Searches.heard`); only queries in use stay."""
        if not dials.queries or not len(searches):
            return cls.nothing(n_users)
        end = max(end, float(searches.timestamp.max()))
        everyone = np.arange(n_users)
        key = np.concatenate([key_T, everyone])
        time = np.concatenate([time_T, np.full(n_users, np.nextafter(end, np.inf))])
        order = np.lexsort((np.arange(len(key)) >= len(key_T), key))
        found = searches.heard(key[order], time[order], n_users, dials)
        now = sparse.csr_matrix(found[np.flatnonzero(order >= len(key_T))])
        used = np.unique(now.indices)
        return cls(sparse.csr_matrix(now[:, used]), tuple(searches.texts[column] for column in used))

    def of_row(self, row: int) -> list[tuple[str, float]]:
        """The shopper's queries and their weights."""
        own = self.now[row]
        return [(self.texts[at], float(value)) for at, value in zip(own.indices, own.data, strict=True)]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "heard.indptr": self.now.indptr.astype(np.int64),
            "heard.indices": self.now.indices.astype(np.int32),
            "heard.data": self.now.data.astype(np.float32),
        }

    @classmethod
    def from_parts(cls, arrays: dict[str, NDArray[Any]], texts: Sequence[str], n_users: int) -> Self:
        """The inverse of `to_arrays`, with the texts."""
        parts = (arrays["heard.data"], arrays["heard.indices"], arrays["heard.indptr"])
        return cls(sparse.csr_matrix(parts, shape=(n_users, len(texts))), tuple(texts))


def weighed(queries: Sequence[str], dials: QueryDials) -> list[tuple[str, float]]:
    """A session's last queries, distinct, and what each still weighs; empty ones are left out."""
    texts = [text for text in map(query_normalised, queries) if text][-dials.query_memory :]
    found: dict[str, float] = {}
    for back, text in enumerate(reversed(texts)):
        found[text] = found.get(text, 0.0) + dials.query_decay**back
    return list(found.items())


def token_weights(texts: Sequence[str], buckets: int) -> Csr:
    """Hashed words of texts: float32 CSR [n, buckets], rows of length 1 (0 for a text without words)."""
    indptr, indices, values = [0], list[int](), list[float]()
    for text in texts:
        found: dict[int, float] = {}
        for token, weight in _tokens(query_normalised(text)):
            bucket = zlib.crc32(token.encode()) % buckets
            found[bucket] = found.get(bucket, 0.0) + weight
        length = sum(weight * weight for weight in found.values()) ** 0.5
        indices.extend(found)
        values.extend(weight / length for weight in found.values())
        indptr.append(len(indices))
    parts = (np.array(values, dtype=np.float32), np.array(indices, dtype=np.int64), np.array(indptr))
    return sparse.csr_matrix(parts, shape=(len(texts), buckets))


def _tokens(text: str) -> list[tuple[str, float]]:
    """Words with weight 1, their parts with weights that sum to 1."""
    found: list[tuple[str, float]] = []
    for word in _WORD.findall(text):
        if _UNSPACED.search(word):
            found += [(sign, 0.5) for sign in word]
            parts = [word[at : at + 2] for at in range(len(word) - 1)]
            found += [(part, 1.0) for part in parts]
            continue
        found.append((word, 1.0))
        edged = f"<{word}>"
        parts = [edged[at : at + 3] for at in range(len(edged) - 2)]
        found += [(f"~{part}", 1.0 / len(parts)) for part in parts if len(word) > 2]
    return found


def text_keys(texts: Sequence[str]) -> Ints:
    """A number per text that is the same everywhere and tells texts apart: int64 [n]."""
    raw = [blake2b(query_normalised(text).encode(), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(raw), dtype=np.int64).copy()


def searches_read(folder: str | Path) -> pd.DataFrame | None:
    """The searches of a snapshot folder, None where it has none (as before schema 3)."""
    parts = sorted((Path(folder) / "searches").glob("*.parquet"))
    return pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True) if parts else None
