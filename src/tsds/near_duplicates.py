"""Groups of near-duplicates among the candidates with mass: each has one that stands for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Block, Rows
from tsds.distances import pair_squares, product_squares, rounding_bound, unit_rows
from tsds.embeddings.scan import Metric
from tsds.embeddings.vectors import Vectors
from tsds.proposals import knn

Single = NDArray[np.float32]

_BLOCK = 512
_PAIRS = 1 << 22  # looked at once


def stand_ins(
    pool: Vectors, rows: Rows, first: Array, crowded: NDArray[np.bool_], bandwidth: float, metric: Metric
) -> NDArray[np.int64]:
    """For each candidate the one that stands for it: itself, or one within the bandwidth that comes before it.

    Those that come first stand for themselves and for every near-duplicate that has none yet (leader clustering), so no
    two of those that stand for others are near-duplicates.

    Args:
      pool: [n, d].
      rows: [q], candidates.
      first: [q], in which order they come, the smallest first; ties by position.
      crowded: [q], which of them have a near-duplicate at all; the others stand for themselves.
      bandwidth: h, in the metric's units.
      metric: of the distances.

    Returns:
      [q], positions in `rows`.
    """
    leader = np.arange(len(rows))
    asked = np.flatnonzero(crowded)
    if bandwidth <= 0 or len(asked) < 2:
        return leader
    asked = asked[np.argsort(first[asked], kind="stable")]
    limit = 2 * bandwidth if metric == "cosine" else bandwidth**2  # of squared distances
    # Norms are small from there, and with them the rounding of squares.
    centre = unit_rows(pool.take(rows[asked[:_BLOCK]]), metric, exact=True).mean(axis=0, dtype=np.float64)
    largest = 0.0
    leaders, named = np.empty((0, pool.dim), np.float32), np.empty(0, np.int64)
    for start in range(0, len(asked), _BLOCK):
        some = asked[start : start + _BLOCK]
        exact = unit_rows(pool.take(rows[some]), metric, exact=True)
        x = np.asarray(exact - centre, dtype=np.float32)
        largest = max(largest, float(np.sqrt(np.square(x).sum(axis=1)).max()))
        error = rounding_bound(pool.dim, 2 * largest)
        taken = np.full(len(some), -1)
        if len(named):
            squares, near = _nearest(x, leaders)
            taken = np.where(squares < limit, named[near], -1)
            unsure = np.flatnonzero(np.abs(squares - limit) <= error)
            taken[unsure] = _exactly(pool, rows, exact[unsure], x[unsure], leaders, named, limit, error, metric)
        within = _within(exact, x, limit, error)
        for i in np.flatnonzero(taken < 0):
            if taken[i] < 0:  # not by one before it in this block
                follows = within[i] & (taken < 0)
                taken[follows] = some[i]
        leader[some] = taken
        own = taken == some
        leaders, named = np.concatenate([leaders, x[own]]), np.concatenate([named, some[own]])
    return leader


def _within(exact: Block, x: Single, limit: float, error: float) -> NDArray[np.bool_]:
    """Which rows of a block are within the limit of each other, [r, r]: in float32, and exactly where that can't tell.

    Args:
      exact: [r, d], as they are.
      x: [r, d], centred, in float32.
      limit: of the squared distance.
      error: how far a squared distance in float32 may be off.
    """
    squares = product_squares(x, x).astype(np.float64)
    within = squares < limit
    i, j = np.nonzero(np.triu(np.abs(squares - limit) <= error, 1))
    within[i, j] = within[j, i] = pair_squares(exact, i, exact, j) < limit
    np.fill_diagonal(within, True)
    return within


def _exactly(
    pool: Vectors, rows: Rows, exact: Block, x: Single, leaders: Single, named: NDArray[np.int64],
    limit: float, error: float, metric: Metric,
) -> NDArray[np.int64]:  # fmt: skip
    """For each of these rows the nearest leader within the limit by exact distances, -1 where there is none, [r]."""
    taken = np.full(len(x), -1)
    step = max(1, _PAIRS // len(leaders))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        i, j = np.nonzero(product_squares(x[part], leaders) <= limit + error)
        found, where = np.unique(j, return_inverse=True)
        squares = pair_squares(exact[part], i, unit_rows(pool.take(rows[named[found]]), metric, exact=True), where)
        hit = np.flatnonzero(squares < limit)
        hit = hit[np.lexsort((squares[hit], i[hit]))]
        mine, nearest = np.unique(i[hit], return_index=True)
        taken[start + mine] = named[j[hit[nearest]]]
    return taken


def _nearest(a: Single, b: Single) -> tuple[Array, NDArray[np.int64]]:
    squares, where = knn(a, b, 1)
    return squares[:, 0].astype(np.float64), where[:, 0]
