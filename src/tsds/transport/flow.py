"""Capacitated transport on a sparse graph, exactly: HiGHS by column generation.

    minimise   sum_ij cost_ij f_ij + sum_i outside_i o_i
    over       f, o >= 0,   sum_j f_ij + o_i = supply_i,   sum_i f_ij <= capacity_j,   f_ij <= edge_capacity_ij

Of the many edges few carry flow, and prices tell which: with row prices u and column prices v of an optimum on some of
the edges, an edge left out can only help if cost_ij + v_j < u_i. So a few near edges of each row are solved for, the
edges that could help are added, and so on until none is left: the optimum on all of them (Dantzig and Wolfe 1960; for
the transport problem it is the network simplex with partial pricing, done by a library).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.transport.rows import Array

#: Edges of a row to begin with, and how many a row may add in a round (benchmarks/balanced.py).
_FIRST, _ADDED = 12, 8
#: An edge helps if it is cheaper than the row's price by more than this share of the largest cost.
_TOLERANCE = 1e-10
#: No flow: rounding of the solver.
NO_FLOW = 1e-9
_ENDLESS = 1e30  # HiGHS takes this for infinity


@dataclass(frozen=True)
class Flow:
    """An optimal flow with the prices that prove it.

    Attributes:
      mass: [m, k], flow on each edge.
      outside: [m], flow that found no place on the edges.
      row_price: [m], u.
      column_price: [n], v >= 0; zero where the capacity is not used up.
      edges: how many edges the solver looked at.
      rounds: how often it was called.
    """

    mass: Array
    outside: Array
    row_price: Array
    column_price: Array
    edges: int
    rounds: int


def optimal_flow(
    cost: Array,
    column: NDArray[np.int64],
    supply: Array,
    capacity: Array,
    *,
    outside: Array,
    edge_capacity: Array | None = None,
    first: NDArray[np.bool_] | None = None,
) -> Flow:
    """The cheapest flow from m rows to n columns.

    Args:
      cost: [m, k], of the edges of each row; infinite where there is none.
      column: [m, k], which column each edge leads to; no column twice in a row.
      supply: [m], what leaves each row, not negative.
      capacity: [n], what each column can take.
      outside: [m], the cost of leaving a unit of a row's supply without a place.
      edge_capacity: [m, k], what each edge can take; no bound if None.
      first: [m, k], edges to begin with; any will do, good ones save rounds. The first of each row if None.

    Raises:
      ArithmeticError: if the solver gives up, which on a feasible bounded problem it should not.
    """
    m, k = cost.shape
    scale = float(supply.mean()) or 1.0  # masses near one keep the solver's absolute tolerances small
    there = np.isfinite(cost)
    active = np.zeros((m, k), bool) if first is None else first & there
    if first is None:
        active[:, : min(k, _FIRST)] = there[:, : min(k, _FIRST)]
    slack = _TOLERANCE * max(float(cost[there].max(initial=0.0)), float(outside.max()), 1e-300)
    solver = _Solver(cost, column, supply / scale, capacity / scale, outside, edge_capacity, scale)
    solver.add(active)
    rounds = 0
    while True:
        rounds += 1
        u, v = solver.solve()
        # How much cheaper than the row's price an unused edge is.
        gain = u[:, None] - v[column] - cost
        gain[active] = -np.inf
        helps = gain > slack
        if not helps.any():
            break
        if k > _ADDED:
            least = -np.partition(-gain, _ADDED - 1, axis=1)[:, _ADDED - 1 : _ADDED]
            helps &= gain >= least
        solver.add(helps)
        active |= helps
    mass, left = solver.flows()
    return Flow(mass * scale, left * scale, u, v, int(active.sum()), rounds)


class _Solver:
    """HiGHS with the rows and columns of the graph as its constraints, and edges that are added as variables."""

    def __init__(
        self,
        cost: Array,
        column: NDArray[np.int64],
        supply: Array,
        capacity: Array,
        outside: Array,
        edge_capacity: Array | None,
        scale: float,
    ) -> None:
        from highspy import HighsLp, MatrixFormat
        from highspy._core import _Highs  # highspy.Highs itself greets on standard output

        self._cost, self._column, self._caps, self._scale = cost, column, edge_capacity, scale
        self._m, n = len(cost), len(capacity)
        self._where: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._highs: Any = _Highs()
        for option, value in (("output_flag", False), ("presolve", "off"), ("threads", 1), ("solver", "simplex")):
            self._highs.setOptionValue(option, value)
        lp = HighsLp()
        lp.num_col_, lp.num_row_ = self._m, self._m + n
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = outside, np.zeros(self._m), np.full(self._m, _ENDLESS)
        lp.row_lower_ = np.concatenate([supply, np.full(n, -_ENDLESS)])
        lp.row_upper_ = np.concatenate([supply, capacity])
        lp.a_matrix_.format_ = MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.arange(self._m + 1, dtype=np.int32)
        lp.a_matrix_.index_ = np.arange(self._m, dtype=np.int32)
        lp.a_matrix_.value_ = np.ones(self._m)
        self._highs.passModel(lp)

    def add(self, edges: NDArray[np.bool_]) -> None:
        """Make variables of these edges, [m, k]."""
        i, j = np.nonzero(edges)
        count = len(i)
        upper = np.full(count, _ENDLESS) if self._caps is None else self._caps[i, j] / self._scale
        ends = np.stack([i, self._m + self._column[i, j]], axis=1).astype(np.int32).ravel()
        starts = np.arange(0, 2 * count, 2, dtype=np.int32)
        self._highs.addCols(
            count, self._cost[i, j], np.zeros(count), upper, 2 * count, starts, ends, np.ones(2 * count)
        )
        self._where.append((i, j))

    def solve(self) -> tuple[Array, Array]:
        """Optimise from where it stands; the prices of rows and columns."""
        self._highs.run()
        status = self._highs.getModelStatus()
        if self._highs.modelStatusToString(status) != "Optimal":
            raise ArithmeticError(f"HiGHS ended as {self._highs.modelStatusToString(status)!r}")
        dual = np.asarray(self._highs.getSolution().row_dual)
        return dual[: self._m], np.maximum(-dual[self._m :], 0.0)

    def flows(self) -> tuple[Array, Array]:
        """Flow on all edges, [m, k], and outside of them, [m]."""
        values = np.maximum(np.asarray(self._highs.getSolution().col_value), 0.0)
        mass = np.zeros(self._cost.shape)
        i, j = (np.concatenate(part) for part in zip(*self._where, strict=True))
        mass[i, j] = values[self._m :]
        return mass, values[: self._m]
