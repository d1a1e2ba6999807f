"""`tsds.select` from Python: every form of input, what comes back, and that it is reproducible."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import tsds
from tests.command.run import texts, write_jsonl
from tests.embeddings import slow
from tests.search.data import clustered
from tsds.demo import pool_path, target_path
from tsds.errors import InputError, RunError
from tsds.memory import block_bytes
from tsds.records import Pool

POOL = texts(300)
TARGET = texts(20, seed=1)[::4]


def test_texts_dicts_files_and_datasets_select_alike(tmp_path: Path) -> None:
    import datasets

    records = [{"text": t, "kind": i % 3} for i, t in enumerate(POOL)]
    pools = [POOL, records, datasets.Dataset.from_list(records), write_jsonl(tmp_path / "p.jsonl", records)]
    results = [tsds.select(pool, TARGET, size=25) for pool in pools]
    for other in results[1:]:
        assert other.indices.tobytes() == results[0].indices.tobytes()
        assert other.probabilities.tobytes() == results[0].probabilities.tobytes()
    assert list(results[0].records()) == [POOL[i] for i in results[0].indices]
    for chosen in results[1:]:
        assert list(chosen.records()) == [records[i] for i in results[0].indices]
    dataset = results[2].to_dataset()
    assert isinstance(dataset, datasets.Dataset) and dataset.features == pools[2].features
    assert dataset["text"][:] == [POOL[i] for i in results[0].indices]
    assert results[0].to_dataset().column_names == ["text"]


def test_the_splits_of_a_dataset_are_no_tasks() -> None:
    import datasets

    splits = datasets.DatasetDict({name: datasets.Dataset.from_dict({"text": TARGET}) for name in ("train", "test")})
    for pool, target in ((POOL, splits), (splits, TARGET), (POOL, {"a": splits})):
        with pytest.raises(InputError, match=r"a datasets\.DatasetDict can't be read \(choose one split of it\)"):
            tsds.select(pool, target, size=1)


ONE = r"one example\? put it in a list: \[\.\.\.\]\)$"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            "how many apples does John have?",
            rf"^how many apples does John have\?: the glob matches no file \(try it with ls; {ONE}",
        ),
        ("two\nlines " + "of much " * 999, rf"^two lines of much .{{,50}}\.\.\.: .*{ONE}"),
        (
            {"id": "g-0", "messages": []},
            r"^g-0: no such file or folder, for the task 'id' \(check the path; one example",
        ),
        ({"text": "how many?"}, rf"^how many\?: the glob matches no file, for the task 'text' \(try it with ls; {ONE}"),
        ({"id": 7, "text": "how many?"}, rf"^the field 'id' of the target is no task: it holds no examples \({ONE}"),
        ({"messages": [{"role": "user", "content": "x"}]}, rf"^the field 'messages' of the target is no task.*{ONE}"),
        ({"conversations": [{"from": "human", "value": "x"}]}, rf"^the field 'conversations' .*{ONE}"),
        ({"chosen": [{"role": "user", "content": "x"}], "rejected": []}, rf"^the field 'chosen' .*{ONE}"),
        ({"meta": {}}, rf"^the field 'meta' of the target is no task.*{ONE}"),
        ("~ is a tilde", r"^~ is a tilde: no such file or folder \(check the name after ~; one example"),
        ("none", r"^none: no such file or folder \(check the path\)$"),
        ({"math": "none.jsonl"}, r"^none\.jsonl: no such file or folder \(check the path\)$"),
    ],
    ids=lambda one: repr(one)[:30],
)
def test_one_example_that_is_in_no_list_is_told_to_be_put_in_one(target: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tsds.select(POOL, target, size=3)


def test_a_file_with_a_space_in_its_name_is_a_target(tmp_path: Path) -> None:
    target = tmp_path / "my task.txt"
    target.write_text("\n".join(TARGET))
    for given in (str(target), {"one": str(target)}, {"one": str(tmp_path / "my *.txt")}):
        assert tsds.select(POOL, given, size=3).inputs.targets.census["used"] == len(TARGET)


def test_a_dataset_has_the_columns_of_all_that_was_chosen(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = [{"text": "alpha 3"}, {"text": "alpha 33", "answer": "lost?", "meta": {"a": 1}}]
    whole = {"text": ["alpha 3", "alpha 33"], "answer": [None, "lost?"], "meta": [None, {"a": 1}]}
    for pool in (records, write_jsonl(tmp_path / "p.jsonl", records)):
        assert tsds.select(pool, ["alpha 3"], size=2).to_dataset()[:] == whole
    parts = {"a": {"text": ["alpha 3"], "k": pa.array([1], pa.int8())}, "b": {"text": ["alpha 33"], "z": ["u"]}}
    for name, columns in parts.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    dataset = tsds.select([tmp_path / "a.parquet", tmp_path / "b.parquet"], ["alpha 3"], size=2).to_dataset()
    assert dataset[:] == {"text": ["alpha 3", "alpha 33"], "k": [1, None], "z": [None, "u"]}
    assert dataset.features["k"].dtype == "int8"
    odd = tsds.select([{"text": "alpha 3", "id": 1}, {"text": "alpha 33", "id": "x"}], ["alpha 3"], size=2)
    with pytest.raises(InputError, match=r"can't be made a dataset: .*'x'"):
        odd.to_dataset()


def test_a_pool_that_has_changed_is_not_saved_by_row(tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "mv.jsonl", [{"text": text} for text in texts(20)])
    chosen = tsds.select(pool, ["alpha beta"], size=2)
    write_jsonl(pool, [{"text": "new"}, *({"text": text} for text in texts(20))])
    with pytest.raises(RunError, match=r"mv\.jsonl has changed since it was read"):
        chosen.save(tmp_path / "out")
    with pytest.raises(RunError, match="has changed"):
        list(chosen.records())
    assert [path.name for path in tmp_path.iterdir()] == ["mv.jsonl"]


def test_rows_stand_in_for_ids_that_repeat(tmp_path: Path) -> None:
    records = [{"text": text, "id": i % 4} for i, text in enumerate(texts(8))]
    with pytest.raises(InputError, match="the id 0 occurs twice"):
        tsds.select(records, ["alpha beta"], size=6)
    chosen = tsds.select(records, ["alpha beta"], size=6, id_field="none")
    chosen.save(tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "selection.parquet")
    assert table["id"].to_pylist() == table["row"].to_pylist() and table.num_rows >= 6


def test_standard_input_that_is_read_as_lines_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, table = "\n".join(texts(9)).encode(), b"id,text\n1,alpha beta\n"
    given: list[tuple[bytes, dict[str, Any], list[str]]] = [
        (table, {"target": "-"}, ["standard input (target)"]),
        (lines, {"pool": "-"}, ["standard input (pool)"]),
        (table, {"exclude": "-"}, ["standard input (exclude)"]),
        (b'{"text": "alpha beta"}', {"target": "-"}, []),
    ]
    for content, source, said in given:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        chosen = tsds.select(**{"pool": texts(9), "target": ["alpha"], "size": 2, **source})
        found = [what for what, _ in chosen.warnings if "was read as plain lines" in what]
        assert [what.partition(" was")[0] for what in found] == said


def test_arrays() -> None:
    pool, target = clustered(2000, 32), clustered(20, 32, seed=9)
    chosen = tsds.select(pool, target, size=50)
    assert len(chosen) == 50 and len(np.unique(chosen.indices)) == 50
    assert chosen.indices.dtype == np.int64 and (np.diff(chosen.indices) > 0).all()
    again = tsds.select(pool.tolist(), target.tolist(), size=50, bandwidth=chosen.bandwidth.value)  # type: ignore[union-attr]
    assert len(set(again.indices) & set(chosen.indices)) > 40  # the lists are float64
    with pytest.raises(tsds.InputError, match="has no records"):
        list(chosen.records())


def test_weights_serve_a_sampler_and_agree_with_the_table() -> None:
    chosen = tsds.select(POOL, TARGET, size=25)
    assert chosen.weights.shape == (300,) and chosen.weights.sum() == pytest.approx(1)
    np.testing.assert_array_equal(chosen.weights[chosen.indices], chosen.probabilities)
    assert np.count_nonzero(chosen.weights) == len(chosen.rows)


def test_a_format_that_is_none_is_said_before_the_place_is_touched(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'parqet' \(did you mean parquet\?"):
        tsds.select(POOL, TARGET, size=9).save(tmp_path / "a" / "b", format="parqet")
    x = np.random.default_rng(0).standard_normal((30, 6))
    with pytest.raises(InputError, match="embeddings can't be written as jsonl"):
        tsds.select(x, x[:3], size=3).save(tmp_path / "a" / "b", format="jsonl")
    assert not (tmp_path / "a").exists()


def test_the_path_answers_other_strengths_without_another_search() -> None:
    chosen = tsds.select(POOL, TARGET, size=25, method="kde")
    point = chosen.path.at(neighbors=chosen.answer.neighbors)
    assert point.support == len(chosen.rows)
    assert point.transport_cost == pytest.approx(chosen.answer.cost)
    with pytest.raises(tsds.InputError, match="no regularization path"):
        _ = tsds.select(POOL, TARGET, size=25, method="tv").path
    short = tsds.select(POOL, TARGET, size=5, alpha=1.0, scale=2.0).path
    for asked, said in (
        ({"neighbors": 20}, r"neighbors=20 lies beyond .* searched, .* \(select again with neighbors=20\)"),
        ({"alpha": 0.5}, r"alpha=0\.5 lies beyond .*\(select again with alpha=0\.5, scale=2\)"),
        ({"penalty": 2.0}, r"penalty=2 lies beyond .*\(select again with alpha=0\.5, scale=2\)"),
        ({"effective_size": 200}, r"effective_size=200 lies beyond .*\(select again with effective_size=200\)"),
        ({"alpha": 2.0}, "alpha=2 is no strength: alpha must be between 0 and 1"),
        ({"neighbors": -1}, "neighbors=-1 is no strength"),
        ({"alpha": 0.5, "neighbors": 2.0}, "give exactly one of"),
        ({}, "give exactly one of"),
    ):
        with pytest.raises(tsds.InputError, match=said):
            short.at(**asked)
    with pytest.raises(tsds.InputError, match="neighbors=99 lies beyond"):
        short.point(99)


@pytest.mark.parametrize("sampling", ["systematic", "top", "multinomial"])
def test_sizes_are_met_exactly(sampling: str) -> None:
    for size, count in ((1, 1), (25, 25), ("10%", 30), (0.1, 30), ("0.5%", 2), ("2e1".replace("2e1", "20"), 20)):
        chosen = tsds.select(POOL, TARGET, size=size, sampling=sampling)  # type: ignore[arg-type]
        assert len(chosen) == chosen.counts.sum() == count
        if sampling != "multinomial":
            assert (chosen.counts == 1).all()


@pytest.mark.parametrize("sampling", ["systematic", "top"])
def test_a_budget_in_tokens_is_filled_and_never_exceeded(sampling: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pool = [{"text": t, "n": int(rng.integers(5, 60))} for t in POOL]
    chosen = tsds.select(pool, TARGET, size="1k-tokens", tokens_field="n", sampling=sampling)  # type: ignore[arg-type]
    total = sum(pool[i]["n"] for i in chosen.indices)  # type: ignore[misc]
    assert 950 < total <= 1000
    chosen.save(tmp_path / "out")
    inclusion = pq.read_table(tmp_path / "out" / "selection.parquet")["inclusion"]
    assert inclusion.null_count == len(inclusion) > 0  # mended to the budget, no probability holds


@pytest.mark.parametrize("sampling", [None, "systematic", "top"])
def test_a_budget_below_every_record_is_refused_by_the_shortest(sampling: Any) -> None:
    pool = [{"text": t, "n": 7 if i == 299 else 9 + i % 5} for i, t in enumerate(POOL)]
    options: Any = {"tokens_field": "n", "sampling": sampling}
    with pytest.raises(tsds.BudgetError, match=r"6-tokens holds no record: the shortest of the 300 has 7 tokens"):
        tsds.select(pool, TARGET, size="6-tokens", **options)
    assert tsds.select(pool, [POOL[299]], size="7-tokens", neighbors=1, **options).indices.tolist() == [299]
    # Here the short one is in the pool and serves no target.
    with pytest.raises(tsds.BudgetError, match=r"the shortest of the \d+ that serve the targets has 9 tokens"):
        tsds.select(pool, [POOL[0], POOL[5]], size="8-tokens", neighbors=2, **options)


def test_exact_copies_are_one_candidate_with_their_multiplicity() -> None:
    pool = POOL + POOL[:50] * 4 + [POOL[0]] * 95
    chosen = tsds.select(pool, TARGET, size=25)
    census = chosen.inputs.candidates.census
    assert (census.used, len(census), census.copies.sum()) == (595, 300, 595)
    assert census.copies[0] == 100 and census.copies[10] == 5
    alone = tsds.select(POOL, TARGET, size=25)
    np.testing.assert_array_equal(chosen.rows, alone.rows)
    np.testing.assert_allclose(chosen.answer.probability, alone.answer.probability, rtol=1e-9)
    kept = tsds.select(pool, TARGET, size=25, copies="keep")
    assert len(kept.inputs.candidates.census) == 595


def test_tasks_weights_and_weighted_targets() -> None:
    other = texts(400, seed=5)[1::4]
    shares = {}
    for name, weights in (("equal", None), ("three", {"a": 3, "b": 1}), ("none", {"a": 1, "b": 0})):
        chosen = tsds.select(POOL, {"a": TARGET, "b": other}, size=40, task_weights=weights)
        shares[name] = chosen.answer.probability[chosen.rows % 4 == 0].sum()
    assert shares["equal"] == pytest.approx(0.5, abs=0.1)
    assert shares["three"] == pytest.approx(0.75, abs=0.1)
    assert shares["none"] > 0.9
    weighted = [{"text": TARGET[0], "w": 9.0}, {"text": other[0], "w": 1}]
    chosen = tsds.select(POOL, weighted, size=10, weight_field="w")
    np.testing.assert_allclose(chosen.inputs.targets.mu, [0.9, 0.1])
    nested = [{"text": one["text"], "m": {"w": one["w"]}} for one in weighted]
    chosen = tsds.select(POOL, nested, size=10, weight_field="m.w")
    np.testing.assert_allclose(chosen.inputs.targets.mu, [0.9, 0.1])


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"m": {"w": None}}, "is null"),
        ({"m": {}}, "is missing"),
        ({"m": {"w": "x"}}, "is 'x'"),
        ({"m": {"w": -1}}, "is -1"),
    ],
)
def test_a_weight_that_is_none_is_named_with_its_place(record: dict[str, Any], said: str, tmp_path: Path) -> None:
    first = write_jsonl(tmp_path / "a.jsonl", [{"text": TARGET[0], "m": {"w": 2}}])
    second = write_jsonl(tmp_path / "b.jsonl", [{"text": TARGET[1], "m": {"w": "2.5"}}, {"text": TARGET[2], **record}])
    with pytest.raises(tsds.InputError, match=rf"b\.jsonl, line 2: field 'm\.w' {said} \(a weight is a number"):
        tsds.select(POOL, [first, second], size=1, weight_field="m.w")


def test_every_method_and_metric_runs_and_is_a_distribution() -> None:
    for method in ("kde", "uniform", "tv"):
        for metric in ("l2", "cosine"):
            chosen = tsds.select(POOL, TARGET, size=10, method=method, metric=metric)  # type: ignore[arg-type]
            assert chosen.answer.probability.sum() == pytest.approx(1, abs=1e-12)
            assert (chosen.answer.probability > 0).all() and chosen.answer.exact
            assert len(chosen) == 10


def test_fewer_than_asked_says_what_would_reach_it() -> None:
    chosen = tsds.select(POOL, TARGET, size=150, neighbors=2)
    assert len(chosen) < 150
    (warning,) = [(what, remedy) for what, remedy in chosen.warnings if "asked for" in what]
    assert f"{len(chosen)} were chosen of 150" in warning[0]
    assert warning[1] is not None and "auto" in warning[1]
    assert len(tsds.select(POOL, TARGET, size=75)) == 75  # auto does reach it


def test_a_pool_with_nothing_like_the_target_is_told() -> None:
    """By words that the pool has none of; not by its own task, nor where vectors are given."""
    russian = [
        "Кошка спит на тёплой печи, пока идёт снег.",
        "Маленький мальчик потерял вчера синюю шапку.",
        "Поезд из Москвы опоздал на двадцать минут.",
        "Завтра бабушка испечёт пирог из яблок.",
        "Весной река выходит из берегов и заливает луга.",
    ]
    pool, own = (next(iter(Pool.open(path).batches())).texts[:200] for path in (pool_path(), target_path()))
    asked: list[tuple[Any, Any, Any, int]] = [
        (pool, russian, "l2", 1),
        (pool, russian, "cosine", 1),
        (pool, own, "l2", 0),
    ]
    asked.append((np.eye(200, dtype=np.float32), np.eye(3, 200, dtype=np.float32) + 1, "l2", 0))
    for some, target, metric, said in asked:
        found = tsds.select(some, target, size=5, method="nearest", metric=metric)
        lines = [remedy for what, remedy in found.warnings if "hardly anything like the target: the nearest" in what]
        assert len(lines) == said and all("--encoder sentence:" in str(remedy) for remedy in lines)


def test_odd_pools() -> None:
    """All alike, all different, one record: what crashed or stopped others."""
    assert len(tsds.select(["same text"] * 50, ["same text"], size=1)) == 1
    with pytest.raises(tsds.BudgetError, match="exceeds the 1 distinct records"):
        tsds.select(["same text"] * 50, ["same text"], size=2)
    assert tsds.select(["only one"], ["a target"], size=1).indices.tolist() == [0]
    assert len(tsds.select(["a b", "c d", "e f"], ["a"], size=3)) >= 1
    for n in (2, 3, 7, 12, 19, 25):  # sizes at which the published code fails
        pool = clustered(n, 8)
        assert len(tsds.select(pool, pool[:2], size=1)) == 1


def test_seeds() -> None:
    first, again, other = (tsds.select(POOL, TARGET, size=10, neighbors=20, seed=seed) for seed in (3, 3, 4))
    assert first.indices.tobytes() == again.indices.tobytes()
    assert first.indices.tobytes() != other.indices.tobytes()


@pytest.mark.parametrize("seed", [2**63 - 1, np.int64(2**40)])
def test_the_largest_seeds_run_to_the_end(seed: Any, tmp_path: Path) -> None:
    chosen = tsds.select(POOL, TARGET, size=10, seed=seed, search="ivf", index=tmp_path / "index")
    chosen.save(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "run.json").read_bytes())["seed"] == seed


@pytest.mark.parametrize("seed", [2**63, 2**70, -1, None, 1.0, "1", True])
def test_a_seed_is_a_whole_number_of_64_bits(seed: Any) -> None:
    with pytest.raises(tsds.InputError, match=r"--seed is .* \(a whole number from 0 to 2\^63 - 1 is wanted\)"):
        tsds.select(POOL, TARGET, size=10, seed=seed)


def test_nothing_of_the_run_is_left_in_the_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tsds.select(POOL, TARGET, size=10)
    with pytest.raises(tsds.InputError):
        tsds.select(POOL, TARGET, size=10, neighbors=299)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("asked", "said"), [("lots", "4G, 500M"), ("0", "4G, 500M"), ("100M", "about 0.")])
def test_memory_that_is_none_or_too_little_is_one_line(asked: str, said: str) -> None:
    pool, targets = clustered(2000, 16), clustered(10, 16, seed=1)
    with pytest.raises(InputError, match=said):
        tsds.select(pool, targets, size=20, memory=asked)


def test_too_little_memory_is_said_before_anything_is_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSDS_TEST_COUNT", str(tmp_path / "count"))
    with pytest.raises(InputError, match=r"about 0\.\d+ GB are needed"):
        tsds.select(POOL, TARGET, size=10, encoder=slow.encode, store=tmp_path / "store", memory="100M")
    assert not (tmp_path / "count").exists()


def test_less_memory_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, targets = clustered(6000, 32), clustered(40, 32, seed=1)
    whole = tsds.select(pool, targets, size=100, bandwidth=0.2)
    assert (block_bytes(512 << 20, None), block_bytes(512 << 20, 800_000_000)) == (512 << 20, 100_000_000)
    monkeypatch.setattr("tsds.proposals.block_bytes", lambda wanted, allowed: allowed // 5000)  # 15 blocks
    small = tsds.select(pool, targets, size=100, bandwidth=0.2, memory="300M")
    assert whole.indices.tobytes() == small.indices.tobytes()
    assert whole.probabilities.tobytes() == small.probabilities.tobytes()
