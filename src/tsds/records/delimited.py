"""csv and tsv: a header, then one record a row; every value is text and stays as it was."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from tsds.errors import InputError
from tsds.records.blocks import Block, Counted, Parsed, Picked, records_at
from tsds.records.files import NOT_UTF8_REMEDY, lines

_BLOCK = 2048
_FIELD_LIMIT = 2**31 - 1  # the module's own limit of 128 KiB a field is for hostile input; documents are longer
_QUOTE = 'write a quote within a quoted field twice: ""'


@dataclass(frozen=True)
class DelimitedRows:
    """Rows of values under one header; a row that can't be used is its error."""

    name: str
    header: tuple[str, ...]
    rows: list[list[str] | InputError] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def parse(self, picks: Sequence[int] | None = None, fields: Collection[str] | None = None) -> list[Parsed]:
        rows = self.rows if picks is None else [self.rows[i] for i in picks]
        return [row if isinstance(row, InputError) else dict(zip(self.header, row, strict=True)) for row in rows]

    def only(self, picks: Sequence[int]) -> DelimitedRows:
        rows, numbers = [self.rows[i] for i in picks], [self.numbers[i] for i in picks]
        return DelimitedRows(self.name, self.header, rows, numbers)

    def error(self, i: int, problem: str, remedy: str | None = None) -> InputError:
        return InputError(problem, path=self.name, line=self.numbers[i], remedy=remedy)


def read_csv(path: Path, name: str) -> Iterator[Block]:
    return _read(path, name, ",")


def read_tsv(path: Path, name: str) -> Iterator[Block]:
    return _read(path, name, "\t")


def csv_header(path: Path, name: str) -> tuple[str, ...] | None:
    return _header(_rows(path, name, ","), name)


def tsv_header(path: Path, name: str) -> tuple[str, ...] | None:
    return _header(_rows(path, name, "\t"), name)


def count_csv(head: bytes, whole: bool) -> Counted:
    """Rows in the first bytes of a file, without the header; `whole` if there are no more."""
    return _counted(head, whole, ",")


def count_tsv(head: bytes, whole: bool) -> Counted:
    return _counted(head, whole, "\t")


def write_csv(file: BinaryIO, picked: Picked) -> None:
    _write(file, picked, ",")


def write_tsv(file: BinaryIO, picked: Picked) -> None:
    _write(file, picked, "\t")


def _read(path: Path, name: str, delimiter: str) -> Iterator[Block]:
    rows = _rows(path, name, delimiter)
    header = _header(rows, name)
    if header is None:
        return
    block = DelimitedRows(name, header)
    for line, row in rows:
        block.rows.append(row if isinstance(row, InputError) else _fitting(row, header, name, line))
        block.numbers.append(line)
        if len(block) == _BLOCK:
            yield block
            block = DelimitedRows(name, header)
    if len(block):
        yield block


def _fitting(row: list[str], header: tuple[str, ...], name: str, line: int) -> list[str] | InputError:
    if len(row) == len(header):
        return row
    problem = f"{len(row)} fields where the header has {len(header)}"
    return InputError(problem, path=name, line=line, remedy="quote values that hold a delimiter or a line break")


def _header(rows: Iterator[tuple[int, list[str] | InputError]], name: str) -> tuple[str, ...] | None:
    """The names in the first row, or None for a file without rows."""
    line, header = next(rows, (0, []))
    if isinstance(header, InputError):
        raise header
    twice = [column for column in header if header.count(column) > 1]
    if twice:
        problem = f"the header names {twice[0]!r} twice"
        raise InputError(problem, path=name, line=line, remedy="the first line names each column once; add or mend it")
    return tuple(header) or None


def _rows(path: Path, name: str, delimiter: str) -> Iterator[tuple[int, list[str] | InputError]]:
    """Every row but blank lines, with the line it starts on; values may span lines."""
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
    undecodable: list[int] = []

    def decoded() -> Iterator[str]:
        for line, stored in enumerate((stored for part in lines(path, name) for stored in part), start=1):
            try:
                yield stored.decode() + "\n"
            except UnicodeDecodeError:
                undecodable.append(line)
                yield stored.decode(errors="replace") + "\n"

    reader = csv.reader(decoded(), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row: list[str] | InputError = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):  # everything to the end of the file is lost: not a matter of one record
                raise InputError("a quote opened here is never closed", path=name, line=line, remedy=_QUOTE) from error
            row = InputError(f"malformed row: {error}", path=name, line=line, remedy=_QUOTE)
        if undecodable:
            row = InputError("not UTF-8", path=name, line=undecodable[0], remedy=NOT_UTF8_REMEDY)
            undecodable.clear()
        if row != []:  # what the module makes of a blank line
            yield line, row


def _counted(head: bytes, whole: bool, delimiter: str) -> Counted:
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
    stop = len(head) if whole else head.rfind(b"\n") + 1
    stored = [line + b"\n" for line in head[:stop].removesuffix(b"\n").split(b"\n")]
    reader = csv.reader((line.decode(errors="replace") for line in stored), delimiter=delimiter, strict=True)
    ends: list[int] = []  # lines up to the end of each row
    while True:
        try:
            row: list[str] | None = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if "end of data" in str(error):  # a value that goes on beyond these bytes
                break
            row = None
        if row != []:
            ends.append(reader.line_num)
    at = list(accumulate(map(len, stored), initial=0))
    return Counted(len(ends) - 1, at[ends[0]], at[ends[-1]]) if ends else Counted(0, 0, 0)


def _write(file: BinaryIO, picked: Picked, delimiter: str) -> None:
    if isinstance(picked.schema, tuple):
        file.write(_encoded([picked.schema], delimiter))
        for block, picks in picked:
            assert isinstance(block, DelimitedRows)
            file.write(_encoded((_usable(block.rows[i]) for i in picks), delimiter))
        return
    # Records of another form may have different fields each: one pass for their names, one to write.
    columns = {column: None for block, picks in picked for _, record in records_at(block, picks) for column in record}
    file.write(_encoded([list(columns)], delimiter))
    for block, picks in picked:
        rows = (
            [_flat(block, i, record.get(column), column) for column in columns]
            for i, record in records_at(block, picks)
        )
        file.write(_encoded(rows, delimiter))


def _usable(row: list[str] | InputError) -> list[str]:
    if isinstance(row, InputError):
        raise row
    return row


def _flat(block: Block, i: int, value: object, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list, tuple, bytes)):
        problem = f"field {column!r} holds {type(value).__name__}, which csv can't hold"
        raise block.error(i, problem, "choose --format jsonl or parquet")
    return str(value)


def _encoded(rows: Iterable[Sequence[str]], delimiter: str) -> bytes:
    buffer = io.StringIO()
    plain = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    quoted = csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        # Left to itself the module writes a lone "\r" without quotes and can't read it back.
        (quoted if any("\r" in value for value in row) else plain).writerow(row)
    return buffer.getvalue().encode()
