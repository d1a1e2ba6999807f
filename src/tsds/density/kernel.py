"""The kernel of the density."""

from __future__ import annotations

import numpy as np

from tsds.arrays import Array
from tsds.distances import from_squares
from tsds.embeddings.scan import Metric


def euclidean_bandwidth(bandwidth: float, metric: Metric) -> float:
    """The Euclidean distance (of unit vectors, under cosine) that is `bandwidth` in the metric's units."""
    return float(np.sqrt(2 * bandwidth)) if metric == "cosine" else bandwidth


def kernel_weight(squares: Array, bandwidth: float, metric: Metric) -> Array:
    """The Epanechnikov kernel max(0, 1 - d^2 / h^2) of squared Euclidean distances."""
    d = from_squares(squares, metric)
    return np.maximum(0.0, 1.0 - np.square(d / bandwidth))
