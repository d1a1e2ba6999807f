"""Targets that are much alike share their weight, as near-duplicates do among candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tsds.arrays import Array
from tsds.density import kernel_weight
from tsds.distances import unit_rows
from tsds.embeddings.scan import Metric
from tsds.targets import Targets

_AT_ONCE = 1 << 24  # pairs


def shared_by_density(targets: Targets, bandwidth: float, metric: Metric) -> Targets:
    """The targets with weights divided by their kernel density among the targets of their task.

    rho_i = sum over i' of max(0, 1 - d_ii'^2 / h^2), so that ten examples that say the same weigh together what one
    weighs; every task keeps its share.

    Args:
      bandwidth: h, in the metric's units; at 0 only equal vectors are alike.
    """
    mu = targets.mu.copy()
    for task in range(len(targets.tasks)):
        mine = np.flatnonzero(targets.task == task)
        share = mu[mine].sum()
        if share > 0:
            mu[mine] /= densities(unit_rows(targets.vectors[mine], metric, exact=True), bandwidth, metric)
            mu[mine] *= share / mu[mine].sum()
    return replace(targets, mu=mu)


def densities(x: Array, bandwidth: float, metric: Metric) -> Array:
    """rho of each of these vectors among all of them, [m]; every one counts itself."""
    rho = np.empty(len(x))
    norms = np.square(x).sum(axis=1)
    step = max(1, _AT_ONCE // len(x))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        squares = np.maximum(norms[part, None] + norms - 2 * x[part] @ x.T, 0.0)
        if bandwidth > 0:
            rho[part] = kernel_weight(squares, bandwidth, metric).sum(axis=1)
        else:
            rho[part] = (squares <= 1e-12 * np.maximum(norms[part, None], norms)).sum(axis=1)
    return np.maximum(rho, 1.0)
