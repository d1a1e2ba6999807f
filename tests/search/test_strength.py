"""The certificate loop against the solution on complete lists with all densities known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.search.data import clustered
from tests.truth import brute_force
from tests.truth.linear_program import objective, optimum
from tsds.arrays import Array
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.neighbors import NeighborSearch
from tsds.strength import Solution, Strength, find_plan
from tsds.transport import RegularizationPath, solve

POOL, TARGETS = clustered(1500, 16), clustered(25, 16, seed=4)
MU = np.random.default_rng(0).dirichlet(np.ones(25))
WEIGHTS = 1 / brute_force.density(POOL, np.arange(1500), 0.4, "l2")


def complete() -> tuple[Array, Array, np.ndarray]:
    order, d = brute_force.nearest(POOL, TARGETS, "l2")
    return d, WEIGHTS[order], order


class Weigh:
    """Weights that remember what was asked for."""

    def __init__(self) -> None:
        self.asked = np.zeros(1500, np.int64)

    def __call__(self, rows: np.ndarray) -> Array:
        np.add.at(self.asked, rows, 1)
        return WEIGHTS[rows]


@pytest.mark.parametrize(
    "strength",
    [
        Strength(50),
        Strength(300),
        Strength(50, alpha=0.9),
        Strength(50, alpha=0.9, scale=0.3),
        Strength(50, alpha=0.5, scale=0.2),
        Strength(50, alpha=1.0),
        Strength(50, neighbors=7.3),
        Strength(50, effective_size=200),
    ],
)
def test_the_truncated_certified_plan_is_the_full_one(strength: Strength) -> None:
    d, w, order = complete()
    full = RegularizationPath(d, w, order, target_weights=MU, complete=True, scale=strength.scale)
    s = strength.on(full)
    assert s is not None
    expected = solve(d, w, neighbors=s, target_weights=MU, complete=True)

    weigh = Weigh()
    found = find_plan(NeighborSearch(Vectors.of(POOL), TARGETS, largest_norm=1.001), weigh, strength, MU)
    assert found.plan.exact
    assert found.plan.neighbors == pytest.approx(s, rel=2e-3)  # auto and effective size are found by bisection
    again = solve(d, w, neighbors=found.plan.neighbors, target_weights=MU, complete=True)
    dense = np.zeros((2, 25, 1500))
    for sheet, plan, indices in ((0, again, order), (1, found.plan, found.path.indices)):
        i, k = np.nonzero(plan.mass)
        dense[sheet, i, indices[i, k]] = plan.mass[i, k]
    np.testing.assert_allclose(dense[1], dense[0], atol=1e-12)
    assert expected.cost == pytest.approx(found.plan.cost, rel=2e-3)
    assert weigh.asked.max() == 1  # no density twice
    assert (weigh.asked[dense[1].any(axis=0)] == 1).all()


@pytest.mark.parametrize("alpha", [0.001, 0.0])
def test_beyond_half_of_the_weight_every_candidate_gets_mass(alpha: float) -> None:
    d, w, _ = complete()
    strength = Strength(50, alpha=alpha)
    search = NeighborSearch(Vectors.of(POOL), TARGETS, largest_norm=1.001)
    found = find_plan(search, lambda rows: WEIGHTS[rows], strength, MU)
    expected = solve(d, w, penalty=strength.penalty, target_weights=MU, complete=True)
    assert found.plan.regime == expected.regime == "whole"
    assert found.plan.cost == pytest.approx(expected.cost, rel=1e-9)


def test_beyond_half_of_the_weight_candidates_not_weighed_before_are_weighed_too() -> None:
    """The strength is first found on the path, and lies beyond its end once the nearer candidates weigh less."""
    pool = np.r_[1 + np.arange(90) * 1e-6, 2 + np.arange(109) * 1e-6, 3.0][:, None]
    weights, d = np.r_[np.full(133, 0.6), np.ones(67)], pool.T.copy()
    strength = Strength(5, alpha=5 / (5 + 80.0))
    search = NeighborSearch(Vectors.of(pool), np.zeros((1, 1)), largest_norm=3.0)
    found = find_plan(search, lambda rows: weights[rows], strength, np.ones(1))
    gamma = np.zeros((1, 200))
    np.put_along_axis(gamma, found.path.indices, found.plan.mass, axis=1)
    best, _ = optimum(d, weights, strength.penalty, np.ones(1))
    assert found.plan.exact and found.plan.regime == "whole" and (gamma > 0).all()
    assert objective(gamma, d, weights, strength.penalty, np.ones(1)) == pytest.approx(best, rel=1e-9)


def test_auto_is_the_smallest_s_that_can_be_drawn_without_replacement() -> None:
    search = NeighborSearch(Vectors.of(POOL), TARGETS, largest_norm=1.001)
    found = find_plan(search, lambda rows: WEIGHTS[rows], Strength(120), MU)
    s = found.plan.neighbors
    assert s is not None and not found.capped
    assert 120 * found.path.largest(s) <= 1 + 1e-9
    assert 120 * found.path.largest(s / 1.002) > 1


def test_more_than_the_path_holds_is_capped_and_said() -> None:
    search = NeighborSearch(Vectors.of(POOL), TARGETS[:2], largest_norm=1.001)
    found = find_plan(search, lambda rows: WEIGHTS[rows], Strength(1400), MU[:2] / MU[:2].sum())
    assert found.capped and "end of the path" in found.why


def test_more_neighbours_than_half_of_the_weight_are_refused() -> None:
    search = NeighborSearch(Vectors.of(POOL), TARGETS, largest_norm=1.001)
    with pytest.raises(InputError, match="exceed half of the pool's weight"):
        find_plan(search, lambda rows: WEIGHTS[rows], Strength(10, neighbors=1499), MU)


def test_candidates_not_weighed_prove_nothing_of_the_weight_of_the_pool() -> None:
    """A heap of near-duplicates far away, with one target, which needs none of them."""
    pool = np.r_[1 + np.arange(70) * 0.02, 50 + np.arange(3000) * 1e-3][:, None]
    weights, asked, one = np.r_[np.ones(70), np.full(3000, 1 / 3000)], [], np.ones(1)

    def weigh(rows: np.ndarray) -> Array:
        asked.append(len(rows))
        return weights[rows]

    def found(**strength: float) -> Solution:
        search = NeighborSearch(Vectors.of(pool), np.zeros((1, 1)), largest_norm=60.0)
        return find_plan(search, weigh, Strength(5, scale=5.0, **strength), one)  # type: ignore[arg-type]

    with pytest.raises(InputError, match=r"exceed half of the pool's weight, 35\.5"):
        found(neighbors=40)
    assert len(asked) < 15 and sum(asked) == 3070  # not a few of the heap at a time
    asked.clear()
    assert found(neighbors=30).plan.exact and sum(asked) < 100
    beyond = found(alpha=5 / (5 + np.arange(1, 40).sum() * 0.02 + 0.01))  # would be s = 40 without the heap
    full = solve(pool.T, weights[None], penalty=beyond.plan.penalty, complete=True)
    assert beyond.plan.exact and beyond.plan.regime == full.regime == "half"
    np.testing.assert_allclose(beyond.plan.mass, full.mass, atol=1e-12)


def test_the_path_reaches_as_far_as_asked() -> None:
    search = NeighborSearch(Vectors.of(POOL), TARGETS, largest_norm=1.001)
    near = find_plan(search, lambda rows: WEIGHTS[rows], Strength(50, neighbors=4), MU)
    far = find_plan(search, lambda rows: WEIGHTS[rows], Strength(50, neighbors=4, reach=20), MU)
    assert far.plan.cost == pytest.approx(near.plan.cost, rel=1e-12)
    assert far.path.longest >= 80
    d, w, order = complete()
    full = RegularizationPath(d, w, order, target_weights=MU, complete=True)
    for s in (4.0, 20.0, 79.0):
        assert far.path.point(s).effective_size == pytest.approx(full.point(s).effective_size, rel=1e-9)


def test_a_first_look_that_finds_little_changes_nothing() -> None:
    """An index may find nothing for a target, or less than it was asked for; the lists themselves are whole here."""

    class Sparse(NeighborSearch):
        def rough(self, k: int) -> tuple[np.ndarray, Array]:
            indices, distances = (found.copy() for found in super().rough(k))
            for row, found in ((3, 0), (7, 5)):
                indices[row, found:], distances[row, found:] = -1, np.inf
            return indices, distances

    plain, sparse = (
        find_plan(kind(Vectors.of(POOL), TARGETS, largest_norm=1.001), lambda rows: WEIGHTS[rows], Strength(50), MU)
        for kind in (NeighborSearch, Sparse)
    )
    assert sparse.plan.exact and sparse.plan.neighbors == pytest.approx(plain.plan.neighbors, rel=2e-3)
    assert sparse.plan.cost == pytest.approx(plain.plan.cost, rel=1e-3)
