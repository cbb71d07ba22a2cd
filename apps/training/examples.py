"""Recommendations of a fresh model with their reasons, kept with its version for its page."""

from typing import Any

import numpy as np

from apps.ml.base import Model

EXAMPLES = 3
REASONS = 4
TRIED = 40
# Histories that can be told in a sentence.
SHORTEST, LONGEST = 3, 25


def examples_of(model: Model[Any]) -> list[dict[str, Any]]:
    """Up to EXAMPLES of {"user", "item", "reasons": [{"item", "share"}]}, raw ids, the same each time for one
    model; empty for a family whose lists have nothing to do with the shopper's history.
    """
    sizes = np.diff(model.history.bought.indptr)
    rows = np.flatnonzero((sizes >= SHORTEST) & (sizes <= LONGEST) & model.history.active)
    if not len(rows):
        rows = np.flatnonzero((sizes > 0) & model.history.active)
    rows = np.random.default_rng(0).permutation(rows)[:TRIED]
    found: list[dict[str, Any]] = []
    used: set[int] = set()
    for user in model.history.users.ids[rows].tolist():
        if len(found) == EXAMPLES:
            break
        item = _first_item(model, user)
        if item is None or item in used:
            continue
        reasons = [
            {"item": int(one.item_id), "share": round(float(one.share), 4)}
            for one in model.explain(user, item, REASONS)
        ]
        if reasons:
            used.add(item)
            found.append({"user": int(user), "item": item, "reasons": reasons})
    return found


def _first_item(model: Model[Any], user: int) -> int | None:
    """The best product for the shopper that is new to them, or the best of all where a family knows only what
    they bought.
    """
    top = model.recommend([user], 1)
    if top.ids[0, 0] < 0:
        top = model.recommend([user], 1, "none")
    item = int(top.ids[0, 0])
    return item if item >= 0 else None
