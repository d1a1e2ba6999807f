"""KNN-TV: the nearest candidate plus a floor (Theorem A.1).

The paper's prose and its Algorithm 3 halve the threshold; the theorem does not, and linear programming agrees with it.
"""

from __future__ import annotations

import numpy as np

from tsds.arrays import Array


def total_variation_mass(distances: Array, weights: Array, penalty: float, mu: Array, total_weight: float) -> Array:
    """Candidates with d_ij - d_i1 <= penalty keep mu_i w_j / W; all the rest of mu_i goes to the nearest.

    Args:
      distances: [m, k], ascending in each row; infinite for a missing entry.
      weights: [m, k], candidate weights (the paper: ones); zero for a missing entry.
      penalty: lambda >= 0.
      mu: [m], the targets' masses.
      total_weight: W, the weight of the whole pool (the paper: n).

    Returns:
      [m, k], rows summing to mu.
    """
    kept = np.isfinite(distances) & (distances - distances[:, :1] <= penalty)
    mass = np.where(kept, weights, 0.0) * (mu[:, None] / total_weight)
    mass[:, 0] += mu - mass.sum(axis=1)
    return mass


def total_variation_is_certified(distances: Array, penalty: float) -> bool:
    """Whether truncated lists were long enough: each row's last distance exceeds its first by more than the penalty.

    That of its last candidate: a missing entry behind it says nothing about how far the row reaches.
    """
    last = np.where(np.isfinite(distances), distances, 0.0).max(axis=1)
    return bool((last - distances[:, 0] > penalty).all())
