"""Targets that are much alike share their weight."""

from __future__ import annotations

import numpy as np
import pytest

import tsds
from tests.search.data import clustered
from tsds.target_weights import densities

POOL, TARGETS = clustered(1500, 24), clustered(30, 24, seed=9)


def test_densities_are_brute_force_sums() -> None:
    x = np.random.default_rng(0).random((40, 3))
    d = np.linalg.norm(x[:, None] - x[None], axis=2)
    np.testing.assert_allclose(densities(x, 0.4, "l2"), np.maximum(0, 1 - (d / 0.4) ** 2).sum(axis=1), rtol=1e-9)
    assert densities(np.repeat(x[:2], 3, axis=0), 0, "l2").tolist() == [3] * 6


def test_a_target_said_ten_times_weighs_once() -> None:
    said_often = np.concatenate([TARGETS, np.repeat(TARGETS[:1], 9, axis=0)])
    plain = tsds.select(POOL, TARGETS, size=60, method="kde", neighbors=10)
    often = tsds.select(POOL, said_often, size=60, method="kde", neighbors=10)
    shared = tsds.select(POOL, said_often, size=60, method="kde", neighbors=10, target_weights="density")
    assert shared.inputs.targets.mu[[0, *range(30, 39)]].sum() == pytest.approx(1 / 30, rel=0.2)
    np.testing.assert_allclose(shared.weights, plain.weights, atol=0.01)
    assert np.abs(often.weights - plain.weights).max() > 0.01


def test_tasks_keep_their_shares() -> None:
    tasks = {"a": np.repeat(TARGETS[:2], 5, axis=0), "b": TARGETS[10:20]}
    found = tsds.select(POOL, tasks, size=60, target_weights="density", task_weights={"a": 1, "b": 3})
    assert found.inputs.targets.mu[:10].sum() == pytest.approx(0.25)
    with pytest.raises(tsds.InputError, match=r"target.weights"):
        tsds.select(POOL, TARGETS, size=5, target_weights="dense")  # type: ignore[arg-type]
