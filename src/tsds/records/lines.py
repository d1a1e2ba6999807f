"""Formats of one record a line (jsonl, txt), written back byte for byte; and JSON files that hold one array."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from tsds.errors import InputError
from tsds.records.blocks import RECORD_REMEDY, Block, Counted, Objects, Parsed, Picked, not_a_record, records_at
from tsds.records.files import NOT_UTF8_REMEDY, chunks, lines

_ARRAY_BLOCK = 4096
_ARRAY_REMEDY = "a file that holds one JSON array is named .json"
_NO_NUMBER = re.compile("NaN|Infinity")
_LONG = re.compile(rb"\d{19}")
_DECODER, _BETWEEN = json.JSONDecoder(), re.compile(r"[\s,]*")


@dataclass(frozen=True)
class TextLines:
    """Lines of a text file, each a record; blank ones are left out, so `numbers` tells where each one stood."""

    name: str
    lines: list[bytes]
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.lines)

    def parse(self, picks: Sequence[int] | None = None, fields: Collection[str] | None = None) -> list[Parsed]:
        return [self._parsed(i) for i in (range(len(self.lines)) if picks is None else picks)]

    def only(self, picks: Sequence[int]) -> Self:
        return replace(self, lines=[self.lines[i] for i in picks], numbers=[self.numbers[i] for i in picks])

    def error(self, i: int, problem: str, remedy: str | None = None) -> InputError:
        return InputError(problem, path=self.name, line=self.numbers[i], remedy=remedy)

    def stored(self, picks: Sequence[int]) -> Iterator[bytes]:
        """The lines as they are in the file; the last line of a file gets the newline it may lack."""
        return (self.lines[i] + b"\n" for i in picks)

    def _parsed(self, i: int) -> Parsed:
        try:
            return self.lines[i].removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            return self.error(i, "not UTF-8", NOT_UTF8_REMEDY)


@dataclass(frozen=True)
class JsonLines(TextLines):
    """Lines that hold a JSON object each (or a JSON string, which is a bare text)."""

    def _parsed(self, i: int) -> Parsed:
        line = self.lines[i]
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            return self._malformed(i, error)
        if isinstance(value, (dict, str)):
            return value
        whole = self.numbers[i] == 1 and isinstance(value, list) and any(isinstance(one, dict) for one in value)
        return self.error(i, not_a_record(value), _ARRAY_REMEDY if whole else RECORD_REMEDY)

    def _malformed(self, i: int, error: orjson.JSONDecodeError) -> InputError:
        try:
            self.lines[i].decode()
        except UnicodeDecodeError:
            return self.error(i, "not UTF-8", NOT_UTF8_REMEDY)
        line = self.lines[i].strip()
        if self.numbers[i] == 1 and line[:1] in b"[{" and line[-1:] in b"[{,":
            if line.startswith(b"["):
                return self.error(i, "malformed JSON: an array begins here, over several lines", _ARRAY_REMEDY)
            remedy = "write one object a line, or one array of them in a .json file"
            return self.error(i, "malformed JSON: an object begins here, over several lines", remedy)
        return self.error(i, *_fault(error, "mend the line, or leave such records out with --on-error skip"))


def _fault(error: orjson.JSONDecodeError, remedy: str) -> tuple[str, str]:
    """What is wrong with malformed JSON and how to mend it, which for what Python's json writes is known."""
    if found := _NO_NUMBER.match(error.doc, error.pos):
        return f"malformed JSON: {found[0]} is no JSON, column {error.colno}", "write null or a number instead"
    return f"malformed JSON: {error.msg}, column {error.colno}", remedy


def _read_lines(path: Path, name: str, kind: type[TextLines]) -> Iterator[Block]:
    line = 1
    for part in lines(path, name):
        kept = [stored for stored in part if stored and not stored.isspace()]
        numbers: Sequence[int] = range(line, line + len(part))
        if len(kept) < len(part):
            numbers = [n for n, stored in zip(numbers, part, strict=True) if stored and not stored.isspace()]
        if kept:
            yield kind(name, kept, numbers)
        line += len(part)


def read_txt(path: Path, name: str) -> Iterator[Block]:
    return _read_lines(path, name, TextLines)


def read_jsonl(path: Path, name: str) -> Iterator[Block]:
    return _read_lines(path, name, JsonLines)


def read_json(path: Path, name: str) -> Iterator[Block]:
    """JSON lines, or one array of objects (Alpaca's way), which has to be loaded whole."""
    content = chunks(path, name)
    head = b""
    for chunk in content:
        head += chunk
        if head.lstrip():
            break
    if not head.lstrip().startswith(b"["):
        content.close()
        yield from read_jsonl(path, name)
        return
    whole = b"".join(chain([head], content))
    try:
        records = orjson.loads(whole)
    except orjson.JSONDecodeError as error:
        problem, remedy = _fault(error, "a .json file holds one array of objects, or one object a line")
        raise InputError(problem, path=name, line=error.lineno, remedy=remedy) from error
    if _LONG.search(whole):  # or it may stand in a text
        json.loads(whole, parse_int=partial(_exact, name))
    for first in range(0, len(records), _ARRAY_BLOCK):
        yield Objects(name, records[first : first + _ARRAY_BLOCK], range(first, first + _ARRAY_BLOCK))


def _exact(name: str, digits: str) -> int:
    """An integer, if the parser of the records keeps it: beyond 64 bits it makes a float, and digits are lost."""
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        shown = digits if len(digits) <= 40 else f"{digits[:40]}..."
        remedy = "write it as text, or the records one a line as .jsonl, where lines are kept as they are"
        raise InputError(f"the integer {shown} would lose digits", path=name, remedy=remedy)
    return int(digits)


def count_lines(head: bytes, whole: bool) -> Counted:
    """Lines that are records in the first bytes of a file; `whole` if there are no more."""
    stop = len(head) if whole else head.rfind(b"\n") + 1
    return Counted(sum(1 for line in head[:stop].split(b"\n") if line and not line.isspace()), 0, stop)


def count_json(head: bytes, whole: bool) -> Counted:
    """Lines, or elements of the array that the file holds."""
    if not head.lstrip().startswith(b"["):
        return count_lines(head, whole)
    text = head.decode(errors="ignore")  # which may end within a letter
    first = at = text.index("[") + 1
    records = 0
    while True:
        try:
            _, at = _DECODER.raw_decode(text, _BETWEEN.match(text, at).end())  # type: ignore[union-attr]
        except json.JSONDecodeError:  # the end of the array, or of these bytes
            return Counted(records, len(text[:first].encode()), len(text[:at].encode()))
        records += 1


def write_jsonl(file: BinaryIO, picked: Picked) -> None:
    """Lines of JSON as they were; records of other formats as compact JSON, bare text as {"text": ...}."""
    for block, picks in picked:
        if isinstance(block, JsonLines):
            file.writelines(block.stored(picks))
        else:
            file.writelines(_as_json(block, picks))


def _as_json(block: Block, picks: Sequence[int]) -> Iterator[bytes]:
    for i, record in records_at(block, picks):
        try:
            yield orjson.dumps(record, _as_text, orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
        except orjson.JSONEncodeError as error:
            raise block.error(i, f"can't be written as JSON: {error}", "choose --format parquet") from error


def _as_text(value: Any) -> str:
    """A time of a kind that JSON's writer does not know, such as pandas', which pyarrow gives where it is installed."""
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"a {type(value).__name__} is no JSON")


def write_txt(file: BinaryIO, picked: Picked) -> None:
    """Lines of text as they were; of other formats the text, which must then be a single line."""
    for block, picks in picked:
        if type(block) is TextLines:
            file.writelines(block.stored(picks))
            continue
        for i, record in zip(picks, block.parse(picks), strict=True):
            text = picked.text_of(block, i, record)
            if "\n" in text or text.endswith("\r"):
                raise block.error(i, "the text has a line break, which txt can't hold", "choose --format jsonl")
            file.write(text.encode() + b"\n")
