"""The default encoder: hashed words and word pairs, TF-IDF over the pool, principal directions of a sample; no download.

A text becomes sublinear TF-IDF weights of hashed 1-2-grams (ngrams.py), folded with signs into a few thousand columns (a count
sketch, which keeps inner products in expectation), projected on the leading directions of a sample of the pool, and scaled to
unit norm. One pass over the pool fits it; docs/encoders.md has the measurements behind every constant.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import threading
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from tsds.embeddings.encoders.ngrams import Counts, blocks, count_ngrams, mix

_VERSION = 1  # of the arithmetic: raise it whenever the same input may give other bits
_BLOCK = 512  # texts in one matrix product: always this many rows, so a row's bits do not depend on its neighbours
_T = TypeVar("_T")
_R = TypeVar("_R")


class HashEncoder:
    """Hashed 1-2-gram TF-IDF with a projection fitted on a sample of the pool.

    The vector of a text depends on the text and the fitted state only: neither on the batch it came in, nor on threads.

    Args:
      dim: width of the embeddings.
      seed: of the sample, the signs and the projection.
      threads: to use; all cores if not given. Results do not depend on it.
    """

    name = "hash"

    bits = 20  # 2^bits buckets of words and pairs, with one document frequency each
    pairs = True
    columns = 4096  # of the count sketch
    sample_texts = 16384  # texts of the pool from which directions are learned ...
    sample_features = 1 << 22  # ... fewer if they have more distinct 1-2-grams than this in all
    rounds = 3  # of subspace iteration
    oversample = 32  # extra directions carried along while iterating
    power = 0.25  # directions are scaled by (singular value)^-power

    def __init__(self, *, dim: int = 256, seed: int = 0, threads: int | None = None) -> None:
        if not 1 <= dim <= self.columns:
            raise ValueError(f"dim={dim} must be between 1 and {self.columns}")
        self.dim = dim
        self.seed = seed
        self.threads = threads or os.cpu_count() or 1
        bucket = mix(np.arange(1 << self.bits, dtype=np.uint64) + (np.uint64(seed + 1) << np.uint64(32)))
        self._column = (bucket % np.uint64(self.columns)).astype(np.int64)
        self._sign = np.where(bucket >> np.uint64(63), np.float32(1), np.float32(-1))
        self._weight: NDArray[np.float32] | None = None  # signed idf of each bucket, [2^bits]
        self._projection: NDArray[np.float32] | None = None  # [columns, dim]

    def fit(self, batches: Iterable[Sequence[str]]) -> HashEncoder:
        """Learn document frequencies from all texts of the pool, and directions from a sample of them, in one pass.

        How the pool is cut into batches makes no difference.
        """
        frequency = np.zeros(1 << self.bits, dtype=np.int64)
        sample = _Sample(self.sample_texts, self.sample_features, self.seed)
        total = 0
        with _one_blas_thread():
            for counts, rows in _in_threads(self._counts, blocks(batches, _BLOCK), self.threads):
                frequency += np.bincount(counts.bucket, minlength=len(frequency))
                sample.add(counts, rows)
                total += rows
            self._weight = (self._sign * self._idf(frequency, total)).astype(np.float32)
            self._projection = self._directions(sample.blocks(_BLOCK)).astype(np.float32)
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: [n, dim] float32, unit norm; a row is zero only if its text is empty or white space."""
        if self._projection is None:
            raise ValueError("HashEncoder.encode needs fit first: document frequencies come from the pool")
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        done = 0
        with _one_blas_thread():
            for part in _in_threads(self._embed, blocks([texts], _BLOCK), self.threads):
                vectors[done : done + len(part)] = part
                done += len(part)
        return vectors

    def fingerprint(self) -> str:
        """Identifies the vectors: name, settings, code version, and the fitted state."""
        settings = (
            self.bits,
            self.columns,
            self.sample_texts,
            self.sample_features,
            self.rounds,
            self.oversample,
            self.power,
        )
        digest = hashlib.blake2b(
            repr((_VERSION, unicodedata.unidata_version, self.seed, settings)).encode(), digest_size=16
        )
        if self._weight is not None and self._projection is not None:
            digest.update(self._weight.data)
            digest.update(self._projection.data)
        return f"{self.name}-v{_VERSION}-d{self.dim}-{digest.hexdigest()}"

    def _counts(self, block: list[str]) -> tuple[Counts, int]:
        return count_ngrams(block, self.bits, self.pairs), len(block)

    def _idf(self, frequency: NDArray[np.int64], total: int) -> NDArray[np.float64]:
        return np.log((1 + total) / (1 + frequency)) + 1

    def _values(self, counts):
        return (1 + np.log(counts.count.astype(np.float32))) * self._weight[counts.bucket]

    def _sketch(self, counts: Counts) -> NDArray[np.float32]:
        """Signed TF-IDF folded into columns, [_BLOCK, columns], unit norm; rows beyond the block's texts are zero."""
        values = self._values(counts)
        sketch = np.zeros(_BLOCK * self.columns, dtype=np.float32)
        np.add.at(sketch, counts.row * self.columns + self._column[counts.bucket], values)
        return _unit(sketch.reshape(_BLOCK, self.columns))

    def _embed(self, block: list[str]) -> NDArray[np.float32]:
        """Vectors of one block of texts, [len(block), dim]."""
        assert self._projection is not None
        counts, _ = self._counts(block)
        vectors = _unit(self._sketch(counts) @ self._projection)[: len(block)]
        lost = np.flatnonzero(~vectors.any(axis=1))
        if len(lost):  # opposite signs cancelled: one fixed axis for the same text
            present, first = np.unique(counts.row, return_index=True)
            for row in lost[np.isin(lost, present)]:
                vectors[row, self._column[counts.bucket[first[np.searchsorted(present, row)]]] % self.dim] = 1
        return vectors

    def _directions(self, sample: Sequence[Counts]) -> NDArray[np.float64]:
        """Leading right singular vectors of the sample's sketch, scaled, [columns, dim].

        Subspace iteration on the sample's Gram matrix, which is never formed. Directions that the sample does not have (it
        may be smaller than dim) are random ones, orthogonal to the others, with the smallest scale.
        """
        width = min(self.dim + self.oversample, self.columns)
        basis = np.random.default_rng(self.seed).standard_normal((self.columns, width))
        basis = np.linalg.qr(basis)[0]
        start = basis
        for _ in range(self.rounds):
            basis = np.linalg.qr(self._gram(sample, basis))[0]
        values, rotation = np.linalg.eigh(basis.T @ self._gram(sample, basis))
        scale = np.sqrt(np.maximum(values[::-1], 0))
        known = min(int((scale > 1e-3 * scale[0]).sum()), self.dim) if scale[0] > 0 else 0
        found = basis @ rotation[:, ::-1][:, :known]
        extra = start[:, : self.dim - known]
        directions = np.hstack([found, np.linalg.qr(np.hstack([found, extra]))[0][:, known:]])
        least = scale[known - 1] if known else 1.0
        return directions * np.concatenate([scale[:known], np.full(self.dim - known, least)]) ** -self.power

    def _gram(self, sample: Sequence[Counts], basis: NDArray[np.float64]) -> NDArray[np.float64]:
        """X^T X basis for the sample's sketch X, [columns, width]; summed in the sample's order, whatever the threads."""
        narrow = basis.astype(np.float32)

        def product(counts: Counts) -> NDArray[np.float32]:
            sketch = self._sketch(counts)
            return sketch.T @ (sketch @ narrow)

        total = np.zeros(basis.shape)
        for part in _in_threads(product, sample, self.threads):
            total += part
        return total


class _Sample:
    """The texts of smallest hashed position: the same ones however the pool is cut, in bounded memory.

    Kept is the longest run of texts, by priority, that fits both limits; a text once dropped can't come back.
    """

    def __init__(self, texts: int, features: int, seed: int) -> None:
        self.texts, self.features, self.seed = texts, features, seed
        self.seen = self.held = 0
        self.heap: list[tuple[int, int, NDArray[np.uint32], NDArray[np.uint32]]] = []  # largest priority first

    def add(self, counts: Counts, rows: int) -> None:
        """Offer a block of `rows` texts, the next ones of the pool."""
        position = np.arange(self.seen, self.seen + rows, dtype=np.uint64)
        priority = mix(mix(position + np.uint64(1)) ^ np.uint64(self.seed)) >> np.uint64(1)
        self.seen += rows
        edges = np.searchsorted(counts.row, np.arange(rows + 1))
        for row in range(rows):
            rank = int(priority[row])
            if len(self.heap) >= self.texts and rank >= -self.heap[0][0]:
                continue
            part = slice(edges[row], edges[row + 1])
            entry = (
                -rank,
                self.seen - rows + row,
                counts.bucket[part].astype(np.uint32),
                counts.count[part].astype(np.uint32),
            )
            heapq.heappush(self.heap, entry)
            self.held += len(entry[2])
            while len(self.heap) > self.texts or (self.held > self.features and len(self.heap) > 1):
                self.held -= len(heapq.heappop(self.heap)[2])

    def blocks(self, rows: int) -> list[Counts]:
        """The sampled texts, in pool order, in blocks of `rows`."""
        kept = sorted(self.heap, key=lambda entry: entry[1])
        parts = [kept[start : start + rows] for start in range(0, len(kept), rows)]
        return [
            Counts(
                np.repeat(np.arange(len(part)), [len(entry[2]) for entry in part]),
                np.concatenate([entry[2] for entry in part]).astype(np.int64),
                np.concatenate([entry[3] for entry in part]).astype(np.int64),
            )
            for part in parts
        ]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to unit norm; zero rows stay."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return np.divide(rows, norms, out=rows, where=norms > 0)


def _in_threads(work: Callable[[_T], _R], items: Iterable[_T], threads: int) -> Iterator[_R]:
    """Map in order, on threads, with few items in flight: NumPy's large operations run outside the interpreter's lock."""
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
    """Products on one core each, as the threads are ours; and BLAS adds up in the same order on any machine of this kind.

    The limit is the process's, so only one encoder at a time may set and restore it.
    """
    with _blas_lock, _blas().limit(limits=1, user_api="blas"):
        yield
