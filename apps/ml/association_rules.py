"""Association rules over baskets (Agrawal and Srikant 1994): what is bought together more than chance would
have it.

A rule A -> c has one consequent. With n baskets: support = count(A and c) / n; confidence = count(A and c)
/ count(A); lift = confidence / (count(c) / n). Itemsets are found depth first on bitsets (Eclat, Zaki 2000);
the frequent pairs come from one sparse product, so items that never meet cost nothing. Thresholds are
inclusive and compared in whole numbers: 0.1 of 30 baskets is 3 baskets, whatever binary fractions make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy import sparse

from apps.ml.errors import DataMissing, InvalidValue
from apps.ml.signals import Csr

LONGEST = 10
"""Items of a rule, both sides together."""
ITEMSETS_LIMIT = 4_000_000
"""Itemsets held at once (about 1 GB); below that support a list of rules is no help to anybody."""
Itemset = tuple[int, ...]


@dataclass(frozen=True)
class Rule:
    """antecedent: item columns, ascending (empty: "anyway"). count: baskets with both sides."""

    antecedent: Itemset
    consequent: int
    count: int
    support: float
    confidence: float
    lift: float

    @property
    def length(self) -> int:
        return len(self.antecedent) + 1


def share(field: str, value: str | float | Fraction) -> Fraction:
    """A threshold between 0 and 1 exactly as it was written; InvalidValue otherwise."""
    try:
        exact = value if isinstance(value, Fraction) else Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise InvalidValue(field, value, "Give a number from 0 to 1, such as 0.01.") from None
    if not 0 <= exact <= 1:
        raise InvalidValue(field, value, "Give a number from 0 to 1, such as 0.01.")
    return exact


def basket_matrix(baskets: Sequence[Sequence[int]], n_items: int) -> Csr:
    """Baskets as rows, 1 per distinct item: int32 CSR [n_baskets, n_items]."""
    rows = np.repeat(np.arange(len(baskets)), [len(basket) for basket in baskets])
    columns = np.fromiter((item for basket in baskets for item in basket), np.int64, len(rows))
    matrix = sparse.csr_matrix((np.ones(len(rows), np.int32), (rows, columns)), shape=(len(baskets), n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def frequent_itemsets(
    baskets: Csr,
    min_count: int,
    longest: int = LONGEST,
    check: Callable[[], None] | None = None,
) -> dict[Itemset, int]:
    """Every set of 1 to `longest` items that lies in at least `min_count` baskets, with its count.

    baskets: [n, n_items], a stored entry means "in the basket". Keys are ascending columns. check: called
    now and then, may raise to cancel. Raises InvalidValue when there are more than ITEMSETS_LIMIT.
    """
    turned = sparse.csc_matrix(baskets)
    counts = np.diff(turned.indptr)
    kept = np.flatnonzero(counts >= max(min_count, 1))
    found: dict[Itemset, int] = {(int(item),): int(counts[item]) for item in kept}
    if longest < 2 or not len(kept):
        return found
    bits = {int(item): _bits(turned.indices[turned.indptr[item] : turned.indptr[item + 1]]) for item in kept}
    partners = _pairs(turned[:, kept], kept, max(min_count, 1))
    for item in kept.tolist():
        if check is not None:
            check()
        _extend(found, (item,), bits[item], partners[item], partners, bits, max(min_count, 1), longest)
    return found


def _extend(
    found: dict[Itemset, int],
    prefix: Itemset,
    inside: int,
    candidates: Sequence[int],
    partners: dict[int, list[int]],
    bits: dict[int, int],
    min_count: int,
    longest: int,
) -> None:
    """Adds every frequent superset of the prefix by a later item; `inside`: bitset of its baskets."""
    grown = []
    for item in candidates:
        joint = inside & bits[item]
        count = joint.bit_count()
        if count >= min_count:
            found[(*prefix, item)] = count
            grown.append((item, joint))
    if len(found) > ITEMSETS_LIMIT:
        raise InvalidValue(
            "min-support", min_count, f"More than {ITEMSETS_LIMIT:,} sets of items reach it; raise it."
        )
    if len(prefix) + 1 >= longest:
        return
    for place, (item, joint) in enumerate(grown):
        meets = set(partners[item])
        later = [other for other, _ in grown[place + 1 :] if other in meets]
        if later:
            _extend(found, (*prefix, item), joint, later, partners, bits, min_count, longest)


def _bits(baskets: np.ndarray) -> int:
    """The set of these basket numbers as one integer."""
    if not len(baskets):
        return 0
    flags = np.zeros(int(baskets.max()) + 1, dtype=np.uint8)
    flags[baskets] = 1
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def _pairs(columns: Any, kept: np.ndarray, min_count: int) -> dict[int, list[int]]:
    """For each kept item the later items it meets often enough, ascending."""
    known = sparse.csr_matrix(columns).astype(np.int32)
    known.data[:] = 1
    met: dict[int, list[int]] = {}
    turned = sparse.csr_matrix(known.T)
    step = 1_000
    for start in range(0, len(kept), step):
        joint = sparse.csr_matrix(turned[start : start + step] @ known)
        for row in range(joint.shape[0]):
            part = slice(joint.indptr[row], joint.indptr[row + 1])
            later = joint.indices[part][(joint.data[part] >= min_count) & (joint.indices[part] > start + row)]
            met[int(kept[start + row])] = kept[np.sort(later)].tolist()
    return met


def rules(
    baskets: Csr,
    *,
    min_support: str | float | Fraction,
    min_confidence: str | float | Fraction,
    min_length: int = 2,
    longest: int = LONGEST,
    check: Callable[[], None] | None = None,
) -> list[Rule]:
    """All rules with one consequent that reach both thresholds, best lift first (then confidence, count,
    columns).

    min_length, longest: bounds of the number of items on both sides together; a rule of length 1 has an
    empty antecedent. Raises InvalidValue for a threshold outside 0..1 or a length outside 1..10, DataMissing
    without baskets.
    """
    support = share("min-support", min_support)
    confidence = share("min-confidence", min_confidence)
    if not 1 <= longest <= LONGEST:
        raise InvalidValue("max-length", longest, f"Give a whole number from 1 to {LONGEST}.")
    if not 1 <= min_length <= longest:
        raise InvalidValue("min-length", min_length, f"Give a whole number from 1 to {longest}.")
    n = baskets.shape[0]
    if not n:
        raise DataMissing("There are no baskets to count.")
    min_count = max(1, -((-support.numerator * n) // support.denominator))
    found = frequent_itemsets(baskets, min_count, longest, check)
    made = _made(found, n, confidence, min_length)
    return sorted(made, key=lambda rule: (-rule.lift, -rule.confidence, -rule.count, rule.antecedent))


def _made(found: dict[Itemset, int], n: int, confidence: Fraction, min_length: int) -> Iterator[Rule]:
    for itemset, count in found.items():
        if len(itemset) < min_length:
            continue
        for place, consequent in enumerate(itemset):
            antecedent = itemset[:place] + itemset[place + 1 :]
            base = found[antecedent] if antecedent else n
            if count * confidence.denominator >= confidence.numerator * base:
                sure = count / base
                yield Rule(antecedent, consequent, count, count / n, sure, sure * n / found[(consequent,)])
