"""Generated embeddings for speed and memory: unit norm, clustered, with near-duplicates, a spectrum like real ones.

The intrinsic dimension of real text embeddings is far below their width: here 64 directions with slowly falling scales
carry nearly all variance, of the cluster centres and of the spread around them. One record in a hundred belongs to a
group of fifty near-duplicates; no other two records are nearer than about 0.75. Targets come from 10 of the
clusters, as a task does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Single = NDArray[np.float32]
CLUSTERS, SPREAD, GROUP, DUPLICATES, NOISE = 500, 1.3, 50, 0.01, 0.05
DIRECTIONS, DECAY, REST, TASK = 64, 0.25, 0.06, 10


def centres(dim: int, seed: int) -> tuple[Single, Single]:
    """Cluster centres [CLUSTERS, dim] and the scale of each dimension [dim]."""
    k = np.arange(1, dim + 1)
    scale = np.where(k <= DIRECTIONS, k**-DECAY, REST).astype(np.float32)
    scale /= np.linalg.norm(scale)
    rng = np.random.default_rng(seed)
    return rng.standard_normal((CLUSTERS, dim), dtype=np.float32) * scale, scale


def draw(rng: np.random.Generator, rows: int, centre: Single, scale: Single) -> Single:
    """Unit vectors around randomly chosen centres."""
    spread = SPREAD * rng.standard_normal((rows, len(scale)), dtype=np.float32) * scale
    x = centre[rng.integers(len(centre), size=rows)] + spread
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def pool_blocks(n: int, dim: int, seed: int = 0, block: int = 100_000) -> Iterator[Single]:
    """The pool in blocks; near-duplicates of a group lie in one block, at random places."""
    centre, scale = centres(dim, seed)
    for start in range(0, n, block):
        rng = np.random.default_rng([seed, 1, start])
        x = draw(rng, min(block, n - start), centre, scale)
        groups = int(len(x) * DUPLICATES) // GROUP
        for rows in rng.choice(len(x), size=(groups, GROUP), replace=False):
            copies = x[rows[0]] + NOISE * rng.standard_normal((GROUP, dim), dtype=np.float32) / np.sqrt(dim)
            x[rows] = copies / np.linalg.norm(copies, axis=1, keepdims=True)
        yield x.astype(np.float32)


def targets(m: int, dim: int, seed: int = 0) -> Single:
    """Targets around a few of the centres."""
    centre, scale = centres(dim, seed)
    rng = np.random.default_rng([seed, 2])
    return draw(rng, m, centre[:TASK], scale)


def write_pool(path: str, n: int, dim: int, seed: int = 0) -> None:
    """Write the pool to a .npy file without holding it in memory."""
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, dim))
    start = 0
    for x in pool_blocks(n, dim, seed):
        out[start : start + len(x)] = x
        start += len(x)
    out.flush()
