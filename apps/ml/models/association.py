"""Bought together by association rules: who has the left side in the basket is offered the right one.

A rule counts with its added value, confidence - share of baskets with the right side: how much likelier the
item is with the left side than anyway. An item's score is the sum over the rules that the basket fulfils.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.association_rules import Rule, rules
from apps.ml.base import History, Progress, TrainOptions, csr_from_arrays, csr_to_arrays
from apps.ml.configs import Config
from apps.ml.configs.sessions import AssociationConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.models.list_model import ListModel, tails_from, tails_of
from apps.ml.ordered_items import no_pairs, profiles
from apps.ml.signals import Csr, basket_item, user_item
from apps.ml.text_files import EventLists
from apps.ml.topn import Floats


@dataclass
class AssociationModel(ListModel[AssociationConfig]):
    """left: float32 CSR [R, N], 1 for the items of each rule's left side; right: int64 [R]; worth: float32
    [R], its added value, above 0.
    """

    left: Csr
    right: Ints
    worth: Floats

    family: ClassVar[str] = "association"
    config_class: ClassVar[type[Config]] = AssociationConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: AssociationConfig, options: TrainOptions) -> Self:
        baskets = basket_item(dataset)
        if not baskets.shape[0]:
            # no session or invoice is named: a shopper's choices are one basket
            baskets = user_item(dataset, binary=True)
        baskets = sparse.csr_matrix(baskets[np.diff(baskets.indptr) > 0])
        n = baskets.shape[0]
        options.report(Progress("rules", 0.1, message=f"{n} baskets"))
        found: list[Rule] = []
        for support, length, longest in (
            (config.min_support, 2, 2),
            (config.longer_support, 3, config.max_length),
        ):
            if n and longest >= length:
                least = min(Fraction(1), max(Fraction(str(support)), Fraction(config.min_count, n)))
                found += rules(
                    baskets,
                    min_support=least,
                    min_confidence=config.min_confidence,
                    min_length=length,
                    longest=longest,
                    check=options.check,
                )
        telling = [rule for rule in found if rule.lift > 1.0]
        left = _left(telling, len(dataset.items))
        right = np.array([rule.consequent for rule in telling], dtype=np.int64)
        worth = np.array([rule.confidence * (1.0 - 1.0 / rule.lift) for rule in telling], dtype=np.float32)
        model = cls(
            config, History.from_dataset(dataset), tails_of(dataset, config.memory), left, right, worth
        )
        model.metrics.update(rules=len(telling), baskets=n)
        return model

    def scores_of(self, lists: EventLists) -> Floats:
        fulfilled = self._fulfilled(profiles(lists, 1.0))
        place = np.arange(len(self.right))
        says = sparse.csr_matrix((self.worth, (place, self.right)), shape=self.left.shape)
        return np.asarray((fulfilled @ says).toarray(), dtype=np.float32)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Exact: each fulfilled rule's worth, divided evenly among the items of its left side."""
        about = np.flatnonzero(self.right == item)
        left = self.left[about][:, items_L]
        sizes = np.diff(self.left.indptr)[about]
        whole = np.asarray(left.sum(axis=1)).ravel() >= sizes
        each = np.where(whole, self.worth[about] / sizes, 0.0)
        return np.asarray(each @ left, dtype=np.float64).ravel()

    def _fulfilled(self, baskets: Csr) -> Csr:
        """Which rules each basket has the whole left side of: float32 CSR [B, R]."""
        met = sparse.csr_matrix(baskets @ self.left.T)
        met.data = (met.data >= np.diff(self.left.indptr)[met.indices]).astype(np.float32)
        return met

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        learned = {**csr_to_arrays("left", self.left), "right": self.right, "worth": self.worth}
        return {**self.tail_arrays(), **learned}

    @classmethod
    def from_parts(
        cls,
        config: AssociationConfig,
        history: History,
        arrays: dict[str, NDArray[Any]],
        texts: dict[str, Any],
    ) -> Self:
        n = len(history.items)
        left = csr_from_arrays("left", arrays, (len(arrays["right"]), n))
        return cls(config, history, tails_from(arrays, n), left, arrays["right"], arrays["worth"])


def _left(found: list[Rule], n_items: int) -> Csr:
    if not found:
        return no_pairs(0, n_items)
    sizes = np.array([len(rule.antecedent) for rule in found])
    items = np.array([item for rule in found for item in rule.antecedent], dtype=np.int64)
    rows = np.repeat(np.arange(len(found)), sizes)
    return sparse.csr_matrix((np.ones(len(items), np.float32), (rows, items)), shape=(len(found), n_items))
