"""topk: the candidates most similar to the targets on average, the rule of much embedding-based selection."""

from __future__ import annotations

import numpy as np

from tsds.distances import unit_rows
from tsds.methods.baselines.chosen import answer_of, best
from tsds.methods.problem import Answer, Problem

_BLOCK_BYTES = 64 << 20


def select(problem: Problem) -> Answer:
    """Mean inner product with the targets: one product with their weighted mean."""
    mean = problem.mu @ problem.search.targets
    score = np.empty(len(problem.pool))
    with problem.stages.stage("search", len(problem.pool)) as advance:
        for start, block in problem.pool.blocks(problem.pool.block_rows(_BLOCK_BYTES)):
            score[start : start + len(block)] = unit_rows(block, problem.metric) @ mean
            advance(len(block))
    return answer_of(problem, best(score, problem.size), "the largest mean similarity to the targets")
