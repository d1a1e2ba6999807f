"""The files of a pool block by block: every record with what came of reading it, or those at chosen rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tsds.arrays import Rows
from tsds.errors import InputError, RunError
from tsds.records.batches import Outcome
from tsds.records.blocks import Block, Parsed
from tsds.records.fields import Fields
from tsds.records.files import unreadable
from tsds.records.shards import Shard

#: Engine.each: work(context, item) for every item, in order, wherever it is done.
Each = Callable[[str, Callable[[Any, Any], Any], Any, Sequence[Any]], Iterator[Any]]


class Shorter(ValueError):
    """A row is asked for that is beyond the last record."""


class Reader:
    """Reads shards one after the other, and learns how many records each has.

    Args:
      shards: in order.
      fields: what is needed of a record.
      role: of the pool, for messages.

    Attributes:
      ends: row after the last one, of each shard that has been read through.
      each: of an engine whose workers read the chosen records instead; None to read them here.
    """

    def __init__(self, shards: list[Shard], fields: Fields, role: str) -> None:
        self.shards, self.fields, self.role = shards, fields, role
        self.ends: list[int] = []
        self.each: Each | None = None
        self._first: dict[int, tuple[int, int]] = {}  # size and time of change of the files at their first pass

    def outcomes(self, shard: int) -> Iterator[tuple[int, Block, int, Outcome]]:
        """Every record of a shard: its row, its block and position there, and what came of reading it.

        The shards before it must have been read through: that tells where its rows start.
        """
        row = self.ends[shard - 1] if shard else 0
        candidate, columns = self.fields.candidate, self.fields.columns
        self.check_same(shard)
        for block in self.shards[shard].blocks():
            for i, record in enumerate(block.parse(fields=columns)):
                outcome: Outcome
                try:
                    outcome = record if isinstance(record, InputError) else candidate(record)
                except InputError as error:
                    outcome = self.placed(error, block, i)
                yield row, block, i, outcome
                row += 1
        self._read_through(shard, row)

    def picked(self, rows: Rows) -> Iterator[tuple[Block, list[int]]]:
        """The blocks that hold these rows, ascending, with their positions there; files known to hold none stay shut.

        Raises:
          Shorter: if there are fewer rows.
          RunError: if a file has changed since it was read before: other records may stand at these rows.
        """
        if self.each is not None and len(self.ends) == len(self.shards) and len(rows):
            yield from self._picked_there(self.each, rows)
            return
        row = done = 0
        for shard in range(len(self.shards)):
            if done == len(rows):
                return
            if shard < len(self.ends) and self.ends[shard] <= rows[done]:
                row = self.ends[shard]
                continue
            self.check_same(shard)
            for block in self.shards[shard].blocks():
                upto = int(np.searchsorted(rows, row + len(block)))
                if upto > done:
                    yield block, (rows[done:upto] - row).tolist()
                done, row = upto, row + len(block)
                if done == len(rows):
                    return
            self._read_through(shard, row)
        if done < len(rows):
            raise self._shorter(int(rows[done]), row)

    def check_same(self, shard: int) -> None:
        """Raise RunError if a file has changed since its first pass, which is about to begin if there was none."""
        path, name = self.shards[shard].path, self.shards[shard].name
        if path is None:
            return
        try:
            about = path.stat()
        except OSError as error:
            raise unreadable(error, name) from error
        now = about.st_size, about.st_mtime_ns
        if self._first.setdefault(shard, now) != now:
            raise RunError(f"{name} has changed since it was read (leave it as it is meanwhile, and run again)")

    def text(self, block: Block, i: int, record: Parsed) -> str:
        """The text of a record of a block; raises where it can't be used."""
        if isinstance(record, InputError):
            raise record
        try:
            return self.fields.text.text_of(record)
        except InputError as error:
            raise self.placed(error, block, i) from error

    def placed(self, error: InputError, block: Block, i: int) -> InputError:
        """The same error with its file and line; the record is asked again whole, so that it can name its fields."""
        record = block.parse([i])[0]
        try:
            if not isinstance(record, InputError):
                self.fields.candidate(record)
        except InputError as fuller:
            error = fuller
        return block.error(i, error.problem, error.remedy)

    def _picked_there(self, each: Each, rows: Rows) -> Iterator[tuple[Block, list[int]]]:
        """The same, each file read by a worker that sends back the chosen records of it; all ends are known."""
        if rows[-1] >= self.ends[-1]:
            raise self._shorter(int(rows[-1]), self.ends[-1])
        starts = [0, *self.ends[:-1]]
        edges = np.searchsorted(rows, [*starts, self.ends[-1]])
        for shard in np.flatnonzero(np.diff(edges)).tolist():
            self.check_same(shard)
        items = [
            (shard, rows[a:b] - start)
            for shard, start, a, b in zip(self.shards, starts, edges[:-1], edges[1:], strict=True)
            if a < b
        ]
        for blocks in each("read the chosen", _chosen_of, (self.fields, self.role), items):
            yield from blocks

    def _shorter(self, row: int, end: int) -> Shorter:
        return Shorter(f"row {row} is beyond the {end} records of the {self.role}")

    def _read_through(self, shard: int, end: int) -> None:
        if shard == len(self.ends):
            self.ends.append(end)


def ascending(rows: ArrayLike) -> Rows:
    """Positions as an array, [n]; raises ValueError unless they ascend, none negative."""
    array = np.asarray(rows)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"rows must be a list of whole numbers, not {array.dtype} of shape {array.shape}")
    if array.size and (array[0] < 0 or (np.diff(array) < 0).any()):
        raise ValueError("rows must ascend and not be negative")
    return array.astype(np.int64)


def _chosen_of(context: tuple[Fields, str], item: tuple[Shard, Rows]) -> list[tuple[Block, list[int]]]:
    """The blocks of a file that hold these records, cut to them."""
    shard, rows = item
    found = []
    for block, picks in Reader([shard], *context).picked(rows):
        alone, places = np.unique(picks, return_inverse=True)
        found.append((block.only(alone.tolist()), places.tolist()))
    return found
