"""KNN-KDE: near-duplicates share the weight of one example (Theorem 3.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows
from tsds.density import DensitySearch, kernel_density
from tsds.methods.problem import Answer, DensityNote, Problem, answer
from tsds.strength import find_plan


def select(problem: Problem) -> Answer:
    """Transport with the weights 1 / rho, the densities computed only where a candidate can get mass."""
    weights = KernelWeights.of(problem)
    with problem.stages.stage("search", len(problem.pool)):
        solution = find_plan(problem.search, weights, problem.strength, problem.mu)
    return answer(
        solution.plan,
        solution.path.indices,
        solution.path.distances,
        why=solution.why,
        capped=solution.capped,
        path=solution.path,
        density=weights.known(),
        note=weights.note(),
    )


class KernelWeights:
    """Weights of candidates: copies / rho, a group of exact copies being one candidate."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._search: DensitySearch | None = None
        self._rows: list[Rows] = []
        self._rho: list[Array] = []
        self._exact, self._recall, self._recall_pairs, self._pairs = True, 1.0, 0, 0

    @classmethod
    def of(cls, problem: Problem) -> KernelWeights:
        """The weights of this pool at this bandwidth, with what earlier problems on it have asked for."""
        name = f"densities at {problem.bandwidth!r}"
        if name not in problem.shared:
            problem.shared[name] = cls(problem)
        found: KernelWeights = problem.shared[name]
        return found

    def __call__(self, rows: Rows) -> Array:
        """Weights of these rows of the pool, in (0, 1]."""
        known, rho = self.known()
        at = np.minimum(np.searchsorted(known, rows), max(len(known) - 1, 0))
        new = known[at] != rows if len(known) else np.ones(len(rows), bool)
        weights = np.empty(len(rows))
        weights[~new] = self._problem.copies[rows[~new]] / rho[at[~new]] if len(known) else 0.0
        if new.any():
            weights[new] = self._weigh(rows[new])
        return weights

    def _weigh(self, rows: Rows) -> Array:
        """Weights of rows that were not asked for before."""
        problem = self._problem
        copies = problem.copies[rows].astype(np.float64)
        if problem.bandwidth == 0:
            rho = copies
        else:
            with problem.stages.stage("density", len(problem.pool)) as advance:
                if self._search is None:
                    self._search = DensitySearch(
                        problem.pool,
                        problem.copies if (problem.copies > 1).any() else None,
                        problem.bandwidth,
                        problem.metric,
                        largest_norm=problem.largest_norm,
                        engine=problem.stages.engine,
                        device=problem.stages.device,
                        seed=problem.seed,
                    )
                found = kernel_density(self._search, rows, budget=self._budget, progress=advance)
            rho = found.rho
            self._exact &= found.margin == 1.0
            self._recall, self._pairs = min(self._recall, found.recall), self._pairs + found.pairs
            self._recall_pairs += found.recall_pairs
        self._rows.append(rows)
        self._rho.append(rho)
        return np.asarray(copies / rho)

    @property
    def _budget(self) -> float:
        """Pairs whose prefix distance costs about a tenth of the neighbour search, or half a second."""
        n, m, dim = len(self._problem.pool), len(self._problem.targets), self._problem.pool.dim
        return max(1e9, n * m * dim / 600)

    def known(self) -> tuple[Rows, Array]:
        """The rows weighed so far, ascending, and their densities."""
        if len(self._rows) > 1:
            rows = np.concatenate(self._rows)
            order = np.argsort(rows)
            self._rows, self._rho = [rows[order]], [np.concatenate(self._rho)[order]]
        return (self._rows[0], self._rho[0]) if self._rows else (np.empty(0, np.int64), np.empty(0))

    def listed(self, indices: Rows) -> tuple[Array, NDArray[np.bool_]]:
        """Weights of listed candidates as far as known (one where not, zero where missing), and which are not."""
        known, rho = self.known()
        listed = indices >= 0
        weights = np.where(listed, 1.0, 0.0)
        if not len(known):
            return weights, listed
        at = np.minimum(np.searchsorted(known, indices), len(known) - 1)
        there = listed & (known[at] == indices)
        weights[there] = self._problem.copies[indices[there]] / rho[at[there]]
        return weights, listed & ~there

    def note(self) -> DensityNote:
        """How they came about."""
        rows = sum(len(part) for part in self._rows)
        return DensityNote(self._exact, self._recall, self._recall_pairs, rows, self._pairs / max(rows, 1))
