"""The array types that everything shares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]  # positions: of records in a pool, of vectors in a matrix
Block = NDArray[Any]  # vectors, float16, float32 or float64, as stored


def runs(ordered: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
    """Each value of an ascending array, and where it stands there."""
    edges = np.flatnonzero(np.diff(ordered)) + 1
    starts = np.concatenate([[0], edges]) if len(ordered) else edges
    for start, stop in zip(starts.tolist(), [*edges.tolist(), len(ordered)], strict=False):
        yield int(ordered[start]), slice(start, stop)
