"""The whole regularization path as an object one can ask: by alpha, lambda, effective neighbours or effective size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsds.arrays import Array
from tsds.transport.penalty import DEFAULT_SCALE, alpha_from_penalty, penalty_from_alpha
from tsds.transport.plan import ROUNDING, far_minus_near
from tsds.transport.rows import PenaltyCurve, begins, check_rows, penalty_curve, row_mass, target_masses


def numbered(indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct values, ascending, and for each entry which of them it is: np.unique without its sort.

    Positions in a pool are small numbers, so that a table indexed by them replaces the sort of millions of entries.
    """
    top = int(indices.max()) + 1
    if indices.min() < 0 or top > 64 * indices.size + (1 << 20):
        found, inverse = np.unique(indices, return_inverse=True)
        return found, inverse.reshape(indices.shape)
    there = np.zeros(top, bool)
    there[indices] = True
    found = np.flatnonzero(there)
    place = np.zeros(top, np.int64)  # pages that are not written take no memory
    place[found] = np.arange(len(found))
    return found, place[indices]


@dataclass(frozen=True)
class PathPoint:
    """One setting on the path.

    Attributes:
      neighbors: s, effective neighbours per target; W where every candidate has mass by its weight.
      penalty: the largest lambda for which this s is optimal.
      alpha: the same as the paper's alpha, for the path's scale C.
      transport_cost: <gamma, d>, in the units of the distances.
      support: number of candidates with mass.
      effective_size: 1 / sum p_j^2, the effective sample size.
      largest: max p_j.
    """

    neighbors: float
    penalty: float
    alpha: float
    transport_cost: float
    support: int
    effective_size: float
    largest: float


@dataclass
class RegularizationPath:
    """The optimal plans for every strength of diversity, from one neighbour search.

    Args:
      distances: [m, k], the nearest candidates of each target, ascending; infinite where missing.
      weights: [m, k], their weights 1/rho; zero where missing.
      indices: [m, k], the candidates' positions in the pool; anything where missing.
      target_weights: [m], in any scale; equal if None.
      pool_weight: W, the weight of the whole pool, or None: what the longest list proves.
      complete: whether each row lists every candidate.
      scale: C, for translating penalties to the paper's alpha.

    Raises:
      ValueError: on malformed arrays.
    """

    distances: Array
    weights: Array
    indices: NDArray[np.int64]
    target_weights: ArrayLike | None = None
    pool_weight: float | None = None
    complete: bool = False
    scale: float = DEFAULT_SCALE
    mu: Array = field(init=False)

    def __post_init__(self) -> None:
        check_rows(self.distances, self.weights)
        given = None if self.target_weights is None else np.asarray(self.target_weights, dtype=np.float64)
        self.mu = target_masses(len(self.distances), given)
        if self.indices.shape != self.distances.shape:
            raise ValueError(f"indices {self.indices.shape} must have the shape of distances {self.distances.shape}")

    @cached_property
    def curve(self) -> PenaltyCurve:
        """s against lambda, as breakpoints."""
        return penalty_curve(self.distances, self.weights, self.mu, complete=self.complete)

    @cached_property
    def longest(self) -> float:
        """The largest s that the lists can answer for: half of the pool's weight, or the shortest list's weight."""
        sums = self._ends[:, -1]
        horizon = float("inf") if self.complete else float(sums.min())
        return min(horizon, (self.pool_weight or float(sums.max())) / 2)

    @cached_property
    def whole(self) -> float | None:
        """The s of the whole pool, its weight W, to which a complete path jumps from half of it; None on others."""
        return float(self._ends[:, -1].max()) if self.complete else None

    @cached_property
    def jump(self) -> float:
        """The penalty beyond which all of the pool is the optimum on a complete path, S (formulation, "s > W/2")."""
        return far_minus_near(self.distances, self.weights, self.longest, self.mu)

    @cached_property
    def _ends(self) -> Array:
        """Cumulative weights: where each entry's mass ends on the scale of s."""
        return np.cumsum(self.weights, axis=1)

    @cached_property
    def shortest(self) -> float:
        """The smallest s on the path, that of lambda = 0: every target on its nearest candidate alone."""
        return min(float(self.weights[:, 0].min()), self.longest)

    @cached_property
    def _flat(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The listed candidates, and for each entry of the lists which of them it is."""
        return numbered(np.where(self.weights > 0, self.indices, self.indices[0, 0]))

    @cached_property
    def _entry(self) -> Array:
        """The s above which each listed candidate has mass, sorted."""
        before = begins(self._ends)
        first = np.full(len(self._flat[0]), np.inf)
        there = self.weights > 0
        np.minimum.at(first, self._flat[1][there], before[there])
        return np.sort(first)

    def probabilities(self, s: float) -> tuple[NDArray[np.int64], Array]:
        """The candidates with mass at s, ascending, and their probabilities p_j = sum_i gamma_ij."""
        found = self._flat[0]
        p = self._sums(s)
        return found[p > 0], np.asarray(p[p > 0], dtype=np.float64)

    def _sums(self, s: float) -> Array:
        """p of every listed candidate at s."""
        columns = self._columns(s)
        mass = row_mass(self.weights[:, :columns], s, self.mu, self._ends[:, :columns])
        found, inverse = self._flat
        p = np.bincount(inverse[:, :columns].ravel(), weights=mass.ravel(), minlength=len(found))
        return np.asarray(p, dtype=np.float64)

    def support(self, s: float) -> int:
        """How many candidates have mass at s."""
        return int(np.searchsorted(self._entry, s, side="left"))

    def largest(self, s: float) -> float:
        """The largest probability of one candidate at s."""
        return float(self._sums(s).max())

    def effective_size(self, s: float) -> float:
        """The effective sample size 1 / sum p_j^2 at s."""
        return float(1.0 / np.square(self._sums(s)).sum())

    def point(self, s: float) -> PathPoint:
        """Everything the path knows about one s.

        Raises:
          ValueError: if s is not on the path, or beyond what the fetched lists can answer.
        """
        if not 0 < s <= self.longest * (1 + ROUNDING) and s != self.whole:
            raise ValueError(f"s = {s:g} is not on the path, which ends at {self.longest:g}")
        p = self.probabilities(s)[1]
        if s == self.whole:
            penalty = np.inf
        else:  # half of the pool's weight is the optimum until the jump
            penalty = self.jump if self.complete and s >= self.longest else self.curve.penalty_range(s)[1]
        return PathPoint(
            neighbors=float(s),
            penalty=penalty,
            alpha=alpha_from_penalty(penalty, self.scale),
            transport_cost=self.curve.transport_cost(s),
            support=len(p),
            effective_size=float(1.0 / np.square(p).sum()),
            largest=float(p.max()),
        )

    def at(
        self,
        *,
        penalty: float | None = None,
        alpha: float | None = None,
        neighbors: float | None = None,
        effective_size: float | None = None,
    ) -> PathPoint:
        """The point for one strength: give exactly one.

        On a complete path every penalty has one: beyond half of the pool's weight it is that half, and the whole pool
        from where the penalty outweighs the distances.

        Raises:
          ValueError: if none or several are given, or it lies beyond what the fetched lists can answer.
        """
        if sum(x is not None for x in (penalty, alpha, neighbors, effective_size)) != 1:
            raise ValueError("give exactly one of penalty, alpha, neighbors and effective_size")
        if alpha is not None:
            penalty = penalty_from_alpha(alpha, self.scale)
        if penalty is not None:
            s = self.curve.neighbors(penalty)
            if s is not None and s <= self.longest * (1 + ROUNDING):
                return self.point(s)
            if self.whole is None:
                raise ValueError(f"penalty {penalty:g} lies beyond the fetched neighbours (s up to {self.longest:g})")
            return self.point(self.whole if penalty > self.jump else self.longest)
        if effective_size is not None:
            found = self.smallest(lambda s: self.effective_size(s) >= effective_size)
            if found is None:
                most = self.effective_size(self.longest)
                raise ValueError(f"effective size {effective_size:g} is not reached; the lists give up to {most:.6g}")
            return self.point(found)
        assert neighbors is not None
        return self.point(neighbors)

    def smallest(self, wanted: Callable[[float], bool], ratio: float = 1.1, tolerance: float = 1e-3) -> float | None:
        """The smallest s on a geometric grid at which `wanted` holds, then refined by bisection below it.

        Neither max p nor the effective size is monotone along the path (a hub far down every list raises max p when
        it enters), so the grid is walked from the left; `ratio` is its step, `tolerance` the relative width of the
        bracket at the end. None if it holds nowhere.
        """
        low, s = 0.0, self.shortest
        while not wanted(s):
            if s >= self.longest:
                return None
            low, s = s, min(s * ratio, self.longest)
        while low > 0 and s / low > 1 + tolerance:
            middle = (low * s) ** 0.5
            low, s = (low, middle) if wanted(middle) else (middle, s)
        return s

    def grid(self, points: int = 40) -> Array:
        """Values of s from one end of the path to the other, evenly on a logarithmic scale."""
        if self.longest <= self.shortest:
            return np.array([self.longest])
        return np.geomspace(self.shortest, self.longest, points)

    def table(self, points: int = 40) -> list[PathPoint]:
        """The path at `points` values of s."""
        return [self.point(min(s, self.longest)) for s in self.grid(points)]

    def _columns(self, s: float) -> int:
        """How many columns of the lists can have mass at s."""
        reached = self._least_before < s
        return max(int(reached.sum()), 1)

    @cached_property
    def _least_before(self) -> Array:
        """Per column, the least cumulative weight that comes before it in any row: non-decreasing."""
        before = begins(self._ends)
        return np.asarray(np.where(self.weights > 0, before, np.inf).min(axis=0))
