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
found is measured against brute force on a sample of the candidates, in the same pass.

All of it is a sum over blocks of the pool, added in their order: the same bits however the pool is cut into files.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

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
BLOCK_BYTES = 64 << 20
#: Rows grouped by cell at once: with many rows in a cell, gathering the candidates that reach it costs little.
_PART_ROWS = 1 << 19
#: A pool of at most so many rows keeps its prefixes between searches: half a gigabyte at most.
_KEPT_ROWS = 1 << 21
#: Cells, or rows met by the sample, that a thread takes at a time.
_CELLS_AT_ONCE, _SLICE = 8, 4096
_SAMPLE = 20_000
#: Shares of the bandwidth tried as margin, the exact one first.
MARGINS = (1.0, 0.7, 0.5, 0.35)
WANTED_RECALL = 0.999
_TILE = 1 << 19  # pairs: their distances stay in a core's cache
#: Candidates on which recall is measured.
_SAMPLED = 256
_NONE = np.empty(0, np.int64)
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
        self._seed = seed
        self._kept: list[list[_Grouped]] | None = None  # of a pool that is not too large, for the next search
        self._reach = euclidean_bandwidth(bandwidth, metric)
        norm = 1.001 if metric == "cosine" else largest_norm
        # Centred vectors are at most twice as long; the prefix distance is a sum of squares with cancellation.
        self._slack = rounding_bound(pool.dim, 4 * norm)
        self._near = np.float32(self._reach**2 + self._slack)
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
        self._between = (2 * np.sqrt(between)).astype(np.float32)
        self._lengths = np.square(self._centroids).sum(axis=1)
        self._share = np.bincount(self._cell_of(prefix), minlength=len(self._centroids)) / len(prefix)

    def search(self, candidates: Rows, margin: float = 1.0, progress: Progress = lambda rows: None) -> Density:
        """Densities of these rows of the pool.

        Args:
          candidates: [q], rows of the pool.
          margin: the share of the bandwidth by which cells are searched; below 1 pairs may be lost, and the share found
            is measured on a sample.
          progress: called with the number of pool rows done.
        """
        vectors = unit_rows(self.pool.take(candidates), self.metric, exact=True)
        prefix = self._prefix(vectors.astype(np.float32, copy=False))
        table = self._cells_reached(prefix, margin)
        reached = [np.flatnonzero(row) for row in table]
        sample = self._sample(prefix) if margin < 1 else _NONE
        asked = _Asked(candidates, vectors, _augmented(prefix, "left"), reached, sample, table[:, sample])
        total = _Found(np.zeros(len(candidates)))
        for part in self._parts() if self._kept is None else self._kept:
            total.add(self._meet(asked, part))
            progress(sum(len(one.rows) for one in part))
        # Each candidate meets itself at distance zero exactly; rounding of the sums must not lose that.
        own = np.ones(len(candidates)) if self.copies is None else self.copies[candidates].astype(np.float64)
        others = total.true_pairs - len(sample)  # a candidate's meeting with itself is no near-duplicate
        recall = (total.true_found - len(sample)) / others if others > 0 else 1.0
        work = self._work(table)
        return Density(np.maximum(total.rho, own), margin, work, total.pairs - len(candidates), recall, max(others, 0))

    def _parts(self) -> Iterator[list[_Grouped]]:
        """The pool in large parts, each some blocks of rows grouped by cell."""

        def one(item: tuple[int, Block]) -> _Grouped:
            start, block = item
            inner = self._prefix(unit_rows(block, self.metric).astype(np.float32, copy=False))
            cell = self._cell_of(inner)
            order = np.argsort(cell, kind="stable")
            cell = cell[order]
            ends = np.searchsorted(cell, np.arange(len(self._centroids) + 1))
            return _Grouped(order + start, cell, ends, _augmented(inner[order], "right"))

        keep: list[list[_Grouped]] = []
        held: list[_Grouped] = []
        seen = 0
        for block in map_ordered(one, self.pool.blocks(self.pool.block_rows(BLOCK_BYTES))):
            held.append(block)
            seen += len(block.rows)
            # Counted in rows, so that the parts are the same however the pool is cut into files.
            if sum(len(one.rows) for one in held) >= _PART_ROWS or seen == len(self.pool):
                if len(self.pool) <= _KEPT_ROWS:
                    keep.append(held)
                yield held
                held = []
        self._kept = keep or None

    def _meet(self, asked: _Asked, part: list[_Grouped]) -> _Found:
        """What the candidates find in one part, cell by cell, and what the sample finds in all of it."""

        def cells(first: int) -> _Found:
            hits = []
            for c in range(first, min(first + _CELLS_AT_ONCE, len(asked.reached))):
                if len(asked.reached[c]):
                    spans = [(one, slice(one.ends[c], one.ends[c + 1])) for one in part]
                    rows = np.concatenate([one.rows[span] for one, span in spans])
                    right = np.concatenate([one.right[span] for one, span in spans])
                    hits += [(i, rows[j]) for i, j in _close(asked.left, asked.reached[c], right, self._near)]
            found = _Found(np.zeros(len(asked.rows)))
            i, rows = _joined(hits)
            weight = self._kernel(asked, i, rows)
            found.pairs = int(np.count_nonzero(weight))
            if self.copies is not None:
                weight = weight * self.copies[rows]
            np.add.at(found.rho, i, weight)
            return found

        def sampled(block: _Grouped) -> _Found:
            found, hits = _Found(np.zeros(0)), []
            for first in range(0, len(block.rows), _SLICE):
                near = _close(asked.left, asked.sample, block.right[first : first + _SLICE], self._near)
                hits += [(i, first + j) for i, j in near]
            i, j = _joined(hits)
            true = self._kernel(asked, i, block.rows[j]) > 0
            found.true_pairs = int(true.sum())
            place = np.searchsorted(asked.sample, i[true])
            found.true_found = int(asked.sample_reach[block.cell[j[true]], place].sum())
            return found

        total = _Found(np.zeros(len(asked.rows)))
        for found in map_ordered(cells, range(0, len(asked.reached), _CELLS_AT_ONCE)):
            total.add(found)
        for found in map_ordered(sampled, part if len(asked.sample) else []):
            total.true_pairs += found.true_pairs
            total.true_found += found.true_found
        return total

    def expected_work(self, candidates: Rows, margin: float) -> float:
        """The share of all pairs whose prefix distance a search with this margin would compute."""
        some = candidates if len(candidates) <= 1024 else candidates[:: len(candidates) // 1024]
        prefix = self._prefix(unit_rows(self.pool.take(some), self.metric).astype(np.float32, copy=False))
        return self._work(self._cells_reached(prefix, margin))

    def brute_force(self, candidates: Rows) -> Density:
        """The same by computing every pair in float64 from differences; slow, the truth for tests and benchmarks."""
        vectors = unit_rows(self.pool.take(candidates), self.metric, exact=True)
        rho, pairs = np.zeros(len(candidates)), 0
        for start, block in self.pool.blocks(self.pool.block_rows(BLOCK_BYTES)):
            stored = unit_rows(block, self.metric, exact=True)
            for row in range(len(candidates)):
                i, j = np.full(len(block), row), np.arange(len(block))
                weight = kernel_weight(pair_squares(vectors, i, stored, j), self.bandwidth, self.metric)
                pairs += int(np.count_nonzero(weight))
                copies = 1 if self.copies is None else self.copies[start : start + len(block)]
                rho[row] += float((weight * copies).sum())
        return Density(rho, 1.0, 1.0, pairs - len(candidates))

    def _sample(self, prefix: Single) -> Rows:
        """Candidates on which recall is measured: half of them from where near-duplicates are, ascending positions."""
        rng = np.random.default_rng(self._seed)
        order, ends = _grouped(self._cell_of(prefix), len(self._centroids))
        left, right = _augmented(prefix[order], "left"), _augmented(prefix[order], "right")
        crowded: list[Rows] = []
        for first, last in itertools.pairwise(ends):
            part = slice(first, min(last, first + 2048))
            i = np.concatenate(
                [hit[0] for hit in _close(left[part], np.arange(len(left[part])), right[part], self._near)] or [_NONE]
            )
            crowded.append(order[part][np.bincount(i, minlength=len(left[part])) > 1])
        dense = np.concatenate(crowded)
        half = rng.choice(dense, min(_SAMPLED // 2, len(dense)), replace=False)
        rest = rng.choice(len(prefix), min(_SAMPLED - len(half), len(prefix)), replace=False)
        return np.unique(np.concatenate([half, rest]))

    def _kernel(self, asked: _Asked, i: Rows, rows: Rows) -> Array:
        """The kernel of the pairs (candidate i, row of the pool), from their exact distances."""
        kernel = np.ones(len(i))  # of a candidate with itself, which needs no reading
        other = np.flatnonzero(asked.rows[i] != rows)
        if len(other):
            unique, at = np.unique(rows[other], return_inverse=True)
            stored = unit_rows(self.pool.take(unique), self.metric, exact=True)
            squares = _squares(asked.vectors, i[other], stored, at)
            kernel[other] = kernel_weight(squares, self.bandwidth, self.metric)
        return kernel

    def _prefix(self, rows: Single) -> Single:
        return np.asarray(rows @ self._basis - self._shift, dtype=np.float32)

    def _cell_of(self, prefix: Single) -> NDArray[np.int64]:
        """The nearest centroid of each row, by slices that stay in the cache."""
        cell = np.empty(len(prefix), np.int64)
        # |x - c|^2 less |x|^2, which is the same for all centroids.
        right = np.ascontiguousarray(np.hstack([-2 * self._centroids, self._lengths[:, None]]).T, dtype=np.float32)
        for start in range(0, len(prefix), 1024):
            part = prefix[start : start + 1024]
            cell[start : start + 1024] = (part @ right[:-1] + right[-1]).argmin(axis=1)
        return cell

    def _cells_reached(self, prefix: Single, margin: float) -> NDArray[np.bool_]:
        """For each cell, which candidates' balls (shrunk by `margin`) reach it, [cells, q]."""
        table = np.empty((len(self._centroids), len(prefix)), bool)
        left = -2 * self._centroids.T

        def some(start: int) -> None:
            part = prefix[start : start + 1024]
            squares = part @ left + self._lengths  # less |x|^2, which is the same for all centroids
            own = squares.argmin(axis=1)
            # Rounding here, and of pool rows near a border into the other cell: the slack allows for both.
            excess = squares - squares[np.arange(len(part)), own][:, None] - np.float32(4 * self._slack)
            near = excess <= np.float32(margin * self._reach) * self._between[own]
            table[:, start : start + 1024] = near.T

        for _ in map_ordered(some, range(0, len(prefix), 1024)):
            pass
        return table

    def _work(self, table: NDArray[np.bool_]) -> float:
        """The share of all pairs that lie in reached cells."""
        return float(np.count_nonzero(table, axis=1) @ self._share / max(table.shape[1], 1))


@dataclass(frozen=True)
class _Asked:
    """The candidates of one search."""

    rows: Rows  # [q]
    vectors: Block  # [q, d]
    left: Single  # [q, prefix + 2]
    reached: list[Rows]  # for each cell, the candidates that reach it
    sample: Rows  # candidates on which recall is measured
    sample_reach: NDArray[np.bool_]  # [cells, len(sample)]


@dataclass(frozen=True)
class _Grouped:
    """A block of the pool, grouped by cell."""

    rows: Rows  # in the pool
    cell: NDArray[np.int64]  # of each, ascending
    ends: NDArray[np.int64]  # where each cell starts
    right: Single  # [n, prefix + 2]


@dataclass
class _Found:
    """Sums over pairs."""

    rho: Array
    pairs: int = 0
    true_pairs: int = 0
    true_found: int = 0

    def add(self, other: _Found) -> None:
        self.rho += other.rho
        self.pairs += other.pairs
        self.true_pairs += other.true_pairs
        self.true_found += other.true_found


def kernel_density(
    search: DensitySearch, candidates: Rows, *, budget: float, progress: Progress = lambda rows: None
) -> Density:
    """Densities of these candidates: exact where that is affordable, else with a measured recall.

    Args:
      search: the prepared pool.
      candidates: [q], rows of the pool.
      budget: pairs whose prefix distance may be computed; beyond it the cells' margin shrinks.
      progress: called with the number of pool rows done.

    Returns:
      The densities; recall at least WANTED_RECALL on the sample, or exact.
    """
    allowed = max(budget / (len(candidates) * len(search.pool)), 1e-9)
    first = next((t for t, m in enumerate(MARGINS) if search.expected_work(candidates, m) <= allowed), len(MARGINS) - 1)
    for margin in reversed(MARGINS[: first + 1]):
        found = search.search(candidates, margin, progress)
        if margin == 1.0 or found.recall >= WANTED_RECALL:
            return found
    raise AssertionError("the last margin is one, which is exact")


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
    if not len(right):
        return
    step = max(1, _TILE // len(right))
    for first in range(0, len(who), step):
        some = who[first : first + step]
        hits = np.flatnonzero((left[some] @ right.T <= limit).ravel())
        if len(hits):
            i, j = np.divmod(hits, len(right))
            yield some[i], j


def _joined(hits: list[tuple[Rows, Rows]]) -> tuple[Rows, Rows]:
    return (np.concatenate([i for i, _ in hits]), np.concatenate([j for _, j in hits])) if hits else (_NONE, _NONE)


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
