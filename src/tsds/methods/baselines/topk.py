"""topk: the candidates most similar to the targets on average, the rule of much embedding-based selection.

Under cosine that is the mean inner product. Under l2 it is the least mean squared distance, which depends on no origin;
for vectors of unit norm the order is the same.
"""

from __future__ import annotations

import numpy as np

from tsds.distances import unit_rows
from tsds.methods.baselines.chosen import answer_of, best
from tsds.methods.problem import Answer, Problem

_BLOCK_BYTES = 64 << 20


def select(problem: Problem) -> Answer:
    """By the targets' weighted mean: the inner product with it, or under l2 the squared distance to it.

    The mean squared distance to the targets is that to their mean, plus what is the same for all candidates.
    """
    mean = problem.mu @ problem.search.targets
    score = np.empty(len(problem.pool))
    with problem.stages.stage("search", len(problem.pool)) as advance:
        for start, block in problem.pool.blocks(problem.pool.block_rows(_BLOCK_BYTES)):
            if problem.metric == "l2":
                away = block.astype(np.float64) - mean
                similarity = -np.einsum("ij,ij->i", away, away)
            else:
                similarity = unit_rows(block, problem.metric) @ mean
            score[start : start + len(block)] = similarity
            advance(len(block))
    return answer_of(problem, best(score, problem.size), "the largest mean similarity to the targets")
