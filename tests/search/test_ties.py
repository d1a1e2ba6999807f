"""Targets whose nearest candidates float32 can't tell apart: lists grow until there is an answer, or it is said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import tsds
from tests.search.data import clustered
from tests.truth import brute_force
from tests.truth.linear_program import balanced_optimum
from tsds.balancing import find_balanced
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.neighbors import NeighborSearch


def with_a_tied_target(n: int, m: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A pool of unit vectors in a plane, and targets of which the last is orthogonal to all of it."""
    pool, targets = clustered(n, 16), clustered(m, 16, seed=1)
    pool, targets = np.pad(pool, ((0, 0), (0, 1))), np.pad(targets, ((0, 0), (0, 1)))
    targets[-1] = np.eye(17)[-1]
    return pool, targets


def search_of(pool: NDArray[np.float32], targets: NDArray[np.float32]) -> NeighborSearch:
    return NeighborSearch(Vectors.of(pool), targets, largest_norm=float(np.linalg.norm(pool, axis=1).max()))


def test_a_balanced_plan_with_a_target_equally_far_from_all_is_the_linear_program() -> None:
    pool, targets = with_a_tied_target(400, 6)
    mu = np.full(6, 1 / 6)
    assert search_of(pool, targets).fetch(80)[0][-1, 0] == -1  # or the test would show nothing
    found = find_balanced(search_of(pool, targets), lambda rows: np.ones(len(rows)), 20, 3, mu)
    truth = balanced_optimum(brute_force.distances(targets, pool, "l2"), np.ones(400), 20, 3, mu)
    assert found.exact and found.plan.cost == pytest.approx(truth, rel=1e-6)


def test_lists_that_can_not_get_long_enough_are_one_line() -> None:
    pool, targets = with_a_tied_target(3000, 6)
    with pytest.raises(InputError, match="1 of 6 targets have more than 154 candidates that are all equally near"):
        find_balanced(
            search_of(pool, targets), lambda rows: np.ones(len(rows)), 20, 3, np.full(6, 1 / 6), largest=6 * 200
        )


@pytest.mark.parametrize("method", ["auto", "balanced", "kde", "tv"])
def test_a_selection_with_a_target_equally_far_from_all(method: str) -> None:
    pool, targets = with_a_tied_target(3000, 21)
    found = tsds.select(pool, targets, size=60, method=method)
    assert found.answer.exact and found.answer.rows.min() >= 0
    np.testing.assert_allclose(found.answer.nearest, brute_force.distances(targets, pool, "l2").min(axis=1), rtol=1e-12)


@pytest.mark.parametrize("long", [False, True])
def test_auto_where_lists_are_short_or_one_row_is_long(long: bool) -> None:
    """Two tight groups far apart: at first no target has a list, as float32 can't tell a group's members apart."""
    rng = np.random.default_rng(0)
    pool = rng.standard_normal((600, 16))
    if long:
        pool[123] *= 1e3
    else:
        pool = 0.001 * pool + np.where(np.arange(600) % 2, 20, -20)[:, None]
    pool, targets = pool.astype(np.float32), pool[:12].astype(np.float32)
    assert (search_of(pool, targets).fetch(68)[0][:, 0] >= 0).all() == long  # or the test would show nothing
    found = tsds.select(pool, targets, size=12, bandwidth=0)
    np.testing.assert_allclose(found.answer.nearest, brute_force.distances(targets, pool, "l2").min(axis=1), atol=1e-12)
