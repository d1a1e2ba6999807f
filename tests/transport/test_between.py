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
