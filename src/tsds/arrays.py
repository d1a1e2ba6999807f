"""The array types that everything shares, and arrays written by memory map."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tsds.errors import RunError

Array = NDArray[np.float64]
Rows = NDArray[np.int64]  # positions: of records in a pool, of vectors in a matrix
Block = NDArray[Any]  # vectors, float16, float32 or float64, as stored


#: What a file system says that can't set room aside.
_CANT = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def new_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.memmap[Any, Any]:
    """A new .npy file, mapped to be written, with all its room on the disk: none left at a later write is a bus error.

    Raises:
      RunError: if it can't be written; nothing is left then.
    """
    try:
        out = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        _set_aside(path)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RunError(f"{path}: can't be written: {error.strerror or error}") from error
    return out


def _set_aside(path: Path) -> None:
    """Have the disk hold all of a file, where the system can."""
    allocate = getattr(os, "posix_fallocate", None)
    if allocate is None:
        return
    with path.open("r+b") as file:
        try:
            allocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in _CANT:
                raise


def runs(ordered: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
    """Each value of an ascending array, and where it stands there."""
    edges = np.flatnonzero(np.diff(ordered)) + 1
    starts = np.concatenate([[0], edges]) if len(ordered) else edges
    for start, stop in zip(starts.tolist(), [*edges.tolist(), len(ordered)], strict=False):
        yield int(ordered[start]), slice(start, stop)


def places_within(group: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each among those of its group, from 0, as they come in this order: [n].

    Args:
      group: [n].
      order: [n], a permutation.
    """
    mine = order[np.argsort(group[order], kind="stable")]
    places = np.empty(len(order), np.int64)
    places[mine] = np.arange(len(mine)) - np.searchsorted(group[mine], group[mine])
    return places


def equals(rows: Block) -> NDArray[np.int64]:
    """The group of equal rows that each is in, numbered in the order in which they come, [n]."""
    groups: dict[bytes, int] = {}
    hashes = (blake2b((row + 0.0).tobytes(), digest_size=16).digest() for row in rows)  # -0.0 is 0.0 then
    return np.array([groups.setdefault(one, len(groups)) for one in hashes], np.int64)
