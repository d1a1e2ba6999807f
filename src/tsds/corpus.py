"""Records to candidates: which records take part (each exact copy once, none that leaks), and their vectors.

The records are read up to three times: to choose those that take part, to fit the encoder, and to encode, where the
encoder does not recall what it was fitted on. So no text has to be held and no copy is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds.checkpoint import LEAST_ROWS, Checkpoint
from tsds.embeddings.vectors import Rows, Vectors
from tsds.engines import Engine
from tsds.errors import InputError, RunError
from tsds.leakage import Guard, digests
from tsds.records import Pool, atomic_file
from tsds.stages import Advance

BATCH = 4096
#: Rows of a file of vectors that a run which is resumed does not make again.
PART_ROWS = 1 << 16


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
        )


def take_census(
    pool: Pool,
    *,
    collapse: bool = True,
    exclude: Guard | None = None,
    targets: Guard | None = None,
    advance: Advance = lambda rows: None,
) -> Census:
    """Choose the records that take part.

    Args:
      pool: the records.
      collapse: whether records of equal text are one candidate, the first of them.
      exclude: texts that must not be selected, nor parts of them.
      targets: the targets' texts; equal candidates are marked.
      advance: told the number of records read.

    Raises:
      InputError: if a record can't be read, or none is left.
    """
    parts: dict[str, list[Any]] = {name: [] for name in ("rows", "tokens", "shard", "group", "key", "equal")}
    names: dict[str, int] = {}
    excluded = used = 0
    for batch in pool.batches(BATCH):
        key = digests(batch.texts)
        leaks = exclude.leaks(batch.texts, key) if exclude else np.zeros(len(batch), bool)
        kept = np.flatnonzero(~leaks)
        excluded += int(leaks.sum())
        used += len(batch)
        group = [-1 if name is None else names.setdefault(name, len(names)) for name in batch.groups]
        parts["rows"].append(batch.rows[kept])
        parts["tokens"].append(batch.tokens[kept])
        parts["shard"].append(np.full(len(kept), batch.shard, np.int32))
        parts["group"].append(np.array(group, np.int32)[kept])
        parts["key"].append(key[kept])
        parts["equal"].append(targets.leaks(batch.texts, key)[kept] if targets else np.zeros(len(kept), bool))
        advance(len(batch))
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    if not len(columns["rows"]):
        raise InputError(f"--exclude drops all {used:,} records of the {pool.role}", remedy="exclude fewer texts")
    tally = pool.tally
    census = Census(
        columns["rows"],
        np.ones(len(columns["rows"]), np.int64),
        columns["tokens"],
        columns["shard"],
        columns["group"],
        list(names),
        tally.read,
        used,
        tally.empty,
        tally.bad,
        tally.problems,
        excluded,
        columns["equal"],
    )
    return census.only(*first_of_equals(columns["key"])) if collapse else census


def first_of_equals(key: NDArray[np.uint64]) -> tuple[Rows, NDArray[np.int64]]:
    """The first row of each distinct key [n, 2], ascending, and how many rows have that key."""
    order = np.lexsort((key[:, 1], key[:, 0]))  # stable, so the first of equals comes first
    ordered = key[order]
    starts = np.flatnonzero(np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)]))
    first, counts = order[starts], np.diff(np.append(starts, len(key)))
    ascending = np.argsort(first)
    return first[ascending], counts[ascending]


def texts_of(pool: Pool, census: Census, advance: Advance = lambda rows: None) -> Iterator[list[str]]:
    """The texts of the records that take part, batch by batch."""
    done = 0
    for batch in pool.batches(BATCH):
        upto = int(np.searchsorted(census.rows, batch.rows[-1], side="right"))
        at = np.searchsorted(batch.rows, census.rows[done:upto])
        done = upto
        if len(at):
            yield [batch.texts[i] for i in at]
        advance(len(batch))
    if done < len(census):
        raise RunError(f"the {pool.role} shrank while it was read: {done:,} of {len(census):,} records are left")


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


def encoded_in_parts(
    engine: Engine,
    folder: Path,
    texts: Iterable[Sequence[str]],
    count: int,
    encode: Callable[[Any, Sequence[str]], NDArray[np.float32]],
    context: Any,
    advance: Advance,
) -> Vectors:
    """Encode a stream of texts into .npy files of some rows each; those that are there already are not made again.

    Args:
      engine: what encodes; its workers must see the folder.
      folder: of the files, which may hold some of an earlier run on the same texts.
      texts: batches.
      count: how many texts there are.
      encode: from the context and texts to vectors; a text's vector must not depend on its batch.
      advance: told of rows that are there.
    """
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{start:012d}.npy" for start in range(0, count, PART_ROWS)]
    missing = [not path.exists() for path in paths]
    advance(sum(min(PART_ROWS, count - k * PART_ROWS) for k, gone in enumerate(missing) if not gone))

    def parts() -> Iterator[tuple[Path, list[str]]]:
        held: list[str] = []
        done = 0
        for batch in texts:
            at = 0
            while at < len(batch):
                part = done // PART_ROWS
                end = min((part + 1) * PART_ROWS, count)
                some = batch[at : at + end - done]
                at, done = at + len(some), done + len(some)
                if missing[part]:
                    held += some
                    if done == end:
                        yield paths[part], held
                        held = []

    for rows in engine.each("encode", _encode_part, (encode, context), parts()):
        advance(rows)
    return Vectors.of(paths)


def _encode_part(asked: tuple[Callable[[Any, Sequence[str]], NDArray[np.float32]], Any], item: Any) -> int:
    """Encode the texts of one file and write it; how many they are."""
    (encode, context), (path, texts) = asked, item
    vectors = encode(context, texts)
    with atomic_file(path) as file:
        np.save(file, vectors)
    return len(vectors)


def write_vectors(path: Path, blocks: Iterable[NDArray[np.float32]], count: int, dim: int) -> Vectors:
    """Write blocks of vectors, `count` in all, to a .npy file."""
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(count, dim))
    start = 0
    for block in blocks:
        out[start : start + len(block)] = block
        start += len(block)
    out.flush()
    del out
    return Vectors.of(path)
