"""KNN-Uniform and KNN-KDE row by row: where each target's mass goes, and for which penalty (Theorems 3.1, 3.2).

Both are one formula. For a number s, the *effective neighbours* per target, every target spreads its mass over its
nearest candidates, at most mu_i w_j / s each, until it is used up. KNN-Uniform is the case of weights equal to one.

Lists may be truncated (the k nearest of n candidates) and ragged: a missing entry has an infinite distance and weight
zero. What a truncated list can't answer is marked by the curve's `horizon`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds.arrays import Array


def target_masses(m: int, target_weights: Array | None = None) -> Array:
    """The targets' masses mu: [m], positive or zero, summing to one; equal if no weights are given.

    Raises:
      ValueError: if the weights have the wrong shape, are negative or not finite, or sum to zero.
    """
    if target_weights is None:
        return np.full(m, 1.0 / m)
    mu = np.asarray(target_weights, dtype=np.float64)
    if mu.shape != (m,):
        raise ValueError(f"target_weights has shape {mu.shape}; one weight per target is ({m},)")
    if not np.isfinite(mu).all() or (mu < 0).any() or mu.sum() <= 0:
        raise ValueError("target_weights must be finite, not negative, and not all zero")
    total: float = mu.sum()
    return np.asarray(mu / total)


def check_rows(distances: Array, weights: Array) -> None:
    """Raise ValueError unless both are [m, k], rows ascend, weights are positive where there is a candidate."""
    if distances.ndim != 2 or distances.shape != weights.shape or 0 in distances.shape:
        raise ValueError(f"distances {distances.shape} and weights {weights.shape} must be equal, [m, k], not empty")
    listed = np.isfinite(distances)
    if np.isnan(distances).any() or (distances < 0).any():
        raise ValueError("distances must be numbers, not negative")
    # On the distances themselves: the difference of two infinities is no number.
    if (distances[:, 1:] < distances[:, :-1]).any():
        raise ValueError("each row of distances must ascend")
    if not listed[:, 0].all():
        raise ValueError("each target needs at least one candidate")
    if not (np.isfinite(weights).all() and (weights[listed] > 0).all() and (weights[~listed] == 0).all()):
        raise ValueError("weights must be positive for a candidate and zero for a missing entry")


def begins(ends: Array) -> Array:
    """Where each entry's mass begins on the scale of s, from where it ends: cumulative weights, one place on, [m, k].

    Not the ends less the weights: what that rounds to may lie below an s that an entry only begins at.
    """
    return np.pad(ends[:, :-1], ((0, 0), (1, 0)))


def row_mass(weights: Array, s: float, mu: Array, ends: Array | None = None) -> Array:
    """The mass of each listed candidate: gamma_ik = mu_i clip(s - cum_i(k-1), 0, w_ik) / s.

    Args:
      weights: [m, k], inverse kernel density of the candidates of each target, nearest first.
      s: effective neighbours per target, 0 < s <= each row's total weight.
      mu: [m], the targets' masses.
      ends: [m, k], the cumulative weights, where they are at hand.

    Returns:
      [m, k], rows summing to mu.

    Raises:
      ValueError: if s is not positive or exceeds a row's total weight (the list is too short: fetch more neighbours).
    """
    if not s > 0:
        raise ValueError(f"s must be positive, not {s}")
    cum = np.cumsum(weights, axis=1) if ends is None else ends
    # A rounding error of the sums is no shortage.
    if (cum[:, -1] < s * (1 - 1e-12)).any():
        raise ValueError(f"s = {s} exceeds the total weight {cum[:, -1].min()} of a row: fetch more neighbours")
    mass = np.clip(s - begins(cum), 0.0, weights)
    return np.asarray(mass * (mu / mass.sum(axis=1))[:, None])


@dataclass(frozen=True)
class PenaltyCurve:
    """For every s the penalties at which it is optimal, as breakpoints in ascending order of s.

    Attributes:
      s: [b], the values at which some target uses a candidate up.
      penalty: [b], F(s): non-decreasing; s[t] is optimal for penalty[t-1] <= lambda <= penalty[t].
      boundary: [b], sum_i mu_i d_i of the first candidate not used up at s, for the transport cost along the path.
      start: boundary before the first breakpoint, sum_i mu_i d_i1.
      horizon: s beyond which the lists are too short to say anything; infinite where they hold every candidate.
    """

    s: Array
    penalty: Array
    boundary: Array
    start: float
    horizon: float

    def neighbors(self, penalty: float) -> float | None:
        """The smallest optimal s for this penalty; None where it lies beyond the last breakpoint or the horizon."""
        t = int(np.searchsorted(self.penalty, penalty, side="left"))
        return float(self.s[t]) if t < len(self.s) else None

    def penalty_range(self, s: float) -> tuple[float, float]:
        """The penalties for which this s is optimal: a point between breakpoints, an interval at one."""
        low = int(np.searchsorted(self.s, s, side="left"))
        high = int(np.searchsorted(self.s, s, side="right"))
        before, after = (float(self.penalty[t - 1]) if t > 0 else 0.0 for t in (low, high))
        return before, after

    def transport_cost(self, s: float) -> float:
        """<gamma, d> of the plan with this s: boundary distance less F(s)/s (Abel summation of sum_k w_k d_k)."""
        t = int(np.searchsorted(self.s, s, side="right"))
        if t == 0:
            return self.start
        return float(self.boundary[t - 1] - self.penalty[t - 1] / s)


def penalty_curve(distances: Array, weights: Array, mu: Array, *, complete: bool = False) -> PenaltyCurve:
    """F(s) = sum of mu_i cum_ik (d_i(k+1) - d_i(k)) over all i, k with cum_ik <= s, for every s at once.

    One sort of all cumulative weights and one cumulative sum: no heap, no loop over targets (formulation, "KNN-KDE").

    Args:
      distances: [m, k], ascending in each row, not squared; infinite where a row has fewer candidates.
      weights: [m, k], inverse kernel density of the same candidates; zero where a row has fewer.
      mu: [m], the targets' masses.
      complete: whether every row lists every candidate of the pool.
    """
    cum = np.cumsum(weights, axis=1)
    horizon = float("inf") if complete else float(cum[:, -1].min())
    # Millions of entries: worked on in place, and looked through for missing ones only if there are any.
    keys = cum[:, :-1]
    known = keys < horizon  # beyond it the sums lack the breakpoints of the shortest lists
    if np.isfinite(distances[:, -1]).all():
        step = np.diff(distances, axis=1)
    else:
        with np.errstate(invalid="ignore"):
            step = np.diff(distances, axis=1)
        known &= np.isfinite(distances[:, 1:])  # a list's own end has no next distance
    with np.errstate(invalid="ignore"):  # there, for a target without weight
        step *= mu[:, None]
    keys, step = keys[known], step[known]
    order = np.argsort(keys)
    keys, step = keys[order], step[order]
    penalty = keys * step
    np.cumsum(penalty, out=penalty)
    start = float(mu @ distances[:, 0])
    np.cumsum(step, out=step)
    step += start
    return PenaltyCurve(s=keys, penalty=penalty, boundary=step, start=start, horizon=horizon)
