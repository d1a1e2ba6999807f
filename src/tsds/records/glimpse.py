"""What files elsewhere are like, from their first bytes: sized, their first records read, and none copied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsds.records.counting import LOOKED_BYTES, Stored, count_records, count_stored
from tsds.records.files import head
from tsds.records.formats import FORMATS, format_of
from tsds.records.remote import RemoteFile, is_remote, remote_files
from tsds.records.sources import Sources, not_here, shards_of
from tsds.records.tables import first_rows


@dataclass(frozen=True)
class Glimpse:
    """Files of which some are elsewhere.

    Attributes:
      first: a file here that begins as the first of them does.
      records: how many they hold.
      exact: whether that is known.
      missing: bytes that a run would copy here.
    """

    first: Path
    records: int
    exact: bool
    missing: int


def glimpse(sources: Sources, role: str, folder: Path) -> Glimpse | None:
    """Look at files elsewhere; None where all are here, or one has to be fetched to be looked into.

    That is so of arrays, of arrow files, and of files whose size is not told.

    Args:
      folder: to put the first records in.

    Raises:
      InputError: if a file can't be read, or is damaged where it is looked at.
    """
    missing = not_here(sources)
    if not missing or any(_kind(file) is None for file in missing):
        return None
    here: list[Any] = []
    for one in [sources] if isinstance(sources, str) else sources:
        here += [file.local for file in remote_files(one) if file.here] if is_remote(one) else [one]
    first = _beginning(missing[0], folder)
    if first is None:
        return None
    known, exact = count_records(shards_of(here, role)) if here else (0, True)
    known += sum(first_rows(file.open(), file.address, 0)[0] for file in missing if _kind(file) == "parquet")
    found, sure = count_stored([_stored(file) for file in missing if _kind(file) != "parquet"])
    return Glimpse(first, known + found, exact and sure, sum(file.size or 0 for file in missing))


def _kind(file: RemoteFile) -> str | None:
    """The format of a file that can be looked into."""
    entry = format_of(Path(file.path))
    if entry is None or file.size is None or not (entry.count or entry.name == "parquet"):
        return None
    return entry.name


def _stored(file: RemoteFile) -> Stored:
    kind = _kind(file)
    assert kind is not None and file.size is not None, "only such files are looked into"
    return Stored(file.address, kind, Path(file.path).suffix.lower(), file.size, file.open)


def _beginning(file: RemoteFile, folder: Path) -> Path | None:
    """The first records of a file as a file here; None if they are longer than what is read."""
    kind = _kind(file)
    assert kind is not None, "only such files are looked into"
    entry = FORMATS[kind]
    path = folder / f"first{entry.suffixes[0]}"
    if entry.count is None:
        import pyarrow.parquet as pq

        pq.write_table(first_rows(file.open(), file.address, 1 << 12)[1], path)
        return path
    found = head(file.open(), Path(file.path).suffix, file.address, LOOKED_BYTES)
    counted = entry.count(found.content, found.whole)
    if not counted.records:
        return None
    cut = found.content if found.whole else found.content[: counted.stop]
    if kind == "json" and not found.whole and cut.lstrip().startswith(b"["):
        cut += b"]"
    path.write_bytes(cut)
    return path
