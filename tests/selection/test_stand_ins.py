"""Who stands for whom among near-duplicates, against leader clustering on exact distances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tsds
from tests.truth import brute_force
from tsds import near_duplicates
from tsds.embeddings.vectors import Vectors
from tsds.near_duplicates import stand_ins


def near_pairs(scale: float = 2e-6, offset: float = 0.0) -> NDArray[np.float32]:
    """400 unit vectors, and 50 at about `scale` times eight from the first of them: float32 squares cancel."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 64))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = x[:50] + scale * rng.standard_normal((50, 64))
    return (np.concatenate([x, y]) + offset).astype(np.float32)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("block", [16, 512])
@pytest.mark.parametrize(("scale", "offset", "h"), [(2e-6, 0, 1e-4), (2e-6, 0, 1.6e-5), (0.1, 0, 0.8), (0.1, 50, 0.8)])
def test_leaders_are_those_of_exact_distances(
    scale: float, offset: float, h: float, block: int, metric: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_duplicates, "_BLOCK", block)
    pool = near_pairs(scale, offset)
    if metric == "cosine":
        pool, h = pool * np.linspace(1, 3, len(pool), dtype=np.float32)[:, None], h**2 / 2
    first = np.random.default_rng(1).random(len(pool))
    rows = np.arange(len(pool))
    leader = stand_ins(Vectors.of(pool), rows, first, np.ones(len(pool), bool), h, metric)
    d = brute_force.distances(pool, pool, metric)
    leaders: list[int] = []
    for i in np.argsort(first):
        near = [j for j in leaders if d[i, j] < h]
        assert leader[i] in near if near else leader[i] == i
        leaders += [] if near else [int(i)]
    assert offset or 300 < len(leaders) < 450


@pytest.mark.parametrize("method", ["auto", "balanced", "kde"])
def test_a_bandwidth_below_what_float32_tells_apart(method: str) -> None:
    pool = near_pairs()
    targets = pool[:20] + 0.05 * np.random.default_rng(1).standard_normal((20, 64))
    found = tsds.select(pool, targets, size=60, bandwidth=1e-4, method=method)
    leader = found.answer.leader
    assert leader is not None and leader.min() >= 0
    rows = found.answer.rows
    away = brute_force.distances(pool[rows], pool[rows], "l2")[np.arange(len(rows)), leader]
    assert (away < 1e-4).all() and (away > 0).any()
