"""random-length: at random, with the lengths of the targets.

Long or short texts alone can move a benchmark; random selections of matched length are what targeted ones must beat
(arXiv 2410.09335 finds length the one stable filter at scale).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Rows
from tsds.methods.baselines.chosen import answer_of
from tsds.methods.problem import Answer, Problem


def select(problem: Problem) -> Answer:
    """For each of B draws of a target's length, the candidate of that length, or the nearest left over."""
    rng = np.random.default_rng([problem.seed, 1])
    order = by_length(problem.tokens, rng)
    quantile = (np.arange(problem.size) + rng.random()) / problem.size
    targets = np.argsort(problem.target_tokens, kind="stable")
    at = np.searchsorted(np.cumsum(problem.mu[targets]), quantile * problem.mu.sum(), side="left")
    wanted = problem.target_tokens[targets][np.minimum(at, len(targets) - 1)]
    chosen = rng.permutation(order[at_lengths(problem.tokens[order], wanted, rng)])  # cut at any place, of any length
    return answer_of(problem, chosen, "drawn at random with the lengths of the targets")


def by_length(lengths: NDArray[np.int64], rng: np.random.Generator) -> Rows:
    """Positions of lengths, the shortest first, equal ones in random order, [n]."""
    return np.lexsort((rng.random(len(lengths)), lengths))


def at_lengths(lengths: NDArray[np.int64], wanted: NDArray[np.int64], rng: np.random.Generator) -> Rows:
    """For each wanted length a place that has it, drawn at random, or the nearest left over; each place once.

    Args:
      lengths: [n], ascending.
      wanted: [b], ascending, b <= n.

    Returns:
      Places in `lengths`, [b], ascending.
    """
    low, high = np.searchsorted(lengths, wanted, side="left"), np.searchsorted(lengths, wanted, side="right")
    place = low + (rng.random(len(wanted)) * np.maximum(high - low, 1)).astype(np.int64)
    return _spread(place, len(lengths))


def _spread(place: Rows, n: int) -> Rows:
    """Ascending places made distinct by moving repeated ones up, and those pushed past the end back down."""
    place = np.sort(place)
    steps = np.arange(len(place))
    place = np.maximum.accumulate(place - steps) + steps
    return np.asarray(np.minimum(place, n - len(place) + steps))
