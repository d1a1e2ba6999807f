"""The fold of the density: what given candidates find in one part of the pool, cell by cell."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Block, Rows
from tsds.density.cells import Cells, Single, augmented, close, grouped
from tsds.density.kernel import kernel_weight
from tsds.distances import pair_squares, unit_rows
from tsds.embeddings.vectors import Vectors
from tsds.engines import Span
from tsds.parallel import map_ordered

BLOCK_BYTES = 64 << 20
#: Rows grouped by cell at once: with many rows in a cell, gathering the candidates that reach it costs little.
PART_ROWS = 1 << 19
#: Cells, or rows met by the sample, that a thread takes at a time.
_CELLS_AT_ONCE, _SLICE = 8, 4096
#: Share of a rectangle that must be wanted for one product to beat pairs (benchmarks/density.py).
_FILLED = 0.1
NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Grouped:
    """A block of the pool, grouped by cell."""

    rows: Rows  # in the pool
    cell: NDArray[np.int64]  # of each, ascending
    ends: NDArray[np.int64]  # where each cell starts
    right: Single  # [n, prefix + 2]


class Kept(dict[Span, list[Grouped]]):
    """Parts of a pool as they were grouped for an earlier search; empty where it is sent to another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Kept, ()


@dataclass(frozen=True)
class Asked:
    """The candidates of one search, and the pool that they are sought in."""

    pool: Vectors
    copies: NDArray[np.int64] | None
    cells: Cells
    bandwidth: float
    rows: Rows  # [q]
    vectors: Block  # [q, d]
    left: Single  # [q, prefix + 2]
    limit: Single  # [q], squared distances up to which pairs are measured
    reached: list[Rows]  # for each cell, the candidates that reach it
    sample: Rows  # candidates on which recall is measured
    sample_reach: NDArray[np.bool_]  # [cells, len(sample)]
    kept: Kept
    keep: bool  # whether there is room for parts to be kept
    largest: float  # norm
    device: str | None

    @property
    def identity(self) -> str:
        """What is asked for."""
        digest = hashlib.sha256(self.rows.tobytes())
        for cell, rows in enumerate(self.reached):
            digest.update(f"{cell} {len(rows)}".encode())
        digest.update(self.sample.tobytes())
        return f"{self.bandwidth!r} {self.cells.metric} {len(self.pool)} {digest.hexdigest()}"


@dataclass
class Found:
    """Sums over pairs."""

    rho: Array
    pairs: int = 0
    true_pairs: int = 0
    true_found: int = 0

    def plus(self, other: Found) -> Found:
        """The sums over the pairs of both."""
        return Found(
            self.rho + other.rho,
            self.pairs + other.pairs,
            self.true_pairs + other.true_pairs,
            self.true_found + other.true_found,
        )


def meet(asked: Asked, span: Span) -> Found:
    """What the candidates find in one span, cell by cell, and what the sample finds in all of it."""
    if asked.device is not None:
        return _meet_on(asked, span)
    part = asked.kept.get(span) or _group(asked, span)
    if asked.keep:
        asked.kept[span] = part

    def cells(first: int) -> Found:
        hits = []
        for c in range(first, min(first + _CELLS_AT_ONCE, len(asked.reached))):
            if len(asked.reached[c]):
                spans = [(one, slice(one.ends[c], one.ends[c + 1])) for one in part]
                rows = np.concatenate([one.rows[span] for one, span in spans])
                right = np.concatenate([one.right[span] for one, span in spans])
                hits += [(i, rows[j]) for i, j in close(asked.left, asked.reached[c], right, asked.limit)]
        found = Found(np.zeros(len(asked.rows)))
        i, rows = _joined(hits)
        weight = _kernel(asked, i, rows)
        found.pairs = int(np.count_nonzero(weight))
        if asked.copies is not None:
            weight = weight * asked.copies[rows]
        np.add.at(found.rho, i, weight)
        return found

    def sampled(block: Grouped) -> Found:
        found, hits = Found(np.zeros(len(asked.rows))), []
        for first in range(0, len(block.rows), _SLICE):
            near = close(asked.left, asked.sample, block.right[first : first + _SLICE], asked.limit)
            hits += [(i, first + j) for i, j in near]
        i, j = _joined(hits)
        true = _kernel(asked, i, block.rows[j]) > 0
        found.true_pairs = int(true.sum())
        place = np.searchsorted(asked.sample, i[true])
        found.true_found = int(asked.sample_reach[block.cell[j[true]], place].sum())
        return found

    total = Found(np.zeros(len(asked.rows)))
    for found in map_ordered(cells, range(0, len(asked.reached), _CELLS_AT_ONCE)):
        total = total.plus(found)
    for found in map_ordered(sampled, part if len(asked.sample) else []):
        total = total.plus(found)
    return total


def _meet_on(asked: Asked, span: Span) -> Found:
    """The same on a device: every pair, as its products are cheap."""
    from tsds.on_device import Streamed, within_on

    streamed = Streamed(asked.pool, asked.cells.metric, asked.largest, str(asked.device))
    found = Found(np.zeros(len(asked.rows)))
    for i, rows, squares in within_on(streamed, asked.vectors, asked.cells.reach**2, span):
        weight = kernel_weight(squares, asked.bandwidth, asked.cells.metric)
        found.pairs += int(np.count_nonzero(weight))
        np.add.at(found.rho, i, weight if asked.copies is None else weight * asked.copies[rows])
    return found


def _squares(a: Block, i: Rows, b: Block, j: Rows) -> Array:
    """|a[i] - b[j]|^2 in float64: pair by pair, or by one product where the pairs fill most of a rectangle."""
    rows, at_row = np.unique(i, return_inverse=True)
    columns, at_column = np.unique(j, return_inverse=True)
    # Inside a cluster of near-duplicates nearly all pairs count; a product takes a tenth of the time there.
    if len(i) < 1024 or len(i) < _FILLED * len(rows) * len(columns):
        return pair_squares(a, i, b, j)
    left, right = a[rows].astype(np.float64), b[columns].astype(np.float64)
    centre = right.mean(axis=0)  # near-duplicates differ little from their centre, so nothing cancels
    left -= centre
    right -= centre
    norms = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)
    return np.asarray((norms - 2 * left @ right.T)[at_row, at_column])


def _group(asked: Asked, span: Span) -> list[Grouped]:
    """A span as blocks of rows grouped by cell."""
    cells = asked.cells

    def one(item: tuple[int, Block]) -> Grouped:
        start, block = item
        inner = cells.prefix(unit_rows(block, cells.metric))
        cell = cells.cell_of(inner)
        order, ends = grouped(cell, len(cells))
        return Grouped(order + start, cell[order], ends, augmented(inner[order], "right"))

    return list(map_ordered(one, asked.pool.blocks(asked.pool.block_rows(BLOCK_BYTES), span)))


def _kernel(asked: Asked, i: Rows, rows: Rows) -> Array:
    """The kernel of the pairs (candidate i, row of the pool), from their exact distances."""
    metric = asked.cells.metric
    kernel = np.ones(len(i))  # of a candidate with itself, which needs no reading
    other = np.flatnonzero(asked.rows[i] != rows)
    if len(other):
        unique, at = np.unique(rows[other], return_inverse=True)
        stored = unit_rows(asked.pool.take(unique), metric, exact=True)
        kernel[other] = kernel_weight(_squares(asked.vectors, i[other], stored, at), asked.bandwidth, metric)
    return kernel


def _joined(hits: list[tuple[Rows, Rows]]) -> tuple[Rows, Rows]:
    return (np.concatenate([i for i, _ in hits]), np.concatenate([j for _, j in hits])) if hits else (NONE, NONE)
