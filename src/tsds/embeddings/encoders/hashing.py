"""The default encoder: hashed words and word pairs, weighed in two ways, on leading directions of the pool.

Two views of a text have half of the axes each: its *manner*, where all words and pairs weigh the same, so that function
words and set phrases tell how it is written; and its *matter*, TF-IDF with the square of the idf, so that rare words
tell what it is about. Either view alone selects worse; docs/encoders.md has the measurements behind every constant. A
view is projected on the leading directions of a sample of the pool. Nothing to download; one pass over the pool fits.
"""

from __future__ import annotations

import hashlib
import threading
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from tsds.embeddings.encoders.directions import SparseRows, leading_directions
from tsds.embeddings.encoders.gathering import Gathered, Sample
from tsds.embeddings.encoders.ngrams import Counts, blocks, count_ngrams
from tsds.embeddings.encoders.protocol import Advance, Report, Role, ignore
from tsds.parallel import allowed

_VERSION = 1  # of the arithmetic: raise it whenever the same input may give other bits
_BLOCK = 512  # texts handled at once by a thread
_SPARE = 1024  # random vectors for words the pool does not have
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True)
class View:
    """How words and pairs weigh: pair_weight * idf^idf_power, times 1 + log(count) if repeated words count."""

    idf_power: float
    pair_weight: float
    repeats: bool


class HashEncoder:
    """Hashed words and word pairs, projected on directions learned from a sample of the pool.

    The vector of a text depends on the text and the fitted state only: neither on the batch it came in, nor on threads.

    Args:
      dim: width of the embeddings.
      seed: of the sample and of the projection.
      threads: to use; as many as work may use where it is called, if not given.

    Example:
      >>> pool = ["the cat sat on the mat", "a cat sat down", "rates of interest rose"]
      >>> vectors = HashEncoder(dim=8).fit([pool]).encode(pool)
      >>> vectors.shape, bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
      ((3, 8), True)
    """

    name = "hash"
    chats = False
    kept = False  # quick to make, and another pool makes others
    remember = False
    lasting = True

    views = (View(idf_power=0, pair_weight=1, repeats=False), View(idf_power=2, pair_weight=0.5, repeats=True))
    bits = 20  # 2^bits buckets of words, as many of pairs, with one document frequency each
    vocabulary = 32768  # buckets that count: those in most texts of the pool
    sample_texts = 16384  # texts of the pool from which directions are learned ...
    sample_features = 1 << 22  # ... fewer if they have more distinct words and pairs than this in all
    recalled_bytes = 1 << 28  # of counted words and pairs that are kept after fitting, so that none is counted twice

    def __init__(self, *, dim: int = 256, seed: int = 0, threads: int | None = None) -> None:
        if dim < 1:
            raise ValueError(f"dim={dim} must be at least 1")
        if seed < 0:
            raise ValueError(f"seed={seed} must not be negative")
        self.dim = dim
        self.report = Report()
        self.seed = seed
        self.threads = threads
        edges = [dim * i // len(self.views) for i in range(len(self.views) + 1)]
        self._spans = [slice(first, last) for first, last in pairwise(edges)]  # axes of each view
        self._column: NDArray[np.int64] | None = None  # each bucket's row of the table, [2^(bits+1)]; -1: none
        self._table = np.zeros((0, dim), dtype=np.float32)  # projection of a word or pair, its weight included
        self._counted: list[Counts] | None = None  # of all texts it was fitted on, unless they are too many
        self._spare = np.random.default_rng(seed).standard_normal((_SPARE, dim), dtype=np.float32)

    def fit(self, batches: Iterable[Sequence[str]]) -> HashEncoder:
        """Learn document frequencies from all texts of the pool, and directions from a sample of them, in one pass.

        How the pool is cut into batches makes no difference.
        """
        self._counted = [] if self.remember else None
        return self.learn(self.gather(batches))

    def gather(self, batches: Iterable[Sequence[str]], first: int = 0) -> Gathered:
        """What `learn` needs to know of some texts of the pool, the first of which has this position there."""
        frequency = np.zeros(2 << self.bits, dtype=np.int64)
        sample = Sample(self.sample_texts, self.sample_features, self.seed)
        seen = held = 0
        with _one_blas_thread():
            for counts in _in_threads(self._counts, blocks(batches, _BLOCK), self.threads or allowed()):
                np.add.at(frequency, counts.bucket, 1)
                sample.add(counts, first + seen)
                seen += counts.texts
                if self._counted is not None:
                    self._counted.append(counts.compact())
                    held += self._counted[-1].nbytes
                    if held > self.recalled_bytes:
                        self._counted = None
        return sample.gathered(frequency, seen)

    def learn(self, gathered: Gathered) -> HashEncoder:
        """Be fitted on the pool that this was gathered from."""
        frequency = gathered.frequency
        with _one_blas_thread():
            present = int(np.count_nonzero(frequency))
            frequent = np.sort(np.argsort(-frequency, kind="stable")[: min(self.vocabulary, present)])
            self._column = np.full(len(frequency), -1, dtype=np.int64)
            self._column[frequent] = np.arange(len(frequent))
            rows = self._known(gathered.sampled())
            self._table = np.zeros((len(frequent), self.dim), dtype=np.float32)
            idf = np.log((1 + gathered.seen) / (1 + frequency[frequent])) + 1
            is_pair = frequent >= 1 << self.bits
            for view, span in zip(self.views, self._spans, strict=True):
                weight = (idf**view.idf_power * np.where(is_pair, view.pair_weight, 1)).astype(np.float32)
                values = _repeats(rows.values, view) * weight[rows.columns]
                directions = leading_directions(
                    _unit_rows(SparseRows(rows.starts, rows.columns, values)),
                    len(frequent),
                    span.stop - span.start,
                    self.seed,
                )
                self._table[:, span] = directions * weight[:, None]
        return self

    def encode(self, texts: Sequence[str], role: Role = "candidate", advance: Advance = ignore) -> NDArray[np.float32]:
        """Embed texts: [n, dim] float32, unit norm; a row is zero only if its text is empty or white space."""
        if self._column is None:
            raise ValueError("HashEncoder.encode before fit: the weights of words come from the pool")
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        done = 0
        with _one_blas_thread():
            for part in _in_threads(self._embed_texts, blocks([texts], _BLOCK), self.threads or allowed()):
                vectors[done : done + len(part)] = part
                done += len(part)
                advance(len(part))
        self.report.texts += len(texts)
        return vectors

    def recall(self, advance: Advance = ignore) -> Iterator[NDArray[np.float32]] | None:
        """The vectors of all texts it was fitted on, in order, without reading them again: once; None if too many."""
        counted, self._counted = self._counted, None
        return None if counted is None else self._recalled(counted, advance)

    def _recalled(self, counted: list[Counts], advance: Advance) -> Iterator[NDArray[np.float32]]:
        with _one_blas_thread():
            for part in _in_threads(self._embed, counted, self.threads or allowed()):
                yield part
                self.report.texts += len(part)
                advance(len(part))

    def state(self) -> dict[str, NDArray[Any]]:
        """The rows of the table that buckets have, and the table."""
        if self._column is None:
            raise ValueError("HashEncoder.state before fit: there is none")
        return {"column": self._column, "table": self._table}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Be as if fitted on what gave that state."""
        self._column, self._table = state["column"], state["table"]

    def fingerprint(self, role: Role = "candidate") -> str:
        """Identifies the vectors: name, settings, code version, and the fitted state."""
        settings = (self.views, self.bits, self.vocabulary, self.sample_texts, self.sample_features, self.seed)
        digest = hashlib.blake2b(repr((_VERSION, unicodedata.unidata_version, settings)).encode(), digest_size=16)
        if self._column is not None:
            digest.update(self._column.data)
            digest.update(self._table.data)
        return f"{self.name}-v{_VERSION}-d{self.dim}-{digest.hexdigest()}"

    def _counts(self, block: list[str]) -> Counts:
        return count_ngrams(block, self.bits)

    def _known(self, counts: Counts) -> SparseRows:
        """The counts of what is in the vocabulary, [texts, v]."""
        assert self._column is not None
        column = self._column[counts.bucket]
        known = column >= 0
        starts = np.searchsorted(counts.row[known], np.arange(counts.texts + 1))
        return SparseRows(starts, column[known], counts.count[known].astype(np.float32))

    def _embed_texts(self, block: list[str]) -> NDArray[np.float32]:
        return self._embed(self._counts(block))

    def _embed(self, counts: Counts) -> NDArray[np.float32]:
        """Vectors of one block of texts, [texts, dim]."""
        rows = self._known(counts)
        vectors = np.zeros((counts.texts, self.dim), dtype=np.float32)
        values = [_repeats(rows.values, view) for view in self.views]
        for row, (first, last) in enumerate(pairwise(rows.starts.tolist())):
            table = self._table[rows.columns[first:last]]
            for value, span in zip(values, self._spans, strict=True):
                np.dot(value[first:last], table[:, span], out=vectors[row, span])
        # A text of which nothing is known gets random directions, the same for the same words.
        for row in np.flatnonzero(_scale(vectors, self._spans)).tolist():
            words = counts.bucket[counts.row == row] % _SPARE
            if len(words):
                vectors[row] = self._spare[words].sum(axis=0)
                _scale(vectors[row : row + 1], self._spans)
        return vectors


def _repeats(counts: NDArray[np.float32], view: View) -> NDArray[np.float32]:
    """The value of a word that a text has `counts` times, [k]."""
    return 1 + np.log(counts) if view.repeats else np.ones_like(counts)


def _unit_rows(rows: SparseRows) -> SparseRows:
    """The rows scaled to unit norm; an empty row stays empty."""
    length = np.diff(rows.starts)
    row = np.repeat(np.arange(len(length)), length)
    norm = np.sqrt(np.bincount(row, rows.values.astype(np.float64) ** 2, minlength=len(length)))
    return SparseRows(rows.starts, rows.columns, (rows.values / norm[row]).astype(np.float32))


def _scale(vectors: NDArray[np.float32], spans: Sequence[slice]) -> NDArray[np.bool_]:
    """Scale each view of each row, in place, to one length, the row to unit norm; returns where a view is zero, [n]."""
    used = [span for span in spans if span.stop > span.start]
    lost = np.zeros(len(vectors), dtype=np.bool_)
    for span in used:
        part = vectors[:, span]
        norm = np.sqrt((part * part).sum(axis=1) * np.float32(len(used)))
        lost |= norm == 0
        part /= np.where(norm > 0, norm, np.float32(1))[:, None]
    return lost


def _in_threads(work: Callable[[_T], _R], items: Iterable[_T], threads: int) -> Iterator[_R]:
    """Map in order, with few items in flight: NumPy's large operations run outside the interpreter's lock."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_R]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


_blas_lock = threading.RLock()


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """One core a product, since the threads are ours and so that sums are added up in one order whatever the cores.

    The limit is the process's, so only one encoder at a time may set and restore it.
    """
    with _blas_lock, _blas().limit(limits=1, user_api="blas"):
        yield
