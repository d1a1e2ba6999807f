"""The table of formats: which suffix is read and written how. A new format is one entry here."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tsds.errors import InputError
from tsds.records import delimited, lines, tables
from tsds.records.blocks import Block, Counted, Picked
from tsds.records.files import COMPRESSIONS


@dataclass(frozen=True)
class Format:
    """How one kind of file is read and written.

    Attributes:
      name: as users write it after --format.
      suffixes: of its files; the first is that of the files written.
      read: the blocks of a file, given its path and what messages call it.
      write: chosen records to an open file; None if records of this format are written in another one, `written_as`.
      schema: the columns of a file, for formats whose files can only be joined if their columns agree.
      compressible: whether the suffix may be followed by one of a compression.
      count: records in the first bytes of a file (its content, and whether there is no more), for those that have to be
        read to know; of others `rows` tells how many there are.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, str], Iterator[Block]]
    write: Callable[[BinaryIO, Picked], None] | None
    written_as: str
    schema: Callable[[Path, str], Any] | None = None
    compressible: bool = True
    count: Callable[[bytes, bool], Counted] | None = None
    rows: Callable[[Path, str], int] | None = None


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("jsonl", (".jsonl", ".ndjson"), lines.read_jsonl, lines.write_jsonl, "jsonl", count=lines.count_lines),
        Format("json", (".json",), lines.read_json, None, "jsonl", count=lines.count_json),
        Format("txt", (".txt",), lines.read_txt, lines.write_txt, "txt", count=lines.count_lines),
        Format(
            "csv",
            (".csv",),
            delimited.read_csv,
            delimited.write_csv,
            "csv",
            delimited.csv_header,
            count=delimited.count_csv,
        ),
        Format(
            "tsv",
            (".tsv",),
            delimited.read_tsv,
            delimited.write_tsv,
            "tsv",
            delimited.tsv_header,
            count=delimited.count_tsv,
        ),
        Format(
            "parquet",
            (".parquet",),
            tables.read_parquet,
            tables.write_parquet,
            "parquet",
            tables.parquet_schema,
            False,
            rows=tables.parquet_rows,
        ),
        Format(
            "arrow",
            (".arrow",),
            tables.read_arrow,
            None,
            "parquet",
            tables.arrow_schema,
            False,
            rows=tables.arrow_rows,
        ),
    )
}


#: Suffixes of what lies beside a file of records and holds none: sums of it.
_BESIDE = (".md5", ".sha1", ".sha256", ".sha512", ".crc")
#: Files that `datasets`, the Hub and LLaMA-Factory put beside those of records, to describe them.
_ABOUT = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")


def format_of(path: Path) -> Format | None:
    """The format that a file's suffix tells, or None if it tells none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = bool(suffixes) and suffixes[-1] in COMPRESSIONS
    suffix = suffixes[-2 if compressed else -1] if len(suffixes) > compressed else ""
    for entry in FORMATS.values():
        if suffix in entry.suffixes and (entry.compressible or not compressed):
            return entry
    return None


def is_aside(name: str) -> bool:
    """Whether a file or folder of that name, in a folder where others hold records, is not one of them."""
    return name in _ABOUT or name.startswith((".", "_"))


def check_left_out(path: Path) -> None:
    """Raise InputError at a file that a folder's reading would leave out, and whose name says that it holds records."""
    name, last = path.name.lower(), path.suffix.lower()
    if is_aside(name) or last in _BESIDE:
        return
    if any(f"{suffix}." in name for entry in FORMATS.values() for suffix in entry.suffixes):
        remedy = f"unpack or remove it, or name the files that are meant, as {path.parent}/*.jsonl"
        raise InputError(f"is in the folder, and a {last} can't be read", path=path, remedy=remedy)


def known_suffixes() -> str:
    """All suffixes, for messages."""
    suffixes = [suffix for entry in FORMATS.values() for suffix in entry.suffixes]
    return f"{', '.join(suffixes)}; all but .parquet and .arrow also with {' or '.join(COMPRESSIONS)}"


def writable(name: str) -> Format:
    """The format of that name, if records can be written in it; raises InputError with the nearest name if not."""
    entry = FORMATS.get(name)
    if entry is not None and entry.write is not None:
        return entry
    names = [entry.name for entry in FORMATS.values() if entry.write is not None]
    near = (
        [FORMATS[name].written_as] if name in FORMATS else difflib.get_close_matches(name.lower().lstrip("."), names, 1)
    )
    remedy = f"did you mean {near[0]}? " if near else ""
    raise InputError(f"can't write the format {name!r}", remedy=f"{remedy}there are {', '.join(names)}")
