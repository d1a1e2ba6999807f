"""KNN-TV: each target's nearest candidate, plus a floor for all that are hardly farther (Theorem A.1)."""

from __future__ import annotations

import numpy as np

from tsds.errors import InputError
from tsds.methods.problem import Answer, Problem, answer
from tsds.strength import LARGEST_LISTS
from tsds.transport import penalty_from_alpha, solve

#: What the paper uses for KNN-TV where the user asks for nothing (its table of settings): lambda = 1/6.
ALPHA, SCALE = 0.6, 0.25


def select(problem: Problem) -> Answer:
    """The lists grow until each reaches beyond its nearest distance by more than the penalty."""
    strength = problem.strength
    if strength.neighbors is not None or strength.effective_size is not None:
        raise InputError("method tv has no neighbours s and no path", remedy="use --alpha and --scale with it")
    alpha, scale = (ALPHA, SCALE) if strength.alpha is None else (strength.alpha, strength.scale)
    penalty = penalty_from_alpha(alpha, scale)
    n, m = len(problem.pool), len(problem.mu)
    k = min(n, 256)
    with problem.stages.stage("search", n):
        while True:
            indices, distances = problem.search.fetch(k)
            complete = indices.shape[1] == n and bool((indices >= 0).all())
            if (indices[:, 0] >= 0).all():
                plan = solve(
                    distances,
                    (indices >= 0).astype(np.float64),
                    penalty=penalty,
                    target_weights=problem.mu,
                    pool_weight=float(n),
                    complete=complete,
                    regularizer="tv",
                )
                if plan.exact or complete:
                    break
            k = min(n, 4 * k)
            if m * k > LARGEST_LISTS:
                raise InputError(
                    f"lambda {penalty:g} reaches more than {k // 4:,} candidates of each of {m:,} targets",
                    remedy="a larger --alpha or a smaller --scale",
                )
    default = ", the paper's setting" if strength.alpha is None else ""
    why = f"alpha {alpha:g} with scale {scale:g} is lambda {penalty:.4g}{default}"
    return answer(plan, indices, distances, why=why)
