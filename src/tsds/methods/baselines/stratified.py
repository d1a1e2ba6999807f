"""random-stratified: the same number from every source, as far as sources reach; at random within each.

The "balanced random" of Ivison et al. 2025 (RDS+, arXiv 2503.01807), who found it well above plain random.
"""

from __future__ import annotations

import numpy as np

from tsds.errors import InputError
from tsds.methods.baselines.chosen import answer_of
from tsds.methods.problem import Answer, Problem


def select(problem: Problem) -> Answer:
    """Equal shares of the sources; what a small source can't give is shared by the others."""
    group = problem.group
    if len(np.unique(group)) < 2:
        raise InputError("method random-stratified needs a pool of several sources", remedy="name them: --group-field")
    rng = np.random.default_rng([problem.seed, 1])
    order = rng.permutation(len(group))
    # The t-th record of each source, in random order, is its turn t; whole turns are taken, the last one in part.
    by_group = order[np.argsort(group[order], kind="stable")]
    sizes = np.unique(group, return_counts=True)[1]
    turn = np.concatenate([np.arange(size) for size in sizes])
    first = np.lexsort((rng.random(len(turn)), turn))[: problem.size]
    return answer_of(problem, by_group[first], "drawn at random, every source the same number")
