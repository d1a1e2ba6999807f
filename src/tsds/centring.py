"""Vectors that lie together far from the origin: a common centre is subtracted, or float32 can't tell their distances.

Euclidean distances do not change with it. Other vectors, as those of unit norm are unless all point the same way, are
left as they are, to the bit.
"""

from __future__ import annotations

import numpy as np

from tsds.arrays import Array
from tsds.distances import rounding_bound
from tsds.embeddings.scan import Metric
from tsds.embeddings.vectors import Vectors

#: Rows, evenly spaced, that tell where the pool lies.
_SAMPLE = 1024
#: A pool is centred if the rounding of a squared distance is more than this share of what is typical.
_HARMFUL = 0.01


def centre_of(pool: Vectors, metric: Metric) -> Array | None:
    """The centre to subtract from pool and targets, [d]; None where float32 does well without.

    With 384 dimensions it is needed where the norm of the mean is more than 32 times the spread about it. It depends
    on the pool alone, so that an index of the pool serves any targets.

    Args:
      pool: [n, d], finite.
      metric: of the distances; cosines change with the origin, and have none.
    """
    if metric != "l2":
        return None
    some = pool.take(np.linspace(0, len(pool) - 1, min(len(pool), _SAMPLE)).astype(np.int64)).astype(np.float64)
    # As float32, so that subtracting it from float32 in float64 rounds nothing.
    centre = some.mean(axis=0).astype(np.float32).astype(np.float64)
    spread = float(np.square(some - centre).sum(axis=1).mean())
    rounding = rounding_bound(pool.dim, 2 * float(np.linalg.norm(centre)))
    return centre if rounding > _HARMFUL * 2 * spread else None
