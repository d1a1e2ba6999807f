"""The cheapest flow on a list of edges, without prices: OR-tools' minimum-cost flow.

    minimise   sum_e cost_e f_e + outside sum_i o_i
    over       f, o >= 0,   sum of f over the edges of row i + o_i = supply_i,   sum of f into column j <= capacity_j

Where transport/flow.py proves its answer by prices and takes bounds on edges, this is for problems that need neither,
and is some thirty times as quick on those of shares.py (benchmarks/gathering.py): cost scaling on integers, to which
masses and costs are rounded finely enough that the flow is exact to about nine digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array

#: The whole mass, and the range of costs, in integers. Together with the number of nodes they stay below 2^63.
_MASS, _RANGE = 1 << 40, 1 << 24
#: What floating point may have added to or taken from a whole number of that size.
_ROUNDING = 1e-3
#: How much dearer than the dearest edge it may be to leave mass outside.
_MOST_OUTSIDE = 1 << 10


def cheapest_flow(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    cost: Array,
    supply: Array,
    capacity: Array,
    *,
    leave: bool = False,
) -> Array:
    """The flow on each edge, [e].

    Args:
      row, column: [e], the ends of each edge.
      cost: [e], of a unit of flow, in any scale.
      supply: [m], what leaves each row, not negative.
      capacity: [n], what each column can take.
      leave: whether mass that finds no place may stay outside, at a cost a thousand times the range of the edges'.

    Raises:
      ArithmeticError: if the columns that the rows lead to can't take the supply, and none may stay outside.

    >>> row, column = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    >>> flow = cheapest_flow(row, column, np.array([1.0, 4.0, 1.0, 2.0]), np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    >>> flow.round(6).tolist()
    [0.5, 0.0, 0.0, 0.5]
    """
    from ortools.graph.python import min_cost_flow

    m, n, total = len(supply), len(capacity), float(supply.sum())
    if total == 0 or not len(row):
        return np.zeros(len(row))
    mass = max(_MASS // (m * n), 1) * m * n  # equal parts of it are whole numbers, on which the solver is quicker
    units = np.floor(supply * (mass / total) + _ROUNDING).astype(np.int64)
    # Capacities are rounded up: what fitted still fits.
    room = np.ceil(np.minimum(capacity * (mass / total), mass) - _ROUNDING).astype(np.int64)
    least = float(cost.min())
    price = np.round((cost - least) * (_RANGE / (float(cost.max()) - least or 1.0))).astype(np.int64)
    solver = min_cost_flow.SimpleMinCostFlow()
    sink = m + n

    def add(tail: NDArray[np.int64], head: NDArray[np.int64], most: NDArray[np.int64], each: NDArray[np.int64]) -> None:
        solver.add_arcs_with_capacity_and_unit_cost(tail, head, most, each)

    add(row, m + column, units[row], price)
    add(m + np.arange(n), np.full(n, sink), room, np.zeros(n, np.int64))
    if leave:
        add(np.arange(m), np.full(m, sink), units, np.full(m, _MOST_OUTSIDE * _RANGE))
    solver.set_nodes_supplies(np.append(np.arange(m), sink), np.append(units, -units.sum()))
    status = solver.solve()
    if status != solver.OPTIMAL:
        raise ArithmeticError(f"the minimum-cost flow ended as {status.name}")
    flow: Array = np.asarray(solver.flows(np.arange(len(row))), dtype=np.float64) * (total / mass)
    return flow
