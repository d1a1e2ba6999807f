"""Linear maps on top of embeddings, learned from the pool or the targets: other distances from the same vectors.

A map is written as its steps, "normalize,whiten,pca:64". Each is learned from the vectors as the steps before it left
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, new_array
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.suggestions import nearest_name

Float32Rows = NDArray[np.float32]
_BLOCK_BYTES = 64 << 20
#: Directions of the pool whose spread is less than this share of the widest are noise, and not blown up.
_FLOOR = 1e-3


@dataclass(frozen=True)
class Affine:
    """x to (x - centre) @ matrix.

    Attributes:
      centre: [d].
      matrix: [d, k].
    """

    centre: Array
    matrix: Array

    def __call__(self, rows: NDArray[Any]) -> Float32Rows:
        """[n, d] to [n, k]."""
        return np.asarray((rows.astype(np.float64) - self.centre) @ self.matrix, dtype=np.float32)


Step = Callable[[NDArray[Any]], Float32Rows]


def unit(rows: NDArray[Any]) -> Float32Rows:
    """Rows of unit norm; zero rows stay."""
    wide = rows.astype(np.float64)
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
    large = np.isinf(norms[:, 0])  # numbers whose squares float64 can't hold
    if large.any():
        wide[large] /= np.abs(wide[large]).max(axis=1, keepdims=True)
        norms[large] = np.linalg.norm(wide[large], axis=1, keepdims=True)
    return np.asarray(wide / np.where(norms > 0, norms, 1), dtype=np.float32)


def whiten(mean: Array, covariance: Array) -> Affine:
    """The pool with mean zero and the same spread in every direction, axes as they were (ZCA)."""
    values, vectors = np.linalg.eigh(covariance)
    spread = np.sqrt(np.maximum(values, _FLOOR**2 * max(values[-1], 0.0)))
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    return Affine(mean, (vectors * scale) @ vectors.T)


def pca(mean: Array, covariance: Array, k: int) -> Affine:
    """The k directions of largest variance in the pool."""
    return Affine(mean, np.linalg.eigh(covariance)[1][:, ::-1][:, :k])


def target_subspace(targets: NDArray[Any], k: int) -> Affine:
    """The k directions along which the targets lie: leading right singular vectors of their vectors, [m, d]."""
    right = np.linalg.svd(targets.astype(np.float64), full_matrices=False)[2]
    return Affine(np.zeros(targets.shape[1]), right[:k].T)


#: Names, whether a number follows after a colon, and what they do.
TRANSFORMS: dict[str, tuple[bool, str]] = {
    "normalize": (False, "every vector to unit norm"),
    "whiten": (False, "the pool to mean zero and equal spread in all directions"),
    "pca": (True, "the K directions of largest variance in the pool"),
    "target-subspace": (True, "the K directions along which the targets lie"),
}


@dataclass(frozen=True)
class Transform:
    """Steps by name, with their number if they have one.

    Attributes:
      steps: as written.
    """

    steps: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> Transform:
        """Read "whiten" or "normalize,pca:64"; nothing for None.

        Raises:
          InputError: at an unknown name, or a number that is missing or makes no sense.
        """
        steps = []
        for part in (text or "").split(","):
            name, colon, number = part.strip().partition(":")
            if not name and not colon:
                continue
            if name not in TRANSFORMS:
                raise InputError(f"unknown transform {name!r}", remedy=nearest_name(name, TRANSFORMS))
            if TRANSFORMS[name][0] != bool(colon) or (colon and not (number.isdecimal() and int(number) >= 1)):
                wanted = f"{name}:64" if TRANSFORMS[name][0] else name
                raise InputError(f"the transform {part.strip()!r} makes no sense", remedy=f"for example {wanted}")
            steps.append((name, int(number or 0)))
        return cls(tuple(steps))

    def __bool__(self) -> bool:
        return bool(self.steps)

    def width(self, dim: int) -> int:
        """Of vectors of `dim` numbers, when all steps are done."""
        for _, k in self.steps:
            dim = k or dim
        return dim

    def check(self, dim: int, targets: int) -> None:
        """Raise InputError if more directions are asked for than there are.

        Args:
          dim: numbers of a vector.
          targets: how many there are.
        """
        for name, k in self.steps:
            most = min(targets, dim) if name == "target-subspace" else dim
            if k > most:
                raise InputError(
                    f"transform {name}:{k} of vectors that span {most} directions", remedy=f"{name}:{most}"
                )
            dim = k or dim

    def learn(self, pool: Vectors, targets: NDArray[Any]) -> Learned:
        """The map, from the vectors of the pool [n, d] and of all targets [m, d].

        Raises:
          InputError: if more directions are asked for than there are.
        """
        self.check(targets.shape[1], len(targets))
        learned: list[Step] = []
        for name, k in self.steps:
            before = Learned(tuple(learned))
            if name == "normalize":
                learned.append(unit)
                continue
            if name == "target-subspace":
                learned.append(target_subspace(before(targets), k))
                continue
            mean, covariance = moments(pool, before)
            learned.append(whiten(mean, covariance) if name == "whiten" else pca(mean, covariance, k))
        return Learned(tuple(learned))


@dataclass(frozen=True)
class Learned:
    """A map of vectors, one step after the other."""

    steps: tuple[Step, ...] = ()

    def __call__(self, rows: NDArray[Any]) -> Float32Rows:
        """[n, d] to [n, k]."""
        for step in self.steps:
            rows = step(rows)
        return np.asarray(rows, dtype=np.float32)

    def write(self, pool: Vectors, path: Path) -> Vectors:
        """All vectors of the pool, mapped, in a .npy file.

        Raises:
          RunError: if the disk has no room for it.
        """
        out: Any = None
        for start, block in pool.blocks(pool.block_rows(_BLOCK_BYTES)):
            rows = self(block)
            if out is None:
                out = new_array(path, (len(pool), rows.shape[1]), np.float32)
            out[start : start + len(rows)] = rows
        out.flush()
        del out
        return Vectors.of(path)


def moments(pool: Vectors, before: Step) -> tuple[Array, Array]:
    """Mean [d] and covariance [d, d] of the pool's vectors after the steps before, in float64, block by block."""
    total, products, count = np.zeros(0), np.zeros((0, 0)), 0
    shift = before(pool.take(np.arange(1))).astype(np.float64)[0]  # near the mean, so that nothing cancels
    for _, block in pool.blocks(pool.block_rows(_BLOCK_BYTES)):
        rows = before(block).astype(np.float64) - shift
        total = total + rows.sum(axis=0) if count else rows.sum(axis=0)
        products = products + rows.T @ rows if count else rows.T @ rows
        count += len(rows)
    mean = total / count
    return mean + shift, products / count - np.outer(mean, mean)
