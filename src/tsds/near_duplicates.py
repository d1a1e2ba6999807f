"""Groups of near-duplicates among the candidates with mass: each has one that stands for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows
from tsds.distances import from_squares, product_squares, unit_rows
from tsds.embeddings.scan import Metric
from tsds.embeddings.vectors import Vectors
from tsds.neighbors import knn

_BLOCK = 512


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
    leaders = np.empty((0, pool.dim), np.float32)
    named = np.empty(0, np.int64)
    for start in range(0, len(asked), _BLOCK):
        some = asked[start : start + _BLOCK]
        x = np.ascontiguousarray(unit_rows(pool.take(rows[some]), metric), dtype=np.float32)
        taken = np.full(len(some), -1)
        if len(named):
            near, distance = _nearest(x, leaders, metric)
            taken = np.where(distance < bandwidth, named[near], -1)
        within = _distances(x, x, metric) < bandwidth
        for i in np.flatnonzero(taken < 0):
            if taken[i] < 0:  # not by one before it in this block
                follows = within[i] & (taken < 0)
                taken[follows] = some[i]
        leader[some] = taken
        own = taken == some
        leaders, named = np.concatenate([leaders, x[own]]), np.concatenate([named, some[own]])
    return leader


def _distances(a: NDArray[np.float32], b: NDArray[np.float32], metric: Metric) -> Array:
    return from_squares(product_squares(a, b).astype(np.float64), metric)


def _nearest(a: NDArray[np.float32], b: NDArray[np.float32], metric: Metric) -> tuple[NDArray[np.int64], Array]:
    squares, where = knn(a, np.ascontiguousarray(b), 1)
    return where[:, 0], from_squares(squares[:, 0].astype(np.float64), metric)
