"""A seeded random projection of long vectors that keeps inner products, without its matrix.

Every coordinate gets a random sign and a place in a random order; the order is folded to the wanted width, so that
each output is the sum of equally many signed coordinates: a count sketch with balanced buckets (Charikar, Chen and
Farach-Colton 2002). With S the sketch, E<Sg, Sh> = <g, h>, with a standard deviation of at most sqrt(2 / dim) |g| |h|,
as with a dense Gaussian matrix; the cost is one pass over the vector instead of `dim` passes. Where dim >= p nothing is
lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Sketch:
    """Projects rows of `size` numbers to `dim`.

    Args:
      size: p, of the vectors.
      dim: d, of their projections.
      seed: the same seed gives the same projection, on any device.
    """

    def __init__(self, size: int, dim: int, seed: int, device: str = "cpu") -> None:
        import torch

        rng = np.random.Generator(np.random.Philox(key=seed))
        self.dim, self._folds = dim, -(-size // dim)
        self._order = torch.from_numpy(rng.permutation(size).astype(np.int64)).to(device)
        self._signs = torch.from_numpy(rng.integers(2, size=size, dtype=np.int8) * 2 - 1).to(device)

    def project(self, rows: Any) -> Any:
        """[n, p] to [n, d], float32; one row at a time, so that memory stays that of a row."""
        import torch

        out = torch.empty((len(rows), self.dim), dtype=torch.float32, device=rows.device)
        for i, row in enumerate(rows):
            shuffled = (row * self._signs)[self._order]
            padded = torch.nn.functional.pad(shuffled, (0, self._folds * self.dim - len(shuffled)))
            out[i] = padded.view(self._folds, self.dim).sum(dim=0)
        return out
