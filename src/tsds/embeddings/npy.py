"""Matrices in .npy files: mapped a block at a time, so that what was read can be let go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tsds.arrays import Block, Rows
from tsds.errors import InputError

#: Bytes of a file mapped at once where its columns lie one after another.
_MAPPED_BYTES = 64 << 20
_FLOATS = (np.float16, np.float32, np.float64)


@dataclass(frozen=True)
class NpyShard:
    """One two-dimensional float .npy file."""

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    offset: int
    fortran: bool

    @classmethod
    def open(cls, path: Path) -> NpyShard:
        """Read the header and check it against the file.

        Raises:
          InputError: if it is missing, not a .npy file, holds objects (never unpickled) or other than 2-d floats.
        """
        try:
            whole = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise InputError("no such file", path=path) from None
        except (ValueError, OSError, EOFError) as error:
            why = str(error)
            if path.is_file() and not _is_npy(path):
                raise InputError(
                    "is not a .npy array", path=path, remedy="np.save one 2-d float array a file"
                ) from None
            if "pickle" in why.lower() or "Python objects" in why:
                raise InputError(
                    "holds Python objects, which are never loaded", path=path, remedy="save a plain float array"
                ) from None
            raise InputError(f"is not a whole .npy array: {why}", path=path, remedy="write it again") from None
        if not isinstance(whole, np.memmap):
            raise InputError("is not a .npy array", path=path, remedy="np.save one 2-d float array a file")
        check_matrix(whole.shape, whole.dtype, path)
        fortran = bool(whole.flags.f_contiguous and not whole.flags.c_contiguous)
        return cls(path, (int(whole.shape[0]), int(whole.shape[1])), whole.dtype, int(whole.offset), fortran)

    def read(self, start: int, stop: int) -> Block:
        """Rows start..stop as an array backed by the file."""
        if self.fortran:
            whole = np.load(self.path, mmap_mode="r", allow_pickle=False)
            return np.ascontiguousarray(whole[start:stop])
        if start == stop:
            return np.empty((0, self.shape[1]), self.dtype)
        row_bytes = self.shape[1] * self.dtype.itemsize
        where = self.offset + start * row_bytes
        return np.memmap(self.path, self.dtype, "r", where, (stop - start, self.shape[1]))

    def rows(self, positions: Rows) -> Block:
        """The rows at these ascending positions."""
        if not self.fortran:
            return np.asarray(self.read(0, self.shape[0])[positions])
        out = np.empty((len(positions), self.shape[1]), self.dtype)
        column_bytes = self.shape[0] * self.dtype.itemsize
        step = max(1, _MAPPED_BYTES // column_bytes)
        for first in range(0, self.shape[1], step):  # columns as they lie in the file, mapped a few at a time
            there = (self.shape[0], min(step, self.shape[1] - first))
            some = np.memmap(self.path, self.dtype, "r", self.offset + first * column_bytes, there, "F")
            for i in range(there[1]):
                out[:, first + i] = some[:, i][positions]
        return out


def check_matrix(shape: tuple[int, ...], dtype: np.dtype[Any], path: str | Path) -> None:
    """Raise InputError unless it is a 2-d array of floats, naming its file, or what it is."""
    if dtype.hasobject:
        raise InputError("holds Python objects, which are never loaded", path=path, remedy="save a plain float array")
    if len(shape) != 2 or shape[1] == 0:
        raise InputError(f"has shape {shape}", path=path, remedy="embeddings are a 2-d array, one row a record")
    if dtype not in _FLOATS:
        raise InputError(f"has type {dtype}", path=path, remedy="embeddings are float16, float32 or float64")


def _is_npy(path: Path) -> bool:
    """Whether it begins as such files do, as far as it goes; NumPy takes anything else for pickled objects."""
    with path.open("rb") as file:
        return np.lib.format.MAGIC_PREFIX.startswith(file.read(len(np.lib.format.MAGIC_PREFIX)))
