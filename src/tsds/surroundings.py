"""Where pool, targets and candidates lie in the plane, and which records are near-duplicates of chosen ones.

The last look at the vectors: those that were encoded for a run are removed at its end. A sample stands for the pool in
the plane, so that the cost does not grow with it; the search for near-duplicates is one product with the pool.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tsds.arrays import Array, Block, Rows
from tsds.density import euclidean_bandwidth
from tsds.distances import from_squares, norm_bound, pair_squares, product_squares, rounding_bound, unit_rows
from tsds.embeddings.scan import Metric
from tsds.embeddings.vectors import Vectors
from tsds.parallel import map_ordered

#: Records of the pool, candidates and targets that are given a place in the plane.
POOL, CANDIDATES, TARGETS = 4000, 20_000, 2000
#: Candidates whose near-duplicates are looked for: at most so many, and so many multiplications with the pool.
SEEDS, PRODUCTS = 400, 1e10
#: Candidates, and targets at most, whose distances are typical of unrelated ones.
UNRELATED, ASKED = 512, 300
_SLICE = 8192
Places = NDArray[np.float32]


@dataclass(frozen=True)
class Surroundings:
    """The picture of a selection.

    Attributes:
      pool: [a], a sample of the pool, ascending rows among the distinct candidates.
      pool_at: [a, 2], their places in the plane.
      candidates: [c], candidates with mass, ascending; the chosen and the most probable where there are many.
      candidates_at: [c, 2].
      targets: [b], ascending.
      targets_at: [b, 2].
      spread: share of the variance that each of the two axes has, of the pool's sample and the candidates together.
      seeds: [q], candidates whose near-duplicates were looked for, no two of them near-duplicates of each other.
      members: [p], records of the pool within the bandwidth of a seed, the seed itself included; ascending.
      member_seed: [p], which of the seeds is nearest to each.
      member_distance: [p], to it.
      bandwidth: within which records count as near-duplicates; 0 if none were looked for.
      complete: whether every candidate with near-duplicates is a seed or within the bandwidth of one.
    """

    pool: Rows
    pool_at: Places
    candidates: Rows
    candidates_at: Places
    targets: Rows
    targets_at: Places
    spread: tuple[float, float]
    seeds: Rows
    members: Rows
    member_seed: Rows
    member_distance: Array
    bandwidth: float
    complete: bool


def survey(
    pool: Vectors,
    targets: Array,
    candidates: Rows,
    probability: Array,
    counts: NDArray[np.int64],
    density: Array,
    *,
    bandwidth: float,
    metric: Metric,
    largest_norm: float,
    seed: int = 0,
) -> Surroundings:
    """Look at the vectors for the last time.

    Args:
      pool: [n, d], each exact copy once.
      targets: [m, d].
      candidates: [q], rows with mass, ascending.
      probability, counts, density: [q], of the candidates; the density NaN where it is not known.
      bandwidth: in the metric's units.
      metric: of the distances.
      largest_norm: a bound on the norms of the pool's rows.
      seed: of the samples.
    """
    rng = np.random.default_rng([seed, 7])
    some = np.sort(rng.choice(len(pool), min(len(pool), POOL), replace=False))
    wanted = np.sort(rng.choice(len(targets), min(len(targets), TARGETS), replace=False))
    likely = np.lexsort((-probability, counts == 0))  # the chosen first
    placed = np.sort(candidates[likely[:CANDIDATES]])
    vectors = [unit_rows(x, metric).astype(np.float32) for x in (pool.take(some), pool.take(placed), targets[wanted])]
    with threadpool_limits(1, "blas"):  # small products, on which many threads wait for each other
        mean, axes, spread = _axes(vectors[0], vectors[1])
    pool_at, candidates_at, targets_at = (np.asarray((x - mean) @ axes, dtype=np.float32) for x in vectors)
    crowded = candidates[likely[~(density[likely] <= 1.02)]]  # not known counts as crowded
    allowed = min(SEEDS, int(PRODUCTS / (len(pool) * pool.dim))) if bandwidth > 0 else 0
    seeds, complete = _cover(pool, crowded, allowed, bandwidth, metric)
    members, of_seed, distance = _near(pool, seeds, bandwidth, metric, largest_norm)
    return Surroundings(
        some, pool_at, placed, candidates_at, wanted, targets_at, spread,
        seeds, members, of_seed, distance, bandwidth, complete,
    )  # fmt: skip


def random_distance(pool: Vectors, targets: Array, metric: Metric, seed: int) -> float:
    """How far candidates are that have nothing to do with a target: the median over some of both, drawn at random."""
    rng = np.random.default_rng([seed, 8])
    some = np.sort(rng.choice(len(pool), min(len(pool), UNRELATED), replace=False))
    asked = np.sort(rng.choice(len(targets), min(len(targets), ASKED), replace=False))
    x, y = (unit_rows(rows, metric, exact=True).astype(np.float64) for rows in (targets[asked], pool.take(some)))
    return float(np.median(np.median(from_squares(product_squares(x, y), metric), axis=1)))


def _axes(pool: Places, candidates: Places) -> tuple[Places, Places, tuple[float, float]]:
    """The two leading principal axes of pool and candidates, each half of the weight: mean [d], axes [d, 2], shares."""
    some = candidates[:: -(-len(candidates) // POOL)]
    mean = ((pool.mean(axis=0) + some.mean(axis=0)) / 2).astype(np.float32)
    moment = sum((x - mean).T @ (x - mean) / np.float32(len(x)) for x in (pool, some))
    values, vectors = np.linalg.eigh(np.asarray(moment, dtype=np.float64))
    axes = vectors[:, ::-1][:, :2]
    if axes.shape[1] < 2:
        axes, values = np.hstack([axes, np.zeros_like(axes)]), np.concatenate([[0.0], values])
    axes = axes * np.where(axes.sum(axis=0) < 0, -1.0, 1.0)  # a sign that does not depend on the solver
    total = max(float(values.sum()), 1e-300)
    return mean, axes.astype(np.float32), (float(values[-1]) / total, float(values[-2]) / total)


def _cover(pool: Vectors, rows: Rows, most: int, bandwidth: float, metric: Metric) -> tuple[Rows, bool]:
    """The first of these rows, but none within the bandwidth of an earlier one; and whether that is all of them."""
    considered = rows[: 3 * most]
    if not len(considered):
        return considered, most > 0 or not len(rows)
    vectors = unit_rows(pool.take(considered), metric, exact=True).astype(np.float64)
    norms = np.square(vectors).sum(axis=1)
    squares = norms[:, None] + norms - 2 * vectors @ vectors.T
    limit = euclidean_bandwidth(bandwidth, metric) ** 2
    free = np.ones(len(considered), bool)
    kept: list[int] = []
    for i in range(len(considered)):
        if free[i]:
            if len(kept) == most:
                return considered[kept], False
            kept.append(i)
            free[squares[i] < limit] = False
    return considered[kept], len(considered) == len(rows)


def _near(pool: Vectors, seeds: Rows, bandwidth: float, metric: Metric, norm: float) -> tuple[Rows, Rows, Array]:
    """Rows of the pool within the bandwidth of a seed, the nearest seed of each, and the distance."""
    none = np.empty(0, np.int64)
    if not len(seeds):
        return none, none, np.empty(0)
    reach = euclidean_bandwidth(bandwidth, metric)
    asked = unit_rows(pool.take(seeds), metric, exact=True)
    left = asked.astype(np.float32)
    own = np.einsum("ij,ij->i", left, left)
    # Who is near is no longer than the seed by more than the reach.
    slack = rounding_bound(pool.dim, 2 * np.minimum(np.sqrt(own.astype(np.float64)) + reach, norm_bound(norm, metric)))
    limit = (reach**2 + slack).astype(np.float32)

    def close(item: tuple[int, Block]) -> tuple[Rows, Rows, Array]:
        start, block = item
        right = unit_rows(block, metric).astype(np.float32, copy=False)
        # |x - y|^2 <= limit where x.y >= (|x|^2 + |y|^2 - limit) / 2
        least = (own - limit) / 2 + np.einsum("ij,ij->i", right, right)[:, None] / 2
        j, i = np.nonzero(right @ left.T >= least)
        stored = unit_rows(block[j], metric, exact=True)
        distance = from_squares(pair_squares(stored, np.arange(len(j)), asked, i), metric)
        inside = (distance < bandwidth) | (seeds[i] == j + start)
        return j[inside] + start, i[inside], distance[inside]

    found = list(map_ordered(close, pool.blocks(_SLICE)))
    rows, seed, distance = (np.concatenate([part[at] for part in found]) for at in range(3))
    order = np.lexsort((seed, distance, rows))
    first = order[np.concatenate([[True], np.diff(rows[order]) > 0])]
    return rows[first], seed[first].astype(np.int64), distance[first]
