"""Kernel density of the candidates over the whole pool: rho_j = sum over x' of max(0, 1 - d(x_j, x')^2 / h^2).

The kernel is zero beyond the bandwidth h, so only near-duplicates count, and nearly every pair can be rejected cheaply:

1. *Cells.* The pool is cut into Voronoi cells around a few hundred centroids. A ball of radius h around candidate x,
   whose nearest centroid is c_i, reaches the cell of c_j only if the plane between the two lies within h of x:
   (|x - c_j|^2 - |x - c_i|^2) / (2 |c_i - c_j|) <= h.
2. *Prefix.* In the surviving cells the distance in the leading principal components, a lower bound of the distance, is
   computed for all pairs by one blocked product.
3. *Exact.* What is left is computed in float64 from the stored vectors.

Both bounds are exact, so no pair is lost. Where the cells reject too little (a bandwidth as large as the distances
between unrelated records), the margin h of step 1 can be shrunk to a share of it; then pairs may be lost, and the share
found is measured against brute force on a sample of the candidates (`measure_recall`).

All of it is a sum over blocks of the pool, added in their order: the same bits however the pool is cut into files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.scan import Metric, Progress
from tsds.embeddings.vectors import Block, Rows, Vectors
from tsds.neighbors import Array, from_squares, pair_squares, rounding_bound, unit_rows
from tsds.parallel import map_ordered

#: Leading components: enough to reject almost every pair (benchmarks/density.py), at a fraction of the arithmetic.
PREFIX = 64
#: More cells reject more pairs and cost more calls; measured in benchmarks/density.py.
CELLS = 512
BLOCK_BYTES = 128 << 20
_SAMPLE = 20_000
#: Shares of the bandwidth tried as margin, the exact one first.
MARGINS = (1.0, 0.7, 0.5, 0.35)
WANTED_RECALL = 0.999
_TILE = 1 << 21
#: Share of a rectangle that must be wanted for one product to beat pairs (benchmarks/density.py).
_FILLED = 0.1
Single = NDArray[np.float32]


@dataclass(frozen=True)
class Density:
    """Kernel densities of some candidates.

    Attributes:
      rho: [q], at least the candidate's own multiplicity.
      margin: the share of the bandwidth by which cells were searched; 1 is exact.
      work: share of all candidate-pool pairs whose prefix distance was computed.
      pairs: pool members within the bandwidth, summed over candidates (themselves not counted).
      recall: share of these pairs that was found, measured against brute force on a sample; 1 if exact.
      recall_pairs: how many pairs that measurement saw.
    """

    rho: Array
    margin: float
    work: float
    pairs: int
    recall: float = 1.0
    recall_pairs: int = 0


def euclidean_bandwidth(bandwidth: float, metric: Metric) -> float:
    """The Euclidean distance (of unit vectors, under cosine) that is `bandwidth` in the metric's units."""
    return float(np.sqrt(2 * bandwidth)) if metric == "cosine" else bandwidth


def kernel_weight(squares: Array, bandwidth: float, metric: Metric) -> Array:
    """The Epanechnikov kernel max(0, 1 - d^2 / h^2) of squared Euclidean distances."""
    d = from_squares(squares, metric)
    return np.maximum(0.0, 1.0 - np.square(d / bandwidth))


class DensitySearch:
    """Finds a pool's members near given candidates; prepared once for a pool, asked for several sets of candidates.

    Args:
      pool: [n, d], each exact copy once.
      copies: [n], how many exact copies each row stands for; ones if None.
      bandwidth: h, in the metric's units, positive.
      metric: "l2" or "cosine".
      largest_norm: a bound on the norms of the pool's rows.
      seed: of the sample that the components and cells are fitted on.
    """

    def __init__(
        self,
        pool: Vectors,
        copies: NDArray[np.int64] | None,
        bandwidth: float,
        metric: Metric = "l2",
        *,
        largest_norm: float,
        seed: int = 0,
    ) -> None:
        import faiss

        self.pool, self.copies, self.bandwidth, self.metric = pool, copies, bandwidth, metric
        self._reach = euclidean_bandwidth(bandwidth, metric)
        norm = 1.001 if metric == "cosine" else largest_norm
        # Centred vectors are at most twice as long; the prefix distance is a sum of squares with cancellation.
        self._slack = rounding_bound(pool.dim, 4 * norm)
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(len(pool), min(len(pool), _SAMPLE), replace=False))
        sample = unit_rows(pool.take(rows), metric).astype(np.float32)
        self._mean = sample.mean(axis=0)
        self._basis = leading_components(sample[: max(2048, 2 * PREFIX)] - self._mean, PREFIX)
        self._shift = self._mean @ self._basis
        prefix = self._prefix(sample)
        cells = int(np.clip(len(pool) // 256, 1, CELLS))
        kmeans = faiss.Kmeans(
            prefix.shape[1], cells, niter=6, seed=seed + 1, max_points_per_centroid=64, min_points_per_centroid=1
        )
        kmeans.train(prefix)
        self._centroids = np.unique(np.asarray(kmeans.centroids, dtype=np.float32), axis=0)
        between = np.square(self._centroids[:, None] - self._centroids[None]).sum(axis=2, dtype=np.float64)
        self._between = 2 * np.sqrt(between)
        self._share = np.bincount(self._cell_of(prefix), minlength=len(self._centroids)) / len(prefix)

    def search(self, candidates: Rows, margin: float = 1.0, progress: Progress = lambda rows: None) -> Density:
        """Densities of these rows of the pool.

        Args:
          candidates: [q], rows of the pool.
          margin: the share of the bandwidth by which cells are searched; below 1 pairs may be lost.
          progress: called with the number of pool rows done.
        """
        vectors = unit_rows(self.pool.take(candidates), self.metric)
        prefix = self._prefix(vectors.astype(np.float32, copy=False))
        left = _augmented(prefix, "left")
        reached = self._cells_reached(prefix, margin)
        work = float(sum(len(r) * s for r, s in zip(reached, self._share, strict=True)) / max(len(candidates), 1))
        limit = np.float32(self._reach**2 + self._slack)

        def one(item: tuple[int, Block]) -> tuple[Array, int, int]:
            start, block = item
            stored = unit_rows(block, self.metric)
            inner = self._prefix(stored.astype(np.float32, copy=False))
            order, ends = _grouped(self._cell_of(inner), len(self._centroids))
            right = _augmented(inner[order], "right")
            rho, pairs = np.zeros(len(candidates)), 0
            for cell, who in enumerate(reached):
                first, last = ends[cell], ends[cell + 1]
                if first == last or not len(who):
                    continue
                members = order[first:last]
                for i, j in _close(left, who, right[first:last], limit):
                    pairs += self._add(rho, vectors, stored, i, members[j], start)
            return rho, pairs, len(block)

        rho, pairs = self._fold(one, BLOCK_BYTES, len(candidates), progress)
        # Each candidate meets itself at distance zero exactly; rounding of the sums must not lose that.
        own = np.ones(len(candidates)) if self.copies is None else self.copies[candidates].astype(np.float64)
        return Density(np.maximum(rho, own), margin, work, pairs - len(candidates))

    def expected_work(self, candidates: Rows, margin: float) -> float:
        """The share of all pairs whose prefix distance a search with this margin would compute."""
        some = candidates if len(candidates) <= 2048 else candidates[:: len(candidates) // 2048]
        prefix = self._prefix(unit_rows(self.pool.take(some), self.metric).astype(np.float32, copy=False))
        reached = self._cells_reached(prefix, margin)
        return float(sum(len(r) * s for r, s in zip(reached, self._share, strict=True)) / max(len(some), 1))

    def brute_force(self, candidates: Rows, progress: Progress = lambda rows: None) -> Density:
        """The same by computing every pair: the truth that a search with a margin below one is measured against."""
        vectors = unit_rows(self.pool.take(candidates), self.metric)
        single = vectors.astype(np.float32, copy=False)
        left = _augmented(single - self._mean, "left")
        limit = np.float32(self._reach**2 + self._slack)
        everyone = np.arange(len(candidates))

        def one(item: tuple[int, Block]) -> tuple[Array, int, int]:
            start, block = item
            stored = unit_rows(block, self.metric)
            right = _augmented(stored.astype(np.float32, copy=False) - self._mean, "right")
            rho, pairs = np.zeros(len(candidates)), 0
            for first in range(0, len(block), 4096):
                for i, j in _close(left, everyone, right[first : first + 4096], limit):
                    pairs += self._add(rho, vectors, stored, i, j + first, start)
            return rho, pairs, len(block)

        rho, pairs = self._fold(one, BLOCK_BYTES // 2, len(candidates), progress)
        return Density(rho, 1.0, 1.0, pairs - len(candidates))

    def _fold(
        self, one: Callable[[tuple[int, Block]], tuple[Array, int, int]], size: int, q: int, progress: Progress
    ) -> tuple[Array, int]:
        rho, pairs = np.zeros(q), 0
        for part, found, rows in map_ordered(one, self.pool.blocks(self.pool.block_rows(size))):
            rho += part
            pairs += found
            progress(rows)
        return rho, pairs

    def _add(self, rho: Array, vectors: Block, stored: Block, i: Rows, j: Rows, start: int) -> int:
        """Add the kernel of the pairs (vectors[i], stored[j]) to rho; returns how many lie within the bandwidth."""
        weight = kernel_weight(_squares(vectors, i, stored, j), self.bandwidth, self.metric)
        found = int(np.count_nonzero(weight))
        if self.copies is not None:
            weight = weight * self.copies[start + j]
        rho += np.bincount(i, weights=weight, minlength=len(rho))
        return found

    def _prefix(self, rows: Single) -> Single:
        return np.asarray(rows @ self._basis - self._shift, dtype=np.float32)

    def _cell_of(self, prefix: Single) -> NDArray[np.int64]:
        import faiss

        return np.asarray(faiss.knn(prefix, self._centroids, 1)[1][:, 0], dtype=np.int64)

    def _cells_reached(self, prefix: Single, margin: float) -> list[Rows]:
        """For each cell, the candidates whose ball (shrunk by `margin`) reaches it."""
        out: list[list[Rows]] = [[] for _ in self._centroids]
        for start in range(0, len(prefix), 4096):
            part = prefix[start : start + 4096].astype(np.float64)
            squares = (
                np.square(part).sum(axis=1)[:, None]
                - 2 * part @ self._centroids.T.astype(np.float64)
                + np.square(self._centroids.astype(np.float64)).sum(axis=1)
            )
            own = squares.argmin(axis=1)
            # A pool row near the border may be rounded into the other cell: the slack allows for it.
            excess = squares - squares[np.arange(len(part)), own][:, None] - 2 * self._slack
            near = excess <= margin * self._reach * self._between[own]
            for cell in np.flatnonzero(near.any(axis=0)):
                out[cell].append(np.flatnonzero(near[:, cell]) + start)
        return [np.concatenate(parts) if parts else np.empty(0, np.int64) for parts in out]


def kernel_density(
    search: DensitySearch, candidates: Rows, *, budget: float, seed: int = 0, progress: Progress = lambda rows: None
) -> Density:
    """Densities of these candidates: exact where that is affordable, else with a measured recall.

    Args:
      search: the prepared pool.
      candidates: [q], rows of the pool.
      budget: pairs whose prefix distance may be computed; beyond it the cells' margin shrinks.
      seed: of the sample on which recall is measured.
      progress: called with the number of pool rows done.

    Returns:
      The densities; recall at least WANTED_RECALL on the sample, or exact.
    """
    allowed = max(budget / (len(candidates) * len(search.pool)), 1e-9)
    first = next((t for t, m in enumerate(MARGINS) if search.expected_work(candidates, m) <= allowed), len(MARGINS) - 1)
    for margin in reversed(MARGINS[: first + 1]):
        found = search.search(candidates, margin, progress)
        if margin == 1.0:
            return found
        found = measure_recall(search, candidates, found, seed)
        if found.recall >= WANTED_RECALL:
            return found
    raise AssertionError("the last margin is one, which is exact")


def measure_recall(search: DensitySearch, candidates: Rows, found: Density, seed: int, size: int = 96) -> Density:
    """The share of near-duplicate pairs found, against brute force on a sample: half of it where pairs were found."""
    rng = np.random.default_rng(seed)
    dense = np.flatnonzero(found.rho > found.rho.min() * 1.05)
    half = rng.choice(dense, min(size // 2, len(dense)), replace=False)
    rest = rng.choice(len(candidates), min(size - len(half), len(candidates)), replace=False)
    sample = np.unique(np.concatenate([half, rest]))
    truth = search.brute_force(candidates[sample])
    ours = search.search(candidates[sample], found.margin)
    recall = 1.0 if truth.pairs == 0 else ours.pairs / truth.pairs
    return replace(found, recall=recall, recall_pairs=truth.pairs)


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


def _augmented(rows: Single, side: str) -> Single:
    """Rows with two more columns, so that left @ right.T is the squared distance in one product."""
    norms = np.einsum("ij,ij->i", rows, rows)[:, None]
    ones = np.ones_like(norms)
    return np.hstack([-2 * rows, norms, ones] if side == "left" else [rows, ones, norms])


def _close(left: Single, who: Rows, right: Single, limit: np.float32) -> Iterator[tuple[Rows, Rows]]:
    """Pairs (candidate, position in right) whose prefix distance is within the limit, tile by tile."""
    step = max(1, _TILE // len(right))
    for first in range(0, len(who), step):
        some = who[first : first + step]
        hits = np.flatnonzero((left[some] @ right.T <= limit).ravel())
        if len(hits):
            i, j = np.divmod(hits, len(right))
            yield some[i], j


def _squares(a: Block, i: Rows, b: Block, j: Rows) -> Array:
    """|a[i] - b[j]|^2 in float64: pair by pair, or by one product where the pairs fill most of a rectangle."""
    rows, at_row = np.unique(i, return_inverse=True)
    columns, at_column = np.unique(j, return_inverse=True)
    # Inside a cluster of near-duplicates nearly all pairs count; a product takes a tenth of the time there.
    if len(i) < 1024 or len(i) < _FILLED * len(rows) * len(columns):
        return pair_squares(a, i, b, j)
    left, right = a[rows].astype(np.float64), b[columns].astype(np.float64)
    centre = right.mean(axis=0)  # near-duplicates differ little from their centre, so nothing cancels
    left -= centre
    right -= centre
    norms = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)
    return np.asarray((norms - 2 * left @ right.T)[at_row, at_column])


def _grouped(cells: NDArray[np.int64], count: int) -> tuple[Rows, Rows]:
    """An order that groups rows by cell, and where each cell's group starts (and the last ends)."""
    order = np.argsort(cells, kind="stable")
    return order, np.searchsorted(cells[order], np.arange(count + 1))
