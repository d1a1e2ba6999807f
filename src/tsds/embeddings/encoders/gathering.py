"""What the hash encoder learns from: document frequencies of all texts, and the counts of a sample of them.

Both can be gathered from pieces of the pool, in any process, and merged: the sums are of whole numbers, and the sample
is the texts whose hashed positions are smallest, which is the same however the pool is cut.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders.ngrams import Counts, mix


@dataclass(frozen=True)
class Gathered:
    """What was gathered from some texts.

    Attributes:
      frequency: [buckets], texts that have each.
      seen: texts.
      last: the largest hash of a position that may still be in the sample.
      position, length: [t], of the sampled texts: their place in the pool, and how many buckets they have.
      bucket, count: [sum of length], theirs.
      texts, features, seed: of the sample, see Sample.
    """

    frequency: NDArray[np.int64]
    seen: int
    last: int
    position: NDArray[np.int64]
    length: NDArray[np.int64]
    bucket: NDArray[np.uint32]
    count: NDArray[np.uint32]
    texts: int
    features: int
    seed: int

    def sampled(self) -> Counts:
        """The sampled texts, in pool order."""
        order = np.argsort(self.position)
        starts = np.cumsum(self.length) - self.length
        at = [np.zeros(0, np.int64), *(np.arange(starts[i], starts[i] + self.length[i]) for i in order)]
        take = np.concatenate(at)
        return Counts(
            len(order),
            np.repeat(np.arange(len(order)), self.length[order]),
            self.bucket[take].astype(np.int64),
            self.count[take].astype(np.int64),
        )


class Sample:
    """Counts of the texts whose hashed position is smallest: the same texts however the pool is cut, in bounded memory.

    Kept are the texts in order of hash, as long as both limits hold (the first one always).

    Args:
      texts, features: the limits: texts, and buckets that they have in all.
      seed: of the hash.
    """

    def __init__(self, texts: int, features: int, seed: int) -> None:
        self.texts, self.features, self.seed = texts, features, seed
        self._held, self._last = 0, (1 << 64) - 1
        self._heap: list[tuple[int, int, NDArray[np.uint32], NDArray[np.uint32]]] = []  # -hash, position, bucket, count

    def add(self, counts: Counts, first: int) -> None:
        """Offer texts, the first of which has this position in the pool."""
        edges = np.searchsorted(counts.row, np.arange(counts.texts + 1))
        position = np.arange(first, first + counts.texts)
        self._offer(position, edges, counts.bucket, counts.count)

    def take(self, other: Gathered) -> None:
        """Offer what another sample holds."""
        self._last = min(self._last, other.last)
        while self._heap and -self._heap[0][0] > self._last:
            self._drop()
        edges = np.concatenate([[0], np.cumsum(other.length)])
        self._offer(other.position, edges, other.bucket, other.count)

    def gathered(self, frequency: NDArray[np.int64], seen: int) -> Gathered:
        """The sample as arrays, with frequencies and the number of texts seen."""
        nothing = [np.zeros(0, np.uint32)]
        return Gathered(
            frequency, seen, self._last,
            np.array([entry[1] for entry in self._heap], np.int64),
            np.array([len(entry[2]) for entry in self._heap], np.int64),
            np.concatenate([entry[2] for entry in self._heap] or nothing),
            np.concatenate([entry[3] for entry in self._heap] or nothing),
            self.texts, self.features, self.seed,
        )  # fmt: skip

    def _offer(
        self, position: NDArray[np.int64], edges: NDArray[np.int64], bucket: NDArray[np.integer[Any]],
        count: NDArray[np.integer[Any]],
    ) -> None:  # fmt: skip
        ranks = mix(mix(position.astype(np.uint64) + np.uint64(1)) ^ np.uint64(self.seed)).tolist()
        bounds = edges.tolist()
        for row, rank in enumerate(ranks):
            if rank > self._last:
                continue
            part = slice(bounds[row], bounds[row + 1])
            kept = bucket[part].astype(np.uint32), count[part].astype(np.uint32)  # copies: the rest may go
            heapq.heappush(self._heap, (-rank, int(position[row]), *kept))
            self._held += part.stop - part.start
            while len(self._heap) > self.texts or (self._held > self.features and len(self._heap) > 1):
                self._last = self._drop() - 1

    def _drop(self) -> int:
        """Let the text with the largest hash go; gives the hash."""
        dropped = heapq.heappop(self._heap)
        self._held -= len(dropped[2])
        return -dropped[0]


def merged(a: Gathered, b: Gathered) -> Gathered:
    """What was gathered from the texts of both."""
    sample = Sample(a.texts, a.features, a.seed)
    for one in (a, b):
        sample.take(one)
    return sample.gathered(a.frequency + b.frequency, a.seen + b.seen)
