"""Targets that are much alike share their weight."""

from __future__ import annotations

from typing import Any

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
    with pytest.raises(tsds.InputError, match=r"^task b has no weight \(--task-weights a=2,b=1\)$"):
        tsds.select(POOL, tasks, size=60, task_weights={"a": 2})
    with pytest.raises(tsds.InputError, match=r"target.weights"):
        tsds.select(POOL, TARGETS, size=5, target_weights="dense")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 3, 12])
@pytest.mark.parametrize(
    "asked", [{"method": "auto"}, {"method": "auto-repeats"}, {"method": "kde", "neighbors": 5}], ids=str
)
def test_a_task_without_weight_changes_nothing(asked: dict[str, Any], count: int) -> None:
    """However few targets have weight: those held out are of them."""
    tasks = {"mine": clustered(count, 24, seed=1), "others": clustered(30, 24, seed=2)}
    both = tsds.select(
        POOL, tasks, size=min(60, 4 * count), bandwidth=0.1, task_weights={"mine": 1, "others": 0}, **asked
    )
    alone = tsds.select(POOL, tasks["mine"], size=min(60, 4 * count), bandwidth=0.1, **asked)
    assert (both.indices == alone.indices).all()
    costs = [[trial.cost for trial in found.answer.trials] for found in (both, alone)]
    assert costs[0] == pytest.approx(costs[1]) and bool(costs[0]) == (count >= 10 and asked["method"] != "kde")
