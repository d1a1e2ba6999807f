"""Kernel density of the candidates over the whole pool: rho_j = sum over x' of max(0, 1 - d(x_j, x')^2 / h^2).

The kernel is zero beyond the bandwidth h, so only near-duplicates count, and nearly every pair can be rejected cheaply:

1. *Cells.* The pool is cut into Voronoi cells around a few hundred centroids; a candidate meets the cells that its ball
   of radius h reaches.
2. *Prefix.* In these cells the distance in the leading principal components, a lower bound of the distance, is
   computed for all pairs by one blocked product.
3. *Exact.* What is left is computed in float64 from the stored vectors.

Both bounds are exact (cells.py), so no pair is lost. Where the cells reject too little (a bandwidth as large as the
distances between unrelated records), the margin h of step 1 can be shrunk to a share of it; then pairs may be lost, and
the share found is measured against brute force on a sample of the candidates, in the same pass.

All of it is a fold over parts of the pool (meeting.py): the same bits however the pool is cut into files, and whoever
works on it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows
from tsds.density.cells import PREFIX, Cells, Single, augmented, close, grouped
from tsds.density.kernel import kernel_weight
from tsds.density.meeting import BLOCK_BYTES, NONE, PART_ROWS, Asked, Found, Kept, meet
from tsds.distances import norm_bound, pair_squares, unit_rows
from tsds.embeddings.scan import Metric, Progress
from tsds.embeddings.vectors import Vectors
from tsds.engines import Engine, LocalEngine

#: Shares of the bandwidth tried as margin, the exact one first.
MARGINS = (1.0, 0.7, 0.5, 0.35)
WANTED_RECALL = 0.999
#: A pool of at most so many rows keeps its prefixes between searches: half a gigabyte at most.
KEPT_ROWS = 1 << 21
#: Candidates on which recall is measured.
_SAMPLED = 256


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


class DensitySearch:
    """Finds a pool's members near given candidates; prepared once for a pool, asked for several sets of candidates.

    Args:
      pool: [n, d], each exact copy once.
      copies: [n], how many exact copies each row stands for; ones if None.
      bandwidth: h, in the metric's units, positive.
      metric: "l2" or "cosine".
      largest_norm: a bound on the norms of the pool's rows.
      engine: what runs the passes over the pool; this machine's threads if None.
      device: the torch device that they run on; the processor, without torch, if None.
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
        engine: Engine | None = None,
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        self.pool, self.copies, self.bandwidth, self.metric = pool, copies, bandwidth, metric
        self._engine, self._seed, self._kept = engine or LocalEngine(), seed, Kept()
        self._device, self._largest = device, norm_bound(largest_norm, metric)
        self._cells = Cells.fit(pool, bandwidth, metric, largest_norm, seed)

    def search(self, candidates: Rows, margin: float = 1.0, progress: Progress = lambda rows: None) -> Density:
        """Densities of these rows of the pool.

        Args:
          candidates: [q], rows of the pool.
          margin: the share of the bandwidth by which cells are searched; below 1 pairs may be lost, and the share found
            is measured on a sample.
          progress: called with the number of pool rows done.
        """
        margin = margin if self._device is None else 1.0  # a device looks at every pair
        vectors = unit_rows(self.pool.take(candidates), self.metric, exact=True)
        prefix, norms = self._cells.prefix(vectors), self._cells.norms(vectors)
        table, limit = self._cells.reached(prefix, norms, margin), self._cells.near(norms)
        sample = self._sample(prefix, limit) if margin < 1 else NONE
        asked = Asked(
            self.pool, self.copies, self._cells, self.bandwidth, candidates, vectors, augmented(prefix, "left"), limit,
            [np.flatnonzero(row) for row in table], sample, table[:, sample], self._kept, self._keeps(),
            self._largest, self._device,
        )  # fmt: skip
        spans = self.pool.spans(PART_ROWS, self.pool.block_rows(BLOCK_BYTES))
        total = self._engine.fold("density", meet, Found.plus, asked, spans, progress)
        # Each candidate meets itself at distance zero exactly; rounding of the sums must not lose that.
        own = np.ones(len(candidates)) if self.copies is None else self.copies[candidates].astype(np.float64)
        others = total.true_pairs - len(sample)  # a candidate's meeting with itself is no near-duplicate
        recall = (total.true_found - len(sample)) / others if others > 0 else 1.0
        work = self._cells.work(table)
        return Density(np.maximum(total.rho, own), margin, work, total.pairs - len(candidates), recall, max(others, 0))

    def expected_work(self, candidates: Rows, margin: float) -> float:
        """The share of all pairs whose prefix distance a search with this margin would compute."""
        some = candidates if len(candidates) <= 1024 else candidates[:: len(candidates) // 1024]
        vectors = unit_rows(self.pool.take(some), self.metric)
        return self._cells.work(self._cells.reached(self._cells.prefix(vectors), self._cells.norms(vectors), margin))

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

    def _keeps(self) -> bool:
        """Whether there is room for the prefixes of the pool between searches."""
        memory = self._engine.memory
        return len(self.pool) <= KEPT_ROWS and (memory is None or len(self.pool) * 5 * PREFIX * 4 < memory)

    def _sample(self, prefix: Single, limit: Single) -> Rows:
        """Candidates on which recall is measured: half of them from where near-duplicates are, ascending positions."""
        rng = np.random.default_rng(self._seed)
        order, ends = grouped(self._cells.cell_of(prefix), len(self._cells))
        left, right = augmented(prefix[order], "left"), augmented(prefix[order], "right")
        crowded: list[Rows] = []
        for first, last in itertools.pairwise(ends):
            part = slice(first, min(last, first + 2048))
            hits = close(left[part], np.arange(len(left[part])), right[part], limit[order[part]])
            i = np.concatenate([hit[0] for hit in hits] or [NONE])
            crowded.append(order[part][np.bincount(i, minlength=len(left[part])) > 1])
        dense = np.concatenate(crowded)
        half = rng.choice(dense, min(_SAMPLED // 2, len(dense)), replace=False)
        rest = rng.choice(len(prefix), min(_SAMPLED - len(half), len(prefix)), replace=False)
        return np.unique(np.concatenate([half, rest]))


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
