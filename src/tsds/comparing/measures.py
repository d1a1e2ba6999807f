"""What a selection is measured by, on targets held out from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows
from tsds.distances import unit_rows
from tsds.embeddings.scan import Metric
from tsds.embeddings.vectors import Vectors
from tsds.methods.auto import held_out_cost
from tsds.neighbors import NeighborSearch

#: Chosen records between which transport is measured, at most; a sample of them where there are more.
MOST_CHOSEN = 2000


@dataclass(frozen=True)
class Measure:
    """One number about a selection.

    Attributes:
      head: as a column is headed.
      line: what it is.
      lower: whether less is better; None where neither is.
    """

    head: str
    line: str
    lower: bool | None


MEASURES: dict[str, Measure] = {
    "cost": Measure("held-out cost", "mean distance of held-out targets' mass to the chosen, equally shared", True),
    "nearest": Measure("nearest", "mean distance of a held-out target to its nearest chosen record", True),
    "five": Measure("5 nearest", "mean distance of a held-out target to its five nearest chosen records", True),
    "effective_size": Measure("effective size", "1 / sum p^2 of the method's probabilities", None),
    "largest": Measure("largest share", "the largest probability of one candidate, times the size", None),
    "near_duplicates": Measure("near-dup.", "share of the chosen with a near-duplicate among the chosen", True),
    "distinct": Measure("distinct", "different records among the chosen", None),
    "tokens": Measure("tokens", "tokens of the chosen", None),
    "seconds": Measure("seconds", "time to select, without reading, encoding and the shared search", True),
}


def measure(
    search: NeighborSearch, mu: Array, rows: Rows, counts: NDArray[np.int64], bandwidth: float, seed: int
) -> dict[str, float]:
    """Measures of a selection that need vectors.

    Args:
      search: of the held-out targets, of masses mu.
      rows: chosen rows of the pool; counts: how often each.
      bandwidth: of near-duplicates.
      seed: of the sample of the chosen, where there are very many.
    """
    chosen = np.repeat(rows, counts)
    nearest, five = coverage(search.pool, rows, search.targets, search.metric)
    weights = mu / mu.sum() if mu.sum() > 0 else np.full(len(mu), 1 / len(mu))
    return {
        "cost": held_out_cost(search, mu, chosen, seed, MOST_CHOSEN),
        "nearest": float(weights @ nearest),
        "five": float(weights @ five),
        "near_duplicates": near_duplicate_share(search.pool, rows, counts, bandwidth, search.metric),
        "distinct": float(len(rows)),
    }


def coverage(pool: Vectors, rows: Rows, targets: Array, metric: Metric) -> tuple[Array, Array]:
    """For each target the distance to the nearest of these rows, and the mean to the five nearest: [m], [m]."""
    search = NeighborSearch(Vectors.of(pool.take(rows)), targets, metric, largest_norm=_norm(pool, rows, metric))
    distances = search.fetch(min(5, len(rows)))[1]
    found = np.isfinite(distances)
    return distances[:, 0], np.where(found, distances, 0.0).sum(axis=1) / found.sum(axis=1)


def near_duplicate_share(
    pool: Vectors, rows: Rows, counts: NDArray[np.int64], bandwidth: float, metric: Metric
) -> float:
    """Share of the chosen that were chosen more than once or have another chosen record within the bandwidth."""
    repeated = counts > 1
    if len(rows) > 1 and bandwidth > 0:
        vectors = Vectors.of(pool.take(rows))
        itself = NeighborSearch(
            vectors, vectors.take(np.arange(len(rows))), metric, largest_norm=_norm(pool, rows, metric)
        )
        indices, distances = itself.fetch(min(2, len(rows)))
        own = indices == np.arange(len(rows))[:, None]
        repeated |= np.where(own, np.inf, distances).min(axis=1) < bandwidth
    return float(counts[repeated].sum() / counts.sum())


def _norm(pool: Vectors, rows: Rows, metric: Metric) -> float:
    x = unit_rows(pool.take(rows), metric, exact=True).astype(np.float64)
    return float(np.sqrt(np.square(x).sum(axis=1).max()))


def overlap(a: Rows, b: Rows) -> float:
    """Share of the smaller selection that the other has too."""
    return float(len(np.intersect1d(a, b)) / max(min(len(a), len(b)), 1))
