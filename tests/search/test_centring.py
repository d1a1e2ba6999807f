"""Vectors far from the origin: distances do not change with it, so that neither may anything that is chosen by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tsds
from tests.search.data import clustered
from tests.truth.brute_force import nearest
from tsds.centring import centre_of
from tsds.embeddings.vectors import Vectors

_FAR = np.float32(32)


def _coarse(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values that float32 holds exactly far from the origin too: the same distances there, to the bit."""
    return np.asarray(np.round(x * 2**12) / 2**12, dtype=np.float32)


@pytest.mark.parametrize("off", [30, 3000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lists_far_from_the_origin_are_whole_and_those_of_brute_force(off: int, dtype: type) -> None:
    pool = clustered(3000, 64).astype(dtype) + dtype(off)
    targets = clustered(30, 64, seed=1).astype(dtype) + dtype(off)
    order, d = nearest(pool, targets, "l2")
    found = tsds.nearest_neighbors(pool, targets, k=50)
    assert found.indices.shape[1] == 50
    listed = found.indices >= 0
    assert listed.mean() > 0.99
    np.testing.assert_array_equal(found.indices[listed], order[:, :50][listed])
    np.testing.assert_allclose(found.distances[listed], d[:, :50][listed], rtol=1e-9)


@pytest.mark.parametrize("method", ["kde", "balanced", "uniform"])
def test_a_selection_far_from_the_origin_is_that_at_the_origin(method: Any, tmp_path: Path) -> None:
    pool, targets = _coarse(clustered(4000, 48)), _coarse(clustered(12, 48, seed=2))
    here = tsds.select(pool, targets, size=100, method=method)
    far = tsds.select(pool + _FAR, targets + _FAR, size=100, method=method)
    np.testing.assert_array_equal(far.rows, here.rows)
    np.testing.assert_array_equal(far.indices, here.indices)
    if here.bandwidth is not None and far.bandwidth is not None:
        assert far.bandwidth.value == pytest.approx(here.bandwidth.value, rel=1e-4)
    far.save(tmp_path / "far")
    written = np.load(tmp_path / "far" / "selected.npy")  # as they were given
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written, pool[far.indices] + _FAR)


def test_an_index_far_from_the_origin_finds_what_it_finds_at_the_origin(tmp_path: Path) -> None:
    pool, targets = _coarse(clustered(4000, 48)), _coarse(clustered(12, 48, seed=2))
    for where in (np.float32(0), _FAR):
        found = tsds.select(pool + where, targets + where, size=50, bandwidth=0.2, search="ivf", index=tmp_path)
        exact = tsds.select(pool + where, targets + where, size=50, bandwidth=0.2)
        assert np.isin(found.indices, exact.indices).mean() > 0.8


def test_vectors_about_the_origin_are_left_as_they_are() -> None:
    x = clustered(2000, 64)
    assert centre_of(Vectors.of(x), "l2") is None
    assert centre_of(Vectors.of(x + np.float32(0.5)), "l2") is None  # most of each norm is common
    assert centre_of(Vectors.of(x + np.float32(100)), "cosine") is None  # which changes with the origin
    centre = centre_of(Vectors.of(x + np.float32(100)), "l2")
    assert centre is not None
    np.testing.assert_allclose(centre, 100 + x.mean(axis=0), atol=0.1)


def test_a_centre_is_subtracted_from_rows_however_they_are_read(tmp_path: Path) -> None:
    x = clustered(300, 16) + np.float32(9)
    np.save(tmp_path / "a.npy", x[:100])
    np.save(tmp_path / "b.npy", x[100:])
    centre = x.mean(axis=0).astype(np.float64)
    truth = (x.astype(np.float64) - centre)[::3]
    for stored in (Vectors.of(x), Vectors.of([tmp_path / "a.npy", tmp_path / "b.npy"])):
        vectors = stored.around(centre).only(np.arange(0, 300, 3))
        np.testing.assert_array_equal(vectors.take(np.arange(100)), truth)
        np.testing.assert_array_equal(np.concatenate([block for _, block in vectors.blocks(70)]), truth)
        assert vectors.dtype == np.float64
        np.testing.assert_array_equal(vectors.around(None).take(np.arange(100)), x[::3])
