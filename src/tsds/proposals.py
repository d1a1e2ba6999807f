"""The nearest candidates of each target as float32 finds them, in one pass over the pool; `neighbors.py` decides.

Rounding can swap near ties and misses what differs by less than it. So these are proposals only, more than are wanted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Block
from tsds.distances import unit_rows
from tsds.embeddings.scan import Metric, Progress
from tsds.embeddings.vectors import Vectors
from tsds.engines import Engine, Span
from tsds.memory import block_bytes

#: Large blocks: faiss starts a fresh top-k for each, and its cost then vanishes against the products.
BLOCK_BYTES = 512 << 20
#: A device streams through so many of them at once, as each begins without a threshold.
DEVICE_BLOCKS = 16
#: Queries times dimensions from which on a product pays, and entries of a product at once.
_FEW, _BUFFER = 4000, 1 << 24


@dataclass(frozen=True)
class Asked:
    """What every part of a pass over the pool needs to know.

    Attributes:
      queries: [m, d], the targets.
      k: candidates a target.
      largest: a bound on all norms, by which a device scales.
      device: the torch device that it runs on; the processor, by faiss, if None.
    """

    pool: Vectors
    queries: NDArray[np.float32]
    metric: Metric
    k: int
    largest: float
    device: str | None

    @property
    def identity(self) -> str:
        """What is asked for."""
        return f"{self.k} {self.metric} {len(self.pool)} {hashlib.sha256(self.queries.tobytes()).hexdigest()}"


@dataclass(frozen=True)
class Proposals:
    """The nearest candidates of each target in a part of the pool.

    Attributes:
      squares: [m, k at most], squared distances, ascending.
      indices: [m, k at most], rows of the pool.
      k: how many were asked for.
    """

    squares: NDArray[np.float32]
    indices: NDArray[np.int64]
    k: int


def propose(asked: Asked, engine: Engine, progress: Progress) -> Proposals:
    """The nearest candidates in the whole pool, by one fold.

    Args:
      asked: what is looked for.
      engine: what runs the parts.
      progress: called with the number of pool rows searched.
    """
    rows = asked.pool.block_rows(block_bytes(BLOCK_BYTES, engine.memory))
    spans = asked.pool.spans(rows if asked.device is None else DEVICE_BLOCKS * rows)
    return engine.fold("search", _nearest_of, _nearer, asked, spans, progress)


def _nearest_of(asked: Asked, span: Span) -> Proposals:
    """Search one span of the pool."""
    if asked.device is not None:
        from tsds.on_device import Streamed, nearest_on

        streamed = Streamed(asked.pool, asked.metric, asked.largest, asked.device)
        return Proposals(*nearest_on(streamed, asked.queries, asked.k, span), asked.k)
    squares, indices = np.empty((len(asked.queries), 0), np.float32), np.empty((len(asked.queries), 0), np.int64)
    for start, block in asked.pool.blocks(span[1] - span[0], span):
        rows = np.ascontiguousarray(unit_rows(block, asked.metric), dtype=np.float32)
        squares, where = knn(asked.queries, rows, min(asked.k, len(rows)))
        indices = where + start
    return Proposals(squares, indices, asked.k)


def _nearer(a: Proposals, b: Proposals) -> Proposals:
    """The nearest of both; of equals those that come first in the pool."""
    squares = np.concatenate([a.squares, b.squares], axis=1)
    indices = np.concatenate([a.indices, b.indices], axis=1)
    kept = np.argsort(squares, axis=1, kind="stable")[:, : a.k]  # two ascending runs: a stable sort merges them
    return Proposals(np.take_along_axis(squares, kept, 1), np.take_along_axis(indices, kept, 1), a.k)


def knn(queries: Block, rows: Block, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k nearest rows of each query as faiss finds them: squared distances in float32, ascending, and positions.

    Faiss as it comes makes products of a thousand rows, and none at all where queries times dimensions are fewer than
    128,000: for 100 queries that takes four times as long (benchmarks/search.py).
    """
    import faiss

    settings: Any = faiss.cvar
    before = settings.distance_compute_blas_threshold, settings.distance_compute_blas_database_bs
    try:
        if before[0] > _FEW:  # an older faiss counts queries here, and its own limit is low
            settings.distance_compute_blas_threshold = _FEW
        settings.distance_compute_blas_database_bs = max(1024, min(16384, _BUFFER // max(len(queries), 1)))
        squares, where = faiss.knn(queries, rows, k)
    finally:
        settings.distance_compute_blas_threshold, settings.distance_compute_blas_database_bs = before
    return squares, where
