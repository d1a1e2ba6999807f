"""What travels through this package: a run of records of one file, still as stored, parsed only when asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tsds.errors import InputError

Record = dict[str, Any] | str
Parsed = Record | InputError  # the error of an unusable record is a value: whoever reads decides to raise or to skip it


class Block(Protocol):
    """Consecutive records of one file. Positions `i` count from the start of the block."""

    def __len__(self) -> int: ...

    def parse(self, picks: Sequence[int] | None = None, fields: Collection[str] | None = None) -> list[Parsed]:
        """The records at `picks` (all if not given); formats with columns may leave out those not in `fields`."""
        ...

    def only(self, picks: Sequence[int]) -> Block:
        """A block of these records alone, small enough to be sent; its errors name the same places."""
        ...

    def error(self, i: int, problem: str, remedy: str | None = None) -> InputError:
        """An error that names the file, and the line or row of record i."""
        ...


class Counted(NamedTuple):
    """Records in the first bytes of a file: how many are there whole, and the bytes where they start and stop."""

    records: int
    start: int
    stop: int


@dataclass(frozen=True)
class Picked:
    """Chosen records in pool order, for a writer. Each iteration reads the pool again: they need not fit in memory.

    Attributes:
      again: starts a pass; yields a block and the positions chosen in it, repeated as often as the record is wanted.
      schema: the columns all files share where they have columns and are of the format written (pyarrow.Schema for
        tables, a tuple of names for csv); else None.
      text_of: the text of a record, given its block, position and what parsing it gave; raises if there is none.
    """

    again: Callable[[], Iterator[tuple[Block, list[int]]]]
    schema: Any
    text_of: Callable[[Block, int, Parsed], str]

    def __iter__(self) -> Iterator[tuple[Block, list[int]]]:
        return self.again()


def records_at(block: Block, picks: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records at `picks` as dicts, bare text as {"text": ...}, with their positions; raises at an unusable one."""
    for i, record in zip(picks, block.parse(picks), strict=True):
        if isinstance(record, InputError):
            raise record
        yield i, {"text": record} if isinstance(record, str) else record


@dataclass(frozen=True)
class Objects:
    """Records that are Python objects already: a list of the caller's, or the elements of one JSON array."""

    name: str
    records: Sequence[object]
    rows: Sequence[int]  # where each stood

    def __len__(self) -> int:
        return len(self.records)

    def parse(self, picks: Sequence[int] | None = None, fields: Collection[str] | None = None) -> list[Parsed]:
        chosen = range(len(self.records)) if picks is None else picks
        return [self._checked(i) for i in chosen]

    def only(self, picks: Sequence[int]) -> Objects:
        return Objects(self.name, [self.records[i] for i in picks], [self.rows[i] for i in picks])

    def error(self, i: int, problem: str, remedy: str | None = None) -> InputError:
        return InputError(problem, path=self.name, row=self.rows[i], remedy=remedy)

    def _checked(self, i: int) -> Parsed:
        record = self.records[i]
        return record if isinstance(record, (dict, str)) else self.error(i, not_a_record(record), RECORD_REMEDY)


RECORD_REMEDY = "a record is an object with fields, or a text"


def not_a_record(value: object) -> str:
    kinds = {"list": "a list", "NoneType": "null", "int": "a number", "float": "a number", "bool": "true or false"}
    kind = type(value).__name__
    return f"the record is {kinds.get(kind, kind)}, not an object"
