"""The balanced method and auto, end to end: hubs, near-duplicates, shares, held-out choice."""

from __future__ import annotations

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tsds
from tests.command.run import texts
from tests.search.data import clustered
from tests.truth import brute_force
from tsds import neighbors
from tsds.checkpoint import Checkpoint
from tsds.demo import pool_path, target_path
from tsds.embeddings.vectors import Vectors
from tsds.methods import Trial
from tsds.methods.auto import choose_repeats, choose_trial
from tsds.neighbors import NeighborSearch
from tsds.records import Pool
from tsds.report.data import facts_of
from tsds.selecting import run
from tsds.settings import Settings
from tsds.transport.between import transport_cost_between

POOL, TARGETS = clustered(3000, 32), clustered(60, 32, seed=9)


def test_no_candidate_is_worth_more_than_one_example() -> None:
    hub = np.concatenate([POOL, TARGETS.mean(axis=0, keepdims=True)])
    for method in ("balanced", "auto"):
        found = tsds.select(hub, TARGETS, size=80, method=method)
        assert found.answer.exact and found.answer.probability.max() * 80 <= 1 + 1e-6
        assert len(found.indices) == 80
    uniform = tsds.select(hub, TARGETS, size=80, method="uniform", neighbors=3)
    assert uniform.answer.probability.max() * 80 > 1.5  # what the published regularizer lets happen


def test_capacity_lets_good_candidates_count_more_than_once() -> None:
    found = tsds.select(POOL, TARGETS, size=80, method="balanced", neighbors=2, capacity=20)
    assert 1 / 80 < found.answer.probability.max() <= 1 / 20 + 1e-9
    assert found.counts.sum() == 80 and 1 < found.counts.max() <= 4 and len(found.indices) < 60
    assert tsds.select(POOL, TARGETS, size=80, capacity=20).settings.method == "balanced"
    both = tsds.select(POOL, TARGETS, size=80, neighbors=2, capacity=20)
    np.testing.assert_array_equal(both.indices, found.indices)
    with pytest.raises(tsds.InputError, match="--capacity means nothing to method kde"):
        tsds.select(POOL, TARGETS, size=80, method="kde", capacity=20)
    found = tsds.select(texts(300), texts(30, seed=1), size="5000-tokens", capacity=3)
    tokens = found.inputs.candidates.census.tokens[found.answer.rows] @ found.drawn.counts
    assert 4900 < tokens <= 5000 and found.counts.max() > 4 and not found.drawn.short


@pytest.mark.parametrize("method", ["auto", "kde", "round-robin"])
def test_a_size_in_tokens_is_filled_where_what_serves_is_shorter_than_the_pool(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is solved for as many examples as fill it, and a run that goes on knows for how many that was."""
    monkeypatch.setattr("tsds.stages.LEAST_ROWS", 1)
    near = np.isin(np.arange(len(POOL)), np.argsort(brute_force.distances(TARGETS, POOL, "l2").min(axis=0))[:900])
    long = 400
    pool = [{"text": f"{i}", "n": 10 if near[i] else long} for i in range(len(POOL))]
    targets = [{"text": f"target {i}"} for i in range(len(TARGETS))]
    settings = Settings(size="6000-tokens", method=method, tokens_field="n", embeddings=POOL, target_embeddings=TARGETS)
    found = run(pool, targets, settings, checkpoint=Checkpoint(tmp_path))
    tokens = found.inputs.candidates.census.tokens[found.answer.rows]
    assert 6000 - long < tokens @ found.drawn.counts <= 6000 and not found.drawn.short
    assert found.size > 21 and (tokens @ found.drawn.counts) / len(found) < 30  # of mostly those that serve
    again = run(pool, targets, settings, checkpoint=Checkpoint(tmp_path))
    assert (again.size, again.indices.tolist()) == (found.size, found.indices.tolist())
    few = run(pool, targets, replace(settings, method="kde", neighbors=1))
    assert few.drawn.short and "tokens asked for" in few.warnings[0][0]


def test_a_group_of_near_duplicates_has_the_room_of_one() -> None:
    rng = np.random.default_rng(0)
    near = TARGETS[:1] + 0.05 * rng.standard_normal((1, 32)).astype(np.float32)
    copies = near + 1e-3 * rng.standard_normal((200, 32)).astype(np.float32)
    pool = np.concatenate([POOL, copies])
    found = tsds.select(pool, TARGETS, size=80, method="balanced", bandwidth=0.1)
    mine = found.rows >= len(POOL)
    assert found.answer.probability[mine].sum() * 80 <= 1.1
    assert (found.indices >= len(POOL)).sum() == 1  # one of them, not none and not all
    top = tsds.select(pool, TARGETS, size=80, method="balanced", bandwidth=0.1, sampling="top")
    assert (top.indices >= len(POOL)).sum() <= 1


def test_auto_is_at_least_as_near_to_new_targets_as_taking_turns() -> None:
    task = clustered(360, 32, seed=9)  # one draw, so that old and new targets are of the same clusters

    def cost(method: str) -> float:
        rows = tsds.select(POOL, task[::6], size=80, method=method).indices
        return transport_cost_between(brute_force.distances(np.delete(task, np.s_[::6], axis=0), POOL[rows], "l2"))

    assert cost("auto") < cost("round-robin")
    assert cost("auto") < cost("kde")


def test_auto_says_what_it_tried() -> None:
    found = tsds.select(POOL, TARGETS, size=80)
    trials = found.answer.trials
    assert len(trials) == 6 and all(trial.capacity is None for trial in trials)
    assert sum(trial.chosen for trial in trials) == 1
    taken = next(trial for trial in trials if trial.chosen)
    assert found.answer.neighbors == taken.neighbors and found.drawn.sampling == taken.sampling
    asked = tsds.select(POOL, TARGETS, size=80, sampling="systematic")
    assert {trial.sampling for trial in asked.answer.trials} == {"systematic"}
    twice = tsds.select(POOL, TARGETS.repeat(2, axis=0), size=80)  # none is held out that was seen
    assert [t.chosen for t in twice.answer.trials] == [t.chosen for t in trials]
    np.testing.assert_allclose([t.cost for t in twice.answer.trials], [t.cost for t in trials], rtol=1e-3)
    few = tsds.select(POOL, TARGETS[:5].repeat(3, axis=0), size=80)
    assert not few.answer.trials and "too few" in few.answer.why


def test_auto_makes_one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a few targets need long lists; those that lie close together make them grow, for all folds at once."""
    made: list[int] = []
    searched = NeighborSearch._search

    def counted(search: NeighborSearch, k: int) -> None:
        made.append(len(search.targets))
        searched(search, k)

    monkeypatch.setattr(NeighborSearch, "_search", counted)
    pool = clustered(2000, 16)
    for targets, size in ((TARGETS[:12, :16], 40), (TARGETS[:10, :16], 1000)):
        tsds.select(pool, targets, size=size, method="auto", bandwidth=0.1)
        assert made == [len(targets)]
        made.clear()
    monkeypatch.setattr(neighbors, "_ROOMY", 16)
    search = NeighborSearch(Vectors.of(pool), TARGETS[:40, :16], largest_norm=10.0)
    parts = [search.only(np.flatnonzero(np.arange(40) % 5 != fold)) for fold in range(5)]
    with ThreadPoolExecutor(5) as threads:
        lists = list(threads.map(lambda part: part.fetch(300)[0], parts))
    assert made == [40] and search.passes == 1
    for fold, found in enumerate(lists):
        np.testing.assert_array_equal(found, search.fetch(300)[0][np.arange(40) % 5 != fold])
    search.only(np.arange(3)).fetch(700)  # few of many: not worth a search for all
    assert made == [40, 3]


def test_the_rule_takes_the_default_unless_another_is_clearly_better() -> None:
    settings = [(1.0, "shares"), (3.0, "shares"), (9.0, "shares")]
    noisy = np.array([[1.0, 1.01, 1.3], [1.2, 1.18, 1.5], [0.9, 0.92, 1.0], [1.1, 1.1, 1.4]])
    assert [t.chosen for t in choose_trial(settings, noisy, 3.0)] == [False, True, False]  # type: ignore[arg-type]
    clear = noisy + np.array([0.0, 0.5, 0.0])
    assert [t.chosen for t in choose_trial(settings, clear, 3.0)] == [True, False, False]  # type: ignore[arg-type]
    no_room = noisy + np.array([[0.0, np.inf, 0.0], *[[0.0] * 3] * 3])
    trials = choose_trial(settings, no_room, 3.0)  # type: ignore[arg-type]
    assert [t.chosen for t in trials] == [True, False, False] and trials[1].cost == trials[1].error == np.inf
    nowhere = choose_trial(settings, no_room[:, [1, 1, 1]], 3.0)  # type: ignore[arg-type]
    assert [t.chosen for t in nowhere] == [False, True, False]


def test_repeats_are_taken_while_each_is_clearly_better() -> None:
    one = [Trial(3.0, "top", 1.0, 0.0, True), Trial(9.0, "shares", 1.1, 0.1, False)]
    costs = np.array([0.9, 1.0, 1.1])

    def chosen(gains: dict[int, float], noise: float = 0.0) -> list[tuple[float | None, bool]]:
        wobble = noise * np.array([-1.0, 0.0, 1.0])
        found = choose_repeats(one, costs, lambda repeats: costs - gains[repeats] + wobble, 80)
        return [(trial.capacity, trial.chosen) for trial in found]

    assert chosen({2: 0.005}) == [(None, True), (None, False), (40.0, False)]  # under one percent
    assert chosen({2: 0.05, 4: 0.055}) == [(None, False), (None, False), (40.0, True), (20.0, False)]
    four = [(None, False), (None, False), (40.0, False)]
    assert chosen({2: 0.05, 4: 0.1, 8: 0.105}) == [*four, (20.0, True), (10.0, False)]
    assert chosen({2: 0.05, 4: 0.1, 8: 0.2}) == [*four, (20.0, False), (10.0, True)]
    assert chosen({2: 0.05}, noise=0.2) == [(None, True), (None, False), (40.0, False)]  # within the error


def test_where_few_candidates_serve_they_are_repeated_only_if_that_is_asked_for() -> None:
    """Fifteen candidates near the targets and the rest far away, forty wanted."""
    rng = np.random.default_rng(5)
    here = rng.standard_normal(32) * 3
    near = (here + rng.standard_normal((15, 32))).astype(np.float32)
    targets = (here + rng.standard_normal((50, 32))).astype(np.float32)
    pool = np.concatenate([near, POOL])
    found = tsds.select(pool, targets, size=40, method="auto-repeats")
    assert found.counts.sum() == 40 and found.indices.max() < len(near) and 2 <= found.counts.max() <= 8
    assert "up to" in found.answer.why and found.answer.capacity in (20.0, 10.0, 5.0)
    told = tsds.select(pool, targets, size=40, method="auto-repeats", sampling="shares")
    plain = tsds.select(pool, targets, size=40)
    for distinct in (told, plain):
        assert len(distinct.indices) == 40 and all(trial.capacity is None for trial in distinct.answer.trials)
    with pytest.raises(tsds.InputError, match=r"auto-repeats finds --capacity itself \(leave out --capacity\)"):
        tsds.select(pool, targets, size=40, method="auto-repeats", capacity=20)


def test_shares_serve_a_small_part_of_the_task_too() -> None:
    """Eight of ten targets in one cluster: the two others keep their fifth of the selection."""
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 32)).astype(np.float32) * 2
    pool = np.concatenate([a + rng.standard_normal((1500, 32)), b + rng.standard_normal((1500, 32))]).astype(np.float32)
    targets = np.concatenate([a + rng.standard_normal((80, 32)), b + rng.standard_normal((20, 32))]).astype(np.float32)
    for method in ("auto", "balanced"):
        rows = tsds.select(pool, targets, size=100, method=method).indices
        assert (rows >= 1500).sum() == pytest.approx(20, abs=2)


@pytest.mark.parametrize("apart", [1.0, 0.5])
def test_every_task_keeps_its_share(apart: float) -> None:
    """A light task beside a heavy one: alone with its candidates, and where they share most of them."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 32)) * apart
    pool = (np.repeat([a, b], 1000, axis=0) + rng.standard_normal((2000, 32))).astype(np.float32)
    heavy, light = ((at + rng.standard_normal((40, 32))).astype(np.float32) for at in (a, b))
    for method in ("auto", "balanced"):
        found = tsds.select(pool, {"a": heavy, "b": light}, task_weights={"a": 3, "b": 1}, size=120, method=method)
        assert {trial.sampling for trial in found.answer.trials} <= {"shares"}
        edges = found.answer.edges
        assert edges is not None
        mass = np.bincount(edges.candidate, weights=edges.mass * (edges.target >= 40)) / found.answer.probability
        assert mass[found.drawn.counts > 0].sum() == pytest.approx(30, abs=3)
        assert not any("task" in what for what, _ in found.warnings)
        if apart == 1.0:
            chosen = [one["chosen"] for one in facts_of(found)["tasks"]]
            assert chosen == [pytest.approx(90, abs=1), pytest.approx(30, abs=1)]
    for method in ("kde", "topk") if apart == 0.5 else ():  # these know no shares
        asked = {"a": heavy, "b": light}
        found = tsds.select(pool, asked, task_weights={"a": 3, "b": 1}, size=120, method=method, sampling="top")
        assert re.match(r"task b gets \d+ of the 120 chosen records, by its weight 30$", found.warnings[0][0])
        assert "--method auto" in str(found.warnings[0][1])
    for count, said in ((1, "1 target is too few"), (3, "3 targets are too few")):
        few = tsds.select(pool, heavy[:count], size=20)
        assert said in few.answer.why and "at its defaults" in facts_of(few)["method_line"]
    alone = tsds.select(pool, heavy, size=120)
    line = facts_of(alone)["method_line"]
    assert "held-out targets best" in line and f"(sampling {alone.drawn.sampling})" in line
    assert {trial.sampling for trial in alone.answer.trials} == {"shares", "top"}


def test_a_cut_to_tokens_takes_as_much_of_every_task() -> None:
    """Most records are short, so that more examples are drawn than the tokens hold."""
    pool = [*texts(400, topics=2), *(f"other {i}" for i in range(800))]
    known = texts(40, seed=1, topics=2)
    found = tsds.select(pool, {"a": known[::2], "b": known[1::2]}, task_weights={"a": 3, "b": 1}, size="700-tokens")
    heavy, light = (one["chosen"] for one in facts_of(found)["tasks"])
    assert len(found) < found.size and light / (heavy + light) == pytest.approx(0.25, abs=0.05)


def test_a_pool_of_few_distinct_records_gives_the_size_all_the_same() -> None:
    """Near-duplicates fill up what distinct candidates can't, and it is said."""
    rng = np.random.default_rng(0)
    pool = np.concatenate([POOL[:20], POOL[:1] + 1e-4 * rng.standard_normal((200, 32))]).astype(np.float32)
    for method in ("balanced", "auto"):
        found = tsds.select(pool, TARGETS, size=150, method=method, bandwidth=0.1)
        assert len(found.indices) == 150 and set(range(1, 20)) <= set(found.indices.tolist())
        assert found.answer.capped and "candidates" in found.answer.why
        assert any("capped" in what for what, _ in found.warnings)


def test_the_path_of_auto_is_that_of_the_whole_pool_as_far_as_it_goes() -> None:
    """Some candidates were weighed by trials on parts of the targets alone: their weights count on the path too."""
    pool, target = (_texts(path, count) for path, count in ((pool_path(), 300), (target_path(), 25)))
    chosen = tsds.select(pool, target, size=30)
    assert chosen.path.longest > 30
    for s in (2.0, 10.03, 11.0, 13.2, 30.4):
        point, alone = chosen.path.at(neighbors=s), tsds.select(pool, target, size=30, method="kde", neighbors=s)
        assert point.effective_size == pytest.approx(alone.effective_size, rel=1e-9)
        assert point.support == len(alone.rows)


def _texts(path: Path, count: int) -> list[str]:
    return list(itertools.islice((text for batch in Pool.open(path).batches() for text in batch.texts), count))
