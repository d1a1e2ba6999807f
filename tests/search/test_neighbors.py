"""Exact search against brute force in float64: random and real vectors, both metrics, every float type, any shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tsds
from tests.search.data import clustered, cut, real
from tests.shared import needs_shared
from tests.truth.brute_force import nearest
from tsds import proposals
from tsds.distances import unit_rows
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError, RunError
from tsds.neighbors import NeighborSearch


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_lists_are_those_of_brute_force(metric: str, dtype: type) -> None:
    pool, targets = clustered(3000, 24).astype(dtype), clustered(30, 24, seed=1).astype(dtype)
    order, d = nearest(pool, targets, metric)
    found = tsds.nearest_neighbors(pool, targets, k=50, metric=metric)  # type: ignore[arg-type]
    listed = found.indices >= 0
    assert listed.mean() > 0.99
    np.testing.assert_array_equal(found.indices[listed], order[:, : found.indices.shape[1]][listed])
    np.testing.assert_allclose(found.distances[listed], d[:, : found.indices.shape[1]][listed], rtol=1e-12, atol=1e-14)


def test_ties_go_by_position_and_copies_are_all_listed() -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(-2, 3, size=(40, 4)).astype(np.float32)  # many exact ties
    pool = np.concatenate([base, base, base])
    found = tsds.nearest_neighbors(pool, base[:10], k=len(pool))
    order, d = nearest(pool, base[:10], "l2")
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_array_equal(found.distances, d)


def test_far_from_the_origin_float32_cancels_but_the_lists_stay_exact() -> None:
    """With a large common offset float32 can't order the candidates; what can't be certified is left out."""
    rng = np.random.default_rng(1)
    pool = (rng.standard_normal((2000, 8)) + 3000).astype(np.float32)
    targets = pool[:10] + np.float32(0.01)
    found = tsds.nearest_neighbors(pool, targets, k=20)
    order, _ = nearest(pool, targets, "l2")
    listed = found.indices >= 0
    np.testing.assert_array_equal(found.indices[listed], order[:, : found.indices.shape[1]][listed])
    everything = tsds.nearest_neighbors(pool, targets, k=2000)
    np.testing.assert_array_equal(everything.indices, order)


@pytest.mark.parametrize("unit", [1e-36, 1e-30, 1e-22, 1e-18, 1e18, 1e22, 1e36])
def test_cosines_of_vectors_whose_squares_float32_can_not_hold(unit: float) -> None:
    some = clustered(3000, 24)
    pool = some.copy()
    pool[::2] *= np.float32(unit)  # beside ordinary ones
    targets = clustered(30, 24, seed=1) * np.float32(unit)
    order, d = nearest(pool, targets, "cosine")
    found = tsds.nearest_neighbors(pool, targets, k=50, metric="cosine")
    listed = found.indices >= 0
    assert listed.mean() > 0.99
    np.testing.assert_array_equal(found.indices[listed], order[:, :50][listed])
    np.testing.assert_allclose(found.distances[listed], d[:, :50][listed], rtol=1e-12, atol=1e-14)
    # Ordinary rows keep their bits.
    np.testing.assert_array_equal(unit_rows(pool, "cosine")[1::2], unit_rows(some[1::2], "cosine"))


def test_long_vectors_leave_the_lists_of_others_long() -> None:
    """A row and two targets far out, one of them near that row: rounding there says nothing about the others."""
    pool, targets = clustered(3000, 24), clustered(30, 24, seed=1)
    pool[123], targets[3], targets[7] = 1e4 * pool[123], 1e3 * targets[3], 1.0001e4 * pool[123]
    order, d = nearest(pool, targets, "l2")
    found = tsds.nearest_neighbors(pool, targets, k=50)
    listed = found.indices >= 0
    assert np.delete(listed, [3, 7], axis=0).mean() > 0.99
    np.testing.assert_array_equal(found.indices[listed], order[:, :50][listed])
    np.testing.assert_allclose(found.distances[listed], d[:, :50][listed], rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-20, 1e-22, 1e-30])
def test_what_is_listed_of_tiny_vectors_is_right(unit: float) -> None:
    pool, targets = clustered(3000, 24) * np.float32(unit), clustered(30, 24, seed=1) * np.float32(unit)
    found = tsds.nearest_neighbors(pool, targets, k=50)
    listed = found.indices >= 0
    order = nearest(pool, targets, "l2")[0][:, : found.indices.shape[1]]
    np.testing.assert_array_equal(found.indices[listed], order[listed])


def test_growing_lists_lengthens_them() -> None:
    pool, targets = clustered(4000, 16), clustered(5, 16, seed=2)
    short = tsds.nearest_neighbors(pool, targets, k=5)
    grown = short.grow(1000)
    np.testing.assert_array_equal(grown.indices[:, :5], short.indices)
    np.testing.assert_array_equal(grown.indices[:, :900], nearest(pool, targets, "l2")[0][:, :900])


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_any_shards_give_the_same_bits(shards: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "BLOCK_BYTES", 700 * 4 * 24)  # several blocks, not aligned with the shards
    pool, targets = clustered(5000, 24), clustered(20, 24, seed=3)
    whole = tsds.nearest_neighbors(pool, targets, k=64)
    parts = tsds.nearest_neighbors([str(path) for path in cut(pool, shards, tmp_path)], targets, k=64)
    assert whole.indices.tobytes() == parts.indices.tobytes()
    assert whole.distances.tobytes() == parts.distances.tobytes()


@needs_shared
@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_real_vectors(metric: str) -> None:
    pool, targets = real()
    found = tsds.nearest_neighbors(pool, targets, k=200, metric=metric)  # type: ignore[arg-type]
    order, _ = nearest(pool, targets, metric)
    listed = found.indices >= 0
    assert listed.mean() > 0.99
    np.testing.assert_array_equal(found.indices[listed], order[:, : found.indices.shape[1]][listed])


def test_asking_again_does_not_search_again() -> None:
    pool = clustered(3000, 16)
    search = NeighborSearch(Vectors.of(pool), clustered(4, 16, seed=5), largest_norm=1.0)
    search.fetch(20)
    search.fetch(40)
    assert search.passes == 1


def test_bad_vectors_are_named() -> None:
    pool = clustered(100, 8)
    with pytest.raises(InputError, match="8 dimensions and the targets have 7"):
        tsds.nearest_neighbors(pool, clustered(3, 7))
    for value, what in ((np.nan, "NaN"), (np.inf, "infinity")):
        broken = pool.copy()
        broken[42, 3] = value
        with pytest.raises(InputError, match=f"row 42: holds {what}"):
            tsds.nearest_neighbors(broken, pool[:3])
    broken = pool.copy()
    broken[7] = 0
    with pytest.raises(InputError, match="row 7: is a zero vector"):
        tsds.nearest_neighbors(broken, pool[:3], metric="cosine")


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e15), (np.float32, 1e25), (np.float64, 1e200)])
def test_vectors_whose_squares_overflow_are_named(dtype: type, scale: float, tmp_path: Path) -> None:
    """Two files, the second with one row too large; scaled, as the line says, they can be selected from."""
    pool, targets = clustered(600, 16).astype(dtype), clustered(12, 16, seed=1)
    large = pool.copy()
    large[407] *= scale
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for path, part in zip(paths, (large[:400], large[400:]), strict=True):
        np.save(path, part)
    with pytest.raises(InputError, match=r"b\.npy, row 7: has a norm above 1e\+12, .* --transform normalize"):
        tsds.select([str(path) for path in paths], targets, size=20)
    with pytest.raises(InputError, match="target, row 2: has a norm above"):
        tsds.select(pool, targets * np.where(np.arange(12) >= 2, 1e20, 1)[:, None], size=20)
    scaled = tsds.select([str(path) for path in paths], targets * 1e20, size=20, transform="normalize")
    assert (scaled.indices == tsds.select(pool, targets, size=20, transform="normalize").indices).all()


def test_a_search_that_loses_candidates_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who asks for longer lists until they suffice would ask forever."""
    monkeypatch.setattr(proposals, "knn", lambda queries, rows, k: (np.full((3, k), np.inf), np.full((3, k), -1)))
    with pytest.raises(RunError, match="lost candidates"):
        tsds.nearest_neighbors(clustered(100, 8), clustered(3, 8, seed=1), k=100)
