"""Voronoi cells in the leading principal components: which parts of a pool a candidate's ball can reach.

Both bounds are exact, so no near-duplicate is lost at a margin of one: a ball of radius h around candidate x, whose
nearest centroid is c_i, reaches the cell of c_j only if the plane between the two lies within h of x,
(|x - c_j|^2 - |x - c_i|^2) / (2 |c_i - c_j|) <= h; and the distance in the leading components is a lower bound of the
distance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Block, Rows
from tsds.density.kernel import euclidean_bandwidth
from tsds.distances import faiss_seed, norm_bound, rounding_bound, unit_rows
from tsds.embeddings.scan import Metric
from tsds.embeddings.vectors import Vectors
from tsds.parallel import map_ordered

Single = NDArray[np.float32]

#: Leading components: enough to reject almost every pair (benchmarks/density.py), at a fraction of the arithmetic.
PREFIX = 64
#: More cells reject more pairs and cost more calls; measured in benchmarks/density.py.
CELLS = 512
_SAMPLE = 20_000
_TILE = 1 << 19  # pairs: their distances stay in a core's cache


@dataclass(frozen=True)
class Cells:
    """The components and centroids of a pool, with the bounds that hold at a bandwidth.

    Attributes:
      metric: of the vectors.
      reach: the bandwidth as a Euclidean distance.
      largest: a bound on the norms of the pool's rows.
      mean: the norm of what the components are about.
      basis, shift: [d, c] and [c], of the components.
      centroids, lengths: [cells, c], and their squared norms.
      between: [cells, cells], twice the distances of the centroids.
      share: [cells], share of the pool in each, on a sample.
    """

    metric: Metric
    reach: float
    largest: float
    mean: float
    basis: Single
    shift: Single
    centroids: Single
    lengths: Single
    between: Single
    share: NDArray[np.float64]

    @classmethod
    def fit(cls, pool: Vectors, bandwidth: float, metric: Metric, largest_norm: float, seed: int) -> Cells:
        """Fit components and centroids on a sample of the pool."""
        import faiss

        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(len(pool), min(len(pool), _SAMPLE), replace=False))
        sample = unit_rows(pool.take(rows), metric).astype(np.float32)
        mean = sample.mean(axis=0)
        count = min(len(sample), max(2048, 2 * PREFIX))
        spread = sample[np.arange(count) * len(sample) // count]  # a pool is often one source after the other
        basis = leading_components(spread - mean, PREFIX)
        shift = mean @ basis
        prefix = np.asarray(sample @ basis - shift, dtype=np.float32)
        cells = int(np.clip(len(pool) // 256, 1, CELLS))
        kmeans = faiss.Kmeans(
            prefix.shape[1],
            cells,
            niter=6,
            seed=faiss_seed(seed),
            max_points_per_centroid=64,
            min_points_per_centroid=1,
        )
        kmeans.train(prefix)
        centroids = np.unique(np.asarray(kmeans.centroids, dtype=np.float32), axis=0)
        between = np.square(centroids[:, None] - centroids[None]).sum(axis=2, dtype=np.float64)
        lengths = np.square(centroids).sum(axis=1)
        share = np.bincount(_nearest(prefix, centroids, lengths), minlength=len(centroids)) / len(prefix)
        doubled = (2 * np.sqrt(between)).astype(np.float32)
        reach = euclidean_bandwidth(bandwidth, metric)
        largest, about = norm_bound(largest_norm, metric), float(np.linalg.norm(mean.astype(np.float64)))
        return cls(metric, reach, largest, about, basis, shift, centroids, lengths, doubled, share)

    def __len__(self) -> int:
        return len(self.centroids)

    def norms(self, rows: Block) -> Array:
        """For each of these vectors a bound on the norms of it, of all rows within the reach and of the mean, [n].

        The rounding of such pairs then does not depend on how long other rows of the pool are.
        """
        own = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        return np.asarray(np.minimum(np.maximum(own + self.reach, self.mean), self.largest))

    def near(self, norms: Array) -> Single:
        """The squared distance in the components up to which a pair may be within the bandwidth, [n].

        Args:
          norms: [n], of candidates.
        """
        # Centred vectors are at most twice as long; the prefix distance is a sum of squares with cancellation.
        return (self.reach**2 + rounding_bound(len(self.basis), 4 * norms)).astype(np.float32)

    def prefix(self, rows: Block) -> Single:
        """Vectors in the leading components, [n, c]; under cosine they must be of unit norm."""
        single = rows.astype(np.float32, copy=False)
        return np.asarray(single @ self.basis - self.shift, dtype=np.float32)

    def cell_of(self, prefix: Single) -> NDArray[np.int64]:
        """The cell of each row, [n]."""
        return _nearest(prefix, self.centroids, self.lengths)

    def reached(self, prefix: Single, norms: Array, margin: float) -> NDArray[np.bool_]:
        """For each cell, which candidates' balls (shrunk by `margin`) reach it, [cells, q]."""
        table = np.empty((len(self.centroids), len(prefix)), bool)
        left = -2 * self.centroids.T
        # Rounding here, and of pool rows near a border into the other cell: the slack allows for both. A centroid that
        # is longer than the candidate and what is near it brings a rounding of its own.
        slack = (4 * rounding_bound(len(self.basis), 4 * norms)).astype(np.float32)
        far = (4 * rounding_bound(len(self.basis), 2 * np.sqrt(self.lengths.astype(np.float64)))).astype(np.float32)

        def some(start: int) -> None:
            part = prefix[start : start + 1024]
            squares = part @ left + self.lengths  # less |x|^2, which is the same for all centroids
            own = squares.argmin(axis=1)
            excess = squares - squares[np.arange(len(part)), own][:, None]
            excess -= np.maximum(np.maximum(slack[start : start + 1024], far[own])[:, None], far)
            near = excess <= np.float32(margin * self.reach) * self.between[own]
            table[:, start : start + 1024] = near.T

        for _ in map_ordered(some, range(0, len(prefix), 1024)):
            pass
        return table

    def work(self, table: NDArray[np.bool_]) -> float:
        """The share of all pairs that lie in reached cells."""
        return float(np.count_nonzero(table, axis=1) @ self.share / max(table.shape[1], 1))


def leading_components(centred: Single, count: int) -> Single:
    """An orthonormal basis of the leading principal components of a sample, [d, at most count].

    Any orthonormal basis gives a valid lower bound, so a sample is enough, and so are float32 eigenvectors made
    orthonormal again.
    """
    rows, dim = centred.shape
    if dim <= count:
        return np.eye(dim, dtype=np.float32)
    wide = centred.astype(np.float64)
    if dim <= rows:
        basis = np.linalg.eigh(wide.T @ wide)[1][:, ::-1][:, :count]
    else:
        values, left = np.linalg.eigh(wide @ wide.T)
        kept = values > values[-1] * 1e-12
        basis = (wide.T @ left[:, kept])[:, ::-1][:, :count]
    return np.asarray(np.linalg.qr(basis)[0], dtype=np.float32)


def augmented(rows: Single, side: str) -> Single:
    """Rows with two more columns, so that left @ right.T is the squared distance in one product."""
    norms = np.einsum("ij,ij->i", rows, rows)[:, None]
    ones = np.ones_like(norms)
    return np.hstack([-2 * rows, norms, ones] if side == "left" else [rows, ones, norms])


def close(left: Single, who: Rows, right: Single, limit: Single) -> Iterator[tuple[Rows, Rows]]:
    """Pairs (candidate, position in right) whose prefix distance is within the candidate's limit, tile by tile."""
    if not len(right):
        return
    step = max(1, _TILE // len(right))
    for first in range(0, len(who), step):
        some = who[first : first + step]
        hits = np.flatnonzero((left[some] @ right.T <= limit[some, None]).ravel())
        if len(hits):
            i, j = np.divmod(hits, len(right))
            yield some[i], j


def grouped(cells: NDArray[np.int64], count: int) -> tuple[Rows, Rows]:
    """An order that groups rows by cell, and where each cell's group starts (and the last ends)."""
    order = np.argsort(cells, kind="stable")
    return order, np.searchsorted(cells[order], np.arange(count + 1))


def _nearest(prefix: Single, centroids: Single, lengths: Single) -> NDArray[np.int64]:
    """The nearest centroid of each row, by slices that stay in the cache."""
    cell = np.empty(len(prefix), np.int64)
    # |x - c|^2 less |x|^2, which is the same for all centroids.
    right = np.ascontiguousarray(np.hstack([-2 * centroids, lengths[:, None]]).T, dtype=np.float32)
    for start in range(0, len(prefix), 1024):
        part = prefix[start : start + 1024]
        cell[start : start + 1024] = (part @ right[:-1] + right[-1]).argmin(axis=1)
    return cell
