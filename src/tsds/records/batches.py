"""What a pass over a pool gives: batches of usable records, and a tally of all it met."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Rows
from tsds.errors import InputError
from tsds.records.fields import Candidate

Outcome = Candidate | InputError | None  # of reading a record: usable, unusable, or without text
_PROBLEMS_KEPT = 5


@dataclass(frozen=True)
class TextBatch:
    """Usable records of one shard, in order.

    Attributes:
      rows: [n], their positions in the pool, where every record counts, usable or not (but blank lines don't).
      shard: the index of their shard.
      texts: [n].
      ids: [n], the row where a record has none.
      groups: [n], None where a record has none.
      tokens: [n], lengths in tokens.
    """

    rows: Rows
    shard: int
    texts: list[str]
    ids: list[str | int]
    groups: list[str | None]
    tokens: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass
class Tally:
    """What a pass met: records read, used, left out as empty, left out as bad, and the first few reasons why."""

    read: int = 0
    used: int = 0
    empty: int = 0
    bad: int = 0
    problems: list[str] = field(default_factory=list)

    def plus(self, other: Tally) -> Tally:
        """What both met, this one first."""
        return Tally(
            self.read + other.read, self.used + other.used, self.empty + other.empty, self.bad + other.bad,
            [*self.problems, *other.problems][:_PROBLEMS_KEPT],
        )  # fmt: skip

    def count(self, outcome: Outcome) -> None:
        self.read += 1
        if outcome is None:
            self.empty += 1
        elif isinstance(outcome, InputError):
            self.bad += 1
            if len(self.problems) < _PROBLEMS_KEPT:
                self.problems.append(str(outcome))
        else:
            self.used += 1


def text_batch(shard: int, rows: list[int], chosen: list[Candidate]) -> TextBatch:
    """Rows of candidates as columns of a batch."""
    texts, ids, groups, tokens = zip(*chosen, strict=True)
    return TextBatch(
        rows=np.array(rows, dtype=np.int64),
        shard=shard,
        texts=list(texts),
        ids=[row if id_ is None else id_ for row, id_ in zip(rows, ids, strict=True)],
        groups=list(groups),
        tokens=np.array(tokens, dtype=np.int64),
    )
