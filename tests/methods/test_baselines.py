"""Baselines against what their sources say, computed by hand or by brute force."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tsds
from tests.command.run import texts
from tests.search.data import clustered
from tests.truth import brute_force
from tsds import strength
from tsds.arrays import Array
from tsds.embeddings.encoders.ngrams import blocks, count_ngrams
from tsds.errors import InputError
from tsds.methods import METHODS
from tsds.methods.baselines import dsir, mmd
from tsds.methods.baselines.dsir import log_importance, totals
from tsds.settings import STRENGTHS

POOL, TARGETS = clustered(1500, 24), clustered(12, 24, seed=9)
D = brute_force.distances(TARGETS, POOL, "l2")


def chosen(method: str, size: int = 60, **settings: object) -> list[int]:
    return tsds.select(POOL, TARGETS, size=size, method=method, **settings).indices.tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("dsir", "random-stratified")])
def test_every_method_gives_the_size_asked_for_and_the_same_again(method: str) -> None:
    first = tsds.select(POOL, TARGETS, size=60, method=method, seed=3)
    assert len(first) == 60
    if first.drawn.sampling != "multinomial":
        assert len(first.indices) == 60
    again = tsds.select(POOL, TARGETS, size=60, method=method, seed=3)
    assert first.indices.tobytes() == again.indices.tobytes()
    assert first.answer.probability.sum() == pytest.approx(1)


def test_nearest_and_topk_are_brute_force() -> None:
    assert chosen("nearest") == np.sort(np.argsort(D.min(axis=0), kind="stable")[:60]).tolist()
    assert chosen("topk") == np.sort(np.argsort(np.square(D).mean(axis=0), kind="stable")[:60]).tolist()
    mean = _unit(POOL) @ _unit(TARGETS).mean(axis=0)
    similar = np.sort(np.argsort(-mean, kind="stable")[:60]).tolist()
    assert chosen("topk") == chosen("topk", metric="cosine") == similar  # the vectors are of unit norm
    moved = tsds.select(POOL + np.float32(30), TARGETS + np.float32(30), size=60, method="topk")
    assert len(np.intersect1d(moved.indices, chosen("topk"))) >= 59  # but for the rounding of what is moved


def _unit(x: NDArray[np.float32]) -> Array:
    return np.asarray(x / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True))


def test_lists_of_the_nearest_that_would_fill_the_memory_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, targets = np.pad(POOL, ((0, 0), (0, 1))), np.eye(25, dtype=np.float32)[-1:]  # equally far from all
    monkeypatch.setattr(strength, "LARGEST_LISTS", 500)
    with pytest.raises(InputError, match="the nearest 60 would need lists of 960 neighbours for each of 1 targets"):
        tsds.select(pool, targets, size=60, method="nearest")


def test_round_robin_is_turns() -> None:
    taken: list[int] = []
    lists = [list(np.argsort(row, kind="stable")) for row in D]
    while len(taken) < 61:
        for line in lists:
            taken.append(next(j for j in line if j not in taken))
    assert chosen("round-robin", 61) == sorted(taken[:61])


@pytest.mark.parametrize("method", ["nearest", "topk", "round-robin", "semdedup+round-robin"])
def test_a_size_in_tokens_is_cut_in_the_order_of_the_choice(method: str) -> None:
    """The chosen are longer than most of the pool, so that more are chosen at first than the tokens hold."""
    long = np.isin(np.arange(len(POOL)), chosen(method, 300))
    records = [{"text": f"{i}", "n": 150 if long[i] else 8} for i in range(len(POOL))]
    targets = [{"text": f"target {i}"} for i in range(len(TARGETS))]
    found = tsds.select(
        records, targets, size="6000-tokens", method=method, tokens_field="n", embeddings=POOL,
        target_embeddings=TARGETS,
    )  # fmt: skip
    assert found.size > 40 and found.indices.tolist() == chosen(method, 40)


@pytest.mark.parametrize("method", ["random", "random-length"])
def test_what_is_drawn_at_random_is_cut_at_random(method: str) -> None:
    answer = tsds.select([f"{i} " + "word " * (i // 10) for i in range(1000)], texts(9), size=900, method=method).answer
    assert answer.turn is not None and sorted(answer.turn.tolist()) == list(range(900))
    assert abs(np.corrcoef(answer.turn, answer.rows)[0, 1]) < 0.2


@pytest.mark.parametrize("method", ["round-robin", "semdedup+round-robin", "topk", "random", "mmd", "nearest"])
def test_a_target_equally_far_from_all_takes_its_turns_too(method: str) -> None:
    """Float32 can't tell its nearest apart, so that its list is empty until it holds the whole pool."""
    pool, targets = (np.pad(x, ((0, 0), (0, 1))) for x in (POOL, TARGETS))
    targets[5] = np.eye(25)[-1]
    d = brute_force.distances(targets, pool, "l2")
    found = tsds.select(pool, targets, size=61, method=method, bandwidth=1e-3 if method.startswith("semdedup") else 0)
    np.testing.assert_allclose(found.answer.nearest, d.min(axis=1), rtol=1e-12)
    if "round-robin" in method:
        taken: list[int] = []
        lists = [list(np.argsort(row, kind="stable")) for row in d]
        while len(taken) < 61:
            for line in lists:
                taken.append(next(j for j in line if j not in taken))
        assert found.indices.tolist() == sorted(taken[:61])


@pytest.mark.parametrize("method", ["round-robin", "semdedup+round-robin", "nearest", "mmd", "topk", "dsir"])
def test_targets_of_weight_zero_have_no_say(method: str) -> None:
    """Neither in what is chosen nor in what is said of it."""
    pool, a, b = texts(300, topics=4), texts(12, seed=1, topics=4), texts(12, seed=2, topics=4)
    asked: dict[str, Any] = {"size": 20, "method": method, "bandwidth": 0.1 if "semdedup" in method else 0}
    with_b = tsds.select(pool, {"a": a, "b": b}, task_weights={"a": 1, "b": 0}, **asked)
    alone = tsds.select(pool, a, **asked)
    assert with_b.indices.tolist() == alone.indices.tolist()
    assert with_b.answer.target.tolist() == alone.answer.target.tolist()
    assert with_b.answer.cost == pytest.approx(alone.answer.cost)


def test_mmd_says_so_where_a_target_has_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, targets = (np.pad(x, ((0, 0), (0, 1))) for x in (POOL, TARGETS))
    targets[5] = np.eye(25)[-1]
    monkeypatch.setattr(mmd, "LARGEST", 2000)
    with pytest.raises(
        tsds.InputError, match="1 of 12 targets have more than 128 candidates that are all equally near"
    ):
        tsds.select(pool, targets, size=61, method="mmd")


def test_semdedup_takes_no_near_duplicates() -> None:
    rng = np.random.default_rng(0)
    copies = POOL[:30].repeat(10, axis=0) + 1e-3 * rng.standard_normal((300, 24)).astype(np.float32)
    pool = np.concatenate([POOL, copies])
    found = tsds.select(pool, POOL[:30], size=60, method="semdedup+round-robin", bandwidth=0.1)
    x = pool[found.indices].astype(np.float64)
    between = np.linalg.norm(x[:, None] - x[None], axis=2) + np.eye(60)
    assert between.min() >= 0.1
    plain = tsds.select(pool, POOL[:30], size=60, method="round-robin")
    x = pool[plain.indices].astype(np.float64)
    assert (np.linalg.norm(x[:, None] - x[None], axis=2) + np.eye(60)).min() < 0.1


def test_mmd_lowers_the_discrepancy_below_what_similarity_alone_does() -> None:
    def discrepancy(rows: list[int]) -> float:
        squares = np.square(D)
        width = np.median(np.square(brute_force.distances(TARGETS, TARGETS, "l2"))[~np.eye(12, dtype=bool)])
        among = np.square(brute_force.distances(POOL[rows], POOL[rows], "l2"))
        return float(np.exp(-among / width).mean() - 2 * np.exp(-squares[:, rows] / width).mean())

    assert discrepancy(chosen("mmd")) < discrepancy(chosen("topk"))
    assert discrepancy(chosen("mmd")) < discrepancy(chosen("nearest"))


def test_random_length_has_the_lengths_of_the_targets() -> None:
    pool = [f"{i} " + "word " * (i % 100) for i in range(2000)]
    found = tsds.select(pool, ["word " * 20 + "x", "word " * 20 + "y", "word " * 60], size=90, method="random-length")
    lengths = Counter(len(pool[i].split()) // 10 for i in found.indices)
    assert lengths[2] == pytest.approx(60, abs=8) and lengths[6] == pytest.approx(30, abs=8)
    assert len(found) == len(np.unique(found.indices)) == 90


def test_random_stratified_gives_sources_equal_shares_as_far_as_they_reach() -> None:
    records = [{"text": t, "source": "abbb"[i % 4] if i else "tiny"} for i, t in enumerate(texts(400))]
    found = tsds.select(records, ["alpha beta"], size=61, method="random-stratified")
    counts = Counter(records[i]["source"] for i in found.indices)
    assert counts == {"tiny": 1, "a": 30, "b": 30}
    with pytest.raises(tsds.InputError, match="group-field"):
        tsds.select(texts(50), ["alpha"], size=5, method="random-stratified")


def test_dsir_weights_are_those_of_the_published_description() -> None:
    """Two texts, by hand: the log weight is the sum over words and pairs of count x log(p_target / p_pool)."""
    pool, target = ["red red blue", "green blue"], ["red blue"]

    def grams(text: str) -> Counter[str]:
        words = text.split()
        return Counter(words + [a + " " + b for a, b in itertools.pairwise(words)])

    of_target, of_pool = grams(target[0]), grams(pool[0]) + grams(pool[1])
    p = {g: of_target[g] / of_target.total() + 1e-8 for g in of_pool}
    q = {g: n / of_pool.total() + 1e-8 for g, n in of_pool.items()}
    by_hand = [sum(n * np.log(p[g] / q[g]) for g, n in grams(text).items()) for text in pool]
    counted = [count_ngrams(block, 13) for block in blocks([pool], 512)]
    wanted = totals(count_ngrams(block, 13) for block in blocks([target], 512))
    np.testing.assert_allclose(log_importance(counted, wanted, totals(counted)), by_hand, rtol=1e-9)


def test_dsir_draws_in_proportion_to_the_weights_and_needs_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = texts(200, topics=4)
    found = tsds.select(pool, pool[0:40:4], size=20, method="dsir", copies="keep")
    assert np.mean(found.indices % 4 == 0) > 0.7
    monkeypatch.setattr(dsir, "_BLOCK", 16)
    for kept in (0, 3000, 1 << 30):  # counted anew, a part of it, or none
        monkeypatch.setattr(dsir, "_KEPT_BYTES", kept)
        again = tsds.select(pool, pool[0:40:4], size=20, method="dsir", copies="keep")
        np.testing.assert_array_equal(again.indices, found.indices)
    monkeypatch.setattr(dsir, "_KEPT_BYTES", 3000)
    counts = dsir._PoolCounts(_Given(pool))
    assert 0 < len(counts._kept) < len(list(counts)) == 13
    with pytest.raises(tsds.InputError, match="reads texts"):
        tsds.select(POOL, TARGETS, size=5, method="dsir")


class _Given:
    def __init__(self, texts: list[str]) -> None:
        self._texts = texts

    def pool(self) -> Iterator[list[str]]:
        return iter([self._texts])

    def targets(self) -> list[str]:
        return []


def test_published_settings_are_part_of_the_method() -> None:
    found = tsds.select(POOL, TARGETS, size=60, method="kde-published")
    assert found.settings.alpha == 0.6 and found.bandwidth is not None and found.bandwidth.value == 0.1
    with pytest.raises(tsds.InputError, match="leave out --bandwidth"):
        tsds.select(POOL, TARGETS, size=60, method="kde-published", bandwidth=0.3)
    for name in STRENGTHS:
        asked: dict[str, Any] = {name: 0.5}
        with pytest.raises(tsds.InputError, match=f"--{name.replace('_', '-')} means nothing to method random"):
            tsds.select(POOL, TARGETS, size=60, method="random", **asked)
    with pytest.raises(tsds.InputError, match="--bandwidth means nothing to method uniform"):
        tsds.select(POOL, TARGETS, size=60, method="uniform", bandwidth=0.3)
    tsds.select(POOL, TARGETS, size=60, method="uniform", bandwidth=0.3, target_weights="density")
