"""Who is asked what, on plain text files: leave-one-out, a given split, sessions."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from apps.ml.base import TrainOptions
from apps.ml.errors import DataMissing
from apps.ml.file_choice import Clock, Component, Protocol, choose_and_judge
from apps.ml.file_components import (
    ease_component,
    factors_component,
    follows_component,
    item_knn_component,
    low_rank_component,
    neighbours_component,
    own_items_component,
    popular_component,
    regression_component,
    sequence_model_component,
)
from apps.ml.list_questions import Questions, distinct_items, prefixes, single
from apps.ml.text_files import EventLists, repeats_of_neighbours, same_catalogue

REPEATS_MATTER = 0.02
"""Share of validation targets that the list already held from which repeats are allowed as answers."""
LEAST_BUDGET, SEQUENCES_BUDGET = 600.0, 900.0
"""Seconds for a small file; a network of whole histories is worth the longer one."""
PREFIX_SHARE = 0.2
"""Above this share of lines that are their neighbour cut short, a file of sessions was made of prefixes."""
VALIDATION_USERS = 5_000
HELD_SHARE = 0.1


def default_budget(events: int, least: float = LEAST_BUDGET) -> float:
    """Seconds: `least`, more for files of more than half a million events, 1,800 at most."""
    return float(min(1_800, max(least, events / 800)))


def _clock(
    budget: float | None, lists: EventLists, begun: float | None, least: float = LEAST_BUDGET
) -> Clock:
    return Clock(
        budget or default_budget(len(lists.item), least), time.monotonic() if begun is None else begun
    )


def default_threads() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0))


def leave_one_out(
    lists: EventLists, budget: float | None, options: TrainOptions, begun: float | None = None
) -> dict[str, Any]:
    """Last item of each user of three or more is the test, the one before it the validation.

    begun: moment of `time.monotonic` from which the budget counts; now, if None. Raises DataMissing when no
    user has three events.
    """
    enough = np.flatnonzero(lists.lengths >= 3)
    if not len(enough):
        raise DataMissing(
            "sequences: no user has 3 events; leave-one-out needs one to learn from, one to choose by and "
            "one to judge by."
        )
    clock = _clock(budget, lists, begun, SEQUENCES_BUDGET)
    held = np.where(lists.lengths >= 3, 1, 0)
    learned = _shortened(lists, held)
    first = _shortened(lists, 2 * held)
    asked, known = lists.take(enough), learned.take(enough)
    validation_lists, target = known.without_last(1), known.item[known.indptr[1:] - 1]
    before = asked.item[asked.indptr[1:] - 1]
    repeats = _share_repeated(validation_lists, target)
    exclude = repeats < REPEATS_MATTER
    protocol = Protocol(
        fitting=first,
        validation=Questions(validation_lists, single(validation_lists, target), exclude),
        refitting=learned,
        test=Questions(known, single(known, before), exclude),
        cut=10,
        shown={"hit10": "hr10", "ndcg10": "ndcg10", "recall20": "recall20", "mrr10": "mrr10"},
        words=(
            "Leave-one-out: the last item of every user with 3 events or more is the test, the one before it "
            "the validation, by which alone everything is chosen; fitted again with the validation items. "
            f"All {lists.n_items} items of the file are ranked"
            + (
                ", without those the user already has."
                if exclude
                else ", those the user already has included."
            )
        ),
    )
    components = [popular_component(), item_knn_component(ordered=True), follows_component()]
    if not exclude:
        components.append(own_items_component())
    components += [
        neighbours_component("lists alike"),
        regression_component(),
        sequence_model_component("sasrec"),
    ]
    answer = choose_and_judge(protocol, components, clock, options)
    short = int((lists.lengths < 3).sum())
    if short:
        answer["warnings"].append(f"{short} users of fewer than 3 events only teach; they are not judged.")
    answer["warnings"] = [*lists.warnings, *answer["warnings"]]
    answer["repeated_share"] = round(repeats, 4)
    return answer


def given_split(
    train: EventLists,
    test: EventLists,
    budget: float | None,
    options: TrainOptions,
    begun: float | None = None,
) -> dict[str, Any]:
    """What users of the train file chose in the test file, order aside.

    Raises DataMissing when no user of the test file is in the train file, or none of their items is.
    """
    clock = _clock(budget, train, begun)
    warnings = [*train.warnings, *test.warnings]
    train, test = same_catalogue([train, test])
    catalogue = int(train.item.max()) + 1
    place = {name: row for row, name in enumerate(train.names)}
    rows = np.array([place.get(name, -1) for name in test.names], dtype=np.int64)
    if not (rows >= 0).any():
        raise DataMissing("test: none of its users is in the train file; the ids of both files must agree.")
    if (rows < 0).any():
        warnings.append(f"{int((rows < 0).sum())} test users are not in the train file and are not judged.")
    learned = distinct_items(train)
    right = distinct_items(test.take(np.flatnonzero(rows >= 0)))
    rows = rows[rows >= 0]
    unknown = right.item >= catalogue
    if unknown.all():
        raise DataMissing("test: none of its items is in the train file; nobody could rank them.")
    if unknown.any():
        warnings.append(f"{int(unknown.sum())} test events are of items not in the train file: never found.")
    known = learned.take(rows)
    both = _share_repeated_sets(known, right)
    if both:
        warnings.append(f"{both} test events are in the train file for the same user: never listed.")
    fitting, questions = _held_out(learned, options.seed)
    protocol = Protocol(
        fitting=fitting,
        validation=questions,
        refitting=learned,
        test=Questions(known, right, True),
        cut=20,
        shown={"recall20": "recall20", "ndcg20": "ndcg20", "hit20": "hr20"},
        words=(
            "Given split: every user of the test file who is in the train file is judged on all items of "
            "both files but those of their train list; a tenth of every train list was held out to choose "
            "by, then all was fitted again on the whole train file."
        ),
    )
    components = [
        popular_component(),
        item_knn_component(ordered=False),
        neighbours_component("users alike", ordered=False),
        ease_component(),
        factors_component(),
        low_rank_component(),
    ]
    answer = choose_and_judge(protocol, components, clock, options)
    answer["warnings"] = [*warnings, *answer["warnings"]]
    return answer


def session_split(
    train: EventLists,
    test: EventLists,
    budget: float | None,
    options: TrainOptions,
    begun: float | None = None,
) -> dict[str, Any]:
    """Every prefix of every test session predicts its next item; the end of the train file is the validation.

    Raises DataMissing when no test session has two known items.
    """
    clock = _clock(budget, train, begun)
    warnings = [*train.warnings, *test.warnings]
    train, test = same_catalogue([train, test])
    catalogue = int(train.item.max()) + 1
    prefix = repeats_of_neighbours(train)
    if prefix.mean() > PREFIX_SHARE:
        train = train.take(np.flatnonzero(~prefix))
        warnings.append(
            f"{int(prefix.sum())} train lines are the line beside them cut short; each counts once."
        )
    telling = train.take(np.flatnonzero(train.lengths > 1))
    if len(telling) < 2:
        raise DataMissing("train: fewer than 2 sessions have two items; nothing tells what follows what.")
    unknown = test.item >= catalogue
    if unknown.any():
        warnings.append(f"{int(unknown.sum())} test events are of items not in the train file; left out.")
    asked = _only(test, ~unknown)
    if not (asked.lengths > 1).any():
        raise DataMissing("test: no session has two items that are in the train file; nothing can be asked.")
    short = int((asked.lengths < 2).sum())
    if short:
        warnings.append(f"{short} test sessions have fewer than two known items and ask nothing.")
    cut = len(telling) - max(1, int(HELD_SHARE * len(telling)))
    fitting, held = telling.take(np.arange(cut)), telling.take(np.arange(cut, len(telling)))
    met = np.bincount(fitting.item, minlength=train.n_items) > 0
    validation = _asked_sessions(_only(held, met[held.item]))
    if not len(validation):
        raise DataMissing("train: its last sessions share nothing with the others; nothing to choose by.")
    protocol = Protocol(
        fitting=fitting,
        validation=validation,
        refitting=train,
        test=_asked_sessions(asked),
        cut=20,
        shown={"hit20": "p20", "mrr20": "mrr20", "hit10": "hr10", "mrr10": "mrr10"},
        words=(
            "Every prefix of every test session predicts its next item among all items of the train file, "
            "those of the session included; P@20 is the share found in the first 20, MRR@20 the mean of "
            "1 / place. Chosen by the last tenth of the train file, then fitted again on all of it."
        ),
    )
    components = [
        popular_component(),
        session_popular_component(),
        neighbours_component("sessions alike", recent=True),
        follows_component(),
        item_knn_component(ordered=True),
        regression_component(),
        sequence_model_component("gru4rec"),
    ]
    answer = choose_and_judge(protocol, components, clock, options)
    answer["warnings"] = [*warnings, *answer["warnings"]]
    return answer


def session_popular_component() -> Component:
    """The items of the session by frequency, then those of everyone (S-POP: Hidasi et al. 2016)."""
    own = own_items_component()
    title = "popularity within the session"
    return Component("session_popularity", title, {"decay": 1.0}, (), own.fit, always=True)


def _asked_sessions(sessions: EventLists) -> Questions:
    asked, following = prefixes(sessions)
    return Questions(asked, single(asked, following), False)


def _shortened(lists: EventLists, by: np.ndarray) -> EventLists:
    """Each list without its last by[row] items."""
    return _only(lists, lists.from_end() >= np.repeat(by, lists.lengths))


def _only(lists: EventLists, mask: np.ndarray) -> EventLists:
    """The events under the mask; lists may become empty."""
    lengths = np.bincount(lists.owners()[mask], minlength=len(lists))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return EventLists(lists.names, lists.items, indptr, lists.item[mask], lists.warnings)


def _share_repeated(lists: EventLists, target: np.ndarray) -> float:
    held = np.isin(
        np.arange(len(lists)) * lists.n_items + target, lists.owners() * lists.n_items + lists.item
    )
    return float(held.mean())


def _share_repeated_sets(lists: EventLists, targets: EventLists) -> int:
    left = lists.owners() * lists.n_items + lists.item
    return int(np.isin(targets.owners() * targets.n_items + targets.item, left).sum())


def _held_out(lists: EventLists, seed: int) -> tuple[EventLists, Questions]:
    """A tenth (at least one) of the items of every list of two or more, drawn evenly; questions of at most
    VALIDATION_USERS of them.
    """
    rng = np.random.default_rng(seed)
    draw = rng.random(len(lists.item))
    order = np.lexsort((draw, lists.owners()))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(lists.indptr[:-1], lists.lengths)
    size = np.where(lists.lengths > 1, np.maximum(1, np.round(HELD_SHARE * lists.lengths)), 0)
    held = rank < np.repeat(size, lists.lengths)
    fitting, right = _only(lists, ~held), _only(lists, held)
    users = np.flatnonzero(right.lengths > 0)
    if not len(users):
        raise DataMissing("train: no user has two items; one to learn from and one to choose by are needed.")
    if len(users) > VALIDATION_USERS:
        users = np.sort(rng.choice(users, VALIDATION_USERS, replace=False))
    return fitting, Questions(fitting.take(users), right.take(users), True)
