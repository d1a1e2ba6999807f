"""Transforms against their definitions: spread, variance, singular vectors, and select with one on top."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

import tsds
from tests.command.run import texts
from tsds.embeddings.transforms import Transform, moments
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError

RNG = np.random.default_rng(0)
POOL = (RNG.standard_normal((500, 6)) @ RNG.standard_normal((6, 6)) + 3).astype(np.float32)
TARGETS = (RNG.standard_normal((9, 2)) @ RNG.standard_normal((2, 6))).astype(np.float32)


def mapped(text: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    learned = Transform.parse(text).learn(Vectors.of(POOL), TARGETS)
    return learned(POOL), learned(TARGETS)


def test_whiten_gives_the_pool_equal_spread_in_all_directions() -> None:
    pool, _ = mapped("whiten")
    np.testing.assert_allclose(pool.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(pool.T, bias=True), np.eye(6), atol=1e-3)


def test_whiten_leaves_directions_without_spread_alone() -> None:
    flat = POOL.copy()
    flat[:, 3] = 2
    learned = Transform.parse("whiten").learn(Vectors.of(flat), TARGETS)
    assert np.isfinite(learned(flat)).all() and np.abs(learned(flat)).max() < 100


def test_pca_against_scikit_learn() -> None:
    pool, targets = mapped("pca:3")
    other = PCA(3, svd_solver="full").fit(POOL)
    signs = np.sign((pool * other.transform(POOL)).sum(axis=0))
    np.testing.assert_allclose(pool * signs, other.transform(POOL), atol=1e-3)
    np.testing.assert_allclose(targets * signs, other.transform(TARGETS), atol=1e-3)


def test_target_subspace_keeps_the_targets_and_drops_the_rest() -> None:
    pool, targets = mapped("target-subspace:2")
    assert pool.shape == (500, 2)
    np.testing.assert_allclose(targets @ targets.T, TARGETS @ TARGETS.T, rtol=1e-3, atol=1e-3)
    basis = np.linalg.svd(TARGETS, full_matrices=False)[2][:2]
    np.testing.assert_allclose(pool @ pool.T, POOL @ basis.T @ basis @ POOL.T, rtol=1e-3, atol=1e-2)


def test_steps_follow_one_another() -> None:
    pool, targets = mapped("whiten, normalize,pca:4 ,normalize")
    np.testing.assert_allclose(np.linalg.norm(pool, axis=1), 1, atol=1e-5)
    assert pool.shape == (500, 4) and targets.shape == (9, 4)


def test_moments_of_vectors_far_from_the_origin() -> None:
    far = POOL.astype(np.float64) + 1e4
    mean, covariance = moments(Vectors.of(far), lambda rows: rows)
    np.testing.assert_allclose(mean, far.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(far.T, bias=True), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("whitten", "did you mean whiten"),
        ("pca", "for example pca:64"),
        ("pca:0", "for example"),
        ("whiten:3", "for example whiten"),
        ("pca:9", "span 6 directions"),
        ("target-subspace:7", "span 6 directions"),
        (":", "unknown transform"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        mapped(text)


def test_select_in_the_subspace_of_the_targets(tmp_path: Path) -> None:
    """Given vectors: as a selection of vectors that were mapped beforehand. Texts: it runs, and a page tells."""
    options: dict[str, Any] = {"size": 20, "bandwidth": 0.2, "method": "kde"}
    direct = tsds.select(POOL, TARGETS, transform="target-subspace:2,normalize", **options)
    pool, targets = mapped("target-subspace:2,normalize")
    assert (direct.indices == tsds.select(pool, targets, **options).indices).all()
    chosen = tsds.select(texts(200), texts(20, seed=1)[::4], size=10, encoder="hash:32", transform="whiten,pca:8")
    assert len(chosen) == 10 and chosen.inputs.candidates.vectors.dim == 8
    assert "whiten,pca:8" in chosen.inputs.encoder
