"""KNN-Uniform: every candidate weighs the same, near-duplicates included (Theorem 3.1)."""

from __future__ import annotations

import numpy as np

from tsds.methods.problem import Answer, Problem, answer
from tsds.strength import find_plan


def select(problem: Problem) -> Answer:
    """Transport with weights of one."""
    with problem.stages.stage("search", len(problem.pool)):
        solution = find_plan(problem.search, lambda rows: np.ones(len(rows)), problem.strength, problem.mu)
    path = solution.path
    return answer(solution.plan, path.indices, path.distances, why=solution.why, capped=solution.capped, path=path)
