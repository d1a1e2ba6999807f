"""Vectors to search in: clustered, with near-duplicates, like those of texts; and real ones."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.shared import shared
from tsds.embeddings.encoders.hashing import HashEncoder
from tsds.records import Pool


def clustered(n: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    """Unit vectors around centres; a tenth of them near-duplicates of others."""
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal((12, dim)) * np.arange(1, dim + 1) ** -0.4
    x = centre[rng.integers(12, size=n)] + 0.8 * rng.standard_normal((n, dim)) * np.arange(1, dim + 1) ** -0.4
    copies = rng.choice(n, n // 10, replace=False)
    x[copies] = x[rng.integers(n, size=len(copies))] + 0.02 * rng.standard_normal((len(copies), dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@cache
def real() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hash embeddings of 6,000 passages of the shared domain pool, and of 40 ChemProt sentences."""
    pool = Pool.open(Path(shared("domain/pool.jsonl.gz")))
    texts = next(iter(pool.batches(6000))).texts
    target = next(iter(Pool.open(Path(shared("domain/targets/chemprot/train.jsonl.gz"))).batches(40))).texts
    encoder = HashEncoder(dim=128).fit([texts])
    return encoder.encode(texts), encoder.encode(target)


def cut(x: NDArray[np.float32], shards: int, folder: Path) -> list[Path]:
    """The rows in so many .npy files of unequal size."""
    edges = np.unique(np.concatenate([[0, len(x)], np.random.default_rng(shards).integers(1, len(x), shards - 1)]))
    paths = []
    for i, (first, last) in enumerate(itertools.pairwise(edges.tolist())):
        paths.append(folder / f"{shards}-{i}.npy")
        np.save(paths[-1], x[first:last])
    return paths
