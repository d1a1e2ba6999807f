"""The weights of candidates, asked for only where they matter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array

Weigh = Callable[[NDArray[np.int64]], Array]  # rows of the pool to their weights copies / rho


class KnownWeights:
    """The weights that have been asked for so far, by row."""

    def __init__(self, n: int) -> None:
        self._weights: Array = np.zeros(n)  # zero: not known; pages that are not written take no memory

    def look_up(self, indices: NDArray[np.int64]) -> tuple[Array, NDArray[np.bool_]]:
        """Weights of listed candidates (one where not known, zero where missing), and which are not known."""
        listed = indices >= 0
        weights = np.where(listed, self._weights[indices], 0.0)
        unknown = listed & (weights == 0)
        weights[unknown] = 1.0
        return weights, unknown

    def learn(self, rows: NDArray[np.int64], weights: Array) -> None:
        """Remember the weights of rows that were not known."""
        self._weights[rows] = weights

    def proven(self, weights: Array, unknown: NDArray[np.bool_]) -> float:
        """A lower bound on W, the weight of the whole pool: what the candidates of known weight weigh together.

        Exact where every candidate is known.
        """
        return max(float(self._weights.sum()), float(np.where(unknown, 0.0, weights).sum(axis=1).max()))

    def supposed(self, indices: NDArray[np.int64], weights: Array, unknown: NDArray[np.bool_]) -> float:
        """A guess of W that takes unknown weights for one: to look up with, and no proof of anything."""
        if unknown[indices >= 0].all():
            listed = np.zeros(len(self._weights), bool)
            listed[indices[indices >= 0]] = True
            return float(np.count_nonzero(listed))
        return max(float(self._weights.sum()), float(weights.sum(axis=1).max()))
