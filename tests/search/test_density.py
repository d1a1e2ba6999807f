"""Density against brute force in float64, and its measured recall where cells are searched in part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.search.data import clustered, cut, real
from tests.shared import needs_shared
from tests.truth import brute_force
from tsds.density import WANTED_RECALL, DensitySearch, kernel_density, meeting
from tsds.density import search as density
from tsds.density.cells import Cells
from tsds.embeddings.vectors import Vectors


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize(("n", "dim"), [(40, 3), (3000, 24), (6000, 96)])
@pytest.mark.parametrize("h", [0.02, 0.2, 0.7, 3.0])
def test_rho_is_that_of_brute_force(metric: str, n: int, dim: int, h: float) -> None:
    pool = clustered(n, dim)
    rows = np.random.default_rng(0).choice(n, min(n, 200), replace=False)
    rows.sort()
    found = DensitySearch(Vectors.of(pool), None, h, metric, largest_norm=1.001).search(rows)  # type: ignore[arg-type]
    truth = brute_force.density(pool, rows, h, metric)
    np.testing.assert_allclose(found.rho, truth, rtol=1e-9)
    assert (found.rho >= 1).all()
    assert found.recall == 1


def test_vectors_far_from_unit_norm() -> None:
    pool = clustered(2000, 32) * np.linspace(0.1, 40, 2000, dtype=np.float32)[:, None]
    norm = float(np.linalg.norm(pool, axis=1).max())
    rows = np.arange(0, 2000, 10)
    found = DensitySearch(Vectors.of(pool), None, 1.5, largest_norm=norm).search(rows)
    np.testing.assert_allclose(found.rho, brute_force.density(pool, rows, 1.5, "l2"), rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_one_long_row_does_not_make_all_pairs_be_measured(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, measured = clustered(6000, 96), []
    pool[1234] *= np.float32(scale)
    rows = np.unique(np.append(np.arange(0, 6000, 40), 1234))
    kernel = meeting._kernel
    monkeypatch.setattr(meeting, "_kernel", lambda asked, i, rows: measured.append(len(i)) or kernel(asked, i, rows))
    found = DensitySearch(Vectors.of(pool), None, 0.2, largest_norm=1.001 * scale).search(rows)
    np.testing.assert_allclose(found.rho, brute_force.density(pool, rows, 0.2, "l2"), rtol=1e-9)
    assert sum(measured) < 0.01 * len(rows) * len(pool)
    assert found.work < 0.2


def test_components_are_those_of_the_whole_pool() -> None:
    """Of one source after the other, the second the larger one, not of the rows that come first."""
    rng = np.random.default_rng(0)
    pool = np.zeros((6000, 128), np.float32)
    pool[:2400, :64], pool[2400:, 64:] = rng.standard_normal((2400, 64)), 2 * rng.standard_normal((3600, 64))
    cells = Cells.fit(Vectors.of(pool), 1.0, "l2", float(np.linalg.norm(pool, axis=1).max()), 0)
    assert np.square(cells.basis[64:]).sum() > 0.9 * np.square(cells.basis).sum()


def test_exact_copies_count_with_their_multiplicity() -> None:
    pool = clustered(1000, 16)
    copies = np.random.default_rng(0).integers(1, 9, 1000)
    rows = np.arange(0, 1000, 7)
    found = DensitySearch(Vectors.of(pool), copies, 0.3, largest_norm=1.001).search(rows)
    spread = np.repeat(pool, copies, axis=0)
    starts = np.cumsum(copies) - copies
    np.testing.assert_allclose(found.rho, brute_force.density(spread, starts[rows], 0.3, "l2"), rtol=1e-9)


def test_a_cluster_larger_than_any_list_does_not_saturate() -> None:
    """Defect 8 of the published code: its density stops at 1,000 neighbours."""
    rng = np.random.default_rng(0)
    group = np.ones(32) / np.sqrt(32) + 0.001 * rng.standard_normal((5000, 32))
    pool = np.concatenate([group, clustered(500, 32)]).astype(np.float32)
    found = DensitySearch(Vectors.of(pool), None, 0.5, largest_norm=1.1).search(np.array([0, 10, 5400]))
    assert (found.rho[:2] > 4900).all()
    assert found.rho[2] < 100


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_any_shards_give_the_same_bits(shards: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(density, "BLOCK_BYTES", 900 * 4 * 48)
    monkeypatch.setattr(density, "PART_ROWS", 2000)
    pool, rows = clustered(6000, 48), np.arange(0, 6000, 13)
    for margin in (1.0, 0.5):
        whole = DensitySearch(Vectors.of(pool), None, 0.4, largest_norm=1.001).search(rows, margin)
        paths = [str(path) for path in cut(pool, shards, tmp_path)]
        parts = DensitySearch(Vectors.of(paths), None, 0.4, largest_norm=1.001).search(rows, margin)
        assert whole.rho.tobytes() == parts.rho.tobytes()
        assert (whole.pairs, whole.recall) == (parts.pairs, parts.recall)


def test_a_second_search_uses_what_the_first_has_kept() -> None:
    pool, rows = clustered(4000, 32), np.arange(0, 4000, 9)
    search = DensitySearch(Vectors.of(pool), None, 0.3, largest_norm=1.001)
    first, again = search.search(rows), search.search(rows)
    assert first.rho.tobytes() == again.rho.tobytes()


@pytest.mark.parametrize("h", [0.3, 0.9])
def test_recall_is_measured_as_it_is(h: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every candidate in the sample, the recall said is the share of pairs that was found."""
    pool, rows = clustered(6000, 48), np.arange(0, 6000, 20)
    search = DensitySearch(Vectors.of(pool), None, h, largest_norm=1.001)
    monkeypatch.setattr(density, "_SAMPLED", 2 * len(rows))
    truth = search.search(rows)
    for margin in (0.5, 0.1, 0.0):
        part = search.search(rows, margin)
        assert part.recall_pairs == truth.pairs
        assert part.recall == pytest.approx(part.pairs / truth.pairs)
        assert (part.rho <= truth.rho * (1 + 1e-12)).all()
    assert h < 0.5 or search.search(rows, 0.0).recall < 1  # or the test would show nothing


def test_margins_widen_until_recall_is_high_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, rows = clustered(6000, 48), np.arange(0, 6000, 20)
    monkeypatch.setattr(density, "MARGINS", (1.0, 0.05, 0.0))
    search = DensitySearch(Vectors.of(pool), None, 0.9, largest_norm=1.001)
    found = kernel_density(search, rows, budget=1)
    assert found.recall >= WANTED_RECALL
    np.testing.assert_allclose(found.rho, brute_force.density(pool, rows, 0.9, "l2"), rtol=2e-2)


def test_slow_truth_and_fast_search_agree() -> None:
    pool, rows = clustered(500, 16), np.arange(40)
    search = DensitySearch(Vectors.of(pool), None, 0.5, largest_norm=1.001)
    np.testing.assert_allclose(search.brute_force(rows).rho, brute_force.density(pool, rows, 0.5, "l2"), rtol=1e-12)


@needs_shared
@pytest.mark.parametrize("h", [0.2, 0.4, 0.8])
def test_real_vectors(h: float) -> None:
    pool, _ = real()
    rows = np.arange(0, len(pool), 30)
    found = DensitySearch(Vectors.of(pool), None, h, largest_norm=1.001).search(rows)
    np.testing.assert_allclose(found.rho, brute_force.density(pool, rows, h, "l2"), rtol=1e-9)
