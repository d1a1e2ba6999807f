"""The leakage guard: candidates that share a long run of words with texts that must stay unseen, or equal them.

Two texts share a 13-gram if thirteen words in a row are the same in both, whatever their case and punctuation (the rule
of the GPT-3 report, appendix C). Words are those of the hash encoder. Runs are compared by a 64-bit hash. A question of
fewer words is in no such run where its answer differs: two chats share it if it is all that the user says in a turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders.ngrams import MAX_CHARACTERS, all_words, blocks, mix, words
from tsds.records import Pool
from tsds.records.dialogue import turns_of
from tsds.settings import Settings

RUN = 13
_BASE = np.uint64(0x9E3779B97F4A7C15)
#: Words of a turn from which on --exclude drops chats that have it too: "Go on, please" is in many.
_LEAST_WORDS = 5


def digests(texts: Iterable[str]) -> NDArray[np.uint64]:
    """A 128-bit digest of each text, [n, 2]."""
    joined = b"".join(hashlib.blake2b(t.encode("utf-8", "surrogatepass"), digest_size=16).digest() for t in texts)
    return np.frombuffer(joined, dtype=np.uint64).reshape(-1, 2)


def runs(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
    """Every run of thirteen words: its text, [r], its hash, [r], its words, [r]; a shorter text is one run of all."""
    rows, hashes, sizes, done = [], [], [], 0
    for count, row, word in _words(texts):
        word = mix(word)
        length = np.bincount(row, minlength=count)
        # Horner's rule over the next thirteen words, for every place at once; shorter texts stop at their end.
        place = np.arange(len(word)) - np.repeat(np.cumsum(length) - length, length)
        size = np.minimum(length, RUN)[row]
        starts = np.flatnonzero(place + size <= length[row])
        value = np.zeros(len(starts), np.uint64)
        for step in range(RUN):
            within = step < size[starts]
            at = np.minimum(starts + step, len(word) - 1)
            value = np.where(within, value * _BASE + word[at], value)
        rows.append(row[starts] + done)
        hashes.append(mix(value))
        sizes.append(size[starts])
        done += count
    return np.concatenate(rows), np.concatenate(hashes), np.concatenate(sizes)


def _words(texts: Sequence[str]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.uint64]]]:
    """Some texts after others, a long one by itself: how many, and of each word the text among them and the hash."""
    for long, some in groupby(map(str.lower, texts), lambda text: len(text) > MAX_CHARACTERS):
        if long:
            for word in map(all_words, some):
                yield 1, np.zeros(len(word), np.int64), word
        else:
            for block in blocks(([text] for text in some), 512):
                yield len(block), *words(block)


class Guard:
    """Knows the texts that must stay unseen, and tells which others leak them.

    Args:
      batches: batches of those texts.
      overlapping: whether a shared run of words, or turn of the user, counts, or equality alone.
      least: words of a turn from which on it counts.
    """

    def __init__(self, batches: Iterable[Sequence[str]], *, overlapping: bool, least: int = 1) -> None:
        equal: list[NDArray[np.uint64]] = []
        shared: list[NDArray[np.uint64]] = []
        turns: list[NDArray[np.uint64]] = []
        self._room = 0  # characters: a longer turn equals none; punctuation may be more than in the guarded ones
        for texts in batches:
            equal.append(digests(texts)[:, 0])
            if not overlapping:
                continue
            shared.append(runs(texts)[1])
            _, asked = _asked(texts)
            if asked:
                row, value, size = runs(asked)
                short = (size >= least) & (size < RUN)  # the runs of the others are shared already
                turns.append(value[short])
                self._room = max([self._room, *(2 * len(asked[i]) for i in row[short])])
        self._equal = np.unique(np.concatenate(equal))
        self._shared = np.unique(np.concatenate(shared)) if overlapping else None
        self._turns = np.unique(np.concatenate([np.zeros(0, np.uint64), *turns]))

    def leaks(self, texts: Sequence[str], keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these texts equal a guarded one or share words or a turn with it; keys: their digests, [n, 2]."""
        hit = np.isin(keys[:, 0], self._equal)
        if self._shared is not None:
            row, value, _ = runs(texts)
            hit[row[_among(self._shared, value)]] = True
        if len(self._turns):
            at, turns = _asked(texts, self._room)
            if turns:
                row, value, _ = runs(turns)
                hit[at[row[_among(self._turns, value)]]] = True
        return hit


def guard_of_excluded(settings: Settings) -> tuple[Guard, Pool]:
    """What knows the texts of --exclude again, and their records, which may have the pool's fields, or their own."""
    text = replace(settings.text, or_found=True)
    unseen = Pool.open(settings.exclude, text=text, ids="unread", on_error=settings.on_error, role="exclude")
    return Guard((batch.texts for batch in unseen.batches()), overlapping=True, least=_LEAST_WORDS), unseen


def _asked(texts: Sequence[str], room: float = np.inf) -> tuple[NDArray[np.int64], list[str]]:
    """What users say in chats, in no more than so many characters a turn: the chat, [t], and the turn."""
    found = [
        (i, turn.content)
        for i, text in enumerate(texts)
        for turn in turns_of(text)
        if turn.role == "user" and len(turn.content) <= room
    ]
    return np.array([i for i, _ in found], np.int64), [content for _, content in found]


def _among(known: NDArray[np.uint64], values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which values are known; known: sorted. That beats np.isin, which would sort the many runs of the pool."""
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.asarray(known[place] == values)
