"""Balanced plans against a generic linear program, and their certificate against plans of all kinds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.truth.linear_program import balanced_optimum
from tsds.arrays import Array
from tsds.transport.balanced import balanced_plan


def _problem(seed: int) -> tuple[Array, Array, float, float | None, Array]:
    """Distances with ties and duplicate points, weights, S, s or none, masses with zeros; feasible."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 7)), int(rng.integers(2, 13))
    d = rng.random((m, n))
    if seed % 3 == 0:
        d = np.round(d, 1)
    if seed % 4 == 0:
        d[:, -1] = d[:, 0]
    w = rng.uniform(0.1, 1, n) if seed % 2 else np.ones(n)
    mu = rng.random(m) * (rng.random(m) > 0.1) + 1e-3
    size = float(rng.uniform(0.1, 1)) * w.sum()
    neighbors = None if seed % 5 == 0 else float(rng.uniform(0.05, 1)) * w.sum()
    return d, w, size, neighbors, mu / mu.sum()


def _sorted(d: Array, w: Array) -> tuple[Array, Array, NDArray[np.int64]]:
    order = np.argsort(d, axis=1, kind="stable")
    return np.take_along_axis(d, order, 1), w[order], order


@pytest.mark.parametrize("block", range(10))
def test_a_thousand_random_problems_equal_the_linear_program(block: int) -> None:
    for seed in range(100 * block, 100 * block + 100):
        d, w, size, neighbors, mu = _problem(seed)
        lists = _sorted(d, w)
        plan = balanced_plan(*lists, size, neighbors=neighbors, target_weights=mu, complete=True)
        truth = balanced_optimum(d, w, size, neighbors, mu)
        assert plan.cost == pytest.approx(truth, rel=1e-6, abs=1e-9)  # the reference is an interior-point method
        assert plan.gap <= 1e-9
        _check_feasible(plan.mass, lists[1], lists[2], size, neighbors, mu)


@pytest.mark.parametrize("unit", [1e-30, 1e-10, 1e-6, 1e18, 1e30])
def test_the_unit_of_the_distances_changes_nothing(unit: float) -> None:
    for seed in range(40):
        d, w, size, neighbors, mu = _problem(seed)
        dist, weight, index = _sorted(d, w)
        plan = balanced_plan(dist * unit, weight, index, size, neighbors=neighbors, target_weights=mu, complete=True)
        truth = balanced_optimum(d, w, size, neighbors, mu)
        assert plan.cost / unit == pytest.approx(truth, rel=1e-6, abs=1e-9)
        assert plan.proven and plan.gap <= 1e-9


def test_targets_on_top_of_their_candidates_are_told_apart_too() -> None:
    """Small clusters far from each other: what is paid is a millionth of a typical distance. The bound is the truth."""
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((20, 8))
    x = (centers[:, None] + 1e-6 * rng.standard_normal((20, 30, 8))).reshape(-1, 8)
    t = (centers[:, None] + 1e-6 * rng.standard_normal((20, 3, 8))).reshape(-1, 8)
    d = np.linalg.norm(t[:, None] - x[None], axis=2)
    plan = balanced_plan(*_sorted(d, np.ones(len(x))), 200, neighbors=3, complete=True)
    assert 0 < plan.cost < 1e-5
    assert plan.proven


def _check_feasible(
    mass: Array, w: Array, index: NDArray[np.int64], size: float, neighbors: float | None, mu: Array
) -> None:
    n = index.max() + 1
    p, weight = np.bincount(index.ravel(), mass.ravel(), n), np.zeros(n)
    weight[index] = w
    assert (mass >= 0).all()
    np.testing.assert_allclose(mass.sum(axis=1), mu, atol=1e-8)
    assert (p <= weight / size + 1e-8).all()
    if neighbors is not None:
        assert (mass <= mu[:, None] * w / neighbors + 1e-8).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_short_lists_without_outside_mass_are_the_optimum_and_else_a_bound(seed: int) -> None:
    d, w, size, neighbors, mu = _problem(seed)
    dist, weight, index = _sorted(d, w)
    whole = balanced_plan(dist, weight, index, size, neighbors=neighbors, target_weights=mu, complete=True)
    for k in range(1, d.shape[1]):
        plan = balanced_plan(dist[:, :k], weight[:, :k], index[:, :k], size, neighbors=neighbors, target_weights=mu)
        assert plan.bound <= whole.cost + 1e-9
        if not len(plan.short):
            assert plan.cost == pytest.approx(whole.cost, rel=1e-9, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.integers(0, 5))
def test_the_bound_holds_for_any_plan(seed: int, shift: int) -> None:
    """Weak duality, with no solver involved: mass poured greedily, in any order, costs at least the bound."""
    d, w, size, neighbors, mu = _problem(seed)
    plan = balanced_plan(*_sorted(d, w), size, neighbors=neighbors, target_weights=mu, complete=True)
    left, cost, placed = w / size, 0.0, 0.0
    for i in np.roll(np.arange(len(mu)), shift):
        most = left if neighbors is None else np.minimum(left, mu[i] * w / neighbors)
        order = np.argsort(d[i])
        take = np.clip(mu[i] - np.concatenate([[0.0], np.cumsum(most[order])[:-1]]), 0, most[order])
        left[order] -= take
        cost += float(take @ d[i][order])
        placed += float(take.sum())
    if placed > 1 - 1e-9:
        assert cost >= plan.bound - 1e-9


def test_no_hub_gets_more_than_its_capacity_where_a_row_plan_gives_it_everything() -> None:
    d = np.hstack([np.full((50, 1), 0.1), 0.5 + 0.01 * np.arange(1, 21) + 0.001 * np.arange(50)[:, None]])
    index = np.tile(np.arange(21), (50, 1))
    plan = balanced_plan(d, None, index, 10, complete=True)
    assert plan.probability.max() == pytest.approx(0.1)
    assert plan.price[0] > 0  # what everyone wants has a price


def test_more_than_the_candidates_can_hold_is_refused() -> None:
    d = np.array([[0.1, 0.2, 0.3]])
    with pytest.raises(ValueError, match="the candidates weigh 3"):
        balanced_plan(d, None, np.array([[0, 1, 2]]), 4, complete=True)
    with pytest.raises(ValueError, match="neighbors 5"):
        balanced_plan(d, None, np.array([[0, 1, 2]]), 2, neighbors=5, complete=True)
    with pytest.raises(ValueError, match="positive"):
        balanced_plan(d, None, np.array([[0, 1, 2]]), 0, complete=True)


def test_prices_to_start_from_change_nothing() -> None:
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((400, 8)), rng.standard_normal((40, 8))
    d = np.linalg.norm(t[:, None] - x[None], axis=2)
    lists = _sorted(d, np.ones(400))
    cold = balanced_plan(*lists, 100, neighbors=20, complete=True)
    warm = balanced_plan(*lists, 100, neighbors=20, complete=True, start=(cold.candidates, cold.price))
    assert warm.cost == pytest.approx(cold.cost, rel=1e-12)
    assert warm.edges < d.size / 2  # and most edges were never looked at
