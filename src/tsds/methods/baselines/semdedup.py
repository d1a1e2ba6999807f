"""semdedup+round-robin: targets take turns, and nothing is taken that is a near-duplicate of what was.

SemDeDup (Abbas et al. 2023, arXiv 2303.09540) keeps one of the records within a threshold; here the threshold is the
bandwidth, chosen as for kde, and of near-duplicates the first to be taken is kept.
"""

from __future__ import annotations

import numpy as np

from tsds.distances import from_squares, unit_rows
from tsds.methods.baselines.chosen import answer_of
from tsds.methods.baselines.round_robin import take_turns
from tsds.methods.problem import Answer, Problem


def select(problem: Problem) -> Answer:
    """Turns in which every candidate is compared with all that were taken."""
    taken = np.empty((problem.size, problem.pool.dim), np.float32)
    count = 0

    def differs(row: int) -> bool:
        nonlocal count
        x = unit_rows(problem.pool.take(np.array([row])), problem.metric)[0].astype(np.float32)
        squares = np.square(taken[:count] - x).sum(axis=1, dtype=np.float64)
        if count and from_squares(squares, problem.metric).min() < problem.bandwidth:
            return False
        taken[count] = x
        count += 1
        return True

    return answer_of(problem, take_turns(problem, differs), "targets took turns, near-duplicates left out")
