"""The transport cost between targets and a selection: how far examples of the task are from what was chosen.

The Wasserstein distance of order one between two sets of points: every target sends its mass to the chosen records,
each of which takes an equal part of it. A selection that sits on one spot of the task pays for the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tsds.arrays import Array
from tsds.transport.network import cheapest_flow
from tsds.transport.rows import target_masses


def transport_cost_between(
    distances: Array, *, weights: ArrayLike | None = None, counts: ArrayLike | None = None
) -> float:
    """The cost of moving the targets' mass to the selection, exactly.

    Args:
      distances: [m, b], from each target to each chosen record.
      weights: [m], of the targets, in any scale; equal if None.
      counts: [b], how often each record was chosen; once if None.

    Returns:
      The mean distance that mass travels, in the units of the distances.

    >>> float(transport_cost_between(np.array([[0.0, 2.0], [2.0, 1.0]])))
    0.5
    """
    m, b = distances.shape
    mu = target_masses(m, None if weights is None else np.asarray(weights, dtype=np.float64))
    share = target_masses(b, None if counts is None else np.asarray(counts, dtype=np.float64))
    target, record = np.divmod(np.arange(m * b), b)
    flow = cheapest_flow(target, record, distances.ravel(), mu, share)
    return float(flow @ distances.ravel() / flow.sum())
