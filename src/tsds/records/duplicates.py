"""Ids that occur twice, found with eight bytes a record: hashes first, then a second look at the few that agree."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_FIRST_LOOK = 1 << 16


def id_hash(id_: str | int) -> int:
    """64 bits of an id, the same in every process: ids may be looked at where the records are, and compared here."""
    if isinstance(id_, int):
        return hash(id_)
    return int.from_bytes(blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little", signed=True)


def repeated(hashes: NDArray[np.int64]) -> frozenset[int]:
    """The hashes that occur more than once: of repeated ids, and by chance of others."""
    ordered = np.sort(hashes)
    return frozenset(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]).tolist())


class IdHashes:
    """The hashes of all ids seen in a pass.

    They are looked through whenever their number has doubled, so a repeated id shows up after at most twice the
    records it takes, and all looks together cost no more than two sorts.
    """

    def __init__(self) -> None:
        self._hashes = array("q")
        self._next_look = _FIRST_LOOK

    def add(self, ids: Iterable[str | int]) -> bool:
        """Take in more ids; True if it is time to look."""
        self._hashes.extend(map(id_hash, ids))
        if len(self._hashes) < self._next_look:
            return False
        self._next_look = 2 * len(self._hashes)
        return True

    def array(self) -> NDArray[np.int64]:
        """All hashes so far."""
        return np.array(self._hashes, np.int64)

    def repeated(self) -> frozenset[int]:
        """See `repeated`, of all so far."""
        return repeated(self.array())
