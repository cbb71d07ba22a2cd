"""Recommendations of a fresh model with their reasons, kept with its version for its page."""

from typing import Any

import numpy as np

from apps.ml.base import Model
from apps.ml.explain import Contribution
from apps.ml.registry import FAMILIES

EXAMPLES = 3
REASONS = 4
TRIED = 40
LOOKED_AT = 2_000
LEADING = 5
# Histories that can be told in a sentence.
SHORTEST, LONGEST = 3, 25


def examples_of(model: Model[Any]) -> list[dict[str, Any]]:
    """Up to EXAMPLES of {"user", "item", "reasons": [{"item" or "query", "share"}]}, raw ids, the same each
    time for one model; empty for a family whose lists have nothing to do with the shopper's history.
    """
    sizes = np.diff(model.history.bought.indptr)
    rows = np.flatnonzero((sizes >= SHORTEST) & (sizes <= LONGEST) & model.history.active)
    if not len(rows):
        rows = np.flatnonzero((sizes > 0) & model.history.active)
    found: list[dict[str, Any]] = []
    used: set[int] = set()
    tried = 0
    for row in np.random.default_rng(0).permutation(rows)[:LOOKED_AT].tolist():
        if len(found) == EXAMPLES or tried == TRIED:
            break
        if not len(model.items_of(row)):  # nothing it listens to: a shopper without stars, say
            continue
        tried += 1
        user = int(model.history.users.ids[row])
        item = _first_item(model, user)
        if item is None or item in used:
            continue
        reasons = [_told(one) for one in model.explain(user, item, REASONS)]
        if reasons:
            used.add(item)
            found.append({"user": int(user), "item": item, "reasons": reasons})
    return found


def _told(reason: Contribution) -> dict[str, Any]:
    """A product by its raw id, a search by its words."""
    share = round(float(reason.share), 4)
    return (
        {"query": reason.query, "share": share}
        if reason.query
        else {"item": int(reason.item_id), "share": share}
    )


def _first_item(model: Model[Any], user: int) -> int | None:
    """The best product for the shopper that is new to them, or the best of all where a family knows only what
    they bought.
    """
    top = model.recommend([user], 1)
    if top.ids[0, 0] < 0:
        top = model.recommend([user], 1, "none")
    item = int(top.ids[0, 0])
    return item if item >= 0 else None


def leading_of(model: Model[Any]) -> list[int]:
    """The first products (raw ids) of a list that serves everybody; empty for families of personal lists."""
    if not FAMILIES[model.family].shared:
        return []
    ids, _scores = model.shared_list().row(0)
    return [int(one) for one in ids[:LEADING]]
