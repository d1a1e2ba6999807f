"""The transport cost between two sets of points, against assignment and a linear program."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog
from scipy.stats import wasserstein_distance

from tsds.transport.between import transport_cost_between


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 30))
def test_equal_numbers_are_an_assignment(seed: int, n: int) -> None:
    d = np.random.default_rng(seed).random((n, n))
    rows, columns = linear_sum_assignment(d)
    assert transport_cost_between(d) == pytest.approx(d[rows, columns].mean(), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_weights_and_counts_are_a_linear_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, b = rng.integers(1, 9, 2)
    d, mu, counts = rng.random((m, b)), rng.random(m) + 0.1, rng.integers(1, 4, b)
    cells = np.arange(m * b)
    equal = np.zeros((m + b, m * b))
    equal[cells // b, cells] = 1
    equal[m + cells % b, cells] = 1
    found = linprog(d.ravel(), A_eq=equal, b_eq=np.concatenate([mu / mu.sum(), counts / counts.sum()]))
    assert transport_cost_between(d, weights=mu, counts=counts) == pytest.approx(found.fun, rel=1e-8)


def test_on_a_line_it_is_the_wasserstein_distance() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(60), rng.random(150) + 0.2
    assert transport_cost_between(np.abs(a[:, None] - b)) == pytest.approx(wasserstein_distance(a, b), rel=1e-8)


@pytest.mark.parametrize("far", [1e3, 1e6, 1e9, 1e12])
def test_what_lies_far_away_takes_nothing_from_the_rest(far: float) -> None:
    """A far target, a far record, both, a far pair: the assignment is the same, and so is what the others pay."""
    rng = np.random.default_rng(0)
    near = rng.random((30, 30))
    row, column, pair = near.copy(), near.copy(), near.copy()
    row[3] += far
    column[:, 7] += far
    pair[4, 7] = far
    both = row.copy()
    both[:, 7] += far
    forced = near.copy()
    forced[4, 1:] += far
    forced[5, 1:] += far  # two targets near one record alone: one of them has to go far
    for d, rest in ((row, far / 30), (column, far / 30), (pair, 0), (both, 2 * far / 30), (forced, far / 30)):
        rows, columns = linear_sum_assignment(d)
        truth = d[rows, columns].mean()
        found = transport_cost_between(d)
        assert found == pytest.approx(truth, rel=1e-7)
        if d is not forced:
            assert found - rest == pytest.approx(truth - rest, rel=1e-9, abs=1e-12 * far)


def test_where_most_distances_are_zero_a_far_pair_takes_nothing_from_the_rest() -> None:
    for seed in range(300):
        rng = np.random.default_rng(seed)
        d = rng.random((5, 5)) * (rng.random((5, 5)) < 0.4)
        d[0, 1] = 1e9
        rows, columns = linear_sum_assignment(d)
        assert transport_cost_between(d) == pytest.approx(d[rows, columns].mean(), rel=1e-6, abs=1e-6)
    assert transport_cost_between(np.zeros((2, 3))) == 0


def test_what_is_no_matrix_of_distances_is_refused() -> None:
    for bad in (np.full((3, 3), np.nan), np.array([[1.0, np.inf]]), np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(3)):
        with pytest.raises(ValueError, match="must be finite"):
            transport_cost_between(bad)
