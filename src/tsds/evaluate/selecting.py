"""What each method selects for each draw of a target's examples: one embedding of the pool and one search a draw."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds.bandwidth import perturbed
from tsds.budget import Size
from tsds.comparing.cells import Bench, Contender, Made
from tsds.errors import InputError
from tsds.evaluate.arms import Arm
from tsds.evaluate.data import Example
from tsds.evaluate.matched import alike
from tsds.evaluate.settings import Condition
from tsds.inputs import prepare
from tsds.leakage import Guard, digests
from tsds.records import Pool, atomic_file
from tsds.records.dialogue import turns_of
from tsds.scratch import owned
from tsds.searching import neighbor_search
from tsds.settings import Settings
from tsds.solving import choose_bandwidth, examples_wanted
from tsds.stages import Stages

#: Neighbours of a target that the shared search brings at least.
_ROOM = 512


@dataclass(frozen=True)
class Selected:
    """What a method selected.

    Attributes:
      rows, counts: records of the pool, [b], ascending, and how often each, [b].
      seconds: to select, without reading, encoding and the shared search.
      search_seconds: of the shared search of this draw.
      encode_seconds: of reading and encoding the pool, for all draws and methods together.
      leaks: how many of the records leak a test text, as `Guard` tells.
    """

    rows: list[int]
    counts: list[int]
    seconds: float
    search_seconds: float
    encode_seconds: float
    leaks: int

    @property
    def facts(self) -> dict[str, float]:
        """What a cell says of it."""
        return {
            "select_seconds": self.seconds + self.search_seconds,
            "encode_seconds": self.encode_seconds,
            "leaks": float(self.leaks),
            "selected": float(sum(self.counts)),
        }


def drawn_examples(count: int, wanted: int, seed: int) -> NDArray[np.int64]:
    """Which of a target's examples a seed draws: min(count, wanted) of them, ascending."""
    rng = np.random.default_rng([seed, 11])
    return np.sort(rng.permutation(count)[:wanted])


class Selector:
    """Selects from one pool for one target, under one condition.

    Args:
      pool: files of the pool.
      own: the target's examples.
      other: another target's, of which a skewed draw takes four fifths.
      wanted: examples of a draw.
      tests: texts that must stay unseen; overlaps are counted, not dropped.
      encoder: of the selection.
      stages: told of progress.
    """

    def __init__(
        self, pool: Sequence[Path], own: list[Example], other: list[Example] | None, wanted: int,
        tests: Sequence[str], encoder: str, stages: Stages,
    ) -> None:  # fmt: skip
        self._stages, self._wanted, self._skewed = stages, wanted, other is not None
        self._count = len(own)
        settings: Any = Settings(size=1, encoder=encoder, method="random")
        began = stages.seconds
        records = [_record(one.text) for one in [*own, *(other or [])]]
        self._inputs = prepare(list(pool), records, settings, stages, ids="unread")
        try:
            search = neighbor_search(self._inputs, settings, stages)
            bandwidth = choose_bandwidth(settings, self._inputs, search, stages)
        except BaseException:
            self._inputs.close()
            raise
        self._bench = Bench(self._inputs, settings, 1, search, bandwidth, stages.engine, stages.device)
        self._seconds = stages.seconds - began
        self._guard = Guard([list(tests)], overlapping=True)
        self._searches: dict[int, tuple[Any, float]] = {}
        self._draw, self._made = -1, dict[tuple[str, int], Made]()

    def select(self, arm: Arm, size: int, seed: int) -> Selected:
        """Select so many records for the examples that this seed draws.

        Raises:
          BudgetError: if the pool has fewer that differ.
        """
        examples_wanted(Size.parse(size), self._inputs)
        seen = self._seen(seed)
        self._bench.size = size
        with self._stages.stage("search", len(self._inputs.candidates.vectors)):
            search, seconds = self._search(seed, seen)
            made = self._made_by(arm.contender, size, seed, search, seen)
        census = self._inputs.candidates.census
        chosen, counts = made.rows, made.counts
        if arm.like:
            rng = np.random.default_rng([seed, 17])
            chosen, counts = alike(census.tokens, census.group, chosen, counts, arm.like, rng)
        rows = census.rows[chosen]
        records = self._inputs.candidates.records
        assert records is not None, "the pool is files of records"
        texts = records.texts_at(rows)
        leaks = int(self._guard.leaks(texts, digests(texts)).sum())
        return Selected(rows.tolist(), counts.tolist(), made.seconds, seconds, self._seconds, leaks)

    def close(self) -> None:
        """Remove the vectors."""
        self._inputs.close()

    def _made_by(self, contender: Contender, size: int, seed: int, search: Any, seen: NDArray[np.int64]) -> Made:
        """What a method selects; made once for all arms that are it, or like it, as draws come one after the other."""
        if seed != self._draw:
            self._draw, self._made = seed, {}
        if (contender.name, size) not in self._made:
            settings = replace(contender.settings, size=size, seed=seed)
            self._made[contender.name, size] = self._bench.select(settings, search, seen)
        return self._made[contender.name, size]

    def _seen(self, seed: int) -> NDArray[np.int64]:
        if not self._skewed:
            return drawn_examples(self._count, self._wanted, seed)
        others = len(self._inputs.targets.mu) - self._count
        few = max(1, min(self._count, others // 4, self._wanted // 5))
        return np.concatenate(
            [drawn_examples(self._count, few, seed), self._count + drawn_examples(others, 4 * few, seed)]
        )

    def _search(self, seed: int, seen: NDArray[np.int64]) -> tuple[Any, float]:
        if seed not in self._searches:
            began = self._stages.seconds
            search = self._bench.search.only(seen)
            search.rough(min(len(self._inputs.candidates.vectors), _ROOM))
            self._searches = {seed: (search, self._stages.seconds - began)}  # draws come one after the other
        return self._searches[seed]


def write_selected(path: Path, selected: Selected) -> None:
    """Keep a selection."""
    with atomic_file(path) as file:
        file.write(orjson.dumps(asdict(selected)))


def read_selected(path: Path) -> Selected:
    """What `write_selected` wrote.

    Raises:
      InputError: if the file is damaged.
    """
    try:
        return Selected(**orjson.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise InputError(f"is no selection: {error}", path=path, remedy="remove it, and it is made again") from error


def copies_of(count: int, condition: Condition) -> int:
    """How many copies a condition adds to a pool of so many records."""
    return _copied(count, condition) * condition.times if condition.kind == "near-duplicates" else 0


def _copied(count: int, condition: Condition) -> int:
    return max(1, round(count * condition.share / 100))


def write_copies(pool: Pool, condition: Condition, path: Path) -> None:
    """Edited copies of a random share of the pool, as a file to add to it; written once.

    Args:
      condition: how many percent of the records, and how many copies of each.
    """
    if path.exists():
        return
    rng = np.random.default_rng(13)
    rows = np.concatenate([batch.rows for batch in pool.batches()])
    some = np.sort(rng.choice(rows, _copied(len(rows), condition), replace=False))
    own = path.with_name(owned(f".{path.name}."))
    with atomic_file(own) as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as out:
        for row, candidate in zip(some.tolist(), pool.candidates_at(some), strict=True):
            for i in range(condition.times):
                record = {"id": f"copy-{row}-{i}", "source": candidate.group, **_record(perturbed(candidate.text, rng))}
                out.write(orjson.dumps(record) + b"\n")
    os.utime(own, (0, 0))  # where another cell has written the same meanwhile and reads it, it has not changed
    own.replace(path)


def _record(text: str) -> dict[str, Any]:
    """A record of that text, a chat with its turns."""
    turns = turns_of(text)
    return {"messages": [{"role": t.role, "content": t.content} for t in turns]} if turns else {"text": text}
