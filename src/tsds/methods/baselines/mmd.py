"""mmd: greedy kernel mean matching, the selection whose mean in feature space is nearest to that of the targets.

Kernel herding (Chen, Welling, Smola 2010): each step takes the candidate that most reduces the maximum mean discrepancy

    argmax_x  mean_t k(x, t) - 1 / (b + 1) sum_a k(x, a)

with a Gaussian kernel of the median distance between targets. A few are taken at a step, and candidates are those in
the targets' lists, so that a million of them stay affordable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array
from tsds.balancing import LARGEST, equally_near
from tsds.distances import product_squares, unit_rows
from tsds.methods.baselines.chosen import answer_of, search_of
from tsds.methods.problem import Answer, Problem

Single = NDArray[np.float32]

#: Steps; candidates listed, in sizes of the selection; targets that the kernel's width is measured on.
_STEPS, _LISTED, _MEASURED = 256, 8, 512


def select(problem: Problem) -> Answer:
    """Herding over the union of the targets' lists.

    Raises:
      InputError: when the lists can't get so long that every target has a candidate on them.
    """
    search, mu, size = search_of(problem), problem.mu[problem.mu > 0], problem.size
    m = len(mu)
    k = min(len(problem.pool), max(64, -(-_LISTED * size // m)))
    with problem.stages.stage("search", len(problem.pool)):
        while True:
            indices = search.fetch(k)[0]
            rows = np.unique(indices[indices >= 0])
            empty = int((indices[:, 0] < 0).sum())
            if not empty and (len(rows) >= min(3 * size, len(problem.pool)) or k == len(problem.pool)):
                break
            if empty and 2 * k * m > LARGEST:
                raise equally_near(empty, m, k)
            k = min(len(problem.pool), 2 * k)
    x = unit_rows(problem.pool.take(rows), problem.metric).astype(np.float32)
    targets = search.targets.astype(np.float32)
    some = targets[np.random.default_rng([problem.seed, 1]).permutation(m)[:_MEASURED]]
    between = _squares(some, some)
    width = float(np.median(between[between > 1e-9])) if (between > 1e-9).any() else 1.0
    wanted = np.zeros(len(rows))
    for start in range(0, m, 1024):
        part = slice(start, start + 1024)
        wanted += np.exp(-_squares(x, targets[part]) / width) @ mu[part]
    have, free = np.zeros(len(rows)), np.ones(len(rows), bool)
    chosen: list[int] = []
    while len(chosen) < min(size, len(rows)):
        score = np.where(free, wanted - have / (len(chosen) + 1), -np.inf)
        count = min(max(1, size // _STEPS), size - len(chosen), int(free.sum()))
        taken = np.argsort(-score, kind="stable")[:count]
        have += np.exp(-_squares(x, x[taken]) / width).sum(axis=1)
        free[taken] = False
        chosen += taken.tolist()
    return answer_of(problem, rows[chosen], "greedy matching of the kernel mean")


def _squares(a: Single, b: Single) -> Array:
    return np.asarray(np.maximum(product_squares(a, b), 0.0), dtype=np.float64)
