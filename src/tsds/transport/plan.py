"""Solve the transport problem for one setting, with a certificate that the answer is optimal over the whole pool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tsds.arrays import Array
from tsds.transport.penalty import DEFAULT_SCALE, penalty_from_alpha
from tsds.transport.rows import PenaltyCurve, begins, check_rows, penalty_curve, row_mass, target_masses
from tsds.transport.total_variation import total_variation_is_certified, total_variation_mass

Regularizer = Literal["kde", "uniform", "tv"]
Regime = Literal["nearest", "half", "whole", "tv", "balanced"]

#: Sums of the same weights in another order differ by this much, relatively; no more.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Plan:
    """A transport plan on the listed candidates.

    Attributes:
      mass: [m, k], gamma; rows sum to the targets' masses.
      neighbors: s, the effective neighbours per target; None for KNN-TV and for the whole pool.
      penalty: the lambda it was solved for, or the largest for which the given s is optimal.
      cost: <gamma, d>, the transport cost.
      regime: "nearest" (s below half the pool's weight), "half" (exactly half), "whole" (every candidate by its
        weight), "tv" or "balanced".
      exact: whether this is proven to be the optimum over all candidates, listed or not.
      reason: what the proof rests on, or what is missing.
    """

    mass: Array
    neighbors: float | None
    penalty: float
    cost: float
    regime: Regime
    exact: bool
    reason: str


def solve(
    distances: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    penalty: float | None = None,
    alpha: float | None = None,
    scale: float = DEFAULT_SCALE,
    neighbors: float | None = None,
    target_weights: ArrayLike | None = None,
    pool_weight: float | None = None,
    complete: bool = False,
    regularizer: Regularizer = "kde",
) -> Plan:
    """The optimal plan for one strength of diversity, from anyone's own neighbour search.

    Args:
      distances: [m, k], the k nearest candidates of each target, ascending, not squared; infinite where missing.
      weights: [m, k], inverse kernel density 1/rho of the same candidates; ones (KNN-Uniform) if not given.
      penalty: lambda >= 0; or
      alpha, scale: the paper's alpha and C, lambda = C (1 - alpha) / alpha; or
      neighbors: s > 0, the effective neighbours per target. Exactly one of the three.
      target_weights: [m], in any scale; equal if not given.
      pool_weight: W, the weight of the whole pool. Taken from the rows where they are complete; else what the longest
        row proves.
      complete: whether each row lists every candidate of the pool.
      regularizer: "kde" or "uniform" (the same formula), or "tv".

    Returns:
      The plan, and whether it is proven optimal. With truncated lists it is where s lies below every row's total
      weight (nothing further away can be needed) and below half of the pool's.

    Raises:
      ValueError: on malformed arrays, none or several strengths, or an s that no penalty gives (beyond W/2).

    >>> solve([[0.0, 1.0, 3.0]], penalty=1.5).mass.round(3).tolist()
    [[0.667, 0.333, 0.0]]
    """
    d = np.atleast_2d(np.asarray(distances, dtype=np.float64))
    w = np.isfinite(d).astype(np.float64) if weights is None else np.atleast_2d(np.asarray(weights, dtype=np.float64))
    check_rows(d, w)
    mu = target_masses(len(d), None if target_weights is None else np.asarray(target_weights, dtype=np.float64))
    if sum(x is not None for x in (penalty, alpha, neighbors)) != 1:
        raise ValueError("give exactly one of penalty, alpha and neighbors")
    if alpha is not None:
        penalty = penalty_from_alpha(alpha, scale)
    row_weight = w.sum(axis=1)
    half = (pool_weight if pool_weight is not None else float(row_weight.max())) / 2

    if regularizer == "tv":
        if penalty is None:
            raise ValueError("KNN-TV has no effective neighbours: give penalty or alpha")
        if pool_weight is None and not complete:
            raise ValueError("KNN-TV needs pool_weight, the weight of the whole pool (the paper: n)")
        return _total_variation(d, w, penalty, mu, 2 * half, complete)

    curve = penalty_curve(d, w, mu, complete=complete)
    if neighbors is not None:
        return _with_neighbors(d, w, neighbors, mu, curve, half)
    assert penalty is not None
    if not penalty >= 0:
        raise ValueError(f"the penalty must not be negative, not {penalty}")
    s = curve.neighbors(penalty)
    if s is not None and s <= half * (1 + ROUNDING):
        return _nearest(d, w, s, penalty, mu, "nearest", True, f"s = {s:.6g} needs no candidate beyond the lists")
    if not complete:
        return _truncated(d, w, penalty, mu, curve, half)
    # The greedy rule of Theorem 3.2 ends at W/2: from there on the regularizer also binds from below.
    if penalty > far_minus_near(d, w, half, mu):
        whole = w * (mu / row_weight)[:, None]
        cost = _cost(whole, d)
        return Plan(whole, None, penalty, cost, "whole", True, "the penalty outweighs every distance: all candidates")
    return _nearest(d, w, half, penalty, mu, "half", True, "s is half the pool's weight, where the path ends")


def _nearest(d: Array, w: Array, s: float, penalty: float, mu: Array, regime: Regime, exact: bool, why: str) -> Plan:
    mass = row_mass(w, s, mu)
    return Plan(mass, s, penalty, _cost(mass, d), regime, exact, why)


def _with_neighbors(d: Array, w: Array, s: float, mu: Array, curve: PenaltyCurve, half: float) -> Plan:
    if not 0 < s < math.inf:
        raise ValueError(f"neighbors must be positive, not {s}")
    if s > half * (1 + ROUNDING):
        if math.isinf(curve.horizon):
            raise ValueError(f"neighbors {s:g} exceeds half of the pool's weight, {half:g}; no penalty gives it")
        why = f"s = {s:g} is not below half of the weight that the lists hold: fetch more neighbours"
        return _nearest(d, w, min(s, curve.horizon), np.nan, mu, "nearest", False, why)
    if s > curve.horizon:
        why = f"s = {s:g} exceeds the shortest list's weight {curve.horizon:.6g}: fetch more neighbours"
        return _nearest(d, w, curve.horizon, np.nan, mu, "nearest", False, why)
    penalty = curve.penalty_range(s)[1]
    return _nearest(d, w, s, penalty, mu, "nearest", True, f"s = {s:.6g} needs no candidate beyond the lists")


def _truncated(d: Array, w: Array, penalty: float, mu: Array, curve: PenaltyCurve, half: float) -> Plan:
    s = min(curve.horizon, half)
    why = f"the lists end at s = {curve.horizon:.6g}, before the penalty is reached: fetch more neighbours"
    return _nearest(d, w, s, penalty, mu, "nearest", False, why)


def far_minus_near(d: Array, w: Array, half: float, mu: Array) -> float:
    """S: the price of moving from the nearer half of the weight to the whole pool (formulation, "s > W/2")."""
    near = np.clip(half - begins(np.cumsum(w, axis=1)), 0.0, w)
    # A complete row may still be ragged: a missing entry has no weight and must not meet its infinite distance.
    return float(mu @ ((w - 2 * near) * np.where(w > 0, d, 0.0)).sum(axis=1))


def _cost(mass: Array, d: Array) -> float:
    return float((mass * np.where(mass > 0, d, 0.0)).sum())


def _total_variation(d: Array, w: Array, penalty: float, mu: Array, pool_weight: float, complete: bool) -> Plan:
    mass = total_variation_mass(d, w, penalty, mu, pool_weight)
    exact = complete or total_variation_is_certified(d, penalty)
    why = "every list reaches beyond the penalty" if exact else "a list ends within the penalty: fetch more neighbours"
    return Plan(mass, None, penalty, _cost(mass, d), "tv", exact, why)
