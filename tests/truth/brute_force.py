"""Brute force in float64: every distance by differences, no shortcut, no faiss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def distances(a: NDArray[Any], b: NDArray[Any], metric: str) -> Array:
    """[len(a), len(b)]."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "cosine":
        a = a / np.linalg.norm(a, axis=1, keepdims=True)
        b = b / np.linalg.norm(b, axis=1, keepdims=True)
    squares = np.stack([np.square(b - row).sum(axis=1) for row in a])
    return squares / 2 if metric == "cosine" else np.sqrt(squares)


def nearest(pool: NDArray[Any], targets: NDArray[Any], metric: str) -> tuple[NDArray[np.int64], Array]:
    """All candidates of each target, nearest first, ties by position."""
    d = distances(targets, pool, metric)
    order = np.argsort(d, axis=1, kind="stable")
    return order, np.take_along_axis(d, order, 1)


def density(pool: NDArray[Any], rows: NDArray[np.int64], h: float, metric: str) -> Array:
    """rho of these rows over the whole pool."""
    d = distances(pool[rows], pool, metric)
    return np.maximum(0, 1 - (d / h) ** 2).sum(axis=1)
