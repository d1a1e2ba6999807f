"""An answer for a method that says which candidates, not with what probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows
from tsds.distances import from_squares, pair_squares, product_squares, unit_rows
from tsds.methods.problem import Answer, Problem
from tsds.neighbors import NeighborSearch

_AT_ONCE = 1 << 22  # pairs
_BLOCK_BYTES = 64 << 20
#: What keeps the lists of a rule short.
FEWER_LISTS = "a smaller size, or no targets that are equally far from most of the pool"


def with_mass(problem: Problem) -> Rows:
    """Targets whose weight is not zero: baselines leave out the others, and most ignore how much it is."""
    return np.flatnonzero(problem.mu > 0)


def search_of(problem: Problem) -> NeighborSearch:
    """The search of the targets with mass."""
    some = with_mass(problem)
    return problem.search if len(some) == len(problem.mu) else problem.search.only(some)


def answer_of(problem: Problem, chosen: Rows, why: str) -> Answer:
    """The chosen candidates, each with an equal share, and the target with mass that each is nearest to.

    Args:
      chosen: [b], rows of the pool, each once, in the order of the choice: a size in tokens cuts it from its end.
      why: what the choice rests on.
    """
    turn = np.argsort(chosen)
    rows = chosen[turn]
    target, distance = nearest_targets(problem, rows)
    m = len(problem.mu)
    reach = np.zeros(m)
    np.maximum.at(reach, target, distance)
    return Answer(
        rows=rows,
        probability=np.full(len(rows), 1 / len(rows)),
        density=np.full(len(rows), np.nan),
        target=target,
        distance=distance,
        rank=np.full(len(rows), -1),
        nearest=nearest_distances(problem),
        reach=reach,
        width=np.bincount(target, minlength=m),
        cost=float(distance.mean()),
        neighbors=None,
        penalty=None,
        exact=True,
        certificate="a rule, not an optimum: nothing to prove",
        why=why,
        sampling="top",
        turn=turn,
    )


def nearest_distances(problem: Problem) -> Array:
    """The distance of each target's nearest candidate, [m]: from its list, or the whole pool where that has none."""
    nearest = problem.search.fetch(1)[1][:, 0].copy()
    missing = np.flatnonzero(np.isinf(nearest))  # float32 can't tell the nearest apart, or the index found none
    if len(missing):
        targets = problem.search.targets[missing]
        least, pool = np.full(len(missing), np.inf), problem.pool
        for _, block in pool.blocks(max(1, min(pool.block_rows(_BLOCK_BYTES), _AT_ONCE // len(missing)))):
            x = unit_rows(block, problem.metric, exact=True).astype(np.float64)
            near = product_squares(targets, x).argmin(axis=1)  # by differences then: nothing cancels
            least = np.minimum(least, pair_squares(targets, np.arange(len(missing)), x, near))
        nearest[missing] = from_squares(least, problem.metric)
    return nearest


def nearest_targets(problem: Problem, rows: Rows) -> tuple[NDArray[np.int64], Array]:
    """For each of these rows of the pool its nearest target with mass and the distance to it, both [q]."""
    some = with_mass(problem)
    targets = problem.search.targets[some]
    norms = np.square(targets).sum(axis=1)
    where, distance = np.empty(len(rows), np.int64), np.empty(len(rows))
    step = max(1, _AT_ONCE // len(targets))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        x = unit_rows(problem.pool.take(rows[part]), problem.metric, exact=True).astype(np.float64)
        squares = np.square(x).sum(axis=1)[:, None] + norms - 2 * x @ targets.T
        where[part] = squares.argmin(axis=1)
        distance[part] = from_squares(squares.min(axis=1), problem.metric)
    return some[where], distance


def best(score: Array, count: int) -> Rows:
    """Positions of the `count` largest scores, ties by position."""
    order = np.lexsort((np.arange(len(score)), -score))
    return np.asarray(order[:count])
