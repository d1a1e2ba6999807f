"""The first look at a pool's vectors: are they fit for use, and which of them are exact copies of one another?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Block, Rows
from tsds.embeddings.vectors import Vectors
from tsds.engines import Engine, LocalEngine, Span
from tsds.errors import InputError
from tsds.parallel import map_ordered

Metric = Literal["l2", "cosine"]
Progress = Callable[[int], None]  # rows done since the last call

BLOCK_BYTES = 64 << 20
_SPAN_ROWS = 1 << 19
#: Norms up to this are computed with safely: squares of distances in float32, and costs that solvers take for finite.
LARGEST_NORM = 1e12
#: Places of a row, evenly spread, that are hashed at first sight: real vectors that differ differ in these.
_KEY_WORDS = 8


@dataclass(frozen=True)
class Scan:
    """What the first pass found.

    Attributes:
      largest_norm: the largest Euclidean norm of a row.
      first_copy: [n], for each row the first row with equal bytes (itself, if it is that); None if all differ.
      keys: [n], of some bytes of each row; equal rows have equal keys.
    """

    largest_norm: float
    first_copy: Rows | None
    keys: NDArray[np.uint64]


@dataclass(frozen=True)
class _Asked:
    """What every part of the fold needs to know."""

    vectors: Vectors
    metric: Metric
    name: str
    bounded: bool

    @property
    def identity(self) -> str:
        """What is asked for."""
        return f"{self.name} {self.metric} {len(self.vectors)}"


@dataclass(frozen=True)
class _Seen:
    """A part of the pool looked at."""

    largest_square: float
    keys: NDArray[np.uint64]  # of each row


def scan(
    vectors: Vectors,
    metric: Metric,
    name: str,
    progress: Progress = lambda rows: None,
    engine: Engine | None = None,
    *,
    bounded: bool = True,
) -> Scan:
    """Check every row and find exact copies, in one pass.

    Args:
      bounded: whether to refuse norms above LARGEST_NORM; not where the vectors are scaled before they are compared, as
        they always are under cosine.

    Raises:
      InputError: naming the row, if it holds NaN or infinity, is too large, or is zero under cosine.
    """
    rows = vectors.block_rows(BLOCK_BYTES)
    spans = vectors.spans(_SPAN_ROWS, rows)
    seen = (engine or LocalEngine()).fold(
        f"check the {name}", _look, _both, _Asked(vectors, metric, name, bounded and metric == "l2"), spans, progress
    )
    return Scan(float(np.sqrt(seen.largest_square)), _first_copies(vectors, seen.keys), seen.keys)


def _both(a: _Seen, b: _Seen) -> _Seen:
    return _Seen(max(a.largest_square, b.largest_square), np.concatenate([a.keys, b.keys]))


def _look(asked: _Asked, span: Span) -> _Seen:
    """Look at every row of a span."""
    vectors, metric, name = asked.vectors, asked.metric, asked.name

    def look(item: tuple[int, Block]) -> tuple[float, NDArray[np.uint64]]:
        start, block = item
        squares = np.einsum("ij,ij->i", block, block, dtype=np.float32 if block.dtype != np.float64 else np.float64)
        if not np.isfinite(squares).all():
            squares = _exact_squares(block, start, vectors, name)
        if asked.bounded and squares.max(initial=0.0) > LARGEST_NORM**2:
            path, row = vectors.place(start + int((squares > LARGEST_NORM**2).argmax()))
            raise InputError(
                f"has a norm above {LARGEST_NORM:g}, too large to compute distances with", path=path or name, row=row,
                remedy="scale the vectors, for example with --transform normalize",
            )  # fmt: skip
        if metric == "cosine" and not squares.all():
            tiny = np.flatnonzero(squares == 0)
            zero = tiny[~np.asarray(block[tiny], dtype=np.float64).any(axis=1)]
            if len(zero):
                path, row = vectors.place(start + int(zero[0]))
                remedy = "drop it or use --metric l2"
                raise InputError("is a zero vector, which has no cosine", path=path or name, row=row, remedy=remedy)
        return float(squares.max(initial=0.0)), _keys(block)

    found = list(map_ordered(look, vectors.blocks(vectors.block_rows(BLOCK_BYTES), span)))
    return _Seen(
        max((most for most, _ in found), default=0.0),
        np.concatenate([key for _, key in found] or [np.empty(0, np.uint64)]),
    )


def _exact_squares(block: Block, start: int, vectors: Vectors, name: str) -> NDArray[np.float64]:
    wide = np.asarray(block, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(wide).all(axis=1))
    if len(bad):
        what = "NaN" if np.isnan(wide[bad[0]]).any() else "infinity"
        path, row = vectors.place(start + int(bad[0]))
        raise InputError(f"holds {what}", path=path or name, row=row, remedy="embed that record again")
    with np.errstate(over="ignore"):  # numbers whose square float64 can't hold either: an infinite one says so
        return np.asarray(np.square(wide).sum(axis=1))


def _keys(block: Block) -> NDArray[np.uint64]:
    """A 64-bit key of some bytes of each row; equal rows have equal keys."""
    words = block.shape[1] * block.dtype.itemsize // 8
    if words == 0:
        return np.zeros(len(block), np.uint64)
    whole = np.ascontiguousarray(block[:, : words * 8 // block.dtype.itemsize]).view(np.uint64)
    some = whole[:, np.unique(np.linspace(0, words - 1, _KEY_WORDS).astype(np.int64))]
    odd = np.random.default_rng(0).integers(1 << 63, size=some.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    mixed = (some ^ (some >> np.uint64(29))) * odd
    key = mixed.sum(axis=1, dtype=np.uint64)
    return np.asarray(key ^ (key >> np.uint64(31)))


def _first_copies(vectors: Vectors, keys: NDArray[np.uint64]) -> Rows | None:
    """Confirm rows of equal keys by a digest of all their bytes; None if there is no copy."""
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    if not same.any():
        return None
    suspect = np.zeros(len(keys), bool)
    suspect[order[1:][same]] = suspect[order[:-1][same]] = True
    first = np.arange(len(keys))
    seen: dict[bytes, int] = {}
    for start, block in vectors.blocks(vectors.block_rows(BLOCK_BYTES)):
        for i in np.flatnonzero(suspect[start : start + len(block)]):
            digest = hashlib.blake2b(np.ascontiguousarray(block[i]).tobytes(), digest_size=16).digest()
            first[start + i] = seen.setdefault(digest, start + int(i))
    return None if (first == np.arange(len(keys))).all() else first
