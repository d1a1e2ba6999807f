"""The same records in every form, made with other libraries than the code under test reads them with."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

RECORDS: list[dict[str, Any]] = [
    {"id": f"r{i}", "text": text, "source": "ab"[i % 2]}
    for i, text in enumerate(
        [
            "plain words",
            "quotes \" and ' , commas",
            "tab\there",
            "ünïcode 日本 🙂",
            "back\\slash \\n",
            " spaces ",
            "x" * 5000,
        ]
    )
]
#: jsonl and csv can hold these too.
MULTILINE: list[dict[str, Any]] = [
    *RECORDS,
    {"id": "m0", "text": "two\nlines", "source": "a"},
    {"id": "m1", "text": "dos\r\nlines and a lone \r return", "source": "b"},
]


def jsonl(records: list[dict[str, Any]], end: str = "\n") -> bytes:
    return "".join(json.dumps(record, ensure_ascii=i % 2 == 0) + end for i, record in enumerate(records)).encode()


def zstd(content: bytes) -> bytes:
    with pa.BufferOutputStream() as sink, pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
        stream.close()
        return bytes(sink.getvalue())


def _delimited(path: Path, delimiter: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", "text", "source"], delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(MULTILINE)


def _gz(path: Path, write: Callable[[Path], None]) -> None:
    plain = path.with_suffix("")
    write(plain)
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()


def _arrow(path: Path) -> None:
    table = pa.Table.from_pylist(MULTILINE)
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "jsonl": lambda path: path.write_bytes(jsonl(MULTILINE)),
    "ndjson": lambda path: path.write_bytes(jsonl(MULTILINE, "\r\n")),
    "jsonl.gz": lambda path: path.write_bytes(gzip.compress(jsonl(MULTILINE))),
    "jsonl.zst": lambda path: path.write_bytes(zstd(jsonl(MULTILINE))),
    "json": lambda path: path.write_text(json.dumps(MULTILINE, indent=1)),
    "json.gz": lambda path: path.write_bytes(gzip.compress(json.dumps(MULTILINE).encode())),
    "csv": lambda path: _delimited(path, ","),
    "csv.gz": lambda path: _gz(path, lambda plain: _delimited(plain, ",")),
    "tsv": lambda path: _delimited(path, "\t"),
    "tsv.gz": lambda path: _gz(path, lambda plain: _delimited(plain, "\t")),
    "parquet": lambda path: pq.write_table(pa.Table.from_pylist(MULTILINE), path, row_group_size=2),
    "arrow": _arrow,
}
