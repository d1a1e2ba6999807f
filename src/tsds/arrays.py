"""The array types that everything shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]  # positions: of records in a pool, of vectors in a matrix
Block = NDArray[Any]  # vectors, float16, float32 or float64, as stored
