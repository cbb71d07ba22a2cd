"""Who gets what in an experiment: a pure function of a published hash. Nothing is stored or asked.

    u(salt, unit) = the first 53 bits of SHA-256(UTF-8(salt + ":" + unit)), as a whole number, / 2**53

so 0 <= u < 1, and the same in every language with 64-bit floats. Of an experiment's allocation and a unit:

    slice     floor(u(layer's salt, unit) * 10000) lies in [layer_from, layer_to)
    traffic   u(salt + ":traffic", unit) < traffic
    variant   the first whose cumulative share exceeds u(salt + ":variant", unit)

Slices of one layer that do not overlap are mutually exclusive. The three questions are asked with salts of
their own, so their answers are independent; raising `traffic` adds units and moves none between variants. In
a switchback the shop has one variant at a time: that of u(salt + ":slot", the slot's number in decimal
digits), where slots are counted from 1970-01-01 UTC.

Test vectors:

>>> f"{uniform('salt', 'c-4711'):.15f}"
'0.571732925936140'
>>> f"{uniform('salt', 'session:übung'):.15f}"
'0.491106648026052'
>>> even = Allocation("x1", "main", 0, 5_000, 1.0, (("control", 0.5), ("b", 0.5)))
>>> [assign(even, f"s{number}") for number in range(6)]
['b', None, None, 'control', 'b', 'b']
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

BUCKETS = 10_000
_BITS = 53
_SPAN = 2.0**_BITS
# The same in Postgres, where {salt} and {unit} are expressions of type text: the first 14 hexadecimal digits
# are 56 bits, of which the last three go.
UNIFORM_SQL = (
    "((('x' || left(encode(sha256(convert_to({salt} || ':' || {unit}, 'UTF8')), 'hex'), 14))::bit(56)::bigint"
    " >> 3) / 9007199254740992.0::float8)"
)


@dataclass(frozen=True, slots=True)
class Allocation:
    """How an experiment divides units. layer_from, layer_to: buckets of its layer, half open, of BUCKETS.
    traffic: the share of the slice that takes part. variants: code and share, in order; shares sum to 1.
    bounds: the cumulative shares.
    """

    salt: str
    layer_salt: str
    layer_from: int
    layer_to: int
    traffic: float
    variants: tuple[tuple[str, float], ...]
    bounds: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Whatever rounding leaves over belongs to the last variant that gets anybody at all.
        bounds = list(accumulate(share for _, share in self.variants))
        last = max((place for place, (_, share) in enumerate(self.variants) if share > 0), default=0)
        bounds[last:] = [1.0] * (len(bounds) - last)
        object.__setattr__(self, "bounds", tuple(bounds))

    def share_of(self, variant: str) -> float:
        """The share of this variant, 0.0 for one there is not."""
        return next((share for code, share in self.variants if code == variant), 0.0)


def uniform(salt: str, unit: str) -> float:
    """u(salt, unit), in [0, 1)."""
    digest = sha256(f"{salt}:{unit}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / _SPAN


def layer_bucket(layer_salt: str, unit: str) -> int:
    """The unit's bucket in a layer, 0 to BUCKETS - 1."""
    return int(uniform(layer_salt, unit) * BUCKETS)


def assign(allocation: Allocation, unit: str) -> str | None:
    """The unit's variant; None when it does not take part."""
    if not allocation.layer_from <= layer_bucket(allocation.layer_salt, unit) < allocation.layer_to:
        return None
    return variant_drawn(allocation, unit)


def variant_drawn(allocation: Allocation, unit: str) -> str | None:
    """The variant of a unit of the slice; None when it is not in the traffic."""
    if allocation.traffic < 1.0 and uniform(f"{allocation.salt}:traffic", unit) >= allocation.traffic:
        return None
    return _drawn(allocation, "variant", unit)


def slot_at(seconds: float, slot_minutes: int) -> int:
    """The number of the slot at this moment (seconds since 1970-01-01 UTC)."""
    return int(seconds // (slot_minutes * 60))


def assign_slot(allocation: Allocation, slot: int) -> str:
    """The variant the whole shop has in this slot of a switchback."""
    return _drawn(allocation, "slot", str(slot))


def _drawn(allocation: Allocation, what: str, unit: str) -> str:
    u = uniform(f"{allocation.salt}:{what}", unit)
    return allocation.variants[bisect_right(allocation.bounds, u)][0]


def uniform_many(salt: str, units: Sequence[str]) -> NDArray[np.float64]:
    """u of every unit, [n]."""
    start = f"{salt}:"
    digests = b"".join([sha256(f"{start}{unit}".encode()).digest() for unit in units])
    numbers = np.frombuffer(digests, dtype=">u8")[::4].astype(np.uint64) >> np.uint64(64 - _BITS)
    return numbers.astype(np.float64) / _SPAN


def assign_many(allocation: Allocation, units: Sequence[str]) -> NDArray[np.int64]:
    """The place of every unit's variant among the allocation's, -1 for who does not take part; [n]."""
    buckets = (uniform_many(allocation.layer_salt, units) * BUCKETS).astype(np.int64)
    taking = np.flatnonzero((buckets >= allocation.layer_from) & (buckets < allocation.layer_to))
    if allocation.traffic < 1.0:
        drawn = uniform_many(f"{allocation.salt}:traffic", [units[place] for place in taking.tolist()])
        taking = taking[drawn < allocation.traffic]
    drawn = uniform_many(f"{allocation.salt}:variant", [units[place] for place in taking.tolist()])
    places = np.full(len(units), -1, dtype=np.int64)
    places[taking] = np.searchsorted(np.asarray(allocation.bounds), drawn, side="right")
    return places
