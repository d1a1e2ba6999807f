"""How many records files hold, from what they say of themselves and from their first bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tsds.records.blocks import Counted
from tsds.records.files import COMPRESSIONS, head
from tsds.records.formats import FORMATS
from tsds.records.shards import Shard

#: Files that have no more bytes than this together are counted.
_SMALL = 8 << 20
#: Of larger ones so many bytes are read, of so many files of a kind.
LOOKED_BYTES, _LOOKED = 4 << 20, 16


@dataclass(frozen=True)
class Stored:
    """A file whose records have to be read to be counted.

    Attributes:
      name: what messages call it.
      format_name: an entry of FORMATS that counts.
      suffix: the last one of its name; it may be that of a compression.
      size: bytes, as stored.
      open: starts to read it, as stored.
    """

    name: str
    format_name: str
    suffix: str
    size: int
    open: Callable[[], BinaryIO]


def count_records(shards: Sequence[Shard]) -> tuple[int, bool]:
    """How many records these hold, unusable ones too, and whether that is exact: small files are counted.

    Raises:
      InputError: if a file can't be read, or is damaged where it is looked at.
    """
    known, files = 0, []
    for shard in shards:
        path, entry = shard.path, FORMATS.get(shard.format_name)
        if path is None or entry is None:
            known += sum(len(block) for block in shard.blocks())
        elif entry.rows is not None:
            known += entry.rows(path, shard.name)
        else:
            files.append(_stored(shard, path))
    found, exact = count_stored(files)
    return known + found, exact


def count_stored(files: Sequence[Stored]) -> tuple[int, bool]:
    """The same of files that have to be read: files of a kind that are not looked at are taken to be like the others.

    A kind is a format and a compression.
    """
    if sum(file.size for file in files) <= _SMALL:
        found = [_estimate(file, _SMALL) for file in files]
        return round(sum(count for count, _ in found)), all(whole for _, whole in found)
    kinds: defaultdict[tuple[str, str], list[Stored]] = defaultdict(list)
    for file in files:
        kinds[file.format_name, file.suffix if file.suffix in COMPRESSIONS else ""].append(file)
    total, exact = 0.0, True
    for kind in kinds.values():
        step = -(-len(kind) // _LOOKED)
        looked = kind[::step]
        found = [_estimate(file, LOOKED_BYTES) for file in looked]
        records, size = sum(count for count, _ in found), sum(file.size for file in looked)
        total += records * sum(file.size for file in kind) / max(size, 1)
        exact = exact and step == 1 and all(whole for _, whole in found)
    return round(total), exact


def _estimate(file: Stored, size: int) -> tuple[float, bool]:
    """The records of a file from about its first `size` bytes, and whether that was all of it."""
    count = FORMATS[file.format_name].count
    assert count is not None, "only files of such formats are looked into"
    found, first = Counted(0, 0, 0), None
    while first is None or not (first.whole or found.records):  # a record may be longer than what was read
        first = head(file.open(), file.suffix, file.name, size)
        found = count(first.content, first.whole)
        size *= 8
    if first.whole:
        return found.records, True
    content = file.size / first.stored * len(first.content)
    return found.records * (content - found.start) / (found.stop - found.start), False


def _stored(shard: Shard, path: Path) -> Stored:
    return Stored(shard.name, shard.format_name, path.suffix.lower(), path.stat().st_size, lambda: path.open("rb"))
