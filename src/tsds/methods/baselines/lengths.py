"""random-length: at random, with the lengths of the targets.

Long or short texts alone can move a benchmark; random selections of matched length are what targeted ones must beat
(arXiv 2410.09335 finds length the one stable filter at scale).
"""

from __future__ import annotations

import numpy as np

from tsds.arrays import Rows
from tsds.methods.baselines.chosen import answer_of
from tsds.methods.problem import Answer, Problem


def select(problem: Problem) -> Answer:
    """For each of B draws of a target's length, the candidate of that length, or the nearest left over."""
    rng = np.random.default_rng([problem.seed, 1])
    # Ties between equal lengths are broken at random, the same way on both sides.
    order = np.lexsort((rng.random(len(problem.tokens)), problem.tokens))
    quantile = (np.arange(problem.size) + rng.random()) / problem.size
    by_length = np.argsort(problem.target_tokens, kind="stable")
    at = np.searchsorted(np.cumsum(problem.mu[by_length]), quantile * problem.mu.sum(), side="left")
    wanted = problem.target_tokens[by_length][np.minimum(at, len(by_length) - 1)]
    lengths = problem.tokens[order]
    low, high = np.searchsorted(lengths, wanted, side="left"), np.searchsorted(lengths, wanted, side="right")
    place = low + (rng.random(len(wanted)) * np.maximum(high - low, 1)).astype(np.int64)
    return answer_of(problem, order[_spread(place, len(order))], "drawn at random with the lengths of the targets")


def _spread(place: Rows, n: int) -> Rows:
    """Ascending places made distinct by moving repeated ones up, and those pushed past the end back down."""
    place = np.sort(place)
    steps = np.arange(len(place))
    place = np.maximum.accumulate(place - steps) + steps
    return np.asarray(np.minimum(place, n - len(place) + steps))
