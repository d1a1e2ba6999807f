"""Balanced transport: the regularizer acts on what is selected, not only on each target's row.

    minimise <gamma, d>   over gamma >= 0 with row sums mu_i,   column sums p_j <= w_j / S,   gamma_ij <= mu_i w_j / s

The bound on p_j keeps a candidate that is near many targets from collecting their mass: with S = B, the number of
examples wanted, B p_j <= 1, and a cluster of near-duplicates (w_j = 1 / rho_j) has the capacity of one example. The
bound on gamma_ij is that of KNN-KDE (rows.py): a target relies on s effective neighbours at least, so that a candidate
gets its mass from several targets that agree on it. Without it (s = None) this is the exact form of taking turns.

A linear program, solved on the listed neighbours by transport/flow.py. A target may also leave mass "outside", at the
cost of its last listed distance: no candidate that is not listed is nearer, or can have a price below zero. So the
optimum with this choice is a lower bound for the whole pool, and if nothing is left outside it is the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsds.arrays import Array
from tsds.transport.flow import NO_FLOW, optimal_flow
from tsds.transport.path import numbered
from tsds.transport.rows import check_rows, target_masses

#: A plan is the optimum if its cost is no more than this share above the dual bound.
PROVEN_GAP = 1e-6


class TooLittleRoom(ValueError):
    """The whole pool can't hold the mass: S or s exceeds its weight.

    Attributes:
      weight: of the pool, the effective number of its distinct candidates.
    """

    def __init__(self, weight: float, size: float, neighbors: float | None) -> None:
        self.weight = weight
        super().__init__(f"the candidates weigh {weight:.6g}: size {size:g} or neighbors {neighbors} is more than that")


@dataclass(frozen=True)
class BalancedPlan:
    """A balanced plan on the listed candidates, and its proof.

    Attributes:
      mass: [m, k], gamma. Rows sum to the targets' masses less what is left outside.
      outside: [m], mass that found no place on the lists.
      row_price: [m], u: what a little more of a target's mass would cost.
      candidates: [n], the listed candidates, ascending.
      probability: [n], p_j, what each gets of the mass.
      price: [n], v >= 0: what a little more of a candidate's capacity would save.
      capacity: [n], w_j / S.
      cost: <gamma, d>, with what is outside at its lower bound.
      bound: the dual objective at (u, v), a lower bound on the cost of every plan over the whole pool.
      gap: (cost - bound) / cost, relative.
      edges, rounds: the work of the solver.
    """

    mass: Array
    outside: Array
    row_price: Array
    candidates: NDArray[np.int64]
    probability: Array
    price: Array
    capacity: Array
    cost: float
    bound: float
    gap: float
    edges: int
    rounds: int

    @property
    def short(self) -> NDArray[np.int64]:
        """Targets whose lists were too short, so that the plan is not proven: fetch more for them."""
        return np.flatnonzero(self.outside > NO_FLOW * self.mass.sum() / len(self.mass))

    @property
    def proven(self) -> bool:
        """Whether the bound proves the plan to be the optimum over the whole pool."""
        return not len(self.short) and self.gap <= PROVEN_GAP


def balanced_plan(
    distances: ArrayLike,
    weights: ArrayLike | None,
    indices: NDArray[np.int64],
    size: float,
    *,
    neighbors: float | None = None,
    target_weights: ArrayLike | None = None,
    complete: bool = False,
    start: tuple[NDArray[np.int64], Array] | None = None,
) -> BalancedPlan:
    """The cheapest plan with p_j <= w_j / size for every candidate and gamma_ij <= mu_i w_j / s for every pair.

    Args:
      distances: [m, k], the nearest candidates of each target, ascending, not squared; infinite where missing.
      weights: [m, k], 1 / rho of the same candidates; ones if None; zero where missing.
      indices: [m, k], their positions in the pool; anything where missing.
      size: S, the number of effective candidates that must share the mass; the size of the selection, or less to let
        good candidates count more than once.
      neighbors: s, effective neighbours of each target; no bound if None.
      target_weights: [m], in any scale; equal if None.
      complete: whether each row lists every candidate of the pool.
      start: candidates, ascending, and their prices in a similar problem, to begin near its solution.

    Raises:
      ValueError: on malformed arrays.
      TooLittleRoom: if the lists are complete and the candidates can't hold all of the mass.
    """
    d = np.atleast_2d(np.asarray(distances, dtype=np.float64))
    w = np.isfinite(d).astype(np.float64) if weights is None else np.atleast_2d(np.asarray(weights, dtype=np.float64))
    check_rows(d, w)
    if not size > 0 or (neighbors is not None and not neighbors > 0):
        raise ValueError(f"size {size} and neighbors {neighbors} must be positive")
    mu = target_masses(len(d), None if target_weights is None else np.asarray(target_weights, dtype=np.float64))
    candidates, column = numbered(np.where(w > 0, indices, indices[0, 0]))
    weight = np.zeros(len(candidates))
    weight[column[w > 0]] = w[w > 0]
    capacity = weight / size
    bounds = None if neighbors is None else mu[:, None] * w / neighbors
    last = np.where(np.isfinite(d), d, -np.inf).max(axis=1)
    # With complete lists there is no outside: a cost beyond any path through the graph says so.
    outside = np.full(len(d), (2 * len(d) + 1) * (last.max() or 1.0)) if complete else last
    price = None if start is None else _prices(candidates, *start)
    flow = optimal_flow(d, column, mu, capacity, outside=outside, edge_capacity=bounds, price=price)
    if complete and flow.outside.sum() > 1e-7:
        raise TooLittleRoom(float(weight.sum()), size, neighbors)
    u, v = np.minimum(flow.row_price, outside), flow.column_price
    cost = float((flow.mass * np.where(flow.mass > 0, d, 0.0)).sum() + (flow.outside * last).sum())
    bound = float(mu @ u - capacity @ v)
    if bounds is not None:
        listed = w > 0
        surplus = np.maximum((u[:, None] - v[column])[listed] - d[listed], 0.0)
        bound -= float(bounds[listed] @ surplus)
    gap = max(cost - bound, 0.0) / cost if cost > 0 else 0.0
    p = np.bincount(column.ravel(), weights=flow.mass.ravel(), minlength=len(candidates)).astype(np.float64)
    return BalancedPlan(
        flow.mass, flow.outside, u, candidates, p, v, capacity, cost, bound, gap, flow.edges, flow.rounds
    )


def _prices(candidates: NDArray[np.int64], known: NDArray[np.int64], price: Array) -> Array:
    """Prices of candidates, zero where not known."""
    at = np.minimum(np.searchsorted(known, candidates), len(known) - 1)
    return np.where(known[at] == candidates, price[at], 0.0)
