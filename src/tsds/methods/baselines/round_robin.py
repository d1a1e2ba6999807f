"""round-robin: targets take turns, each its nearest candidate that is still there (RDS+, arXiv 2503.01807).

Targets of weight zero have no turn; other weights are ignored.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsds.arrays import Rows
from tsds.methods.baselines.chosen import FEWER_LISTS, answer_of, search_of
from tsds.methods.problem import Answer, Problem
from tsds.strength import check_lists


def select(problem: Problem) -> Answer:
    """Every target one candidate a turn, in the targets' order."""
    return answer_of(problem, take_turns(problem, lambda row: True), "targets took turns")


def take_turns(problem: Problem, fits: Callable[[int], bool]) -> Rows:
    """The candidates that targets take by turns, until there are `size`, or none is left that fits.

    Args:
      fits: whether a row of the pool may be taken, asked in the order of the turns; it is taken if so.

    Raises:
      InputError: if lists are needed that would fill the memory.
    """
    search = search_of(problem)
    n, m = len(problem.pool), len(search.targets)
    k = min(n, max(32, 4 * problem.size // m + 16))
    indices = search.fetch(k)[0]
    place = np.zeros(m, np.int64)
    chosen: dict[int, None] = {}  # in order
    refused: set[int] = set()
    while len(chosen) < problem.size and (place < n).any():
        for i in range(m):
            while place[i] < n:
                while k < n and (place[i] >= indices.shape[1] or indices[i, place[i]] < 0):
                    k = min(n, 2 * k)
                    check_lists(k, m, "taking turns", FEWER_LISTS)
                    indices = search.fetch(k)[0]
                j = int(indices[i, place[i]])
                place[i] += 1
                if j in chosen or j in refused:
                    continue
                if fits(j):
                    chosen[j] = None
                    break
                refused.add(j)
            if len(chosen) == problem.size:
                break
    return np.array(list(chosen), np.int64)
