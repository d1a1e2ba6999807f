"""A column of embeddings in a parquet file as rows of a matrix."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Rows, runs
from tsds.errors import InputError

_COLUMN = re.compile(r"(?P<file>.+\.parquet)(?::(?P<column>[^/]+))?", re.IGNORECASE)
_HELD_BYTES = 64 << 20


def column_of(path: Path) -> tuple[Path, str | None] | None:
    """File and column of FILE.parquet or FILE.parquet:COLUMN; None for another kind of file."""
    match = _COLUMN.fullmatch(str(path))
    return (Path(match["file"]), match["column"]) if match else None


class RowGroups:
    """The row groups asked for last, of all files of a matrix together: 64 MB, and one more whatever its size.

    Threads share them. While one reads, the others wait: they mostly want the same row group, which would be in memory
    once for each of them. What is sent to another process is empty.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[Path, str, int], NDArray[Any]] = {}  # the one asked for last at the end

    def __reduce__(self) -> tuple[type[RowGroups], tuple[()]]:
        return RowGroups, ()

    def get(self, key: tuple[Path, str, int], read: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The row group of a file and column that has this number; read if it is not held."""
        with self._lock:
            found = self._held.pop(key, None)
            if found is None:
                while sum(group.nbytes for group in self._held.values()) > _HELD_BYTES:
                    del self._held[next(iter(self._held))]
                found = read()
            self._held[key] = found
            return found


@dataclass(frozen=True)
class ColumnShard:
    """A column of lists of numbers, one list a row and all equally long; read a row group at a time.

    Attributes:
      path: of the file.
      column: its name.
      shape: rows and width.
      dtype: of the numbers.
      groups: that were read last; shards of one matrix share them.
    """

    path: Path
    column: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    _ends: NDArray[np.int64]
    groups: RowGroups = field(default_factory=RowGroups, repr=False, compare=False)

    @classmethod
    def open(cls, path: Path, column: str | None, groups: RowGroups) -> ColumnShard:
        """Find the column: the one named, or the only one of lists of floats.

        Raises:
          InputError: if it is missing, holds something else, or its rows differ in width.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(path)
        except FileNotFoundError:
            raise InputError("no such file", path=path) from None
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"is not a whole parquet file: {error}", path=path, remedy="write it again") from error
        lists = {
            one.name: one.type
            for one in file.schema_arrow
            if (pa.types.is_list(one.type) or pa.types.is_large_list(one.type) or pa.types.is_fixed_size_list(one.type))
            and pa.types.is_floating(one.type.value_type)
        }
        if column is None and len(lists) != 1:
            found = f"has {len(lists)} columns of vectors" + (f": {', '.join(lists)}" if lists else "")
            raise InputError(found, path=path, remedy="name one: FILE.parquet:COLUMN")
        name = column or next(iter(lists))
        if name not in lists:
            raise InputError(
                f"has no column {name!r} of vectors", path=path, remedy=f"it has {', '.join(lists) or 'none'}"
            )
        meta = file.metadata
        ends = np.cumsum([meta.row_group(i).num_rows for i in range(meta.num_row_groups)], dtype=np.int64)
        rows = int(meta.num_rows)
        kind = np.dtype(lists[name].value_type.to_pandas_dtype())
        if rows == 0:
            return cls(path, name, (0, 1), kind, ends, groups)
        filled = int(np.searchsorted(ends, 0, side="right"))  # a row group may be empty
        first = next(_numbers(file.read_row_group(filled, columns=[name]).column(name), path, 0, None))
        return cls(path, name, (rows, first.shape[1]), kind, ends, groups)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start..stop."""
        out = np.empty((stop - start, self.shape[1]), self.dtype)
        for group in range(int(np.searchsorted(self._ends, start, side="right")), len(self._ends)):
            begin = self._begin(group)
            if begin >= stop:
                break
            low, high = max(start, begin), min(stop, int(self._ends[group]))
            if low < high:
                out[low - start : high - start] = self._group(group)[low - begin : high - begin]
        return out

    def rows(self, positions: Rows) -> NDArray[Any]:
        """The rows at these ascending positions; only the row groups that hold one are read, each once."""
        out = np.empty((len(positions), self.shape[1]), self.dtype)
        for group, part in runs(np.searchsorted(self._ends, positions, side="right")):
            out[part] = self._group(group)[positions[part] - self._begin(group)]
        return out

    def _begin(self, group: int) -> int:
        return int(self._ends[group - 1]) if group else 0

    def _group(self, group: int) -> NDArray[Any]:
        return self.groups.get((self.path, self.column, group), lambda: self._read_group(group))

    def _read_group(self, group: int) -> NDArray[Any]:
        import pyarrow.parquet as pq

        table = pq.ParquetFile(self.path).read_row_group(group, columns=[self.column])
        chunks = list(_numbers(table.column(self.column), self.path, self._begin(group), self.shape[1]))
        return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def _numbers(column: Any, path: Path, row: int, width: int | None) -> Iterator[NDArray[Any]]:
    """Each chunk of a column of lists as a matrix."""
    import pyarrow.compute as pc

    for chunk in column.chunks:
        if not len(chunk):
            continue
        lengths = pc.list_value_length(chunk).to_numpy(zero_copy_only=False)
        width = int(lengths[0]) if width is None and lengths[0] == lengths[0] else width
        wrong = np.flatnonzero(lengths != width)
        if len(wrong) or not width:
            at = int(wrong[0]) if len(wrong) else 0
            why = "has no vector" if lengths[at] != lengths[at] else f"has {int(lengths[at])} numbers"
            raise InputError(why, path=path, row=row + at, remedy=f"every row needs {width or 'as many'}")
        values = chunk.flatten()
        if values.null_count:
            at = int(values.is_null().to_numpy(zero_copy_only=False).argmax()) // width
            raise InputError("a vector holds null", path=path, row=row + at, remedy="embed the record again")
        yield values.to_numpy(zero_copy_only=False).reshape(len(chunk), width)
        row += len(chunk)
