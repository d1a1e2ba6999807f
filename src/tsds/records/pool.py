"""Many files seen as one numbered stream of records: the pool, a target, or what is to be excluded."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from tsds.errors import InputError
from tsds.records.batches import Tally, TextBatch, text_batch
from tsds.records.blocks import Picked, Record
from tsds.records.duplicates import IdHashes, id_hash
from tsds.records.fields import NO_ID, NO_IDS, Candidate, Fields, Ids
from tsds.records.files import atomic_file
from tsds.records.formats import writable
from tsds.records.reading import Each, Reader, ascending
from tsds.records.shards import Shard, own_format
from tsds.records.sources import Sources, shards_of
from tsds.records.text import FOUND, TextSpec


class Pool:
    """A numbered stream of records over many files, read as often as needed and never held in memory.

    Attributes:
      shards: the files, in order.
      role: "pool", "target" or "exclude", for messages.
      tally: what the latest pass of `batches` has met so far.
    """

    def __init__(self, shards: list[Shard], fields: Fields, *, skip: bool = False, role: str = "pool") -> None:
        self.shards = shards
        self.role = role
        self.tally = Tally()
        self._fields = fields
        self._skip = skip
        self._reader = Reader(shards, fields, role)
        self._remove = weakref.finalize(
            self, _unlink, [shard.path for shard in shards if shard.temporary and shard.path]
        )

    @classmethod
    def open(
        cls,
        sources: Sources,
        *,
        text: TextSpec = FOUND,
        id_field: str | None = None,
        group_field: str | None = None,
        tokens_field: str | None = None,
        ids: Ids = "unique",
        on_error: Literal["fail", "skip"] = "fail",
        role: str = "pool",
    ) -> Self:
        """See files or objects as one stream of records.

        Args:
          sources: a path ("-" is standard input), folder, glob, `datasets.Dataset`, or a list of those, of texts or of
            dicts; `shards_of` says how a list of str is told apart.
          text: where the text of a record is.
          id_field, group_field, tokens_field, ids: as in `Fields`; an id_field "none" leaves ids unread.
          on_error: "fail" raises at the first unusable record; "skip" leaves such records out and counts them.
          role: what messages call it.

        Raises:
          InputError: if a file is missing, of an unknown kind, or given twice.
        """
        if on_error not in ("fail", "skip"):
            raise InputError(f"on_error is {on_error!r}", remedy="it is 'fail' or 'skip'")
        if id_field == NO_ID:
            id_field, ids = None, "unread"
        fields = Fields(text, id_field, group_field, tokens_field, ids)
        return cls(shards_of(sources, role, on_error == "skip"), fields, skip=on_error == "skip", role=role)

    def batches(self, size: int = 4096, ids: IdHashes | None = None) -> Iterator[TextBatch]:
        """One pass over the usable records, `size` at a time; a batch never spans shards, so a shard's last is shorter.

        Args:
          size: records of a batch.
          ids: takes in the ids of a pool that is a part of another: whoever has the whole compares them, and knows
            whether any record is usable.

        Raises:
          InputError: at a damaged file; at an unusable record or a repeated id, unless those are skipped; and at the
            end if no record was usable.
        """
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        self.tally = tally = Tally()
        whole = ids is None
        hashes = IdHashes() if ids is None else ids
        for shard in range(len(self.shards)):
            rows: list[int] = []
            chosen: list[Candidate] = []
            for row, block, i, outcome in self._reader.outcomes(shard):
                if self._skip and whole and isinstance(outcome, Candidate) and row in self._repeated_rows:
                    outcome = block.error(i, f"the id {outcome.id!r} is that of an earlier record too")
                tally.count(outcome)
                if isinstance(outcome, Candidate):
                    rows.append(row)
                    chosen.append(outcome)
                elif outcome is not None and not self._skip:
                    raise outcome
                if len(chosen) == size:
                    self._watch_ids(chosen, hashes, whole)
                    yield text_batch(shard, rows, chosen)
                    rows, chosen = [], []
            if chosen:
                self._watch_ids(chosen, hashes, whole)
                yield text_batch(shard, rows, chosen)
        if not whole:
            return
        self._refuse_repeats(hashes)
        if not tally.used:
            raise self._nothing_usable()

    def parts(self) -> list[Part] | None:
        """The files, each to be read by itself in any process that sees them; None if some shard is no file."""
        if any(shard.path is None for shard in self.shards):
            return None
        for shard in range(len(self.shards)):  # here: on another machine a copy may have another time
            self._reader.check_same(shard)
        return [Part(replace(shard, temporary=False), self._fields, self._skip, self.role) for shard in self.shards]

    @contextmanager
    def read_by(self, each: Each) -> Iterator[None]:
        """Records that are asked for inside are read by the workers of an engine, which see the files."""
        self._reader.each = each
        try:
            yield
        finally:
            self._reader.each = None

    def know_ends(self, ends: Sequence[int]) -> None:
        """Take over from whoever has read all shards how many records there are up to the end of each."""
        self._reader.ends = list(ends)

    def records(self, rows: ArrayLike) -> Iterator[Record]:
        """The parsed records at these positions (ascending; a repeated position gives its record again)."""
        for block, picks in self._reader.picked(ascending(rows)):
            for record in block.parse(picks):
                if isinstance(record, InputError):
                    raise record
                yield record

    def error_at(self, row: int, problem: str, remedy: str | None = None) -> InputError:
        """An error of the record at this position, which names its file and line."""
        block, (i,) = next(self._reader.picked(ascending([row])))
        return block.error(i, problem, remedy)

    def texts_at(self, rows: ArrayLike) -> list[str]:
        """The texts of the records at these positions, ascending."""
        return [candidate.text for candidate in self.candidates_at(rows)]

    def candidates_at(self, rows: ArrayLike) -> list[Candidate]:
        """Text, id, group and tokens of the records at these positions, ascending; each must be usable."""
        return [one for some in self.candidates(rows) for one in some]

    def candidates(self, rows: ArrayLike) -> Iterator[list[Candidate]]:
        """The same in batches, as they are read."""
        for block, picks in self._reader.picked(ascending(rows)):
            found = []
            for i, record in zip(picks, block.parse(picks, self._fields.columns), strict=True):
                if isinstance(record, InputError):
                    raise record
                try:
                    candidate = self._fields.candidate(record)
                except InputError as error:
                    raise self._reader.placed(error, block, i) from error
                if candidate is None:
                    raise block.error(i, "the record has no text")
                found.append(candidate)
            yield found

    def read_at(self, rows: ArrayLike) -> Iterator[tuple[Record, Candidate]]:
        """The parsed records at these positions, ascending, each with its text, id, group and tokens."""
        for record in self.records(rows):
            candidate = self._fields.candidate(record)
            assert candidate is not None, "only usable records are asked for"
            yield record, candidate

    def write(
        self,
        rows: ArrayLike,
        out_dir: str | Path,
        stem: str = "selected",
        format: str | None = None,
        counts: ArrayLike | None = None,
    ) -> Path:
        """Write the records at these positions, as they are in the pool and in its order, to `out_dir/stem.SUFFIX`.

        Lines of jsonl and txt keep their bytes, tables and csv their values. The file is whole or absent.

        Args:
          rows: positions, ascending.
          out_dir: a folder, made if missing.
          stem: the name of the file without its suffix.
          format: what to write instead of the pool's own format, which is jsonl where its files are of several formats
            or their columns don't agree.
          counts: how often each record is written, at least once; once if not given.

        Returns:
          The path of the file.
        """
        chosen = ascending(rows)
        if counts is not None:
            times = np.asarray(counts)
            if times.shape != chosen.shape or (times < 1).any():
                raise ValueError("counts must be at least 1, one for each row")
            chosen = np.repeat(chosen, times)
        own, schema = own_format(self.shards)
        entry = writable(format or own)
        assert entry.write is not None
        picked = Picked(partial(self._reader.picked, chosen), schema if entry.name == own else None, self._reader.text)
        path = Path(out_dir) / f"{stem}{entry.suffixes[0]}"
        with atomic_file(path) as file:
            entry.write(file, picked)
        return path

    def checksum(self) -> list[dict[str, str | int]]:
        """Name, bytes and sha256 of each shard as stored."""
        return [shard.checksum() for shard in self.shards]

    def close(self) -> None:
        """Remove the copy of standard input, if there is one; else it goes with the pool, or with the program."""
        self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _watch_ids(self, chosen: list[Candidate], hashes: IdHashes, whole: bool) -> None:
        if self._fields.ids != "unique":
            return
        if hashes.add(one.id for one in chosen if one.id is not None) and whole:
            self._refuse_repeats(hashes)

    def _refuse_repeats(self, hashes: IdHashes) -> None:
        if self._skip:
            return  # the repeats have been left out
        for row, first, error in self._repeats(hashes.repeated()):
            problem = f"{error.problem} (rows {first} and {row} of the {self.role})"
            raise InputError(problem, path=error.path, line=error.line, row=error.row, remedy=error.remedy)

    def _repeats(self, suspects: frozenset[int]) -> Iterator[tuple[int, int, InputError]]:
        """Records whose id an earlier usable one has: their row, that of the earlier one, and what to say of it."""
        first: dict[str | int, int] = {}
        for shard in range(len(self.shards) if suspects else 0):
            for row, block, i, outcome in self._reader.outcomes(shard):
                if not isinstance(outcome, Candidate) or outcome.id is None or id_hash(outcome.id) not in suspects:
                    continue
                if first.setdefault(outcome.id, row) < row:
                    remedy = f"make ids unique, or name another field; {NO_IDS}, --on-error skip keeps the first"
                    yield row, first[outcome.id], block.error(i, f"the id {outcome.id!r} occurs twice", remedy)

    @cached_property
    def _repeated_rows(self) -> frozenset[int]:
        """Rows to leave out because an earlier usable record has their id; costs a pass, or two if there are any."""
        if self._fields.ids != "unique":
            return frozenset()
        hashes = IdHashes()
        for shard in range(len(self.shards)):
            outcomes = (outcome for *_, outcome in self._reader.outcomes(shard))
            hashes.add(one.id for one in outcomes if isinstance(one, Candidate) and one.id is not None)
        return frozenset(row for row, _, _ in self._repeats(hashes.repeated()))

    def _nothing_usable(self) -> InputError:
        tally, where = self.tally, ", ".join(shard.name for shard in self.shards[:3])
        problem = f"the {self.role} holds no usable record: {tally.read} read, {tally.empty} empty, {tally.bad} bad"
        remedy = tally.problems[0] if tally.problems else "every record needs text that is not blank"
        return InputError(problem, path=where, remedy=remedy)


@dataclass(frozen=True)
class Part:
    """One file of a pool and how to read it: small enough to be sent to where it is read."""

    shard: Shard
    fields: Fields
    skip: bool
    role: str

    def open(self) -> Pool:
        """A pool of this file alone: its rows count from the start of the file."""
        return Pool([self.shard], self.fields, skip=self.skip, role=self.role)


def _unlink(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
