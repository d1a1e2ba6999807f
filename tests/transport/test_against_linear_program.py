"""Closed-form plans have the optimum's objective on thousands of random problems, in every regime."""

import numpy as np
import pytest

from tests.truth.linear_program import objective, optimum
from tsds.transport import RegularizationPath, row_mass, solve

CASES = 2100
GAP = 1e-9


def problem(seed: int):
    """A small random problem: Gaussian, clustered, on a grid (ties), or with duplicated candidates."""
    rng = np.random.default_rng(seed)
    m, n, dim = rng.integers(1, 5), rng.integers(2, 11), rng.integers(1, 4)
    x, t = rng.normal(size=(n, dim)), rng.normal(size=(m, dim))
    kind = seed % 4
    if kind == 1:  # distances tie
        x, t = np.round(x), np.round(t)
    elif kind == 2:  # exact copies
        x[rng.integers(n, size=n // 2)] = x[0]
    elif kind == 3:
        x[: n // 2] = x[0] + 0.01 * rng.normal(size=(n // 2, dim))
    d = np.linalg.norm(t[:, None] - x[None], axis=2)
    bandwidth = rng.uniform(0.05, 1.5)
    pairs = np.linalg.norm(x[:, None] - x[None], axis=2)
    density = np.maximum(1 - (pairs / bandwidth) ** 2, 0).sum(axis=1)
    mu = np.full(m, 1 / m) if seed % 3 else rng.dirichlet(np.ones(m)) * 0.9 + 0.1 / m
    # From almost pure alignment to so strong a penalty that the whole pool is taken.
    penalty = float(10 ** rng.uniform(-2, 2)) * n / 4
    return d, density, mu, penalty


def spread(mass, order, n):
    full = np.zeros((len(mass), n))
    np.put_along_axis(full, order, mass, axis=1)
    return full


@pytest.mark.parametrize("regularizer", ["kde", "uniform", "tv"])
def test_plans_are_optimal(regularizer):
    regimes = {}
    for seed in range(CASES // 3):
        d, density, mu, penalty = problem(seed)
        n = d.shape[1]
        w = 1 / density if regularizer == "kde" else np.ones(n)
        if regularizer == "tv" and seed % 2:
            w = 1 / density
        order = np.argsort(d, axis=1, kind="stable")
        plan = solve(
            np.take_along_axis(d, order, axis=1),
            w[order],
            penalty=penalty,
            target_weights=mu,
            complete=True,
            regularizer=regularizer,
        )
        gamma = spread(plan.mass, order, n)
        kind = "tv" if regularizer == "tv" else "max"
        best, _ = optimum(d, w, penalty, mu, kind)
        ours = objective(gamma, d, w, penalty, mu, kind)
        np.testing.assert_allclose(gamma.sum(axis=1), mu, rtol=1e-12)
        assert (gamma >= 0).all() and plan.exact
        assert ours - best <= GAP * max(abs(best), 1e-3), (seed, ours, best, plan)
        assert plan.cost == pytest.approx((gamma * d).sum())
        regimes[plan.regime] = regimes.get(plan.regime, 0) + 1
    expected = {"tv"} if regularizer == "tv" else {"nearest", "half", "whole"}
    assert set(regimes) == expected and min(regimes.values()) > 20, regimes


def test_truncated_lists_give_the_full_solution_or_say_that_they_do_not():
    certified = refused = 0
    for seed in range(600):
        d, density, mu, penalty = problem(seed)
        n = d.shape[1]
        order = np.argsort(d, axis=1, kind="stable")
        sorted_d, w = np.take_along_axis(d, order, axis=1), (1 / density)[order]
        full = solve(sorted_d, w, penalty=penalty, target_weights=mu, complete=True)
        for k in range(1, n + 1):
            short = solve(
                sorted_d[:, :k], w[:, :k], penalty=penalty, target_weights=mu, pool_weight=float((1 / density).sum())
            )
            proven = solve(sorted_d[:, :k], w[:, :k], penalty=penalty, target_weights=mu)
            assert short.exact or not proven.exact  # knowing the pool's weight can only help
            if short.exact:
                certified += 1
                np.testing.assert_allclose(short.mass, full.mass[:, :k], atol=1e-14)
                assert np.abs(full.mass[:, k:]).max(initial=0.0) < 1e-14
            else:
                refused += 1
                np.testing.assert_allclose(short.mass.sum(axis=1), mu)
    assert certified > 500 and refused > 500


def test_ragged_lists_give_the_full_total_variation_plan_or_say_that_they_do_not():
    certified = refused = 0
    for seed in range(300):
        d, density, mu, penalty = problem(seed)
        order = np.argsort(d, axis=1, kind="stable")
        sorted_d, w = np.take_along_axis(d, order, axis=1), (1 / density)[order]
        setting = {"penalty": penalty / d.shape[1], "target_weights": mu, "regularizer": "tv"}
        full = solve(sorted_d, w, complete=True, **setting)
        # Lists end where near ties could not be told apart, each elsewhere.
        ends = np.random.default_rng(seed).integers(1, d.shape[1] + 1, len(d))
        listed = np.arange(d.shape[1]) < ends[:, None]
        short = solve(
            np.where(listed, sorted_d, np.inf),
            np.where(listed, w, 0),
            pool_weight=float((1 / density).sum()),
            **setting,
        )
        if short.exact:
            certified += 1
            np.testing.assert_allclose(short.mass, full.mass, atol=1e-14)
        else:
            refused += 1
    assert certified > 20 and refused > 20


def test_the_path_agrees_with_the_solver_and_its_own_definitions():
    for seed in range(100):
        d, density, mu, _ = problem(seed)
        order = np.argsort(d, axis=1, kind="stable")
        sorted_d, w = np.take_along_axis(d, order, axis=1), (1 / density)[order]
        path = RegularizationPath(sorted_d, w, order, target_weights=mu, complete=True)
        for point in path.table(7):
            plan = solve(sorted_d, w, neighbors=point.neighbors, target_weights=mu, complete=True)
            p = np.bincount(order.ravel(), weights=plan.mass.ravel(), minlength=d.shape[1])
            assert point.transport_cost == pytest.approx(plan.cost, abs=1e-12)
            assert point.effective_size == pytest.approx(1 / (p**2).sum())
            assert point.largest == pytest.approx(p.max())
            assert abs(point.support - (p > 0).sum()) == 0
            assert abs(path.support(point.neighbors) - point.support) <= (p < 1e-12).sum()
            low, high = path.curve.penalty_range(point.neighbors)
            for penalty in (low, (low + high) / 2, high):
                best, _ = optimum(d, 1 / density, penalty, mu)
                ours = objective(spread(plan.mass, order, d.shape[1]), d, 1 / density, penalty, mu)
                assert ours == pytest.approx(best, rel=1e-9, abs=1e-12)


def test_a_complete_path_answers_every_penalty_as_the_linear_program_does():
    ends = {"nearest": 0, "half": 0, "whole": 0}
    for seed in range(400):
        d, density, mu, penalty = problem(seed)
        order = np.argsort(d, axis=1, kind="stable")
        sorted_d, w = np.take_along_axis(d, order, axis=1), (1 / density)[order]
        path = RegularizationPath(sorted_d, w, order, target_weights=mu, complete=True)
        point = path.at(penalty=penalty)
        gamma = spread(row_mass(w, point.neighbors, mu), order, d.shape[1])
        best, _ = optimum(d, 1 / density, penalty, mu)
        assert objective(gamma, d, 1 / density, penalty, mu) - best <= GAP * max(abs(best), 1e-3)
        assert point.transport_cost == pytest.approx((gamma * d).sum(), abs=1e-12)
        half = path.point(path.longest)
        gamma = spread(row_mass(w, half.neighbors, mu), order, d.shape[1])
        best, _ = optimum(d, 1 / density, half.penalty, mu)
        assert objective(gamma, d, 1 / density, half.penalty, mu) - best <= GAP * max(abs(best), 1e-3)
        assert path.at(penalty=half.penalty * 1.001 + 1e-9).neighbors == path.whole
        ends[solve(sorted_d, w, penalty=penalty, target_weights=mu, complete=True).regime] += 1
        everyone = path.at(alpha=0)
        share = 1 / density / (1 / density).sum()
        found, p = path.probabilities(everyone.neighbors)
        np.testing.assert_array_equal(found, np.arange(d.shape[1]))
        np.testing.assert_allclose(p, share)
        assert everyone.support == d.shape[1] and everyone.alpha == 0 and everyone.penalty == np.inf
        assert everyone.effective_size == pytest.approx(1 / (share**2).sum())
        assert everyone.transport_cost == pytest.approx(mu @ d @ share)
    assert min(ends.values()) > 20, ends


def test_a_path_on_short_lists_does_not_answer_beyond_them():
    path = RegularizationPath(np.array([[0.0, 1.0, 2.0]]), np.ones((1, 3)), np.array([[0, 1, 2]]))
    with pytest.raises(ValueError, match="beyond the fetched neighbours"):
        path.at(alpha=0)
