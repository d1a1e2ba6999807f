"""Where a row's mass ends: nothing beyond the candidate that the last of it goes to, not even a rounding error."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from tsds.transport import RegularizationPath, solve


def test_no_grain_of_mass_beyond_the_candidate_that_is_used_up() -> None:
    """At an s that is the weight of a target's k nearest, these k have mass: counted by adding the weights up."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        w, d = rng.uniform(0.01, 1, (3, 40)), np.sort(rng.random((3, 40)), axis=1)
        s = list(accumulate(w[0].tolist()))[int(rng.integers(5, 15))]
        having = [1 + sum(end < s for end in accumulate(row.tolist())) for row in w]
        mass = solve(d, w, neighbors=s, pool_weight=1e3).mass
        assert (mass > 0).sum(axis=1).tolist() == having
        np.testing.assert_allclose(mass.sum(axis=1), 1 / 3, rtol=1e-12)
        path = RegularizationPath(d, w, np.arange(120).reshape(3, 40), pool_weight=1e3)
        assert path.support(s) == len(path.probabilities(s)[0]) == sum(having)
