"""Capacitated transport on a sparse graph, exactly and with prices: HiGHS on the few edges that are in doubt.

    minimise   sum_ij cost_ij f_ij + sum_i outside_i o_i
    over       f, o >= 0,   sum_j f_ij + o_i = supply_i,   sum_i f_ij <= capacity_j,   f_ij <= edge_capacity_ij

With row prices u and column prices v of an optimum, an edge with cost_ij + v_j < u_i is full and one with more is
empty: only those about the margin are in doubt. So each edge is empty, in doubt or full at first; the solver sees those
in doubt, and of the columns those that the other two could overfill; and what its prices contradict is put in doubt,
until nothing is. The last answer is the optimum on all edges (Dantzig and Wolfe 1960, from both bounds).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array

#: Edges of a row that are in doubt at first: those that its supply ends in, a twentieth of it to either side, and the
#: nearest few. How many a row may add in a round, and after how many rounds that
#: doubles with each (benchmarks/balanced.py).
_MARGIN, _FIRST, _ADDED, _PATIENCE = 0.05, 12, 20, 4
#: Of four times as many rows, so many are solved for alone, for prices to begin with.
_SAMPLE = 1000
#: Prices contradict an edge if by more than this share of a typical cost, or than rounding makes of the largest.
_TOLERANCE, _EPSILON = 1e-10, 4 * float(np.finfo(np.float64).eps)
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
    price: Array | None = None,
) -> Flow:
    """The cheapest flow from m rows to n columns.

    Costs may be in any unit: the solver's tolerances are absolute, so that it is given them in units of a typical one.

    Args:
      cost: [m, k], of the edges of each row; infinite where there is none.
      column: [m, k], which column each edge leads to; no column twice in a row.
      supply: [m], what leaves each row, not negative.
      capacity: [n], what each column can take.
      outside: [m], the cost of leaving a unit of a row's supply without a place.
      edge_capacity: [m, k], what each edge can take; no bound if None.
      price: [n], of columns, to begin with; any will do, those of a similar problem save most of the work.

    Raises:
      ArithmeticError: if the solver gives up, which on a feasible bounded problem it should not.
    """
    if price is None and len(cost) >= 4 * _SAMPLE:
        price = _sampled_prices(cost, column, supply, capacity, outside, edge_capacity)
    unit = _typical(cost)
    cost, outside = cost / unit, outside / unit
    scale = float(supply.mean()) or 1.0  # masses near one keep the solver's absolute tolerances small
    supply, capacity = supply / scale, capacity / scale
    most = np.full(cost.shape, np.inf) if edge_capacity is None else edge_capacity / scale
    there = np.isfinite(cost)
    most = np.where(there, np.minimum(most, supply[:, None]), 0.0)
    slack = max(_TOLERANCE, _EPSILON * max(float(cost[there].max(initial=0.0)), float(outside.max())))
    full, doubt = _guess(cost if price is None else cost + price[column] / unit, most, supply)
    new = doubt.copy()
    solver = _Solver(cost, column, supply, capacity, outside, most)
    rounds = 0
    while True:
        rounds += 1
        freed = full & solver.watch(column[full | doubt], most[full | doubt])[column]
        full, doubt, new = full & ~freed, doubt | freed, new | freed
        solver.add(new, (most * full).sum(axis=1))
        u, v = solver.solve()
        gain = u[:, None] - v[column] - cost  # how much cheaper than the row's price an edge is
        hurts = full & (gain < -slack)
        gain[full | doubt | ~there] = -np.inf
        helps = gain > slack
        if not helps.any() and not hurts.any():
            break
        added = _ADDED << max(rounds - _PATIENCE, 0)
        if cost.shape[1] > added:
            least = -np.partition(-gain, added - 1, axis=1)[:, added - 1 : added]
            helps &= gain >= least
        new = helps | hurts
        full, doubt = full & ~hurts, doubt | new
    mass, left = solver.flows()
    mass[full] = most[full]
    return Flow(mass * scale, left * scale, u * unit, v * unit, int(doubt.sum()), rounds)


def _typical(cost: Array) -> float:
    """The power of two about the median cost of some rows, so that dividing by it rounds nothing; one if all are zero.

    Not the largest, which one far column decides: then all others would lie below the solver's tolerance.
    """
    some = cost[:: max(1, len(cost) // _SAMPLE)]
    some = some[np.isfinite(some) & (some > 0)]
    return float(np.ldexp(1.0, np.frexp(np.median(some))[1])) if len(some) else 1.0


def _sampled_prices(
    cost: Array,
    column: NDArray[np.int64],
    supply: Array,
    capacity: Array,
    outside: Array,
    edge_capacity: Array | None,
) -> Array | None:
    """Prices of columns when some of the rows, evenly spaced, stand for all, [n]; None if those have no supply."""
    some = slice(None, None, len(cost) // _SAMPLE)
    part = float(supply[some].sum() / supply.sum()) if supply.any() else 0.0
    if part == 0:
        return None
    caps = None if edge_capacity is None else edge_capacity[some] / part
    return optimal_flow(
        cost[some], column[some], supply[some] / part, capacity, outside=outside[some], edge_capacity=caps
    ).column_price


def _guess(key: Array, most: Array, supply: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which edges are full at first, and which in doubt, by their order within a row, [m, k] each."""
    order = np.argsort(key, axis=1, kind="stable")
    held = np.take_along_axis(most, order, 1)
    after = np.cumsum(held, axis=1)
    full, doubt = np.zeros(key.shape, bool), np.zeros(key.shape, bool)
    np.put_along_axis(full, order, after <= (1 - _MARGIN) * supply[:, None], 1)
    near = (after - held < (1 + _MARGIN) * supply[:, None]) | (np.arange(key.shape[1]) < _FIRST)
    np.put_along_axis(doubt, order, near, 1)
    full &= most > 0
    return full, doubt & (most > 0) & ~full


#: Tolerances of prices, in units of a typical cost, tried in turn. Targets on top of their candidates pay far less than
#: that; but rounding may keep the solver from the sharpest, and it then ends without a verdict.
_SHARPNESS = (1e-10, 1e-9, 1e-8, 1e-7)


class _Solver:
    """HiGHS: rows and watched columns of the graph are its constraints, edges in doubt its variables.

    Its first m variables are what stays outside, the next m what is on full edges.
    """

    def __init__(
        self, cost: Array, column: NDArray[np.int64], supply: Array, capacity: Array, outside: Array, most: Array
    ) -> None:
        from highspy import HighsLp, MatrixFormat
        from highspy._core import _Highs  # highspy.Highs itself greets on standard output

        self._cost, self._column, self._supply, self._capacity, self._most = cost, column, supply, capacity, most
        self._m = m = len(cost)
        self._i, self._k = np.empty(0, np.int64), np.empty(0, np.int64)  # the edges that are variables
        self._constraint = np.full(len(capacity), -1)  # of each column, if it is watched
        self._highs: Any = _Highs()
        for option, value in (("output_flag", False), ("presolve", "off"), ("threads", 1), ("solver", "simplex")):
            self._highs.setOptionValue(option, value)
        self._sharpness = list(_SHARPNESS)
        lp = HighsLp()
        lp.num_col_, lp.num_row_ = 2 * m, m
        lp.col_cost_, lp.col_lower_ = np.concatenate([outside, np.zeros(m)]), np.zeros(2 * m)
        lp.col_upper_ = np.repeat([_ENDLESS, 0.0], m)
        lp.row_lower_, lp.row_upper_ = supply, supply
        lp.a_matrix_.format_ = MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.arange(2 * m + 1, dtype=np.int32)
        lp.a_matrix_.index_ = np.tile(np.arange(m, dtype=np.int32), 2)
        lp.a_matrix_.value_ = np.ones(2 * m)
        self._highs.passModel(lp)

    def watch(self, columns: NDArray[np.int64], loads: Array) -> NDArray[np.bool_]:
        """Make constraints of the columns that these loads would overfill; which of all are constraints now, [n]."""
        total = np.bincount(columns, weights=loads, minlength=len(self._capacity))
        new = np.flatnonzero((total > self._capacity) & (self._constraint < 0))
        count, first = len(new), self._m + int((self._constraint >= 0).sum())
        if count:
            self._constraint[new] = first + np.arange(count)
            constraint = self._constraint[self._column[self._i, self._k]]
            inside = np.flatnonzero(constraint >= first)
            inside = inside[np.argsort(constraint[inside], kind="stable")]
            starts = np.searchsorted(constraint[inside], first + np.arange(count)).astype(np.int32)
            variables, ones = (2 * self._m + inside).astype(np.int32), np.ones(len(inside))
            self._highs.addRows(
                count, np.full(count, -_ENDLESS), self._capacity[new], len(inside), starts, variables, ones
            )
        return self._constraint >= 0

    def add(self, edges: NDArray[np.bool_], on_full: Array) -> None:
        """Make variables of these edges, [m, k]; and say what the full edges of each row hold, [m]."""
        i, k = np.nonzero(edges)
        constraint = self._constraint[self._column[i, k]]
        watched = constraint >= 0
        starts = np.cumsum(1 + watched) - (1 + watched)
        index = np.empty(len(i) + int(watched.sum()), np.int32)
        index[starts] = i
        index[starts[watched] + 1] = constraint[watched]
        # What could take all of a row's supply is not bound by that: a price for it would prove nothing.
        upper = np.where(self._most[i, k] < self._supply[i], self._most[i, k], _ENDLESS)
        self._highs.addCols(
            len(i), self._cost[i, k], np.zeros(len(i)), upper,
            len(index), starts.astype(np.int32), index, np.ones(len(index)),
        )  # fmt: skip
        self._i, self._k = np.concatenate([self._i, i]), np.concatenate([self._k, k])
        self._highs.changeColsBounds(self._m, np.arange(self._m, 2 * self._m, dtype=np.int32), on_full, on_full)

    def solve(self) -> tuple[Array, Array]:
        """Optimise from where it stands; the prices of rows and columns."""
        while (status := self._run(self._sharpness[0])) != "Optimal":
            if len(self._sharpness) == 1:
                raise ArithmeticError(f"HiGHS ended as {status!r}")
            del self._sharpness[0]
        dual = np.asarray(self._highs.getSolution().row_dual)
        price = np.zeros(len(self._capacity))
        watched = self._constraint >= 0
        price[watched] = np.maximum(-dual[self._constraint[watched]], 0.0)
        return dual[: self._m], price

    def _run(self, tolerance: float) -> str:
        """Optimise to a tolerance of prices; how that ended."""
        self._highs.setOptionValue("dual_feasibility_tolerance", tolerance)
        self._highs.run()
        return str(self._highs.modelStatusToString(self._highs.getModelStatus()))

    def flows(self) -> tuple[Array, Array]:
        """Flow on the edges that are variables, [m, k], and outside of them, [m]."""
        values = np.maximum(np.asarray(self._highs.getSolution().col_value), 0.0)
        mass = np.zeros(self._cost.shape)
        mass[self._i, self._k] = values[2 * self._m :]
        return mass, values[: self._m]
