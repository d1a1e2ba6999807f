"""The transport cost between targets and a selection: how far examples of the task are from what was chosen.

The Wasserstein distance of order one between two sets of points: every target sends its mass to the chosen records,
each of which takes an equal part of it. A selection that sits on one spot of the task pays for the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tsds.transport.flow import optimal_flow
from tsds.transport.rows import Array, target_masses

#: Nearest partners of each point that the solver begins with.
_FIRST = 4


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
    first = np.zeros((m, b), bool)
    for axis, width in ((1, b), (0, m)):
        at = min(_FIRST, width) - 1
        first |= distances <= np.take(np.partition(distances, at, axis=axis), [at], axis=axis)
    # All capacity is needed, so that a target may have to pay for a chain of others: no price exceeds that.
    outside = np.full(m, (2 * min(m, b) + 1) * float(distances.max()) + 1.0)
    column = np.tile(np.arange(b), (m, 1))
    # A hair of room keeps the rounding of the shares from making the last unit homeless.
    flow = optimal_flow(distances, column, mu, share * (1 + 1e-12), outside=outside, first=first)
    return float((flow.mass * distances).sum() / flow.mass.sum())
