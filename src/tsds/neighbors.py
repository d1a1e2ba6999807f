"""Exact nearest neighbours of the targets, streaming over the pool: faiss in float32 proposes, float64 decides.

Faiss finds each target's nearest candidates in float32, whose rounding can swap near ties. So a few more than wanted
are fetched, their distances are computed again in float64 from the stored vectors, and only those are listed that lie
closer than anything that was not fetched can possibly lie, given a bound on the rounding error. The lists are then the
exact ones.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Block
from tsds.centring import centre_of
from tsds.distances import from_squares, norm_bound, pair_squares, rounding_bound, unit_rows
from tsds.embeddings.scan import Metric, Progress
from tsds.embeddings.vectors import Vectors
from tsds.engines import Engine, LocalEngine
from tsds.errors import InputError, RunError
from tsds.parallel import map_ordered
from tsds.proposals import Asked, propose

#: Rows gathered at once.
_TAKE_BYTES = 32 << 20
#: Candidates a target that the first pass brings, and entries of all lists that this may take.
_ROOMY, _ROOMY_ENTRIES = 1024, 1 << 22


def with_spare(k: int) -> int:
    """How many to fetch in float32 so that k can be listed exactly, near ties at the end aside."""
    return k + max(16, k // 16)


def spared(fetched: int) -> int:
    """How many can be listed exactly of so many fetched; the inverse of with_spare."""
    return max(1, min(fetched - 16, fetched * 16 // 17))


def roomy(targets: int) -> int:
    """How many candidates the first pass brings each of so many targets.

    Faiss finds a thousand in about the time of a hundred, and another pass would cost all of it again.
    """
    return min(_ROOMY, _ROOMY_ENTRIES // targets)


class NeighborSearch:
    """The targets' nearest candidates, as many as are asked for; asking for more searches again only where it must.

    Args:
      pool: [n, d] candidates.
      targets: [m, d].
      metric: "l2", the Euclidean distance, or "cosine", 1 - cos.
      largest_norm: a bound on the norms of the pool's rows (from its scan); ones under cosine.
      room: candidates a target that the first pass brings at least, so that it is the only one.
      engine: what runs the passes over the pool; this machine's threads if None.
      device: the torch device that they run on; the processor, without torch, if None.
      progress: called with the number of pool rows searched.

    Attributes:
      passes: how often the pool was read.
      exact: whether all that is listed is proven to be the nearest.
    """

    exact = True
    recall = 1.0

    def __init__(
        self,
        pool: Vectors,
        targets: Block,
        metric: Metric = "l2",
        *,
        largest_norm: float,
        room: int = 0,
        engine: Engine | None = None,
        device: str | None = None,
        progress: Progress = lambda rows: None,
    ) -> None:
        self.pool, self.metric, self.largest_norm, self.passes = pool, metric, largest_norm, 0
        self._room, self._engine, self._progress = room, engine or LocalEngine(), progress
        self._device = device
        self.targets = unit_rows(np.asarray(targets, dtype=np.float64), metric, exact=True)
        self._norms: Array = np.sqrt(np.square(self.targets).sum(axis=1))
        self._longest = norm_bound(largest_norm, metric)
        self._largest = max(float(self._norms.max()), self._longest)
        # A device scales all vectors by the longest, and of what gets tiny by that float32 loses more.
        self._lost = 0.0 if device is None else rounding_bound(pool.dim, 0.0) * (2 * self._largest) ** 2
        self._squares: NDArray[np.float32] = np.empty((len(targets), 0), np.float32)
        self._indices: NDArray[np.int64] = np.empty((len(targets), 0), np.int64)
        self._last: tuple[int, tuple[NDArray[np.int64], Array]] | None = None  # the lists fetched last
        self._whole: tuple[NeighborSearch, NDArray[np.int64]] | None = None  # what this is a part of, and which
        self._growing = threading.RLock()  # parts ask from several threads

    @property
    def line(self) -> str:
        """How the neighbours came about, in words."""
        return "exact"

    @property
    def fetched(self) -> int:
        """How many candidates a target the last pass brought."""
        return int(self._indices.shape[1])

    def only(self, which: NDArray[np.int64]) -> NeighborSearch:
        """The search of some of the targets, by position; what was found for them already is not searched again.

        Where they are half of all targets at least, longer lists are searched for all, once for every such part.
        """
        part = copy.copy(self)
        part._whole, part._growing = (self, which), threading.RLock()
        part.targets, part._norms = self.targets[which], self._norms[which]
        with self._growing:
            if self._last is not None:
                part._last = self._last[0], (self._last[1][0][which], self._last[1][1][which])
            part._squares, part._indices = self._squares[which], self._indices[which]
        return part

    def fetch(self, k: int) -> tuple[NDArray[np.int64], Array]:
        """The k nearest candidates of each target and their distances, both [m, k], ties by position.

        Rows may be shorter where near ties at the end could not be told apart: missing entries have index -1 and an
        infinite distance. With k >= n each row lists the whole pool.
        """
        n = len(self.pool)
        k = min(k, n)
        if self._last is not None and self._last[0] >= k:
            return self._last[1][0][:, :k], self._last[1][1][:, :k]
        spare = min(n, with_spare(k))
        if spare > self.fetched:
            self._search_roomily(spare)
        indices = self._indices[:, :spare]
        if spare == n and (indices < 0).any():  # who asks for longer lists until they suffice would ask forever
            raise RunError("the neighbour search lost candidates: it found fewer than the whole pool when asked for it")
        exact = self._exact_squares(indices)
        order = np.argsort(exact, axis=1, kind="stable")  # nearly in order already
        indices, exact = np.take_along_axis(indices, order, 1), np.take_along_axis(exact, order, 1)
        tied = (exact[:, 1:] == exact[:, :-1]).any(axis=1)
        if tied.any():
            order = np.lexsort((indices[tied], exact[tied]), axis=1)
            indices[tied] = np.take_along_axis(indices[tied], order, 1)
        if spare < n and self.exact:
            listed = exact < self._reach(self._squares[:, spare - 1].astype(np.float64))[:, None]
            indices, exact = np.where(listed, indices, -1), np.where(listed, exact, np.inf)
        width = max(1, int(np.isfinite(exact[:, :k]).any(axis=0).sum()))
        self._last = k, (indices[:, :width], from_squares(exact[:, :width], self.metric))
        return self._last[1]

    def rough(self, k: int) -> tuple[NDArray[np.int64], Array]:
        """At least the k nearest as faiss finds them, in float32 precision, for a first look: [m, k or more]."""
        if min(k, len(self.pool)) > self.fetched:
            self._search_roomily(k)
        return self._indices, from_squares(self._squares.astype(np.float64), self.metric)

    def _reach(self, last: Array) -> Array:
        """How far away, squared, every candidate after the last one is from each target at least, [m].

        In float32 such a candidate is as far as the last one at least. If it truly is nearer than that, it is longer
        than the target by less than that distance: so much can its own rounding be at most, however long others are.

        Args:
          last: [m], squared distances of the last ones as found in float32.
        """
        norms = self._norms + np.minimum(self._longest, self._norms + np.sqrt(last))
        return last - 2 * (rounding_bound(self.pool.dim, norms) + self._lost)  # twice, to be safe

    def _search_roomily(self, k: int) -> None:
        if self._whole is not None and len(self._whole[0].targets) <= 2 * len(self.targets):
            whole, which = self._whole
            with whole._growing:
                if k > whole.fetched:
                    whole._search_roomily(k)
                self._squares, self._indices = whole._squares[which], whole._indices[which]
            return
        room = with_spare(self._room) if self._room else 0
        self._search(min(len(self.pool), max(k, 2 * self.fetched, roomy(len(self.targets)), room)))

    def _search(self, k: int) -> None:
        queries = np.ascontiguousarray(self.targets, dtype=np.float32)
        asked = Asked(self.pool, queries, self.metric, k, self._largest, self._device)
        found = propose(asked, self._engine, self._progress)
        self._squares, self._indices = found.squares, found.indices
        self.passes += 1

    def _exact_squares(self, indices: NDArray[np.int64]) -> Array:
        """Squared distances in float64 of what is listed; infinite where an entry is missing."""
        flat = np.maximum(indices, 0).ravel()
        owner = np.repeat(np.arange(len(indices)), indices.shape[1])
        order = np.argsort(flat, kind="stable")  # in the file's order, and a candidate of several targets read once
        pairs_at_once = max(1, _TAKE_BYTES // (self.pool.dim * self.pool.dtype.itemsize))

        def chunk(start: int) -> tuple[NDArray[np.int64], Array]:
            part = order[start : start + pairs_at_once]
            found, where = np.unique(flat[part], return_inverse=True)
            rows = unit_rows(self.pool.take(found), self.metric, exact=True)
            return part, pair_squares(rows, where, self.targets, owner[part])

        out = np.empty(len(flat))
        for part, squares in map_ordered(chunk, range(0, len(flat), pairs_at_once)):
            out[part] = squares
        return np.where(indices < 0, np.inf, out.reshape(indices.shape))


class Neighbors:
    """The exact nearest candidates of every target; `grow(k)` lists more.

    Attributes:
      indices: [m, k] int64, rows of the pool, nearest first; -1 where missing.
      distances: [m, k] float64, ascending; infinite where missing.
    """

    def __init__(self, fetch: Callable[[int], tuple[NDArray[np.int64], Array]], k: int) -> None:
        self._fetch = fetch
        self.indices, self.distances = fetch(k)

    def grow(self, k: int) -> Neighbors:
        """The k nearest; earlier passes over the pool are used where they suffice."""
        return Neighbors(self._fetch, k)


def nearest_neighbors(pool: Any, targets: Any, k: int = 100, *, metric: Metric = "l2") -> Neighbors:
    """The exact nearest candidates of each target, streaming over the pool.

    Args:
      pool: (n, d) array, a .npy path, or a list of such paths (float16, float32 or float64), read in blocks.
      targets: (m, d) array or .npy path.
      k: candidates a target; n at most.
      metric: "l2" or "cosine".

    Raises:
      InputError: on NaN, infinity, differing widths, or zero vectors under cosine, naming the row.
    """
    from tsds.embeddings.scan import scan

    candidates, wanted = Vectors.of(pool, "pool"), Vectors.of(targets, "targets")
    check_widths(candidates, wanted)
    scan(wanted, metric, "targets")
    norm = scan(candidates, metric, "pool").largest_norm
    centre = centre_of(candidates, metric)
    if centre is not None:
        candidates, wanted = candidates.around(centre), wanted.around(centre)
        norm = scan(candidates, metric, "pool").largest_norm
    search = NeighborSearch(candidates, wanted.take(np.arange(len(wanted))), metric, largest_norm=norm)
    return Neighbors(search.fetch, k)


def check_widths(pool: Vectors, targets: Vectors) -> None:
    """Raise InputError unless pool and targets have the same number of dimensions."""
    if pool.dim != targets.dim:
        raise InputError(
            f"the pool has {pool.dim} dimensions and the targets have {targets.dim}",
            remedy="embed both with the same encoder",
        )
