"""Hashed words and word pairs of a block of texts, as pure NumPy over all characters of the block at once.

A loop over words in Python costs about a microsecond a word and step; here a block of texts becomes one array of code
points, and words, hashes and counts come from a dozen array operations on it.

What a word is: a run of letters, digits, combining marks and underscores, lower-cased. Scripts written without spaces
(Chinese, Japanese, Thai, ...) and symbols (emoji, currency, mathematics) give one word a character, so that pairs of
neighbours are the character bigrams. Punctuation separates; only a text of nothing else is read as one word a mark.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEPARATOR, WORD, SINGLE = 0, 1, 2  # classes of characters
MAX_CHARACTERS = 1 << 20  # of one text that are read; a longer text is represented by its beginning

_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2^64
_INVERSE = pow(_BASE, -1, 1 << 64)
_LEFT, _RIGHT = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F)  # a pair is ordered: two multipliers

# Scripts without spaces between words: (first, last) code point.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Chinese iteration mark, closing mark and zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Chinese, extension A
    (0x4E00, 0x9FFF),  # Chinese
    (0xF900, 0xFAFF),  # Chinese, compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x20000, 0x3FFFF),  # Chinese, supplementary planes
)


@dataclass(frozen=True)
class Counts:
    """How often each row has each bucket: sorted by row, then bucket; no pair twice.

    Attributes:
      texts: in the block.
      row: [k] integers, position of the text in its block.
      bucket: [k] integers, of a word in [0, 2^bits), of a pair in [2^bits, 2^(bits+1)).
      count: [k] integers, at least 1.
    """

    texts: int
    row: NDArray[np.integer[Any]]
    bucket: NDArray[np.integer[Any]]
    count: NDArray[np.integer[Any]]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.row.nbytes + self.bucket.nbytes + self.count.nbytes

    def compact(self) -> Counts:
        """The same in the smallest integers that hold them, to be kept."""
        small = [part.astype(np.min_scalar_type(int(part.max(initial=0)))) for part in (self.row, self.count)]
        return Counts(self.texts, small[0], self.bucket.astype(np.uint32), small[1])


@cache
def character_classes() -> NDArray[np.uint8]:
    """The class of every code point, [0x110000]: SEPARATOR, WORD or SINGLE."""
    classes = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    for code in range(0x20000):  # beyond lie Chinese characters (below), tags and private use
        category = unicodedata.category(chr(code))
        if category[0] in "LNM" or code == 0x5F:
            classes[code] = WORD
        elif category[0] == "S" and code > 0x7F:
            classes[code] = SINGLE
    for first, last in _UNSPACED:
        span = classes[first : last + 1]
        span[(span == WORD) | (first >= 0x20000)] = SINGLE
    return classes


@cache
def _spaces() -> NDArray[np.bool_]:
    """Whether str.isspace holds, for every code point, [0x110000]."""
    spaces = np.zeros(sys.maxunicode + 1, dtype=np.bool_)
    spaces[[code for code in range(0x10000) if chr(code).isspace()]] = True
    return spaces


@cache
def _powers(base: int) -> NDArray[np.uint64]:
    """base^i modulo 2^64 for i < MAX_CHARACTERS."""
    table = np.full(MAX_CHARACTERS, base, dtype=np.uint64)
    table[0] = 1
    return np.multiply.accumulate(table)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit values: every bit of the result depends on every bit given (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def blocks(batches: Iterable[Sequence[str]], rows: int) -> Iterator[list[str]]:
    """Re-cut batches of texts into lower-cased blocks of at most `rows` texts and MAX_CHARACTERS characters in all."""
    block: list[str] = []
    size = 0
    for batch in batches:
        for text in batch:
            text = text[:MAX_CHARACTERS].lower()[:MAX_CHARACTERS]
            if block and (len(block) == rows or size + len(text) > MAX_CHARACTERS):
                yield block
                block, size = [], 0
            block.append(text)
            size += len(text)
    if block:
        yield block


def count_ngrams(block: Sequence[str], bits: int) -> Counts:
    """Count the hashed words, and pairs of neighbouring words, of each text.

    Args:
      block: lower-cased texts, MAX_CHARACTERS characters in all at most (see `blocks`).
      bits: words have the buckets below 2^bits, pairs those from 2^bits to 2^(bits+1); at most 31.

    Returns:
      The counts. A text with a character that is not white space has at least one word.
    """
    row, word = words(block)
    same = row[1:] == row[:-1]
    pair = mix(word[:-1] * _LEFT + word[1:] * _RIGHT)[same]
    shift = np.uint64(64 - bits)
    keys = np.concatenate(
        [
            (row << (bits + 1)) | (mix(word) >> shift).astype(np.int64),
            (row[1:][same] << (bits + 1)) | (pair >> shift).astype(np.int64) | (1 << bits),
        ]
    )
    keys.sort()
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    unique = keys[starts]
    return Counts(len(block), unique >> (bits + 1), unique & ((2 << bits) - 1), np.diff(starts, append=len(keys)))


def words(block: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The words of the texts in order: position of the text, [w]; hash of the word, [w], before mixing."""
    codes = np.frombuffer("".join(block).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    ends = np.cumsum(np.fromiter(map(len, block), dtype=np.int64, count=len(block)))
    starts, stops, row = _boundaries(character_classes()[codes], ends)
    missing = np.bincount(row, minlength=len(block)) == 0
    if missing.any():  # of these texts, every mark is a word
        classes = character_classes()[codes]
        classes[np.repeat(missing, np.diff(ends, prepend=0)) & ~_spaces()[codes]] = SINGLE
        starts, stops, row = _boundaries(classes, ends)
    # sum of c_i B^i over a word, from prefix sums, over B^start: the same for a word anywhere (all modulo 2^64)
    prefix = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum((codes + np.uint32(1)) * _powers(_BASE)[: len(codes)], out=prefix[1:])
    return row, (prefix[stops] - prefix[starts]) * _powers(_INVERSE)[starts]


def all_words(text: str) -> NDArray[np.uint64]:
    """The words of one lower-cased text of any length, as `words` hashes them, [w].

    A word longer than MAX_CHARACTERS is read as several, cut from its start.
    """
    found, marks, start = list[NDArray[np.uint64]](), list[NDArray[np.uint64]](), 0
    while start < len(text):
        piece = text[start : start + MAX_CHARACTERS + 1]  # with the character that follows: a word may go on there
        classes = character_classes()[np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)]
        if len(piece) > MAX_CHARACTERS:
            between = np.flatnonzero((classes[:-1] != WORD) | (classes[1:] != WORD))
            piece = piece[: int(between[-1]) + 1 if len(between) else MAX_CHARACTERS]
        # As in `words`, marks are words only where the whole text has nothing else.
        (found if classes[: len(piece)].any() else marks).append(words([piece])[1])
        start += len(piece)
    return np.concatenate(found or marks)


def _boundaries(
    classes: NDArray[np.uint8], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Where words start and stop in the joined texts, and the text each is in; ends: [n] where the texts end."""
    if len(classes) == 0:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, nothing
    changes = np.ones(len(classes) + 1, dtype=np.bool_)  # between which characters a word may start or stop
    np.not_equal(classes[1:], classes[:-1], out=changes[1:-1])
    changes[1:-1] |= classes[1:] == SINGLE
    changes[ends] = True
    edges = np.flatnonzero(changes)
    starts, stops = edges[:-1], edges[1:]
    words = classes[starts] != SEPARATOR
    starts, stops = starts[words], stops[words]
    return starts, stops, np.searchsorted(ends, starts, side="right")
