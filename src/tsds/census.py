"""Which records take part: each exact copy once, none that leaks. One pass over the pool, here or elsewhere.

Where an engine has workers elsewhere and the pool has files enough for them, a file is a part: whoever reads it sends
back columns of numbers, no text. What is unusual, an id that two records share, is left to the pass in one process,
which names it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds.arrays import Rows
from tsds.checkpoint import LEAST_ROWS, Checkpoint
from tsds.engines import Engine
from tsds.errors import InputError
from tsds.leakage import Guard, digests
from tsds.records import IdHashes, Part, Pool, Tally, repeated
from tsds.stages import Advance

BATCH = 4096
#: Different sources that are told apart. Where there are more, as many as records perhaps, the field is another thing.
SOURCES = 1 << 16


@dataclass
class Census:
    """What the first pass over the records found.

    Attributes:
      rows: [n], positions in the pool of the records that take part, ascending.
      copies: [n], how many records each stands for, itself included.
      tokens: [n], their lengths.
      shard: [n], index of the file each is in.
      group: [n], index into `group_names`; -1 where a record has none.
      group_names: sources, in order of appearance.
      used: records with usable text, before copies were collapsed and leaks dropped.
      excluded: records dropped because they leak.
      equal_to_target: [n], whether the text equals that of a target.
      ends: records up to the end of each file, where files were read one by one; empty if not.
      many_groups: whether there are more sources than are told apart; the pool is taken as one without.
    """

    rows: Rows
    copies: NDArray[np.int64]
    tokens: NDArray[np.int64]
    shard: NDArray[np.int32]
    group: NDArray[np.int32]
    group_names: list[str] = field(default_factory=list)
    read: int = 0
    used: int = 0
    empty: int = 0
    bad: int = 0
    problems: list[str] = field(default_factory=list)
    excluded: int = 0
    equal_to_target: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    ends: list[int] = field(default_factory=list)
    many_groups: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, kept: Rows, copies: NDArray[np.int64]) -> Census:
        """The same with only these of the records, which stand for so many each."""
        return Census(
            self.rows[kept],
            copies,
            self.tokens[kept],
            self.shard[kept],
            self.group[kept],
            self.group_names,
            self.read,
            self.used,
            self.empty,
            self.bad,
            self.problems,
            self.excluded,
            self.equal_to_target[kept],
            self.ends,
            self.many_groups,
        )


@dataclass
class _Found:
    """What reading some records has found; `rows` and `shard` count from the first of them.

    Where there are too many sources to be told apart, `group_names` is None and `group` -1.
    """

    columns: dict[str, NDArray[Any]]
    group_names: list[str] | None
    tally: Tally
    excluded: int
    ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.group_names is None:
            self.columns["group"] = np.full_like(self.columns["group"], -1)


class _Sources:
    """Numbers the names of sources in order of appearance; `known` is None once they are too many."""

    def __init__(self) -> None:
        self.known: dict[str, int] | None = {}

    def numbers(self, names: Sequence[str | None]) -> NDArray[np.int32]:
        """Of each of these names, [n]; -1 for none."""
        known = self.known
        if known is not None:
            found = [-1 if name is None else known.setdefault(name, len(known)) for name in names]
            if len(known) <= SOURCES:
                return np.array(found, np.int32)
            self.known = None
        return np.full(len(names), -1, np.int32)

    def names(self) -> list[str] | None:
        """All of them by number; None if they are too many."""
        return None if self.known is None else list(self.known)


def take_census(
    pool: Pool,
    *,
    collapse: bool = True,
    exclude: Guard | None = None,
    targets: Guard | None = None,
    advance: Advance = lambda rows: None,
    engine: Engine | None = None,
) -> Census:
    """Choose the records that take part.

    Args:
      pool: the records.
      collapse: whether records of equal text are one candidate, the first of them.
      exclude: texts that must not be selected, nor parts of them.
      targets: the targets' texts; equal candidates are marked.
      advance: told the number of records read.
      engine: what reads, where it has workers elsewhere that see the files.

    Raises:
      InputError: if a record can't be read, or none is left.
    """
    parts = by_file(pool, engine)
    found = None if parts is None or engine is None else _found_by(engine, parts, exclude, targets, advance)
    ends: list[int] = []
    if found is None:
        whole = _found_in(pool, None, exclude, targets, advance)
    else:
        ends = np.cumsum([one.tally.read for one in found]).tolist()
        whole = _joined(found, ends)
        if not whole.tally.used:
            for _ in pool.batches(BATCH):  # which says what is wrong
                pass
    columns, tally = whole.columns, whole.tally
    if not len(columns["rows"]):
        raise InputError(f"--exclude drops all {tally.used:,} records of the {pool.role}", remedy="exclude fewer texts")
    census = Census(
        columns["rows"],
        np.ones(len(columns["rows"]), np.int64),
        columns["tokens"],
        columns["shard"],
        columns["group"],
        whole.group_names or [],
        tally.read,
        tally.used,
        tally.empty,
        tally.bad,
        tally.problems,
        whole.excluded,
        columns["equal"],
        ends,
        whole.group_names is None,
    )
    return census.only(*first_of_equals(columns["key"])) if collapse else census


def by_file(pool: Pool, engine: Engine | None) -> list[Part] | None:
    """The files as parts for the workers of an engine; None where one process does as well.

    A file is read by one worker, so none may be larger than what two workers would read if all read the same.
    """
    parts = None if engine is None or engine.here else pool.parts()
    if parts is None or engine is None:
        return None
    sizes = [part.shard.path.stat().st_size for part in parts if part.shard.path is not None]
    return parts if max(sizes) * engine.workers <= 2 * sum(sizes) else None


def first_of_equals(key: NDArray[np.uint64]) -> tuple[Rows, NDArray[np.int64]]:
    """The first row of each distinct key [n, 2], ascending, and how many rows have that key."""
    order = np.lexsort((key[:, 1], key[:, 0]))  # stable, so the first of equals comes first
    ordered = key[order]
    starts = np.flatnonzero(np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)]))
    first, counts = order[starts], np.diff(np.append(starts, len(key)))
    ascending = np.argsort(first)
    return first[ascending], counts[ascending]


def kept_census(checkpoint: Checkpoint | None, take: Callable[[], Census], advance: Advance) -> Census:
    """The census as an earlier run took it, or taken now, and kept if it is long."""
    held = None if checkpoint is None else checkpoint.load("census")
    if held is not None:
        arrays: dict[str, Any] = dict(held)
        facts = orjson.loads(arrays.pop("facts").tobytes())
        census = Census(**arrays, **facts)
        advance(census.read)
        return census
    census = take()
    if checkpoint is not None and census.read >= LEAST_ROWS:
        values = {one.name: getattr(census, one.name) for one in fields(census)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        plain = orjson.dumps({name: value for name, value in values.items() if name not in arrays})
        checkpoint.keep("census", {**arrays, "facts": np.frombuffer(plain, np.uint8)})
    return census


def _found_in(
    pool: Pool, ids: IdHashes | None, exclude: Guard | None, targets: Guard | None, advance: Advance
) -> _Found:
    nothing = np.zeros(0, np.int64)
    kinds = {"rows": nothing, "tokens": nothing, "shard": nothing.astype(np.int32), "group": nothing.astype(np.int32),
             "key": np.zeros((0, 2), np.uint64), "equal": np.zeros(0, bool)}  # fmt: skip
    parts: dict[str, list[Any]] = {name: [empty] for name, empty in kinds.items()}
    sources = _Sources()
    excluded = 0
    for batch in pool.batches(BATCH, ids):
        key = digests(batch.texts)
        leaks = exclude.leaks(batch.texts, key) if exclude else np.zeros(len(batch), bool)
        kept = np.flatnonzero(~leaks)
        excluded += int(leaks.sum())
        parts["rows"].append(batch.rows[kept])
        parts["tokens"].append(batch.tokens[kept])
        parts["shard"].append(np.full(len(kept), batch.shard, np.int32))
        parts["group"].append(sources.numbers(batch.groups)[kept])
        parts["key"].append(key[kept])
        parts["equal"].append(targets.leaks(batch.texts, key)[kept] if targets else np.zeros(len(kept), bool))
        advance(len(batch))
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    return _Found(columns, sources.names(), pool.tally, excluded, nothing if ids is None else ids.array())


def _found_by(
    engine: Engine, parts: list[Part], exclude: Guard | None, targets: Guard | None, advance: Advance
) -> list[_Found] | None:
    """What the workers find in each file, in order; None if two records seem to have one id."""
    found = []
    for one in engine.each("read the pool", _found_there, (exclude, targets), parts):
        found.append(one)
        advance(one.tally.used)
    return None if repeated(np.concatenate([one.ids for one in found])) else found


def _found_there(context: tuple[Guard | None, Guard | None], part: Part) -> _Found:
    return _found_in(part.open(), IdHashes(), *context, lambda rows: None)


def _joined(found: list[_Found], ends: list[int]) -> _Found:
    """As if all files had been read in one pass."""
    sources = _Sources()
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in found[0].columns}
    tally = Tally()
    for shard, (one, end) in enumerate(zip(found, ends, strict=True)):
        number = sources.numbers([*(one.group_names or []), None])
        for name, values in one.columns.items():
            columns[name].append(values)
        columns["rows"][-1] = one.columns["rows"] + (end - one.tally.read)
        columns["shard"][-1] = one.columns["shard"] + np.int32(shard)
        columns["group"][-1] = number[one.columns["group"]]
        tally = tally.plus(one.tally)
    whole = {name: np.concatenate(values) for name, values in columns.items()}
    names = None if any(one.group_names is None for one in found) else sources.names()
    return _Found(whole, names, tally, sum(one.excluded for one in found), np.zeros(0, np.int64))
