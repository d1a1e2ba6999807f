"""Ids that occur twice, found with eight bytes a record: hashes first, then a second look at the few that agree."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

_FIRST_LOOK = 1 << 16


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
        self._hashes.extend(map(hash, ids))
        if len(self._hashes) < self._next_look:
            return False
        self._next_look = 2 * len(self._hashes)
        return True

    def repeated(self) -> frozenset[int]:
        """The hashes that occur more than once: of repeated ids, and by chance of others."""
        hashes = np.sort(np.frombuffer(self._hashes, dtype=np.int64))
        return frozenset(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]).tolist())
