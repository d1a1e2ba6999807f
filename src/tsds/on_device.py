"""Passes over the pool in torch, on a GPU: the same answers as the passes on the processor.

Products are made in half precision, whose error is bounded; whatever could belong to the answer given that bound is
measured again, in float32 where the processor proposes in float32, in float64 where it decides in float64. The pool is
streamed through, so that it may be larger than the device's memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Rows
from tsds.distances import unit_rows
from tsds.embeddings.scan import Metric
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError, MissingExtra

if TYPE_CHECKING:
    import torch

    Tensor = torch.Tensor

#: Entries of a product at once: half a gigabyte in half precision.
_PRODUCT = 1 << 28
#: Pairs measured again at once, times dimensions.
_PAIRS = 1 << 27
_ROWS = 1 << 16


def search_device(asked: str, engine: str = "local") -> str | None:
    """The torch device that passes over the pool run on; None: the processor, without torch.

    Args:
      asked: "cpu", "cuda", "cuda:1", ..., or "auto": a GPU if there is one.
      engine: on a cluster the GPUs are elsewhere, so a GPU that is asked for is believed to be there.

    Raises:
      InputError: if a GPU is asked for and there is none.
      MissingExtra: if torch is not installed.
    """
    if asked == "cpu":
        return None
    if engine != "local":
        return None if asked == "auto" else asked
    if asked == "auto" and "torch" not in sys.modules and not Path("/dev/nvidia0").exists():
        return None  # not worth the seconds that importing torch takes
    try:
        import torch
    except ImportError:
        if asked == "auto":
            return None
        raise MissingExtra(f"device {asked}", "sentence") from None
    if torch.cuda.is_available():
        return "cuda" if asked == "auto" else asked
    if asked == "auto":
        return None
    raise InputError(f"device {asked} is not there", remedy="--device cpu, or auto")


class Streamed:
    """Vectors on a device, block by block, scaled so that half precision holds them.

    Args:
      pool: [n, d].
      metric: of the distances; rows are of unit norm under cosine.
      largest: a bound on all norms.
      device: a torch device.
    """

    def __init__(self, pool: Vectors, metric: Metric, largest: float, device: str) -> None:
        self.pool, self.metric, self.device = pool, metric, device
        self.scale = 2.0 ** -int(np.ceil(np.log2(max(largest, 1e-30))))  # a power of two: no bit is lost
        norm = largest * self.scale
        # Rounding of both factors and of the product to half precision, relative to the norms and, where a component is
        # tiny, absolute; the sums are in float32.
        half = 3 * 2.0**-11 * norm**2 + (pool.dim + 32) * (2.0**-24 * norm**2 + 2.0**-24 * norm)
        self.slack = float(2 * half)

    def put(self, rows: NDArray[Any], *, exact: bool = False) -> Tensor:
        """Rows on the device, scaled, in float64 if `exact`, else in float32."""
        import torch

        kind = torch.float64 if exact else torch.float32
        wide = torch.from_numpy(np.ascontiguousarray(unit_rows(rows, self.metric, exact=exact)))
        return wide.to(self.device).to(kind) * self.scale

    def blocks(self, span: tuple[int, int], rows: int) -> Iterator[tuple[int, Tensor, NDArray[Any]]]:
        """Blocks of a span: position of the first row, the rows on the device in float32, and as they are stored."""
        for start, block in self.pool.blocks(rows, span):
            yield start, self.put(block), block


def close_pairs(queries: Tensor, rows: Tensor, limit: Tensor, slack: float) -> tuple[Tensor, Tensor]:
    """Pairs (query, row) whose squared distance may be within the query's limit: [pairs] each, by query, then row."""
    import torch

    products = queries.half() @ rows.half().T
    squares = queries.square().sum(1)[:, None] + rows.square().sum(1) - 2 * products.float()
    i, j = torch.nonzero(squares <= limit[:, None] + slack, as_tuple=True)
    return i, j


def pair_squares_on(a: Tensor, i: Tensor, b: Tensor, j: Tensor) -> Tensor:
    """|a[i] - b[j]|^2 for each pair, by differences."""
    import torch

    step = max(1, _PAIRS // a.shape[1])
    parts = [(a[i[at : at + step]] - b[j[at : at + step]]).square().sum(1) for at in range(0, len(i), step)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=a.dtype, device=a.device)


def nearest_on(
    streamed: Streamed, targets: NDArray[np.float32], k: int, span: tuple[int, int]
) -> tuple[NDArray[np.float32], Rows]:
    """The k nearest rows of a span to each target: squared distances in float32, ascending, and positions, [m, k]."""
    import torch

    with torch.inference_mode():
        queries = streamed.put(targets)
        m = len(queries)
        best = torch.full((m, 0), torch.inf, device=streamed.device)
        where = torch.full((m, 0), -1, dtype=torch.int64, device=streamed.device)
        for start, rows, _ in streamed.blocks(span, max(1024, min(_ROWS, _PRODUCT // max(m, 1)))):
            if best.shape[1] < k:  # no threshold yet
                squares = torch.cdist(queries, rows, compute_mode="donot_use_mm_for_euclid_dist").square()
                at = torch.arange(start, start + len(rows), device=streamed.device).expand(m, -1)
            else:
                i, j = close_pairs(queries, rows, best[:, -1], streamed.slack)
                squares, at = _padded(i, j + start, pair_squares_on(queries, i, rows, j), m)
            best, where = torch.cat([best, squares], 1), torch.cat([where, at], 1)
            best, kept = torch.topk(best, min(k, best.shape[1]), dim=1, largest=False, sorted=True)
            where = torch.gather(where, 1, kept)
        unscaled = best.double() / streamed.scale**2
        return unscaled.float().cpu().numpy(), where.cpu().numpy()


def within_on(
    streamed: Streamed, candidates: NDArray[Any], limit: float, span: tuple[int, int]
) -> Iterator[tuple[Rows, Rows, NDArray[np.float64]]]:
    """Rows of a span within a distance of candidates: candidate, row and squared distance in float64, block by block.

    Args:
      candidates: [q, d].
      limit: squared distance.
    """
    import torch

    with torch.inference_mode():
        exact = streamed.put(candidates, exact=True)
        step = max(1, _PRODUCT // _ROWS)
        for start, rows, stored in streamed.blocks(span, _ROWS):
            wide: Tensor | None = None
            for first in range(0, len(exact), step):
                some = exact[first : first + step]
                limits = torch.full((len(some),), limit * streamed.scale**2, device=streamed.device)
                i, j = close_pairs(some.float(), rows, limits, streamed.slack)
                if not len(i):
                    continue
                wide = streamed.put(stored, exact=True) if wide is None else wide
                squares = pair_squares_on(some, i, wide, j) / streamed.scale**2
                near = squares <= limit
                yield (
                    (i[near] + first).cpu().numpy(),
                    (j[near] + start).cpu().numpy(),
                    squares[near].cpu().numpy(),
                )


def _padded(i: Tensor, at: Tensor, squares: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """Ragged lists, sorted by query, as rows of one width, filled up with infinity and -1."""
    import torch

    counts = torch.bincount(i, minlength=m)
    width = int(counts.max()) if len(i) else 0
    starts = torch.cumsum(counts, 0) - counts
    place = torch.arange(len(i), device=i.device) - starts[i]
    padded = torch.full((m, width), torch.inf, device=i.device, dtype=squares.dtype)
    where = torch.full((m, width), -1, dtype=torch.int64, device=i.device)
    padded[i, place], where[i, place] = squares, at
    return padded, where
