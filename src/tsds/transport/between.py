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

#: Costs above so many times the median of those above zero are lowered to it, as the largest tells how finely all are
#: rounded; and by how much the bound rises if the plan needs them.
_TYPICAL, _RAISED = 32, 4


def transport_cost_between(
    distances: Array, *, weights: ArrayLike | None = None, counts: ArrayLike | None = None
) -> float:
    """The cost of moving the targets' mass to the selection.

    It is that of a plan which is optimal for the distances less their row's and their column's least, rounded to a
    2^24th of the largest of those that the plan needs, or of 32 times the median of those above zero: to some seven
    digits, and far records or targets take nothing from it.

    Args:
      distances: [m, b], from each target to each chosen record; finite.
      weights: [m], of the targets, in any scale; equal if None.
      counts: [b], how often each record was chosen; once if None.

    Returns:
      The mean distance that mass travels, in the units of the distances.

    Raises:
      ValueError: if there is no target or no record, or a distance is not finite.

    >>> float(transport_cost_between(np.array([[0.0, 2.0], [2.0, 1.0]])))
    0.5
    """
    if distances.ndim != 2 or 0 in distances.shape or not np.isfinite(distances).all():
        raise ValueError(f"distances {distances.shape} must be finite, [m, b], not empty: leave out what has none")
    m, b = distances.shape
    mu = target_masses(m, None if weights is None else np.asarray(weights, dtype=np.float64))
    share = target_masses(b, None if counts is None else np.asarray(counts, dtype=np.float64))
    target, record = np.divmod(np.arange(m * b), b)
    # All mass leaves each row and fills each column, so that what is common to one changes no plan.
    less = distances - distances.min(axis=1, keepdims=True)
    less = (less - less.min(axis=0)).ravel()
    most = float(less.max())
    highest = _TYPICAL * float(np.median(less[less > 0])) if most > 0 else 0.0
    while True:
        bound = highest if 0 < highest < most else most
        flow = cheapest_flow(target, record, np.minimum(less, bound), mu, share)
        # A cost that was lowered and is not used may as well be what it is.
        if not (flow[less > bound] > 0).any():
            return float(flow @ distances.ravel() / flow.sum())
        highest = _RAISED * bound
