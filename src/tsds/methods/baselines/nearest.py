"""nearest: the candidates closest to any target, as in nearest-neighbour retrieval (DEFT, arXiv 2212.00196).

Targets of weight zero are left out; other weights are ignored.
"""

from __future__ import annotations

import numpy as np

from tsds.methods.baselines.chosen import FEWER_LISTS, answer_of, best, search_of
from tsds.methods.problem import Answer, Problem
from tsds.strength import check_lists


def select(problem: Problem) -> Answer:
    """Lists grow until the union's nearest `size` can't be beaten by what is not listed.

    Raises:
      InputError: if lists are needed that would fill the memory.
    """
    search = search_of(problem)
    n, m = len(problem.pool), len(search.targets)
    k = min(n, max(16, 4 * problem.size // m))
    with problem.stages.stage("search", n):
        while True:
            indices, distances = search.fetch(k)
            listed = indices >= 0
            rows, at = np.unique(indices[listed], return_inverse=True)
            near = np.full(len(rows), np.inf)
            np.minimum.at(near, at, distances[listed])
            chosen = best(-near, problem.size)
            # A candidate that no list has is farther from each target than the end of its list.
            beyond = np.where(listed, distances, 0.0).max(axis=1).min()
            if k == n or (len(chosen) == problem.size and near[chosen].max() <= beyond):
                return answer_of(problem, rows[chosen], "the nearest to any target")
            k = min(n, 2 * k)
            check_lists(k, m, f"the nearest {problem.size:,}", FEWER_LISTS)
