"""Leading directions of a sparse matrix: a truncated SVD in NumPy alone, for the hash encoder."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_ROUNDS = 3  # of subspace iteration
_OVERSAMPLE = 32  # directions carried along while iterating, beyond those asked for
_NOISE = 1e-3  # of the largest singular value: smaller ones are float32 rounding


@dataclass(frozen=True)
class SparseRows:
    """A sparse matrix by rows: row r holds values[s] in columns[s] for s in starts[r] ... starts[r + 1].

    Attributes:
      starts: [n + 1], from 0 to the number of values.
      columns, values: [k], k values in all.
    """

    starts: Integers
    columns: Integers
    values: Floats

    def times(self, table: Floats) -> Floats:
        """The product with a dense table, [n, width]; a row's bits depend on that row and the table only.

        A loop, as one gather and one BLAS call a row beat a segmented sum of all gathered rows five times.
        """
        product = np.zeros((len(self.starts) - 1, table.shape[1]), dtype=np.float32)
        for row, (first, last) in enumerate(pairwise(self.starts.tolist())):
            if last > first:
                np.dot(self.values[first:last], table[self.columns[first:last]], out=product[row])
        return product

    def transposed(self, width: int) -> SparseRows:
        """The transpose of a matrix of `width` columns."""
        order = np.argsort(self.columns, kind="stable")
        rows = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        return SparseRows(np.searchsorted(self.columns[order], np.arange(width + 1)), rows[order], self.values[order])


def leading_directions(rows: SparseRows, width: int, dim: int, seed: int) -> Floats:
    """The leading right singular vectors of a matrix of `width` columns, [width, dim], orthonormal.

    Randomised subspace iteration on the Gram matrix, which is never formed. A matrix of lower rank than dim (a small
    pool) is made up with random directions orthogonal to its own; columns beyond `width` are zero.
    """
    directions = np.zeros((width, dim), dtype=np.float32)
    carried = min(dim + _OVERSAMPLE, width)
    if carried == 0:
        return directions
    start = np.random.default_rng(seed).standard_normal((width, carried), dtype=np.float32)
    basis, transposed = start, rows.transposed(width)
    for _ in range(_ROUNDS):
        basis = _orthonormal(transposed.times(rows.times(basis)))
    squares, rotation = np.linalg.eigh(_gram(rows.times(basis)))  # ascending
    known = min(int((squares > _NOISE**2 * squares[-1:]).sum()), dim)
    directions[:, :known] = basis @ rotation[:, ::-1][:, :known].astype(np.float32)
    if known < min(dim, width):
        found, other = directions[:, :known], start[:, : dim - known]
        other = _orthonormal(other - found @ (found.T @ other))
        directions[:, known : known + other.shape[1]] = other
    return directions


def _gram(columns: Floats) -> NDArray[np.float64]:
    """Y^T Y in float64, [m, m], without a float64 copy of all of Y, [n, m]."""
    total = np.zeros((columns.shape[1], columns.shape[1]))
    for start in range(0, len(columns), 4096):
        part = columns[start : start + 4096].astype(np.float64)
        total += part.T @ part
    return total


def _orthonormal(columns: Floats) -> Floats:
    """An orthonormal basis of the space the columns span; for tall matrices ten times faster than QR."""
    squares, rotation = np.linalg.eigh(_gram(columns))
    kept = squares > 1e-9 * squares[-1:]
    basis: Floats = columns @ (rotation[:, kept] / np.sqrt(squares[kept])).astype(np.float32)
    return basis
