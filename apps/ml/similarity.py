"""Sparse similarity: term weighting and the nearest rows of a matrix, without a dense n x n."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.dataset import Ints
from apps.ml.signals import Csr

Weighting = Literal["cosine", "tfidf", "bm25"]
Found = TypeVar("Found")
BM25_K1 = 1.2
BM25_B = 0.75
PRODUCT_CELLS = 10_000_000
"""Upper bound of non-zeros held by one block of the product."""


def term_weights(counts: Csr, n_documents: int) -> NDArray[np.float64]:
    """Inverse document frequency per column: log(1 + N / (1 + documents with it)), float64 [n_terms]."""
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    return np.log1p(n_documents / (1.0 + frequency))


def mean_length(counts: Csr) -> float:
    """Mean sum of a row."""
    return float(counts.sum()) / max(counts.shape[0], 1)


def weigh(
    counts: Csr, weighting: Weighting, idf: NDArray[Any] | None = None, typical: float | None = None
) -> Csr:
    """Rows as documents, columns as terms. cosine leaves values as they are; BM25 saturates and corrects for
    length.

    idf: weight per column. typical: mean sum of a row. Both are taken from `counts` unless documents are
    weighed by another collection; cosine has no weights of its own.
    """
    if idf is None:
        idf = np.ones(counts.shape[1]) if weighting == "cosine" else term_weights(counts, counts.shape[0])
    data = counts.data.astype(np.float64)
    if weighting == "tfidf":
        data = np.sqrt(data)
    elif weighting == "bm25":
        length = np.asarray(counts.sum(axis=1)).ravel()
        relative = length / max(mean_length(counts) if typical is None else typical, 1e-12)
        norm = BM25_K1 * (1 - BM25_B + BM25_B * relative)
        data = data * (BM25_K1 + 1) / (data + np.repeat(norm, np.diff(counts.indptr)))
    weighted = (data * idf[counts.indices]).astype(np.float32)
    return sparse.csr_matrix((weighted, counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)


def norms(rows: Csr) -> NDArray[np.float64]:
    """Euclidean length of each row."""
    return np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64)).ravel()


def normalised(rows: Csr) -> Csr:
    """Rows of length 1; empty rows stay empty."""
    lengths = norms(rows)
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sparse.csr_matrix(sparse.diags(scale) @ rows).astype(np.float32)


def nearest(
    queries: Csr,
    rows: Csr,
    k: int,
    shrink: float = 0.0,
    selves: Ints | None = None,
    check: Callable[[], None] | None = None,
    threads: int = 1,
) -> Csr:
    """The k most similar `rows` of each query by cosine, damped where there is little evidence.

    similarity = q.r / (|q| |r| + shrink). selves: the row that each query itself is and that is no neighbour
    of it, -1 for none: int64 [n_queries]. check: called before every block, may raise to cancel. Returns
    float32 CSR [n_queries, n_rows] with at most k positive entries per row.
    """
    query_norms, row_norms = norms(queries).astype(np.float32), norms(rows).astype(np.float32)

    def near(start: int, product: Csr) -> Csr:
        owner = np.repeat(np.arange(start, start + product.shape[0]), np.diff(product.indptr))
        product.data /= query_norms[owner] * row_norms[product.indices] + np.float32(shrink)
        return strongest(product, k)

    return stacked(in_blocks(queries, sparse.csr_matrix(rows.T), near, selves, check, threads), rows.shape[0])


def products(
    queries: Csr, rows: Csr, selves: Ints | None = None, check: Callable[[], None] | None = None
) -> Iterator[tuple[int, Csr]]:
    """queries @ rows.T in blocks of queries that fit in memory: the first query's row and its block of the
    product.

    selves: int64 [n_queries], the row whose product with this query is taken as 0, -1 for none. check: called
    before every block, may raise.
    """
    turned = sparse.csr_matrix(rows.T)
    for start, stop in _blocks(queries, turned):
        if check is not None:
            check()
        product = sparse.csr_matrix(queries[start:stop] @ turned)
        if selves is not None:
            product.data[product.indices == np.repeat(selves[start:stop], np.diff(product.indptr))] = 0.0
        yield start, product


def in_blocks(
    queries: Csr,
    turned: Csr,
    work: Callable[[int, Csr], Found],
    selves: Ints | None = None,
    check: Callable[[], None] | None = None,
    threads: int = 1,
) -> list[Found]:
    """What `work` makes of each block of queries @ turned, in order; it gets the first query's row and may
    change the block.

    turned: the rows as columns, CSR. threads: blocks made side by side; SciPy's products let the interpreter
    go. check: called in the calling thread before each block is begun, may raise.
    """

    def one(start: int, stop: int) -> Found:
        product = sparse.csr_matrix(queries[start:stop] @ turned)
        if selves is not None:
            product.data[product.indices == np.repeat(selves[start:stop], np.diff(product.indptr))] = 0.0
        return work(start, product)

    found: list[Found] = []
    with ThreadPoolExecutor(max(1, threads)) as pool:
        waiting: deque[Future[Found]] = deque()
        try:
            for start, stop in _blocks(queries, turned):
                if check is not None:
                    check()
                waiting.append(pool.submit(one, start, stop))
                if len(waiting) > threads:
                    found.append(waiting.popleft().result())
            found += [future.result() for future in waiting]
        finally:
            for future in waiting:
                future.cancel()
    return found


def stacked(blocks: list[Csr], n_columns: int) -> Csr:
    """The blocks below each other: float32 CSR [sum of rows, n_columns]."""
    if not blocks:
        return sparse.csr_matrix(np.zeros((0, n_columns), dtype=np.float32))
    return sparse.csr_matrix(sparse.vstack(blocks)).astype(np.float32)


def strongest(matrix: Csr, k: int) -> Csr:
    """The k largest positive entries of each row, columns ascending."""
    kept = []
    sizes = np.zeros(matrix.shape[0] + 1, dtype=np.int64)
    for row, (start, stop) in enumerate(pairwise(matrix.indptr.tolist())):
        values = matrix.data[start:stop]
        best = np.argpartition(-values, k - 1)[:k] if stop - start > k else np.arange(stop - start)
        best = best[values[best] > 0]
        kept.append(best + start)
        sizes[row + 1] = len(best)
    places = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
    found = sparse.csr_matrix(
        (matrix.data[places], matrix.indices[places], np.cumsum(sizes)), shape=matrix.shape
    )
    found.sort_indices()
    return found


def _blocks(queries: Csr, turned: Csr) -> Iterator[tuple[int, int]]:
    """Ranges of queries whose product stays within PRODUCT_CELLS, whatever the sparsity."""
    columns = np.diff(turned.indptr).astype(np.float64)
    touched = sparse.csr_matrix((np.ones(queries.nnz), queries.indices, queries.indptr), shape=queries.shape)
    cost = np.minimum(np.asarray(touched @ columns).ravel(), turned.shape[1])
    start, total = 0, 0.0
    for row, cells in enumerate(cost):
        if total + cells > PRODUCT_CELLS and row > start:
            yield start, row
            start, total = row, 0.0
        total += cells
    if start < queries.shape[0]:
        yield start, queries.shape[0]
