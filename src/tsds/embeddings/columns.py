"""A column of embeddings in a parquet file as rows of a matrix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.errors import InputError

_COLUMN = re.compile(r"(?P<file>.+\.parquet)(?::(?P<column>[^/]+))?", re.IGNORECASE)


def column_of(path: Path) -> tuple[Path, str | None] | None:
    """File and column of FILE.parquet or FILE.parquet:COLUMN; None for another kind of file."""
    match = _COLUMN.fullmatch(str(path))
    return (Path(match["file"]), match["column"]) if match else None


@dataclass(frozen=True)
class ColumnShard:
    """A column of lists of numbers, one list a row and all equally long; read a row group at a time.

    Attributes:
      path: of the file.
      column: its name.
      shape: rows and width.
      dtype: of the numbers.
    """

    path: Path
    column: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    _ends: NDArray[np.int64]
    _latest: dict[int, NDArray[Any]] = field(default_factory=dict, repr=False)  # the row group read last

    @classmethod
    def open(cls, path: Path, column: str | None) -> ColumnShard:
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
            return cls(path, name, (0, 1), kind, ends)
        first = next(_numbers(file.read_row_group(0, columns=[name]).column(name), path, 0, None))
        return cls(path, name, (rows, first.shape[1]), kind, ends)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start..stop."""
        parts = []
        first = int(np.searchsorted(self._ends, start, side="right"))
        for group in range(first, len(self._ends)):
            begin = int(self._ends[group - 1]) if group else 0
            if begin >= stop:
                break
            parts.append(self._group(group, begin)[max(start - begin, 0) : stop - begin])
        return np.concatenate(parts) if parts else np.empty((0, self.shape[1]), self.dtype)

    def _group(self, group: int, begin: int) -> NDArray[Any]:
        if group not in self._latest:
            import pyarrow.parquet as pq

            table = pq.ParquetFile(self.path).read_row_group(group, columns=[self.column])
            chunks = list(_numbers(table.column(self.column), self.path, begin, self.shape[1]))
            self._latest.clear()
            self._latest[group] = np.concatenate(chunks)
        return self._latest[group]


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
            raise InputError("a vector holds null", path=path, row=row, remedy="embed the record again")
        yield values.to_numpy(zero_copy_only=False).reshape(len(chunk), width)
        row += len(chunk)
