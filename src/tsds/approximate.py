"""Nearest neighbours by an index: quick, and how much of the truth they are is measured in every run.

The index proposes, the pool's own vectors decide the order. Before it is used, exact lists of a sample of the targets
are computed by brute force; the search is widened until it finds enough of them, and what it found is reported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Block
from tsds.embeddings.scan import Metric, Progress
from tsds.embeddings.vectors import Vectors
from tsds.engines import Engine
from tsds.index import Index
from tsds.memory import block_bytes
from tsds.neighbors import NeighborSearch
from tsds.proposals import BLOCK_BYTES

#: Targets whose exact lists are computed, and the length of these at most: mass goes to the nearest.
SAMPLED, LENGTH = 32, 200
#: Candidates that the index proposes for each that is kept: its own distances are coarse (benchmarks/index.py).
_PROPOSED = 3
#: What a proposed candidate takes until it is kept or not: its row, twice, its distances and its places in orders.
_ENTRY_BYTES = 60
WANTED_RECALL = 0.98
#: The first width of the search: a share of the lists, or candidates of the graph a neighbour wanted; it doubles.
_FIRST_SHARE, _FIRST_WIDTH = 1 / 64, 2


class IndexedSearch(NeighborSearch):
    """As NeighborSearch, with an index that proposes.

    Args:
      index: of the pool, or of a store's space that holds it.
      seed: of the sample of targets that recall is measured on.
      pool, targets, metric, largest_norm, engine, progress, room: as for NeighborSearch.

    Attributes:
      recall: share of the sampled targets' exact neighbours that were found; 1 before any search.
      width: lists looked at for each target, or candidates of the graph.
    """

    exact = False

    def __init__(
        self,
        pool: Vectors,
        targets: Block,
        metric: Metric,
        index: Index,
        *,
        largest_norm: float,
        room: int = 0,
        seed: int = 0,
        engine: Engine | None = None,
        progress: Progress = lambda rows: None,
    ) -> None:
        super().__init__(pool, targets, metric, largest_norm=largest_norm, room=room, engine=engine, progress=progress)
        self.index, self.recall, self.width = index, 1.0, 0
        self._seed = seed
        self._opened = index.open()  # at once: a file that is mapped stays, whoever builds the index anew meanwhile
        self._rows = index.rows_in(pool) if index.shards else None
        self._checked = 0
        self._exact_lists: NDArray[np.int64] | None = None

    @property
    def line(self) -> str:
        """How the neighbours came about, in words."""
        return (
            f"approximate, by {self.index.kind} of width {self.width:,}: it found {self.recall:.2%} of the nearest "
            f"{self._checked} of {min(len(self.targets), SAMPLED)} targets that brute force finds"
        )

    def only(self, which: NDArray[np.int64]) -> NeighborSearch:
        """See NeighborSearch."""
        part = super().only(which)
        assert isinstance(part, IndexedSearch)
        part._exact_lists = None  # of other targets
        return part

    def _search(self, k: int) -> None:
        self._checked = min(k, LENGTH, len(self.pool))
        if k >= len(self.pool):  # an index may leave some out however wide it searches; all of them need none
            self.recall, self.width = 1.0, self.index.lists or len(self.pool)
            every = np.broadcast_to(np.arange(len(self.pool)), (len(self.targets), len(self.pool)))
            self._squares, self._indices = self._measured(np.arange(len(self.targets)), every, k)
            self._progress(len(self.pool))
            self.passes += 1
            return
        rng = np.random.default_rng([self._seed, 8])
        some = np.sort(rng.choice(len(self.targets), min(len(self.targets), SAMPLED), replace=False))
        truth = self._truth(some)
        widest = self.index.lists or len(self.pool)
        first = self.index.lists * _FIRST_SHARE if self.index.lists else _FIRST_WIDTH * k
        width = int(np.clip(first, 1, widest))
        while True:
            found = self._propose(some, k, width)[1][:, : self._checked]
            shared = [np.isin(row, mine).sum() for row, mine in zip(truth, found, strict=True)]
            recall = float(np.sum(shared) / truth.size)
            if recall >= WANTED_RECALL or width == widest:
                break
            width = min(widest, 2 * width)
        self.recall, self.width = recall, width
        self._squares, self._indices = self._propose(np.arange(len(self.targets)), k, width)
        self._progress(len(self.pool))
        self.passes += 1

    def _truth(self, some: NDArray[np.int64]) -> NDArray[np.int64]:
        """The nearest candidates of some of the targets by brute force, [some, k]."""
        if self._exact_lists is None or self._exact_lists.shape[1] < self._checked:
            exact = NeighborSearch(
                self.pool, self.targets[some], self.metric, largest_norm=self.largest_norm, engine=self._engine
            )
            self._exact_lists = exact.rough(self._checked)[0]
        return self._exact_lists[:, : self._checked]

    def _propose(self, some: NDArray[np.int64], k: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k nearest of what the index proposes for some of the targets, measured from the pool itself."""
        more = min(self.index.rows, -(-_PROPOSED * k * self.index.rows // len(self.pool)))
        # Many more are proposed than are kept, where the pool is a small part of a store: for all targets at once they
        # might not fit.
        at_once = max(1, block_bytes(BLOCK_BYTES, self._engine.memory) // (_ENTRY_BYTES * more))
        starts = range(0, max(1, len(some)), at_once)
        parts = [self._propose_at_once(some[start : start + at_once], k, more, width) for start in starts]
        return np.concatenate([squares for squares, _ in parts]), np.concatenate([rows for _, rows in parts])

    def _propose_at_once(
        self, some: NDArray[np.int64], k: int, more: int, width: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        import faiss

        queries = np.ascontiguousarray(self.targets[some], dtype=np.float32)
        settings: Any
        if self.index.kind == "ivf":
            settings = faiss.SearchParametersIVF(nprobe=width)  # type: ignore[call-arg]
        else:
            settings = faiss.SearchParametersHNSW(efSearch=max(width, more))  # type: ignore[attr-defined]
        proposed = self._opened.search(queries, more, params=settings)[1]
        if self._rows is not None:
            proposed = np.where(proposed < 0, -1, self._rows[proposed])
        return self._measured(some, proposed, k)

    def _measured(
        self, some: NDArray[np.int64], proposed: NDArray[np.int64], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k nearest of the rows proposed for some of the targets, [some, p], measured from the pool itself."""
        exact = super().only(some)._exact_squares(proposed)
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        kept = np.take_along_axis(proposed, order, 1)
        return np.take_along_axis(exact, order, 1).astype(np.float32), kept
