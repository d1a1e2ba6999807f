"""Formats with typed columns, through pyarrow: parquet, Arrow IPC (what `datasets` saves), a `datasets.Dataset`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tsds.errors import InputError
from tsds.records.blocks import Block, Parsed, Picked, records_at
from tsds.records.files import unreadable

_BLOCK = 2048
_ROW_GROUP = 1 << 16
_ROW_GROUP_BYTES = 1 << 26


@dataclass(frozen=True)
class TableRows:
    """Rows of an Arrow table or record batch; `rows` tells where each stood in its file."""

    name: str
    table: Any
    rows: Sequence[int]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def parse(self, picks: Sequence[int] | None = None, fields: Collection[str] | None = None) -> list[Parsed]:
        table = self.table if picks is None else self.table.take(_int64(picks))
        if fields is not None:
            table = table.select([column for column in table.schema.names if column in fields])
            if not table.num_columns:
                return [{} for _ in range(len(self) if picks is None else len(picks))]
        try:
            records: list[Parsed] = table.to_pylist()
        except (ValueError, OverflowError):  # not UTF-8, or a date that Python has not; of which row is seen one by one
            chosen = range(len(self)) if picks is None else picks
            records = [self._decoded(table.slice(k, 1), i) for k, i in enumerate(chosen)]
        return records

    def only(self, picks: Sequence[int]) -> TableRows:
        return TableRows(self.name, self.table.take(_int64(picks)), [self.rows[i] for i in picks])

    def error(self, i: int, problem: str, remedy: str | None = None) -> InputError:
        return InputError(problem, path=self.name, row=self.rows[i], remedy=remedy)

    def _decoded(self, one: Any, i: int) -> Parsed:
        try:
            record: dict[str, Any] = {name: _value(one.column(name)[0]) for name in one.schema.names}
        except UnicodeDecodeError:
            return self.error(i, "not UTF-8", "write the column as binary, or its text as UTF-8")
        return record


def _value(scalar: Any) -> Any:
    """A value as Python has it; times beyond its calendar, in lists and structs too, as the text that Arrow has."""
    import pyarrow as pa

    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        raise
    except (ValueError, OverflowError):
        if isinstance(scalar, pa.DictionaryScalar):
            return _value(scalar.value)
        if isinstance(scalar, pa.StructScalar):
            return {field.name: _value(scalar[k]) for k, field in enumerate(scalar.type)}
        if isinstance(scalar, pa.MapScalar):
            return [(_value(key), _value(value)) for key, value in (one.values() for one in scalar.values)]
        if isinstance(scalar, (pa.ListScalar, pa.FixedSizeListScalar)):
            return [_value(one) for one in scalar.values]
        try:
            return scalar.cast(pa.string()).as_py()
        except pa.ArrowInvalid:  # of a time zone that is nowhere
            return f"{scalar.value} {scalar.type}"


def read_parquet(path: Path, name: str) -> Iterator[Block]:
    import pyarrow.parquet as pq

    with _damage(name), pq.ParquetFile(path) as file:
        check_columns(file.schema_arrow, name)
        yield from _blocks(file.iter_batches(batch_size=_BLOCK), name)


def read_arrow(path: Path, name: str) -> Iterator[Block]:
    with _damage(name), _arrow_reader(path) as reader:
        check_columns(reader.schema, name)
        if hasattr(reader, "num_record_batches"):
            batches = (reader.get_batch(k) for k in range(reader.num_record_batches))
        else:
            batches = iter(reader)
        yield from _blocks(batches, name)


def read_dataset(dataset: Any, name: str) -> Iterator[Block]:
    """The rows of a `datasets.Dataset` in memory, in the order it gives them (after select, shuffle, sort)."""
    arrow = dataset.with_format("arrow")
    for first in range(0, len(arrow), _BLOCK):
        yield TableRows(name, arrow[first : first + _BLOCK], range(first, first + _BLOCK))


def parquet_rows(path: Path, name: str) -> int:
    """How many there are, as the end of the file says."""
    import pyarrow.parquet as pq

    with _damage(name), pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def first_rows(stored: BinaryIO, name: str, most: int) -> tuple[int, Any]:
    """How many rows a parquet file has, and a table of `most` of them at most; little more is read of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with stored, _damage(name), pq.ParquetFile(stored) as file:
        batches = [next(file.iter_batches(batch_size=most))] if most and file.metadata.num_rows else []
        return int(file.metadata.num_rows), pa.Table.from_batches(batches, file.schema_arrow)


def arrow_rows(path: Path, name: str) -> int:
    """How many there are; the file is mapped, and values are not looked at."""
    return sum(len(block) for block in read_arrow(path, name))


def read_table(table: Any, name: str) -> Iterator[Block]:
    """The rows of an Arrow table in memory."""
    yield from _blocks(iter([table]), name)


def parquet_schema(path: Path, name: str) -> Any:
    import pyarrow.parquet as pq

    with _damage(name), pq.ParquetFile(path) as file:
        return file.schema_arrow


def arrow_schema(path: Path, name: str) -> Any:
    with _damage(name), _arrow_reader(path) as reader:
        return reader.schema


def shared_schema(schemas: list[Any]) -> Any:
    """The columns of several tables together, where those of one name are of one type; else None."""
    import pyarrow as pa

    try:
        return pa.unify_schemas(schemas, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def write_parquet(file: BinaryIO, picked: Picked) -> None:
    """Rows of tables value for value under their schema; of other formats with the types their values suggest."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    same_form = isinstance(picked.schema, pa.Schema)
    try:
        schema = picked.schema if same_form else _inferred_schema(picked)
        with pq.ParquetWriter(file, schema) as writer:
            for table in _gathered(_tables(picked, schema, same_form)):
                writer.write_table(table)
    except (pa.ArrowException, OverflowError) as error:
        problem = f"the records can't be written as parquet: {error}"
        raise InputError(problem, remedy="choose --format jsonl") from error


def _tables(picked: Picked, schema: Any, same_form: bool) -> Iterator[Any]:
    import pyarrow as pa

    for block, picks in picked:
        if same_form:
            assert isinstance(block, TableRows)
            yield _fitted(block.table.take(_int64(picks)), schema)
        else:
            yield pa.Table.from_struct_array(_structs(block, picks, pa.struct(list(schema))))


def _gathered(tables: Iterator[Any]) -> Iterator[Any]:
    """Few large tables out of many small ones: each becomes a row group, and tiny row groups read slowly."""
    import pyarrow as pa

    pending: list[Any] = []
    rows = size = 0
    for table in tables:
        pending.append(table)
        rows, size = rows + table.num_rows, size + table.nbytes
        if rows >= _ROW_GROUP or size >= _ROW_GROUP_BYTES:
            yield pa.concat_tables(pending)
            pending, rows, size = [], 0, 0
    if pending:
        yield pa.concat_tables(pending)


def _fitted(rows: Any, schema: Any) -> Any:
    """The rows under the schema of all files: columns in its order, those a file lacks as nulls."""
    import pyarrow as pa

    names = set(rows.schema.names)
    columns = [
        rows.column(column.name).cast(column.type) if column.name in names else pa.nulls(rows.num_rows, column.type)
        for column in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _inferred_schema(picked: Picked) -> Any:
    import pyarrow as pa

    schema = pa.schema([])
    for block, picks in picked:
        found = pa.schema(list(_structs(block, picks, None).type))
        schema = pa.unify_schemas([schema, found], promote_options="permissive")
    return schema


def _structs(block: Block, picks: Sequence[int], type_: Any) -> Any:
    import pyarrow as pa

    return pa.array([record for _, record in records_at(block, picks)], type_)


def _blocks(batches: Iterator[Any], name: str) -> Iterator[Block]:
    first = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _BLOCK):
            yield TableRows(name, batch.slice(start, _BLOCK), range(first + start, first + start + _BLOCK))
        first += batch.num_rows


def check_columns(schema: Any, name: str) -> None:
    """Raise InputError if two columns have one name."""
    twice = [column for column in schema.names if schema.names.count(column) > 1]
    if twice:
        raise InputError(f"two columns are named {twice[0]!r}", path=name, remedy="rename one of them")


@contextmanager
def _arrow_reader(path: Path) -> Iterator[Any]:
    """A reader of either kind of Arrow IPC: a stream (what `datasets` writes) or a random-access file."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        with pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source) as reader:
            yield reader


@contextmanager
def _damage(name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise unreadable(error, name) from error


def _int64(picks: Sequence[int]) -> Any:
    import pyarrow as pa

    return pa.array(picks, pa.int64())
