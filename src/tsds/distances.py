"""Distances between rows, in float64 where it matters, and bounds on the rounding where they are float32."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Block
from tsds.embeddings.scan import Metric

Norms = TypeVar("Norms", float, Array)

#: Differences that stay in a core's cache.
_CACHE_BYTES = 1 << 20


def from_squares(squares: Array, metric: Metric) -> Array:
    """Distances in the metric's own units, from squared Euclidean ones (for cosine: of unit vectors, 1 - cos)."""
    squares = np.maximum(squares, 0.0)
    return np.asarray(squares / 2 if metric == "cosine" else np.sqrt(squares))


def product_squares(a: Block, b: Block) -> Block:
    """|a_i - b_j|^2 for all pairs by one product, [len(a), len(b)]; rounding may make it slightly negative."""
    return np.asarray(np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T)


def unit_rows(block: Block, metric: Metric, *, exact: bool = False) -> Block:
    """Under cosine the rows scaled to unit norm, in float64 if `exact`, else float32; else the rows as they are."""
    if metric == "l2":
        return block
    wide: Block = np.asarray(block, dtype=np.float64 if exact else np.float32)
    squares = np.einsum("ij,ij->i", wide, wide)
    kind = np.finfo(wide.dtype)
    lost = ~((squares > wide.shape[1] * kind.tiny / kind.eps) & (squares < np.inf))
    if lost.any():  # squares that underflow or overflow where the rows don't: of their largest entry they do not
        top = np.abs(wide[lost]).max(axis=1, keepdims=True)
        scaled = wide[lost] / np.where(top > 0, top, 1)
        wide = wide.copy()
        wide[lost], squares[lost] = scaled, np.einsum("ij,ij->i", scaled, scaled)
    return np.asarray(wide / np.sqrt(squares)[:, None])


def norm_bound(largest_norm: float, metric: Metric) -> float:
    """A bound on the norms of vectors as they are compared: of unit norm, but for rounding, under cosine."""
    return 1.001 if metric == "cosine" else largest_norm


def rounding_bound(dim: int, norms: Norms) -> Norms:
    """How far a float32 squared distance by |x|^2 + |y|^2 - 2 x.y may be off, for norms |x| + |y| <= norms.

    The inner product's partial sums run in at least eight lanes, so the chain is dim / 8 long; the rest is a few
    operations. (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.) Of tiny vectors each product may
    be off by the smallest float32.
    """
    return (dim / 8 + 32) * 2.0**-24 * norms**2 + 4 * dim * 2.0**-149


def pair_squares(a: Block, i: NDArray[Any], b: Block, j: NDArray[Any]) -> Array:
    """|a[i] - b[j]|^2 in float64 for each pair, by differences (no cancellation), each pair's bits its own."""
    out = np.empty(len(i))
    step = max(1, _CACHE_BYTES // (8 * a.shape[1]))
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        difference = a[i[part]].astype(np.float64)
        difference -= b[j[part]]
        out[part] = np.einsum("ij,ij->i", difference, difference)
    return out


def faiss_seed(seed: int) -> int:
    """A seed for faiss, which has an int for it and takes zero for none."""
    return (seed + 1) % 2**31
