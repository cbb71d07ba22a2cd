"""Ridge regression between items where the catalogue is too large to invert whole: one small inverse per
neighbourhood.

An item's weights hardly depend on items it has next to nothing in common with. So an item and those most
like it are solved for together, exactly, as if the rest did not exist; the columns of the item itself and of
its nearest are kept, and the next item not yet reached is taken (Steck, "Markov Random Fields for
Collaborative Filtering", 2019, section 3.2). Shape suffixes: D items of a neighbourhood, N the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from apps.ml.dataset import Ints
from apps.ml.ordered_items import no_pairs
from apps.ml.signals import Csr
from apps.ml.similarity import strongest
from apps.ml.text_files import ranges
from apps.ml.topn import Floats

CHUNK = 64
"""Neighbourhoods handed out between two looks at the clock."""
CANDIDATE_ROWS = 2_000


@dataclass(frozen=True)
class LocalHow:
    """neighbourhood: items solved for together. settled: how many of them, the centre and its nearest, get
    their final weights from it. kept: weights per item that are kept, the largest in size.
    """

    neighbourhood: int = 400
    settled: int = 12
    kept: int = 200


def local_regression(
    gram: Csr,
    cross: Csr | None,
    ridge: Floats,
    how: LocalHow,
    threads: int = 1,
    check: Callable[[], None] | None = None,
) -> Csr:
    """Weights [N, N], row to column, diagonal 0: float32 CSR.

    gram: S'S, symmetric. cross: S'Y, None where Y is S. ridge: float [N], added to the diagonal. check:
    called between chunks in the calling thread, may raise to cancel.
    """
    n = gram.shape[0]
    diagonal = gram.diagonal()
    near = _nearest(gram, np.sqrt(diagonal + ridge), how.neighbourhood)
    turned = None if cross is None else sparse.csr_matrix(cross.T)
    order = np.argsort(-diagonal, kind="stable")
    plan = _plan(near, order, how.settled)
    inner = torch.get_num_threads()
    torch.set_num_threads(1)
    parts: list[tuple[Ints, Ints, Floats]] = []
    try:
        with ThreadPoolExecutor(max(1, threads)) as pool:
            for start in range(0, len(plan), CHUNK):
                if check is not None:
                    check()
                parts += pool.map(
                    lambda members: _solved(gram, turned, ridge, near, members, how.neighbourhood, how.kept),
                    plan[start : start + CHUNK],
                )
    finally:
        torch.set_num_threads(inner)
    if not parts:
        return no_pairs(n, n)
    rows = np.concatenate([part[0] for part in parts])
    columns = np.concatenate([part[1] for part in parts])
    values = np.concatenate([part[2] for part in parts])
    return sparse.csr_matrix((values, (rows, columns)), shape=(n, n))


def _nearest(gram: Csr, scale: Floats, size: int) -> Csr:
    """The `size` items most alike to each by gram / (scale_i scale_j), strongest first, itself left out; the
    ridge in the scale keeps chance pairs of rare items apart.
    """
    n = gram.shape[0]
    found = []
    for start in range(0, n, CANDIDATE_ROWS):
        part = sparse.csr_matrix(gram[start : start + CANDIDATE_ROWS], copy=True).astype(np.float32)
        owner = np.repeat(np.arange(start, start + part.shape[0]), np.diff(part.indptr))
        part.data = (part.data / (scale[owner] * scale[part.indices])).astype(np.float32)
        part.data[owner == part.indices] = 0.0
        found.append(strongest(part, size))
    near = sparse.csr_matrix(sparse.vstack(found))
    owner = np.repeat(np.arange(n), np.diff(near.indptr))
    order = np.lexsort((-near.data, owner))
    return sparse.csr_matrix((near.data[order], near.indices[order], near.indptr), shape=near.shape)


def _plan(near: Csr, order: Ints, settled: int) -> list[Ints]:
    """Centres, the busiest first, each with the items it settles: itself and its nearest not yet settled."""
    open_items = np.ones(near.shape[0], dtype=np.bool_)
    plan = []
    for centre in order.tolist():
        if not open_items[centre]:
            continue
        own = near.indices[near.indptr[centre] : near.indptr[centre + 1]][: settled - 1]
        members = np.append(centre, own[open_items[own]]).astype(np.int64)
        open_items[members] = False
        if near.indptr[centre + 1] > near.indptr[centre]:
            plan.append(members)
    return plan


def _around(near: Csr, members: Ints, size: int) -> Ints:
    """The members and what is nearest to any of them, `size` items at most, ascending."""
    lengths = np.diff(near.indptr)[members].astype(np.int64)
    at = ranges(near.indptr[members].astype(np.int64), lengths)
    items, likeness = near.indices[at], near.data[at]
    order = np.argsort(-likeness, kind="stable")
    nearest, first = np.unique(items[order], return_index=True)
    # the members are there whatever their likeness
    others = ~np.isin(nearest, members)
    nearest, first = nearest[others], first[others]
    room = max(size - len(members), 0)
    if len(nearest) > room:
        nearest = nearest[np.argpartition(first, room)[:room]]
    return np.sort(np.concatenate([nearest.astype(np.int64), members]))


def _solved(
    gram: Csr, turned: Csr | None, ridge: Floats, near: Csr, members: Ints, size: int, kept: int
) -> tuple[Ints, Ints, Floats]:
    """Rows, columns and values of the weights to the members."""
    inside = _around(near, members, size)
    place = np.searchsorted(inside, members)
    system = torch.from_numpy(gram[inside][:, inside].toarray().astype(np.float32))
    system.diagonal().add_(torch.from_numpy(ridge[inside].astype(np.float32)))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(system)).numpy()
    own = inverse.diagonal()[place]
    if turned is None:
        weights = -inverse[:, place] / own
    else:
        # by torch, whose threads are told to leave the work to the pool's
        crossed = torch.from_numpy(turned[members][:, inside].toarray().T.astype(np.float32))
        weights = (torch.from_numpy(inverse) @ crossed).numpy()
        weights -= inverse[:, place] * (weights[place, np.arange(len(place))] / own)
    weights[place, np.arange(len(place))] = 0.0
    if len(inside) > kept:
        best = np.argpartition(-np.abs(weights), kept - 1, axis=0)[:kept]
        values = np.take_along_axis(weights, best, axis=0)
        rows, columns = inside[best], np.broadcast_to(members, best.shape)
    else:
        values = weights
        rows, columns = (
            np.broadcast_to(inside[:, None], weights.shape),
            np.broadcast_to(members, weights.shape),
        )
    telling = values != 0.0
    return rows[telling], columns[telling], values[telling].astype(np.float32)
