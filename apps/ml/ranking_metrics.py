"""How well ranked lists hit what was bought, per user.

With the list of a user, the set T of what they bought (not empty) and hits in the first k places; k is the
number at the end of a name. All means over users.

- ndcg10, ndcg20: sum of 1/log2(rank + 1) over hits, divided by the same sum for a perfect list of min(|T|, k)
  (Jarvelin, Kekalainen 2002).
- recall10, recall20: hits / |T|. precision10: hits / k. f1_10: 2 precision10 recall10 / (precision10 +
  recall10), 0 without a hit (van Rijsbergen 1979).
- map10: sum of the precision at the rank of each hit / min(|T|, k) (Buckley, Voorhees 2000, cut at k).
- mrr10: 1 / rank of the first hit, else 0 (Voorhees 1999).
- hit10: 1 with any hit, else 0 (Deshpande, Karypis 2004).
- auc: the chance that an item of T stands above one that is not of T, over the whole catalogue (Fawcett 2006;
  Rendle et al. 2009). The list tells the ranking as far as it reaches: items below its end are tied with each
  other, half counted; items of T that the catalogue lacks are among them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from apps.ml.protocols import Truth
from apps.ml.significance import PerUser
from apps.ml.topn import TopN

USER_METRICS = ("ndcg10", "recall20", "mrr10", "hit10", "precision10")
"""The main metrics: the ones with intervals."""
MORE_USER_METRICS = ("ndcg20", "recall10", "f1_10", "map10")


def hits_of(top: TopN, truth: Truth) -> NDArray[np.bool_]:
    """Which places of the lists are in the truth; rows as in truth.users: bool [n, k]."""
    if len(top) != len(truth):
        raise ValueError(f"{len(top)} lists for {len(truth)} users")
    items = np.unique(truth.items)
    if not len(items):
        return np.zeros(top.ids.shape, dtype=np.bool_)
    span = len(items) + 1
    owner = np.repeat(np.arange(len(truth)), truth.sizes)
    wanted = np.sort(owner * span + np.searchsorted(items, truth.items))
    place = np.searchsorted(items, top.ids)
    exists = items[np.minimum(place, len(items) - 1)] == top.ids
    keys = (np.arange(len(top))[:, None] * span + place)[exists]
    found = np.zeros(top.ids.shape, dtype=np.bool_)
    found[exists] = wanted[np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)] == keys
    return found


def per_user_metrics(top: TopN, truth: Truth) -> dict[str, PerUser]:
    """Every metric of USER_METRICS and MORE_USER_METRICS for every user: float64 [n] each."""
    hits = hits_of(top.head(20), truth)
    first = hits[:, :10]
    ranks = np.arange(1, first.shape[1] + 1)
    n_hits = first.sum(axis=1)
    recall10, precision10 = n_hits / truth.sizes, n_hits / 10.0
    both = recall10 + precision10
    precisions = np.cumsum(first, axis=1) / ranks
    return {
        "ndcg10": _ndcg(first, truth, 10),
        "recall20": hits.sum(axis=1) / truth.sizes,
        "mrr10": (first / ranks).max(axis=1, initial=0.0),
        "hit10": first.any(axis=1).astype(np.float64),
        "precision10": precision10,
        "ndcg20": _ndcg(hits, truth, 20),
        "recall10": recall10,
        "f1_10": np.divide(2 * precision10 * recall10, both, out=np.zeros(len(truth)), where=both > 0),
        "map10": (precisions * first).sum(axis=1) / np.minimum(truth.sizes, 10),
    }


def auc_of(top: TopN, truth: Truth, catalogue_size: int) -> PerUser:
    """The area under the ROC curve of every user: float64 [n], .5 where everything or nothing was bought.

    catalogue_size: items that could have been ranked. Items a list leaves out on purpose (bought before)
    count among those below its end.
    """
    hits = hits_of(top, truth)
    listed, n_hits = top.lengths, hits.sum(axis=1)
    positives = truth.sizes
    total = np.maximum(catalogue_size, listed + positives - n_hits)
    negatives = total - positives
    # above each hit stand rank - 1 items, of which the earlier hits are no negatives
    places = np.arange(hits.shape[1])
    above = ((places - np.cumsum(hits, axis=1) + 1) * hits).sum(axis=1)
    below_the_end = negatives - (listed - n_hits)
    won = n_hits * negatives - above + (positives - n_hits) * below_the_end * 0.5
    pairs = positives * negatives
    return np.divide(won, pairs, out=np.full(len(truth), 0.5), where=pairs > 0)


def _ndcg(hits: NDArray[np.bool_], truth: Truth, k: int) -> PerUser:
    discounts = 1 / np.log2(np.arange(2, k + 2))
    perfect = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(truth.sizes, k)]
    gained: PerUser = (hits @ discounts[: hits.shape[1]]) / perfect
    return gained
