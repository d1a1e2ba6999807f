"""random: every candidate with the same chance, without replacement. What any selection must beat."""

from __future__ import annotations

import numpy as np

from tsds.methods.baselines.chosen import answer_of
from tsds.methods.problem import Answer, Problem


def select(problem: Problem) -> Answer:
    """A simple random sample."""
    rng = np.random.default_rng([problem.seed, 1])
    return answer_of(problem, rng.choice(len(problem.pool), problem.size, replace=False), "drawn at random")
