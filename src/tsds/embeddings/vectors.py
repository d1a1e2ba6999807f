"""Embeddings as rows of one (n, d) matrix: in memory or in .npy shards, read block by block, never all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tsds.arrays import Array, Block, Rows, new_array, runs
from tsds.embeddings.columns import ColumnShard, RowGroups, column_of
from tsds.embeddings.gradient_stores import bergson_store, trak_file
from tsds.embeddings.npy import NpyShard, check_matrix
from tsds.errors import InputError

_COPIED_BYTES = 64 << 20


@dataclass(frozen=True)
class ArrayShard:
    """An array that is in memory."""

    array: Block

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.array.shape[0]), int(self.array.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def read(self, start: int, stop: int) -> Block:
        """Rows start..stop, a view."""
        return self.array[start:stop]

    def rows(self, positions: Rows) -> Block:
        """The rows at these positions."""
        return self.array[positions]


class MatrixShard(Protocol):
    """Some rows of the matrix, wherever they are and however they are stored."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def read(self, start: int, stop: int) -> Block:
        """Rows start..stop as floats."""
        ...

    def rows(self, positions: Rows) -> Block:
        """The rows at these ascending positions as floats, [n, d]; of the shard, only what they are in is read."""
        ...


class Vectors:
    """Shards seen as one matrix, optionally only some of its rows.

    Blocks are cut at multiples of the block size counted over all shards, so that a pool gives the same blocks, and
    with them the same bits, however it is cut into files.

    Args:
      shards: matrices of one width.
      kept: [n], ascending positions of the rows to see; all if None.
      centre: [d], subtracted from every row, in float64; nothing if None.

    Raises:
      InputError: if the shards differ in width or there is no row.
    """

    def __init__(self, shards: Sequence[MatrixShard], kept: Rows | None = None, centre: Array | None = None) -> None:
        self._shards = tuple(shards)
        self.centre = centre
        widths = {shard.shape[1] for shard in self._shards}
        if len(widths) > 1:
            odd = next(s for s in self._shards if s.shape[1] != self._shards[0].shape[1])
            raise InputError(
                f"has {odd.shape[1]} dimensions where the first shard has {self._shards[0].shape[1]}",
                path=getattr(odd, "path", None),
                remedy="embed all shards with the same encoder",
            )
        self._starts = np.cumsum([0] + [shard.shape[0] for shard in self._shards])
        self._kept = kept
        self.stored = int(self._starts[-1])
        if self.stored == 0:
            raise InputError("holds no vector", path=getattr(self._shards[0], "path", None) if self._shards else None)
        self.dim = self._shards[0].shape[1]
        self._stored_as = np.result_type(*{shard.dtype for shard in self._shards})
        self.dtype = self._stored_as if centre is None else np.dtype(np.float64)

    @classmethod
    def of(cls, source: Any, name: str = "the array") -> Vectors:
        """Vectors from an array, a .npy or .parquet[:COLUMN] path, or a sequence of paths."""
        if isinstance(source, Vectors):
            return source
        if isinstance(source, (str, Path)):
            source = [source]
        if isinstance(source, (list, tuple)) and source and all(isinstance(x, (str, Path)) for x in source):
            groups = RowGroups()
            return cls([open_matrix(Path(x), groups) for x in source])
        refuse_masked(source, name)
        array = np.asarray(source)
        check_matrix(array.shape, array.dtype, name)
        return cls([ArrayShard(np.ascontiguousarray(array))])

    def __len__(self) -> int:
        return self.stored if self._kept is None else len(self._kept)

    def place(self, row: int) -> tuple[Path | None, int]:
        """Where a row is stored: its file (None if it is in memory) and its position there."""
        stored = row if self._kept is None else int(self._kept[row])
        shard = int(np.searchsorted(self._starts, stored, side="right")) - 1
        return getattr(self._shards[shard], "path", None), stored - int(self._starts[shard])

    def files(self) -> list[tuple[Path | None, int, int]]:
        """Of each shard its file (None in memory), the position of its first row among the stored ones, its rows."""
        starts = self._starts[:-1].tolist()
        return [
            (getattr(shard, "path", None), start, shard.shape[0])
            for shard, start in zip(self._shards, starts, strict=True)
        ]

    def stored_rows(self) -> Rows:
        """Where each row is among the stored ones, [n], ascending."""
        return np.arange(self.stored) if self._kept is None else self._kept

    def only(self, kept: Rows) -> Vectors:
        """The same matrix with only these of its rows, ascending."""
        return Vectors(self._shards, kept if self._kept is None else self._kept[kept], self.centre)

    def around(self, centre: Array | None) -> Vectors:
        """The same rows as they are stored less this centre, [d]; as they are stored if None."""
        return Vectors(self._shards, self._kept, centre)

    def arranged(self, rows: Rows, path: Path) -> Vectors:
        """The rows at these positions, in any order and as often as they are named: a view where they ascend.

        Args:
          rows: [n], positions.
          path: a .npy file to write where a view can't be had.

        Raises:
          RunError: if the disk has no room for it.
        """
        if (np.diff(rows) > 0).all():
            return self if len(rows) == len(self) else self.only(rows)
        out = new_array(path, (len(rows), self.dim), self.dtype)
        step = self.block_rows(_COPIED_BYTES)
        for start in range(0, len(rows), step):
            out[start : start + step] = self.take(rows[start : start + step])
        out.flush()
        del out
        return Vectors.of(path)

    def block_rows(self, block_bytes: int) -> int:
        """How many rows of float32 make a block of so many bytes."""
        return max(1, block_bytes // (4 * self.dim))

    def blocks(self, rows: int, span: tuple[int, int] | None = None) -> Iterator[tuple[int, Block]]:
        """Consecutive blocks of at most `rows` rows, each with the position of its first row among the kept ones.

        Args:
          rows: of a block.
          span: the stored rows to see, start and end; all if None.
        """
        first, last = span or (0, self.stored)
        seen = first if self._kept is None else int(np.searchsorted(self._kept, first))
        for start in range(first, last, rows):
            stop = min(start + rows, last)
            block = self._read(start, stop)
            if self._kept is not None:
                low, high = np.searchsorted(self._kept, [start, stop])
                if high - low < stop - start:
                    block = block[self._kept[low:high] - start]
            if len(block):
                yield seen, self._less_centre(block)
            seen += len(block)

    def spans(self, rows: int, of: int = 1) -> list[tuple[int, int]]:
        """The stored rows cut into spans of about `rows` rows, a whole number of blocks of `of` rows each."""
        step = -(-rows // of) * of
        return [(start, min(start + step, self.stored)) for start in range(0, self.stored, step)]

    def take(self, rows: Rows) -> Block:
        """The vectors at these positions, in any order and as often as they are named: [len(rows), d].

        Raises:
          IndexError: if there is no such position.
        """
        places = np.asarray(rows if self._kept is None else self._kept[rows], dtype=np.int64)
        if len(self._shards) == 1 and isinstance(self._shards[0], ArrayShard):
            return self._less_centre(self._shards[0].array[places])
        order = np.argsort(places, kind="stable")
        ordered = places[order]
        if len(ordered) and not 0 <= ordered[0] <= ordered[-1] < self.stored:
            raise IndexError(f"positions from {ordered[0]} to {ordered[-1]} of {self.stored} rows")
        out = np.empty((len(places), self.dim), self._stored_as)
        # A store may have thousands of shards: what is done for each is done for those that hold a row only.
        for i, part in runs(np.searchsorted(self._starts, ordered, side="right") - 1):
            out[order[part]] = self._shards[i].rows(ordered[part] - self._starts[i])
        return self._less_centre(out)

    def _less_centre(self, rows: Block) -> Block:
        return rows if self.centre is None else np.asarray(rows - self.centre)

    def _read(self, start: int, stop: int) -> Block:
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        last = int(np.searchsorted(self._starts, stop, side="left"))
        if last - first == 1:
            return self._shards[first].read(start - int(self._starts[first]), stop - int(self._starts[first]))
        # Copied one by one: what is read of a file holds a descriptor of it, and a block may be of thousands of files.
        shards = self._shards[first:last]
        out = np.empty((stop - start, self.dim), np.result_type(*{shard.dtype for shard in shards if shard.shape[0]}))
        for shard, begin in zip(shards, self._starts[first:last].tolist(), strict=True):
            low, high = max(start, begin), min(stop, begin + shard.shape[0])
            if low < high:  # a shard may be empty
                out[low - start : high - start] = shard.read(low - begin, high - begin)
        return out


def open_matrix(path: Path, groups: RowGroups) -> MatrixShard:
    """A .npy file, a column of a parquet file, or gradients that bergson or TRAK left in a folder.

    Args:
      path: of a file or folder, or FILE.parquet:COLUMN.
      groups: that are held of parquet files.
    """
    if path.is_dir():
        return bergson_store(path) if (path / "gradients.bin").is_file() else NpyShard.open(trak_file(path))
    column = column_of(path)
    return NpyShard.open(path) if column is None else ColumnShard.open(*column, groups)


def refuse_masked(source: Any, name: str) -> None:
    """Raise InputError if an array, or one of a list of arrays, has masked values: NumPy would compute with them."""
    if any(np.ma.is_masked(one) for one in (source if isinstance(source, (list, tuple)) else [source])):
        raise InputError("holds masked values", path=name, remedy="fill or drop them")
