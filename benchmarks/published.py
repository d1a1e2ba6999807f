"""The published procedure, written afresh from its description, as a peer to measure against.

IVF index with sqrt(N)/2 lists and nprobe 10; 5,000 neighbours prefetched for each target; density of each prefetched
candidate over its 1,000 nearest among them, through a second such index; then a heap that raises s step by step until
the penalty is reached. Sums are in float64, so that it does not stop on its own rounding.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

import faiss
import numpy as np
from numpy.typing import NDArray

PROBES, NEIGHBORS, DENSITY_NEIGHBORS = 10, 5000, 1000


def index_of(rows: NDArray[np.float32]) -> faiss.IndexIVFFlat:
    """The inverted file with the published numbers of lists and probes."""
    lists = max(1, int(np.sqrt(len(rows)) / 2))
    quantizer = faiss.IndexFlatL2(rows.shape[1])
    index = faiss.IndexIVFFlat(quantizer, rows.shape[1], lists)
    quantizer.this.disown()  # type: ignore[attr-defined]  # faiss: the index owns it
    index.own_fields = True
    index.train(rows)
    index.add(rows)
    index.nprobe = PROBES
    return index


def select(
    pool: NDArray[np.float32],
    targets: NDArray[np.float32],
    penalty: float,
    bandwidth: float,
    size: int,
    seed: int,
    stage: Callable[[str, float], None],
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[int, float]]:
    """Chosen rows (with repeats), the prefetched lists [m, k], and the densities of the prefetched rows."""
    began = time.perf_counter()
    index = index_of(pool)
    stage("index", time.perf_counter() - began)

    began = time.perf_counter()
    k = min(NEIGHBORS, len(pool) // 10)
    squares, lists = index.search(targets, k)
    stage("search", time.perf_counter() - began)

    began = time.perf_counter()
    rows = np.unique(lists[lists >= 0])
    vectors = pool[rows]
    near = index_of(vectors).search(vectors, min(DENSITY_NEIGHBORS, max(1, len(pool) // 10)))[0]
    near = np.where(near < bandwidth**2, near, bandwidth**2).astype(np.float64)
    rho = (1 - near / bandwidth**2).sum(axis=1)
    density = dict(zip(rows.tolist(), np.maximum(rho, 1).tolist(), strict=True))
    stage("density", time.perf_counter() - began)

    began = time.perf_counter()
    p = _assign(np.sqrt(squares.astype(np.float64)), lists, density, penalty)
    drawn = np.random.default_rng(seed).multinomial(size, p / p.sum())
    chosen = np.repeat(np.fromiter(density, np.int64), drawn)
    stage("assign", time.perf_counter() - began)
    return chosen, lists, density


def _assign(
    distances: NDArray[np.float64], lists: NDArray[np.int64], density: dict[int, float], penalty: float
) -> NDArray[np.float64]:
    """The heap over next values of s: pop the smallest, charge its target's next gap, until the penalty is spent."""
    m, k = lists.shape
    place = {row: i for i, row in enumerate(density)}
    weight = [[1 / density[row] if row >= 0 else 0.0 for row in line] for line in lists.tolist()]
    heap = [(weight[i][0], i, 0) for i in range(m)]
    heapq.heapify(heap)
    spent, s = 0.0, heap[0][0]
    while heap:
        s, i, j = heapq.heappop(heap)
        if j + 1 >= k or lists[i, j + 1] < 0:
            break
        spent += s / m * (distances[i, j + 1] - distances[i, j])
        if spent >= penalty:
            break
        heapq.heappush(heap, (s + weight[i][j + 1], i, j + 1))
    p = np.zeros(len(density))
    for i in range(m):
        left = s
        for j in range(k):
            take = min(weight[i][j], left)
            if take <= 0:
                break
            p[place[int(lists[i, j])]] += take / s / m
            left -= take
    return p
