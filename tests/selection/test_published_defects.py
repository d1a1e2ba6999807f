"""What goes wrong in the published code, by the numbers of the list of its defects, must not go wrong here.

Others of the list are tested where they belong: saturation (8) in search/test_density.py, alpha = 1 (5) and lists that
are too short in search/test_strength.py, unusable input (16) in command/test_bad_input.py, KNN-TV (10) in transport/.
"""

from __future__ import annotations

import numpy as np
import pytest

import tsds
from tests.search.data import clustered
from tests.truth import brute_force


@pytest.mark.parametrize(("n", "m"), [(10_000, 1), (10_000, 2), (20_000, 1)])
def test_2_few_targets_at_the_published_bandwidth(n: int, m: int) -> None:
    """There: NaN from short lists of the density index."""
    chosen = tsds.select(clustered(n, 32), clustered(m, 32, seed=1), size=100, bandwidth=0.75)
    assert len(chosen) == 100 and np.isfinite(chosen.answer.density).all()


def test_3_the_last_candidate_is_nothing_special() -> None:
    """There: missing neighbours (-1) count as the pool's last row, which drew up to 86 % of all probability."""
    pool, targets = clustered(3000, 24), clustered(5, 24, seed=1)
    chosen = tsds.select(pool, targets, size=50, alpha=0)
    last = chosen.answer.probability[chosen.rows == len(pool) - 1]
    assert len(last) == 1 and last[0] <= 1.001 * chosen.answer.probability.max()
    np.testing.assert_allclose(chosen.weights * chosen.weights.sum(), chosen.weights)
    rho = brute_force.density(pool, np.arange(len(pool)), chosen.bandwidth.value, "l2")  # type: ignore[union-attr]
    np.testing.assert_allclose(chosen.weights, (1 / rho) / (1 / rho).sum(), rtol=1e-6)  # the whole pool, by weight


@pytest.mark.parametrize("neighbors", [2, 30, 300])
def test_4_no_candidate_gets_more_of_a_target_than_its_share(neighbors: float) -> None:
    """There: left-over mass falls on the last prefetched neighbour, up to 40 times the cap."""
    pool, targets = clustered(3000, 24), clustered(4, 24, seed=2)
    pool[:41] = targets[0] + 1e-4 * np.random.default_rng(0).standard_normal((41, 24)).astype(np.float32)
    chosen = tsds.select(pool, targets, size=20, neighbors=neighbors)
    cap = 1 / (4 * neighbors * chosen.answer.density)  # mu w / s, from each of the four targets
    assert (chosen.answer.probability <= 4 * cap * (1 + 1e-9)).all()


def test_6_nothing_is_capped_silently() -> None:
    """There: at most a tenth of the pool is ever a neighbour. Here a small pool can be selected nearly whole."""
    assert len(tsds.select(clustered(200, 16), clustered(20, 16, seed=1), size=90)) == 90


def test_9_densities_count_what_no_target_has_nearby() -> None:
    """There: only prefetched candidates count, so a density depends on the targets."""
    pool = clustered(4000, 24)
    one = tsds.select(pool, pool[:1] + 0.01, size=5, bandwidth=0.5, neighbors=5)
    two = tsds.select(pool, pool[:300:10] + 0.01, size=5, bandwidth=0.5, neighbors=5)
    both, i, j = np.intersect1d(one.rows, two.rows, return_indices=True)
    assert len(both) >= 3
    np.testing.assert_allclose(one.answer.density[i], two.answer.density[j], rtol=1e-9)
    np.testing.assert_allclose(one.answer.density, brute_force.density(pool, one.rows, 0.5, "l2"), rtol=1e-9)


def test_11_drawing_is_without_replacement_and_reaches_the_size() -> None:
    """There: 100 draws for ten targets gave ten different rows at alpha 0.9."""
    chosen = tsds.select(clustered(3000, 24), clustered(10, 24, seed=1), size=100)
    assert len(np.unique(chosen.indices)) == 100


def test_13_probabilities_sum_to_one_in_float64() -> None:
    """There: whatever the sum lacks falls on the last row."""
    chosen = tsds.select(clustered(5000, 24), clustered(300, 24, seed=1), size=500)
    assert abs(chosen.answer.probability.sum() - 1) < 1e-12
