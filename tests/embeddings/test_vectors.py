"""Shards seen as one matrix: the same rows as the array that was cut into them; no more is read than is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tsds.embeddings.vectors import Vectors

ROWS = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)


def cut(folder: Path, sizes: Sequence[int]) -> list[Path]:
    """The first rows in .npy files of these many rows."""
    starts = np.cumsum([0, *sizes])
    paths = [folder / f"{i:03}.npy" for i in range(len(sizes))]
    for path, start, size in zip(paths, starts, sizes, strict=False):
        np.save(path, ROWS[start : start + size])
    return paths


@pytest.mark.parametrize("sizes", [(0, 20, 40), (20, 0, 0, 40), (20, 40, 0)])
def test_an_empty_shard_hides_no_other(tmp_path: Path, sizes: Sequence[int]) -> None:
    vectors = Vectors.of(cut(tmp_path, sizes))
    for step in (7, 20, 60):
        blocks = list(vectors.blocks(step))
        assert [start for start, _ in blocks] == list(range(0, 60, step))
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), ROWS)
    order = np.random.default_rng(1).permutation(60)
    np.testing.assert_array_equal(vectors.take(order), ROWS[order])
