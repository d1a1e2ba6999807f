"""Balanced transport: no candidate counts for more than one example, no target relies on a few of them."""

from __future__ import annotations

import math

import numpy as np

from tsds.balancing import Balanced, find_balanced
from tsds.errors import BudgetError, InputError
from tsds.methods.kde import KernelWeights
from tsds.methods.problem import Answer, Problem, answer
from tsds.transport import Plan, RegularizationPath

#: s, the neighbours a target relies on, as a share of the size: the flat middle of its curve (benchmarks/ablations.py).
NEIGHBORS_PER_SIZE = 1 / 20


def default_neighbors(size: int) -> float:
    """s where nothing is said about it."""
    return max(1.0, size * NEIGHBORS_PER_SIZE)


def select(problem: Problem) -> Answer:
    """One balanced plan, of the strength asked for or the default one."""
    asked = problem.strength.neighbors
    s = default_neighbors(problem.size) if asked is None else asked
    weights = KernelWeights.of(problem)
    with problem.stages.stage("search", len(problem.pool)):
        found = solve(problem, weights, s)
    return balanced_answer(problem, found, weights, s, "a twentieth of the size" if asked is None else "as asked")


def solve(problem: Problem, weights: KernelWeights, s: float) -> Balanced:
    """The balanced plan for s, over the whole pool.

    Raises:
      InputError: if a strength is asked for that this method does not have.
      BudgetError: if the pool's distinct candidates can't hold the mass.
    """
    strength = problem.strength
    if strength.alpha is not None or strength.effective_size is not None:
        raise InputError("method balanced has no alpha and no effective size", remedy="use --neighbors and --capacity")
    capacity = float(problem.size) if problem.capacity is None else problem.capacity
    try:
        return find_balanced(problem.search, weights, capacity, s, problem.mu)
    except ValueError as error:
        raise BudgetError(
            f"near-duplicates counted once, {error}", remedy="a smaller --size, --capacity or --neighbors"
        ) from error


def balanced_answer(problem: Problem, found: Balanced, weights: KernelWeights, s: float, why: str) -> Answer:
    """The plan summed over the targets; with it the path of the same lists without capacities, for looking around."""
    mass, d = found.plan.mass, found.distances
    plan = Plan(
        mass=mass / mass.sum(),
        neighbors=s,
        penalty=math.inf,
        cost=float((mass * np.where(mass > 0, d, 0.0)).sum() / mass.sum()),
        regime="balanced",
        exact=found.exact,
        reason=found.reason,
    )
    path = RegularizationPath(
        d, found.weights, found.indices, target_weights=problem.mu, scale=problem.strength.scale,
        complete=found.indices.shape[1] == len(problem.pool) and bool((found.indices >= 0).all()),
    )  # fmt: skip
    return answer(plan, found.indices, d, why=why, path=path, density=weights.known(), note=weights.note())
