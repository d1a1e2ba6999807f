"""From a plan to a selection by shares: every target keeps its share, mass gathers, near-duplicates count once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsds.shares import Edges, Massed, choose, fair_shares, group_mass
from tsds.transport.balanced import balanced_plan


def _massed(
    seed: int, m: int = 12, n: int = 60, size: int = 18, s: float = 6, light: int = 0
) -> tuple[Massed, Edges, int]:
    """The last `light` targets are a task of its own, with a quarter of the mass and half of the candidates."""
    rng = np.random.default_rng(seed)
    task = (np.arange(m) >= m - light).astype(np.int64)
    d = rng.random((m, n)) + 0.5 + 9.0 * (light > 0) * (task[:, None] != (np.arange(n) >= n // 2))
    order = np.argsort(d, axis=1)
    d = np.take_along_axis(d, order, 1)
    mu = rng.random(m) + 0.2
    if light:
        mu *= np.array([0.75, 0.25])[task] / np.bincount(task, weights=mu)[task]
    plan = balanced_plan(d, None, order, size, neighbors=s, target_weights=mu, complete=True)
    i, k = np.nonzero(plan.mass)
    rows, at = np.unique(order[i, k], return_inverse=True)
    edges = Edges(i, at, plan.mass[i, k], d[i, k])
    p = np.bincount(at, weights=edges.mass)
    near = np.full(len(rows), np.inf)
    np.minimum.at(near, at, edges.distance)
    own = np.arange(len(rows))
    mu = mu / mu.sum()
    return Massed(rows, p / p.sum(), own, np.zeros(len(rows), np.int64), near, edges, mu, task=task), edges, size


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_mass_gathers_within_the_room_of_one_example(seed: int) -> None:
    found, edges, size = _massed(seed)
    gathered = fair_shares(found, edges, found.probability, size)[0]
    assert gathered.sum() == pytest.approx(1, abs=1e-6) and gathered.max() <= 1 / size + 1e-7
    assert (gathered > 1e-9).sum() <= size + len(found.mu)  # a vertex: nearly whole
    before = np.square(found.probability).sum()
    assert np.square(gathered).sum() > before
    counts = choose("shares", found, size, np.random.default_rng(0))
    assert counts.sum() == size and counts.max() == 1
    assert gathered[counts > 0].sum() >= np.sort(gathered)[::-1][:size].sum() - 1e-6


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), repeats=st.sampled_from([1.5, 2.0, 3.0]))
def test_where_fewer_fill_the_selection_they_count_as_often_as_they_may(seed: int, repeats: float) -> None:
    found, _, size = _massed(seed)
    fewer = replace(found, capacity=size / repeats)
    counts = choose("shares", fewer, size, np.random.default_rng(0))
    assert counts.sum() == size and counts.max() <= np.ceil(repeats)
    assert np.count_nonzero(counts) < size
    assert choose("top", fewer, size, np.random.default_rng(0)).max() == 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), repeats=st.sampled_from([1.0, 1.5, 3.0]))
def test_a_task_of_many_light_targets_gets_its_number_of_examples(seed: int, repeats: float) -> None:
    found, _, size = _massed(seed, m=24, light=20)
    counts = choose("shares", replace(found, capacity=size / repeats), size, np.random.default_rng(0))
    assert counts.sum() == size and abs(counts[found.rows >= 30].sum() - size / 4) < 1


def test_near_duplicates_are_chosen_once() -> None:
    found, edges, size = _massed(1)
    leader = found.leader.copy()
    leader[1:8] = 0  # seven stand behind the first
    grouped = Massed(found.rows, found.probability, leader, found.target, found.distance, edges, found.mu)
    for sampling in ("shares", "top"):
        counts = choose(sampling, grouped, size, np.random.default_rng(0))  # type: ignore[arg-type]
        assert counts.sum() == size and counts[1:8].sum() == 0
    mass, own = group_mass(grouped)
    assert mass[0] == pytest.approx(found.probability[:8].sum()) and len(own) == len(leader) - 7


def test_too_few_distinct_candidates_are_filled_up_with_near_duplicates() -> None:
    found, edges, _ = _massed(2)
    leader = np.zeros(len(found.rows), np.int64)
    alike = Massed(found.rows, found.probability, leader, found.target, found.distance, edges, found.mu)
    counts = choose("shares", alike, 10, np.random.default_rng(0))
    assert counts[0] == 1 and counts.sum() == 10
