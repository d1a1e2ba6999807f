"""Balanced transport: no candidate counts for more than one example, no target relies on a few of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tsds.balancing import LARGEST, Balanced, find_balanced
from tsds.errors import InputError
from tsds.methods.kde import KernelWeights
from tsds.methods.problem import Answer, Problem, answer
from tsds.strength import known_part
from tsds.transport import Plan, RegularizationPath
from tsds.transport.balanced import TooLittleRoom

#: s, the neighbours a target relies on, as a share of the size: the flat middle of its curve (docs/comparison.md).
NEIGHBORS_PER_SIZE = 1 / 20
#: Of all targets together at most: many targets need fewer each, and a program of so many edges takes seconds.
MOST_EDGES = 500_000


def default_neighbors(size: int, targets: int) -> float:
    """s where nothing is said about it."""
    return max(1.0, min(size * NEIGHBORS_PER_SIZE, MOST_EDGES / targets))


def select(problem: Problem) -> Answer:
    """One balanced plan, of the strength asked for or the default one."""
    asked = problem.strength.neighbors
    weights = KernelWeights.of(problem)
    with problem.stages.stage("search", len(problem.pool)):
        found = solve(problem, weights, default_neighbors(problem.size, len(problem.mu)) if asked is None else asked)
    why = "a twentieth of the size" if asked is None else "as asked"
    return balanced_answer(problem, found, weights, why)


@dataclass(frozen=True)
class Solved:
    """A balanced plan with the settings it is for.

    Attributes:
      found: the plan.
      capacity, neighbors: S and s; less than asked for where the pool has no room for it.
      capped: why they are less, or None.
    """

    found: Balanced
    capacity: float
    neighbors: float
    capped: str | None = None


def solve(problem: Problem, weights: KernelWeights, s: float, capacity: float | None = None) -> Solved:
    """The balanced plan for s, over the whole pool.

    Where the pool's distinct candidates can't hold the mass, as much is asked of them as they can.

    Raises:
      InputError: if a strength is asked for that this method does not have.
    """
    strength = problem.strength
    if strength.alpha is not None or strength.effective_size is not None:
        raise InputError("method balanced has no alpha and no effective size", remedy="use --neighbors and --capacity")
    if capacity is None:
        capacity = float(problem.size) if problem.capacity is None else problem.capacity
    try:
        return Solved(find_balanced(problem.search, weights, capacity, s, problem.mu), capacity, s)
    except TooLittleRoom as error:
        n, weight = len(problem.pool), error.weight
        if n * len(problem.mu) <= LARGEST:  # the lists held the whole pool, so that all of it can be weighed
            weight = float(weights(np.arange(n)).sum())
        room = 0.95 * weight  # with all of it to be used up to the last grain, the program is slow and no better
        capacity, s = min(capacity, room), min(s, room / 2)
        found = find_balanced(problem.search, weights, capacity, s, problem.mu)
        return Solved(found, capacity, s, f"near-duplicates counted once, the pool has {weight:,.1f} candidates")


def balanced_answer(problem: Problem, solved: Solved, weights: KernelWeights, why: str) -> Answer:
    """The plan summed over the targets; with it the path of the same lists without capacities, for looking around."""
    found, s = solved.found, solved.neighbors
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
    listed, unknown = weights.listed(found.indices)  # what others have asked for on the way is known too
    unknown[:, 0] = False  # only of targets that weigh nothing, whose candidates were never asked for
    path = RegularizationPath(
        d, listed, found.indices, target_weights=problem.mu, scale=problem.strength.scale,
        complete=found.indices.shape[1] == len(problem.pool) and bool((found.indices >= 0).all()),
    )  # fmt: skip
    capped = solved.capped is not None
    made = answer(
        plan,
        found.indices,
        d,
        why=f"{solved.capped}, fewer than asked for" if capped else why,
        capped=capped,
        path=known_part(path, unknown),
        density=weights.known(),
        note=weights.note(),
    )
    return replace(made, capacity=None if capped or solved.capacity >= problem.size else solved.capacity)
