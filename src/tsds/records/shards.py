"""One file of a pool, or one object in memory: where it is, how to read it, what it sums to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tsds.records.blocks import Block
from tsds.records.files import checksum_of
from tsds.records.tables import shared_schema


@dataclass(frozen=True)
class Shard:
    """One file of a pool, or one object in memory.

    Attributes:
      name: what messages and results call it.
      path: the file, or None.
      format_name: an entry of FORMATS, or "list" or "dataset" for objects in memory.
      blocks: starts a pass over its records.
      written_as: the format its records are written in.
      schema: its columns, if its format has any to agree on; else None.
      temporary: whether `path` is a copy of standard input, to be removed.
    """

    name: str
    path: Path | None
    format_name: str
    blocks: Callable[[], Iterator[Block]] = field(repr=False)
    written_as: str = field(repr=False)
    schema: Callable[[], Any] = field(repr=False)
    temporary: bool = field(default=False, repr=False)

    def checksum(self) -> dict[str, str | int]:
        """Name, bytes and sha256 of the file as stored; of objects in memory, those of their records as JSON lines."""
        if self.path is not None:
            return checksum_of(self.path, self.name)
        total, size = hashlib.sha256(), 0
        for block in self.blocks():
            for record in block.parse():
                line = orjson.dumps(record, default=repr, option=orjson.OPT_APPEND_NEWLINE)
                total.update(line)
                size += len(line)
        return {"name": self.name, "bytes": size, "sha256": total.hexdigest()}


def own_format(shards: Sequence[Shard]) -> tuple[str, Any]:
    """The format in which records of these shards stay as they are, and their columns if it has columns.

    It is jsonl where the shards are of several formats, or their columns don't agree.
    """
    formats = {shard.written_as for shard in shards}
    if len(formats) > 1:
        return "jsonl", None
    (name,) = formats
    if name == "parquet":
        schema = shared_schema([shard.schema() for shard in shards])
        return ("jsonl", None) if schema is None else (name, schema)
    headers = {header for shard in shards if (header := shard.schema()) is not None}
    if len(headers) > 1:
        return "jsonl", None
    return name, next(iter(headers), None)
