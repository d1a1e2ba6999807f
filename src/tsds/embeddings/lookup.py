"""Texts looked up by their content: digests of texts, and where the shards of a store hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Rows
from tsds.embeddings.encoders import Report
from tsds.embeddings.shards import Entry, Keys
from tsds.records.dialogue import turns_of


def text_keys(texts: Sequence[str], chats: bool) -> Keys:
    """A 128-bit digest of each text, [n, 2]; of its turns as well, where those count."""
    joined = bytearray()
    for text in texts:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)
        for turn in turns_of(text) if chats else ():
            digest.update(f"\0{turn.role}\0{len(turn.content)}".encode())
        joined += digest.digest()
    return np.frombuffer(bytes(joined), dtype=np.uint64).reshape(-1, 2)


@dataclass(frozen=True)
class Index:
    """Where texts are.

    Attributes:
      entries: of the shards that hold some.
      shard: [n], index into `entries`, -1 where a text is not there.
      row: [n], its row in that shard.
    """

    entries: list[Entry]
    shard: NDArray[np.int64]
    row: NDArray[np.int64]

    @classmethod
    def of(cls, keys: Keys, entries: list[Entry], parts: list[Keys]) -> Index:
        """Look up keys in shards that hold `parts`; shards of which no row is used are left out."""
        nowhere = np.full(len(keys), -1, np.int64)
        if not parts:
            return cls([], nowhere, nowhere.copy())
        held = np.concatenate(parts)
        order = np.argsort(held[:, 0], kind="stable")  # of equal keys the first shard counts
        at = order[np.minimum(np.searchsorted(held[order, 0], keys[:, 0]), len(held) - 1)]
        there = (held[at] == keys).all(axis=1)
        starts = np.cumsum([0] + [len(part) for part in parts])
        shard = np.where(there, np.searchsorted(starts, at, side="right") - 1, -1)
        row = np.where(there, at - starts[np.maximum(shard, 0)], -1)
        first = np.full(len(parts), len(keys))
        np.minimum.at(first, shard[there], np.flatnonzero(there))
        used = [i for i in np.argsort(first, kind="stable").tolist() if first[i] < len(keys)]
        renamed = np.full(len(parts), -1)
        renamed[used] = np.arange(len(used))
        return cls([entries[i] for i in used], np.where(there, renamed[shard], -1), row)

    @property
    def report(self) -> Report:
        """What happened to the texts of these shards."""
        rows, truncated, unfit = ([getattr(e, k) for e in self.entries] for k in ("rows", "truncated", "unfit"))
        return Report(sum(rows), sum(truncated), sum(unfit))

    def positions(self) -> Rows:
        """[n], the row of each text in the shards one after another."""
        starts = np.cumsum([0] + [entry.rows for entry in self.entries])
        return starts[self.shard] + self.row


def gathered(batches: Iterable[Sequence[str]], cuts: Sequence[Keys], chats: bool) -> Iterator[tuple[Keys, list[str]]]:
    """The texts of each cut, from a stream in which their first occurrences come in order."""
    done = 0
    cut: list[list[int]] = cuts[0].tolist()
    texts: list[str] = []
    for batch in batches:
        keys = text_keys(batch, chats).tolist()
        for text, key in zip(batch, keys, strict=True):
            if not cut:
                return
            if key == cut[len(texts)]:
                texts.append(text)
                if len(texts) == len(cut):
                    yield cuts[done], texts
                    done += 1
                    cut, texts = cuts[done].tolist() if done < len(cuts) else [], []


def overlap(ordered: Any, held: Any) -> bool:
    """Whether one of `held` is in `ordered`."""
    place = np.minimum(np.searchsorted(ordered, held), len(ordered) - 1)
    return bool((ordered[place] == held).any()) if len(ordered) and len(held) else False
