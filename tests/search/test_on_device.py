"""Passes in torch, on its processor device: the code that runs on a GPU, against the passes without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.search.data import clustered
from tests.truth import brute_force
from tests.truth.brute_force import nearest
from tsds import proposals, searching
from tsds.comparing.comparison import compare
from tsds.density import DensitySearch
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.methods import kde
from tsds.neighbors import NeighborSearch
from tsds.settings import Settings

torch = pytest.importorskip("torch")
from tsds import on_device


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks and spans of a few thousand rows."""
    monkeypatch.setattr(on_device, "_PRODUCT", 1 << 15)
    monkeypatch.setattr(on_device, "_ROWS", 700)
    monkeypatch.setattr(proposals, "BLOCK_BYTES", 1500 * 4 * 24)
    monkeypatch.setattr(proposals, "DEVICE_BLOCKS", 1)


def largest(pool: Any) -> float:
    return float(np.linalg.norm(np.asarray(pool, np.float64), axis=1).max())


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 700.0])
def test_lists_are_those_of_brute_force(metric: Any, dtype: Any, scale: float) -> None:
    pool = (clustered(4000, 24) * scale).astype(dtype)
    targets = (clustered(30, 24, seed=1) * scale).astype(dtype)
    search = NeighborSearch(Vectors.of(pool), targets, metric, largest_norm=largest(pool), device="cpu")
    indices, distances = search.fetch(300)
    order, d = nearest(pool, targets, metric)
    listed = indices >= 0
    assert listed.mean() > 0.99
    np.testing.assert_array_equal(indices[listed], order[:, : indices.shape[1]][listed])
    np.testing.assert_allclose(distances[listed], d[:, : indices.shape[1]][listed], rtol=1e-9, atol=1e-12)


def test_the_lists_are_the_same_as_without_a_device() -> None:
    pool, targets = Vectors.of(clustered(5000, 24)), clustered(40, 24, seed=2)
    one = NeighborSearch(pool, targets, largest_norm=1.01).fetch(200)
    other = NeighborSearch(pool, targets, largest_norm=1.01, device="cpu").fetch(200)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_half_precision_is_wrong_and_its_bound_holds() -> None:
    """The products alone would give other lists; the slack covers their error, and not by much more than it must."""
    pool, targets = clustered(3000, 24), clustered(20, 24, seed=1)
    streamed = on_device.Streamed(Vectors.of(pool), "l2", 1.01, "cpu")
    a, b = streamed.put(targets), streamed.put(pool)
    rough = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * (a.half() @ b.half().T).float()
    truth = torch.cdist(a.double(), b.double()).square()
    error = float((rough - truth).abs().max())
    assert streamed.slack / 50 < error <= streamed.slack
    assert (rough.argsort(1)[:, :50] != truth.argsort(1)[:, :50]).any()


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("h", [0.02, 0.2, 0.7])
def test_densities_are_those_of_brute_force(metric: Any, h: float) -> None:
    pool = clustered(4000, 24)
    rows = np.sort(np.random.default_rng(0).choice(4000, 300, replace=False))
    copies = np.random.default_rng(1).integers(1, 4, 4000)
    plain = DensitySearch(Vectors.of(pool), copies, h, metric, largest_norm=1.01).search(rows)
    found = DensitySearch(Vectors.of(pool), copies, h, metric, largest_norm=1.01, device="cpu").search(rows, 0.5)
    np.testing.assert_allclose(found.rho, plain.rho, rtol=1e-9)
    assert (found.pairs, found.margin, found.recall) == (plain.pairs, 1.0, 1.0)
    alone = DensitySearch(Vectors.of(pool), None, h, metric, largest_norm=1.01, device="cpu").search(rows)
    np.testing.assert_allclose(alone.rho, brute_force.density(pool, rows, h, metric), rtol=1e-9)


def test_all_passes_of_a_comparison_are_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    class Told(DensitySearch):
        def __init__(self, *given: Any, device: str | None, **named: Any) -> None:
            seen.append(device)
            super().__init__(*given, device=device, **named)

    monkeypatch.setattr(searching, "search_device", lambda asked, engine: "cpu")
    monkeypatch.setattr(kde, "DensitySearch", Told)
    compare(clustered(600, 24), clustered(20, 24, seed=1), Settings(20, bandwidth=0.3), ["kde"], folds=2)
    assert seen and set(seen) == {"cpu"}


def test_a_device_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device cuda is not there \(--device cpu, or auto\)"):
        on_device.search_device("cuda")
    assert on_device.search_device("cpu") is None
    assert on_device.search_device("auto") is None
    assert on_device.search_device("cuda", "ray") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert on_device.search_device("auto") == "cuda"
    assert on_device.search_device("cuda:1") == "cuda:1"
