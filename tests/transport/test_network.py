"""The cheapest flow on a list of edges, against linear programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array

from tsds.arrays import Array
from tsds.transport import flow
from tsds.transport.flow import optimal_flow
from tsds.transport.network import cheapest_flow


def _optimum(row: Array, column: Array, cost: Array, supply: Array, capacity: Array, outside: float | None) -> float:
    """By HiGHS through SciPy; infinite if there is no flow."""
    m, n, e = len(supply), len(capacity), len(row)
    leave = np.arange(m) if outside is not None else np.empty(0, np.int64)
    c = np.concatenate([cost, np.full(len(leave), outside or 0.0)])
    leaves = coo_array(
        (np.ones(e + len(leave)), (np.concatenate([row, leave]), np.arange(e + len(leave)))), shape=(m, e + len(leave))
    )
    arrives = coo_array((np.ones(e), (column, np.arange(e))), shape=(n, e + len(leave)))
    found = linprog(c, A_ub=arrives, b_ub=capacity, A_eq=leaves, b_eq=supply)
    return float(found.fun) if found.success else np.inf


def _graph(seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array, Array]:
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 8, 2)
    there = rng.random((m, n)) < 0.7
    there[np.arange(m), rng.integers(0, n, m)] = True
    row, column = np.nonzero(there)
    supply = rng.random(m) * (rng.random(m) < 0.8) + 1e-3
    return row, column, rng.random(len(row)) - 0.5, supply, rng.random(n) * 2 * supply.sum() / n


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_equals_the_linear_program_or_says_that_there_is_no_flow(seed: int) -> None:
    row, column, cost, supply, capacity = _graph(seed)
    truth = _optimum(row, column, cost, supply, capacity, None)
    if np.isfinite(truth):
        flow = cheapest_flow(row, column, cost, supply, capacity)
        assert flow @ cost == pytest.approx(truth, abs=1e-6 * supply.sum())
        np.testing.assert_allclose(np.bincount(row, flow, len(supply)), supply, atol=1e-9 * supply.sum())
        assert (np.bincount(column, flow, len(capacity)) <= capacity + 1e-9 * supply.sum()).all()
        assert (flow >= 0).all()
    else:
        with pytest.raises(ArithmeticError, match="ended as"):
            cheapest_flow(row, column, cost, supply, capacity)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_what_finds_no_place_stays_outside(seed: int) -> None:
    row, column, cost, supply, capacity = _graph(seed)
    flow = cheapest_flow(row, column, cost, supply, capacity, leave=True)
    truth = _optimum(row, column, cost, supply, capacity, 1e3)
    assert flow @ cost + 1e3 * (supply.sum() - flow.sum()) == pytest.approx(truth, abs=2e-6 * supply.sum())


def test_no_supply_is_no_flow() -> None:
    row = np.arange(2)
    assert cheapest_flow(row, row, np.ones(2), np.zeros(2), np.ones(2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bounded", [False, True])
def test_both_solvers_agree_where_prices_begin_with_a_sample(bounded: bool) -> None:
    """More rows than are solved for at once, hubs that everything is near to, ties."""
    rng = np.random.default_rng(3)
    m, n, k = 4200, 600, 25
    points, places = rng.random((m, 3)), rng.random((n, 3)) ** 2
    d = np.round(np.linalg.norm(points[:, None] - places, axis=2), 4)
    column = np.argsort(d, axis=1)[:, :k]
    cost = np.take_along_axis(d, column, 1)
    supply, capacity = np.full(m, 1 / m), np.full(n, 1 / 300)
    outside = np.full(m, 50.0)
    caps = np.full(cost.shape, 1 / m / 5.5) if bounded else None
    found = optimal_flow(cost, column, supply, capacity, outside=outside, edge_capacity=caps)
    dual = supply @ found.row_price - capacity @ found.column_price
    if caps is not None:
        dual -= caps[0, 0] * np.maximum(found.row_price[:, None] - found.column_price[column] - cost, 0).sum()
        assert (found.mass <= caps * (1 + 1e-7)).all()
    primal = (found.mass * cost).sum() + found.outside @ outside
    assert dual == pytest.approx(primal, rel=1e-9)
    assert (found.row_price <= outside + 1e-9).all()
    assert (np.bincount(column.ravel(), found.mass.ravel(), n) <= capacity * (1 + 1e-7)).all()
    np.testing.assert_allclose(found.mass.sum(axis=1) + found.outside, supply, rtol=1e-7)
    if not bounded:
        row = np.repeat(np.arange(m), k)
        flow = cheapest_flow(row, column.ravel(), cost.ravel(), supply, capacity, leave=True)
        assert flow @ cost.ravel() == pytest.approx((found.mass * cost).sum(), rel=1e-6)


def test_a_solver_without_a_verdict_is_asked_less_sharply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding may keep the sharpest tolerance from being proven; the plan must not be lost for it."""
    rng = np.random.default_rng(1)
    cost, column = rng.random((30, 8)), np.array([rng.choice(20, 8, replace=False) for _ in range(30)])
    supply, capacity, outside = np.full(30, 1 / 30), np.full(20, 1 / 15), np.full(30, 9.0)
    sharp = flow.optimal_flow(cost, column, supply, capacity, outside=outside)
    real, asked = flow._Solver._run, []

    def run(self: flow._Solver, tolerance: float) -> str:
        asked.append(tolerance)
        said = real(self, tolerance)
        return said if tolerance > 1e-9 else "Unknown"

    monkeypatch.setattr(flow._Solver, "_run", run)
    found = flow.optimal_flow(cost, column, supply, capacity, outside=outside)
    assert asked[:3] == [1e-10, 1e-9, 1e-8] and set(asked[3:]) <= {1e-8}
    assert (found.mass * cost).sum() == pytest.approx((sharp.mass * cost).sum(), rel=1e-7)
    monkeypatch.setattr(flow._Solver, "_run", lambda self, tolerance: "Unknown")
    with pytest.raises(ArithmeticError, match="HiGHS ended as 'Unknown'"):
        flow.optimal_flow(cost, column, supply, capacity, outside=outside)
