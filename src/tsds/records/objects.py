"""Records that are in memory: texts, dicts, data frames, datasets; as shards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from tsds.errors import InputError
from tsds.records.blocks import Block, Objects
from tsds.records.shards import Shard
from tsds.records.tables import check_columns, read_dataset, read_table

_OBJECTS_BLOCK = 4096


class Texts(list[str]):
    """Texts, whatever they look like: a list of str that is never taken for one of paths."""


def in_memory(sources: Any, role: str, skip: bool = False) -> list[Shard]:
    """The shards of objects that are no paths: records, texts, data frames, datasets.

    Raises:
      InputError: if an object is no record, unless such are to be skipped when they are read.
    """
    if is_frame(sources):
        table = arrow_table(sources, role)
        return [Shard(role, None, "table", partial(read_table, table, role), "parquet", lambda: table.schema)]
    given = [sources] if is_dataset(sources) else list(sources)
    if given and all(is_dataset(one) for one in given):
        names = [f"{role} dataset"] if len(given) == 1 else [f"{role} dataset {k}" for k in range(len(given))]
        return [_dataset_shard(one, name) for one, name in zip(given, names, strict=True)]
    for row, record in enumerate(given):
        if not skip and not isinstance(record, (dict, str)):
            kind = type(record).__name__
            raise InputError(f"the record is a {kind}", path=role, row=row, remedy="a record is a dict or a text")
    return [Shard(role, None, "list", partial(_objects, given, role), "jsonl", no_schema)]


def _objects(records: list[object], name: str) -> Iterator[Block]:
    for first in range(0, len(records), _OBJECTS_BLOCK):
        yield Objects(name, records[first : first + _OBJECTS_BLOCK], range(first, first + _OBJECTS_BLOCK))


def _dataset_shard(dataset: Any, name: str) -> Shard:
    return Shard(
        name, None, "dataset", partial(read_dataset, dataset, name), "parquet", lambda: dataset.features.arrow_schema
    )


def is_dataset(source: object) -> bool:
    """Whether this is a `datasets.Dataset`: it can only be one if its package is imported already."""
    package = sys.modules.get("datasets")
    if package is None:
        return False
    if isinstance(source, (package.IterableDataset, package.DatasetDict, package.IterableDatasetDict)):
        kind = type(source).__name__
        remedy = "choose one split of it" if "Dict" in kind else "a pool is read more than once: save it to disk first"
        raise InputError(f"a datasets.{kind} can't be read", remedy=remedy)
    return isinstance(source, package.Dataset)


def is_frame(source: object) -> bool:
    """Whether this is a table in memory (pandas, polars, pyarrow): it has columns, and gives them to Arrow."""
    return hasattr(source, "__arrow_c_stream__") and hasattr(source, "columns") and not is_dataset(source)


def arrow_table(frame: Any, role: str) -> Any:
    """The columns of a data frame as an Arrow table; an index of pandas is left out.

    Raises:
      InputError: if values of a column are of several types, or two columns have one name.
    """
    import pyarrow as pa

    pandas = sys.modules.get("pandas")
    try:
        if pandas is not None and isinstance(frame, pandas.DataFrame):
            table = pa.Table.from_pandas(frame, preserve_index=False)
        else:
            table = pa.table(frame)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise InputError(
            f"the data frame can't be read: {error}", path=role, remedy="give its rows as dicts"
        ) from error
    check_columns(table.schema, role)
    return table.replace_schema_metadata()  # what pandas notes of its index would be written too


def no_schema() -> None:
    """The columns of what has none."""
