"""The bandwidth of the density: how near is a near-duplicate, in the encoder at hand?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Block
from tsds.distances import from_squares, unit_rows
from tsds.embeddings.scan import Metric
from tsds.errors import InputError
from tsds.neighbors import NeighborSearch
from tsds.records.dialogue import Dialogue, turns_of

#: Edits of a text are near-duplicates up to this quantile of their distances (benchmarks/bandwidth.py).
QUANTILE = 0.95
#: At h = sqrt(2) d the kernel of a pair at distance d is one half.
HALF_WEIGHT = float(np.sqrt(2.0))
#: Without a gap in the distances: this share of the typical distance to the nearest other record.
_SHARE_OF_TYPICAL = 1 / 3
_BINS = 48
#: Up to this share of a typical norm it is no distance but that of exact copies.
_COPIES = 1e-6
#: Targets, and candidates of each, among which nearest distances are looked at.
_TARGETS, _LIST = 24, 256


@dataclass(frozen=True)
class Bandwidth:
    """h, in the metric's units (0: only exact copies count as duplicates), and how it was found."""

    value: float
    why: str


def perturbed(text: str, rng: np.random.Generator) -> str:
    """A near-duplicate of a text by one to three edits: case, punctuation, white space, a dropped or moved word.

    Of a dialogue one turn is edited, the longer the likelier. An edit that would leave nothing is not made.
    """
    turns = turns_of(text)
    if turns:
        lengths = np.array([len(turn.content) for turn in turns])
        i = int(rng.choice(len(turns), p=lengths / lengths.sum()))
        edited = turns[i]._replace(content=perturbed(turns[i].content, rng))
        return Dialogue([*turns[:i], edited, *turns[i + 1 :]])
    for _ in range(int(rng.integers(1, 4))):
        words = text.split(" ")
        i = int(rng.integers(len(words)))
        kind = int(rng.integers(5))
        if kind == 0 and len(words) > 4:
            del words[i]
        elif kind == 1 and len(words) > 4 and i + 1 < len(words):
            words[i], words[i + 1] = words[i + 1], words[i]
        elif kind == 2:
            words[i] = words[i].swapcase()
        elif kind == 3:
            words[i] = words[i].rstrip(".,;:!?") if words[i][-1:] in ".,;:!?" else words[i] + ","
        else:
            words[i] += " "
        edit = " ".join(words)
        text = edit if edit.strip() else text  # an empty text is no near-duplicate of "."
    return text


def from_texts(
    texts: Sequence[str], encode: Callable[[Sequence[str]], NDArray[np.float32]], metric: Metric, seed: int = 0
) -> Bandwidth:
    """h from near-duplicates made of a sample of the pool's own texts.

    Two edited copies of each text are encoded; h is sqrt(2) times a high quantile of the distances between the two, so
    that even such a pair counts half. Pairs with a zero vector, texts in which the encoder sees nothing, don't count.

    Args:
      texts: a sample of the pool, some hundreds.
      encode: texts to vectors [n, d].
      metric: of the distances.
      seed: of the edits.

    Raises:
      InputError: if the encoder gives NaN or infinity.
    """
    rng = np.random.default_rng(seed)
    first = encode([perturbed(text, rng) for text in texts]).astype(np.float64)
    second = encode([perturbed(text, rng) for text in texts]).astype(np.float64)
    seen = first.any(axis=1) & second.any(axis=1)  # NaN is not zero
    if not seen.any():
        return Bandwidth(0.0, f"the encoder sees nothing in the {len(texts)} texts looked at: only exact copies count")
    first, second = first[seen], second[seen]
    squares = np.square(unit_rows(first, metric) - unit_rows(second, metric)).sum(axis=1)
    d = float(np.quantile(from_squares(squares, metric), QUANTILE))
    h = d * HALF_WEIGHT
    if not np.isfinite(h):
        raise InputError("the encoder gives NaN or infinity for edited texts", remedy="give --bandwidth a number")
    return Bandwidth(h, f"{QUANTILE:.0%} of edited copies of the pool's texts lie within {d:.3g} of each other")


def nearest_within(rows: Block, metric: Metric) -> Array:
    """For each of these rows, as unit_rows gives them, the distance to the nearest other one of them, [len(rows)]."""
    import faiss

    x = np.ascontiguousarray(rows, dtype=np.float32)
    squares = faiss.knn(x, x, 2)[0][:, 1]
    return from_squares(squares.astype(np.float64), metric)


def from_candidates(search: NeighborSearch, metric: Metric, seed: int = 0) -> Bandwidth:
    """h for given embeddings, from the candidates near some of the targets: only they can get mass.

    Args:
      search: the targets' neighbour search; it has to fetch these lists anyway.
      metric: of the distances.
      seed: of the choice of targets.
    """
    indices = search.fetch(_LIST)[0]
    rng = np.random.default_rng(seed)
    some = rng.choice(len(indices), min(len(indices), _TARGETS), replace=False)
    rows = np.unique(indices[some])
    rows = rows[rows >= 0]
    if len(rows) < 2:
        return Bandwidth(0.0, "too few candidates to tell near-duplicates from others")
    x = unit_rows(search.pool.take(rows), metric)
    norm = float(np.median(np.linalg.norm(x.astype(np.float64), axis=1)))
    return from_distances(nearest_within(x, metric), norm)


def from_distances(nearest: Array, norm: float = 1.0) -> Bandwidth:
    """h from given embeddings: the valley between near-duplicates and the rest in nearest-neighbour distances.

    Args:
      nearest: [n], distances of candidates to their nearest other candidate.
      norm: a typical norm of the vectors, by which the distances of exact copies are told from others.

    Returns:
      The geometric middle of the widest empty stretch, on a logarithmic scale, that has a few pairs below it; where
      there is none, a third of the typical distance. Where half of the candidates or more have a near-duplicate, that
      is the distance of near-duplicates, and h comes out too small.
    """
    d = np.sort(nearest[nearest > _COPIES * norm])
    if len(d) < 8:
        return Bandwidth(0.0, "too few distinct candidates to tell near-duplicates from others")
    typical = float(np.median(d))
    low = d[d < typical / 2]
    few = max(4, len(d) // 1000)
    if len(low) >= few:
        edges = np.geomspace(d[0], typical, _BINS + 1)
        counts = np.histogram(d, edges)[0]
        empty = counts <= max(1, 0.1 * counts[: _BINS // 2].max())
        best = _longest_run(empty & (np.cumsum(counts) >= few))
        if best is not None and edges[best[1]] / edges[best[0]] >= 1.3:
            h = float(np.sqrt(edges[best[0]] * edges[best[1]]))
            return Bandwidth(h, f"few candidates have their nearest at {edges[best[0]]:.3g} to {edges[best[1]]:.3g}")
    h = typical * _SHARE_OF_TYPICAL
    return Bandwidth(h, f"no gap in the distances: a third of the typical distance {typical:.3g} to the nearest")


def _longest_run(mask: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Start and end of the longest run of true."""
    change = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    if not len(starts):
        return None
    best = int(np.argmax(ends - starts))
    return int(starts[best]), int(ends[best])
