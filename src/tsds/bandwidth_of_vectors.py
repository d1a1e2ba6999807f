"""The bandwidth of the density where there are vectors and no texts to edit: what tells near-duplicates from others?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Block
from tsds.bandwidth import Bandwidth
from tsds.distances import from_squares, unit_rows
from tsds.embeddings.scan import Metric
from tsds.neighbors import NeighborSearch

Single = NDArray[np.float32]

#: Targets, and candidates of each, that are looked at.
_TARGETS, _LIST = 24, 128
#: Vectors nearer than this share of a typical distance from their mean are copies: rounding reaches no farther.
_COPIES = 1e-3
#: Vectors wanted before anything is told from them; nearest others that are looked at.
_FEW, _OTHERS = 8, 32
#: Near-duplicates reach so many times their typical distance; others begin at twice that.
_SPREAD = 4
#: Of records of which none is a near-duplicate of another so many have another within twice the bandwidth.
_ASTRAY = 0.05
#: By which factor r grows, and from which h / r on it separates: see `from_vectors`.
_STEP, _SEPARATES = 1.25, 0.7


def from_candidates(search: NeighborSearch, mu: Array, metric: Metric, seed: int = 0) -> Bandwidth:
    """h for given embeddings, from the candidates near some of the targets: only they can get mass.

    Args:
      search: the targets' neighbour search.
      mu: [m], the targets' weights; those of weight zero are not looked at.
      metric: of the distances.
      seed: of the choice of targets.
    """
    weighed = np.flatnonzero(mu > 0)
    some = np.random.default_rng(seed).choice(weighed, min(len(weighed), _TARGETS), replace=False)
    search.rough(_LIST)  # one pass for all targets: whoever asks next wants their lists too
    indices, distances = search.only(np.sort(some)).fetch(_LIST)
    rows = np.unique(indices[indices >= 0])
    ends = np.where(indices >= 0, distances, 0.0).max(axis=1)
    radius = float(np.median(np.sqrt(2 * ends) if metric == "cosine" else ends))
    return from_vectors(unit_rows(search.pool.take(rows), metric), metric, radius)


def from_vectors(rows: Block, metric: Metric, radius: float = np.inf) -> Bandwidth:
    """h from vectors alone: half the distance at which records that are no near-duplicates begin to meet.

    Vectors are thinned out until no two lie within some r of each other; h is half the distance within which one in
    twenty of what is left has another. Where r separates near-duplicates from others that is about r or more; elsewhere
    it is half of r, as what is left lies as near as it may. From a third of the typical distance to the nearest other
    upwards the r of the largest h / r is taken, or that third if none separates. Where most records have a
    near-duplicate the typical distance is that of those; what is left without them says it then
    (benchmarks/bandwidth_of_vectors.py).

    Args:
      rows: [n, d], as unit_rows gives them.
      metric: of h.
      radius: Euclidean distance from some places up to which the rows are all that the pool has; a gap from r to 2 r
        that is wider may be one between those places.
    """
    # Thinning has an order, and so has a pool.
    x = np.random.default_rng(0).permutation(np.asarray(rows, np.float64))
    x = np.asarray(x - x.mean(axis=0) if len(x) else x, np.float32)
    norm = float(np.median(np.linalg.norm(x, axis=1))) if len(x) else 0.0
    whole = Thinned.of(x).to(_COPIES * norm)
    if len(whole) < _FEW:
        return Bandwidth(0.0, "too few distinct candidates to tell near-duplicates from others")
    typical, said = float(np.median(whole.nearest)), ""
    if 2 * _SPREAD * typical <= radius:
        beyond = whole.to(_SPREAD * typical)
        if len(beyond) >= _FEW and np.median(beyond.nearest) >= 2 * _SPREAD * typical:
            typical = float(np.median(beyond.nearest))
            said = ", near-duplicates left out: most candidates have one"
    h = float(from_squares(np.square(_half(whole, typical / 3, radius / 2)), metric))
    return Bandwidth(h, f"the nearest other is typically at {from_squares(np.square(typical), metric):.3g}{said}")


def _half(x: Thinned, least: float, most: float) -> float:
    """Half the distance at which vectors meet that are thinned out to the r that separates best, `least` to `most`."""
    first, found, best, r = least, least, 0.0, least
    while r <= most and len(x := x.to(r)) >= _FEW:
        half = float(np.quantile(x.nearest, _ASTRAY)) / 2
        if r == least:
            first = half
        if half / r > best:
            found, best = half, half / r
        elif best >= 1:  # hardly any of those that were left lay between r and 2 r apart: a gap, and it is behind
            break
        r *= _STEP
    return found if best >= _SEPARATES else first


class Thinned:
    """Vectors with the nearest of the others, in an order in which later ones give way.

    Args:
      x: [n, d].
      squares, near: [n, k], squared distances of each one's nearest, itself among them, and which those are.

    Attributes:
      nearest: [n], Euclidean distances to the nearest other one.
    """

    def __init__(self, x: Single, squares: Single, near: NDArray[np.int64]) -> None:
        self._x, self._squares, self._near = x, squares, near

    @classmethod
    def of(cls, x: Single) -> Thinned:
        """These vectors, all of them."""
        import faiss

        x = np.ascontiguousarray(x)
        if not len(x):
            return cls(x, np.empty((0, 1), np.float32), np.empty((0, 1), np.int64))
        return cls(x, *faiss.knn(x, x, min(_OTHERS, len(x))))

    def __len__(self) -> int:
        return len(self._x)

    @property
    def nearest(self) -> Array:
        if len(self) < 2:
            return np.full(len(self), np.inf)
        return np.sqrt(np.maximum(self._squares[:, 1].astype(np.float64), 0.0))

    def to(self, within: float) -> Thinned:
        """So few that no two lie within a distance: who has an earlier one beside it goes.

        In a crowd not all that lie beside one are seen; so once more, until none goes. The last one of a crowd sees
        only earlier ones, and goes.
        """
        first = np.where(self._squares <= within**2, self._near, len(self)).min(axis=1, initial=len(self))
        kept = first >= np.arange(len(self))
        return self if kept.all() else Thinned.of(self._x[kept]).to(within)
