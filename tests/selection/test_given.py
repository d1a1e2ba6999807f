"""What Python gives: data frames and columns of texts as records, numbers of NumPy as settings, others in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import tsds
from tests.command.run import texts
from tests.search.data import clustered
from tsds.records import Pool
from tsds.settings import Settings

POOL = texts(300)
TARGET = texts(20, seed=1)[::4]
ROWS = clustered(5, 8, seed=1)
RECORDS = [{"text": t, "kind": i % 3, "note": None if i % 2 else "odd"} for i, t in enumerate(POOL)]


def shuffled_index(frame: pd.DataFrame) -> pd.DataFrame:
    frame.index = np.random.default_rng(0).permutation(len(frame))
    return frame


@pytest.mark.parametrize(
    "frame",
    [
        lambda: pd.DataFrame(RECORDS),
        lambda: shuffled_index(pd.DataFrame(RECORDS)),
        lambda: pa.Table.from_pylist(RECORDS),
        lambda: pa.RecordBatch.from_pylist(RECORDS),
    ],
)
def test_a_data_frame_is_its_rows(frame: Any, tmp_path: Path) -> None:
    plain = tsds.select(RECORDS, TARGET, size=25)
    chosen = tsds.select(frame(), pd.DataFrame({"text": TARGET}), size=25, exclude=pd.DataFrame({"text": [POOL[0]]}))
    assert chosen.inputs.candidates.census.excluded == 1
    chosen = tsds.select(frame(), pd.DataFrame({"text": TARGET}), size=25)
    assert chosen.weights.tobytes() == plain.weights.tobytes()
    assert list(chosen.records()) == [RECORDS[i] for i in chosen.indices]
    chosen.save(tmp_path / "out")
    assert list(Pool.open(tmp_path / "out" / "selected.parquet").records(range(25))) == list(chosen.records())
    assert chosen.to_dataset().column_names == ["text", "kind", "note"]


def test_a_column_of_texts_is_these_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("a file of that name\n")
    plain = tsds.select(POOL, TARGET, size=25)
    for column in (pd.Series(POOL), np.array(POOL), np.array(POOL, dtype=object), pa.chunked_array([POOL])):
        assert tsds.select(column, pd.Series(TARGET), size=25).weights.tobytes() == plain.weights.tobytes()
    assert list(tsds.select(pd.Series(["a.txt"]), TARGET, size=1).records()) == ["a.txt"]


def test_a_data_frame_of_numbers_is_an_array() -> None:
    pool, target = clustered(400, 8), clustered(5, 8, seed=1)
    plain = tsds.select(pool, target, size=20)
    chosen = tsds.select(pd.DataFrame(pool), pd.DataFrame(target), size=20)
    assert chosen.weights.tobytes() == plain.weights.tobytes()
    for name, options in (("id", {}), ("key", {"id_field": "key"})):
        frame = pd.DataFrame(pool).rename(columns=str).assign(**{name: range(400)})
        with pytest.raises(tsds.InputError, match=rf"^pool: the data frame has a column '{name}' among its numbers"):
            tsds.select(frame, target, size=20, **options)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"body": POOL}), "pool, row 0: no text found; the record has body"),
        (pd.DataFrame({"text": ["a", 5, {"b": 1}]}), "the data frame: the data frame can't be read: .*rows as dicts"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "names? .*text"),
        (pd.Series(["a", None, "b"], dtype=object), "pool, row 1: the record is a NoneType"),
    ],
)
def test_a_frame_that_can_not_be_read_is_one_line(frame: Any, said: str) -> None:
    with pytest.raises(tsds.InputError, match=said) as caught:
        tsds.select(frame, TARGET, size=1)
    assert "\n" not in str(caught.value)


def test_tensors_are_arrays() -> None:
    torch = pytest.importorskip("torch")
    pool, target = clustered(100, 8), clustered(5, 8, seed=1)
    plain = tsds.select(pool, target, size=9)
    followed = torch.tensor(pool, requires_grad=True)
    assert tsds.select(followed, torch.tensor(target), size=9).weights.tobytes() == plain.weights.tobytes()
    short = torch.tensor(pool).bfloat16()
    chosen = tsds.select(short, target, size=9)
    assert chosen.weights.tobytes() == tsds.select(short.float().numpy(), target, size=9).weights.tobytes()


def test_a_list_of_chats_is_its_messages() -> None:
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}] for text in POOL]
    plain = tsds.select([{"messages": chat} for chat in chats], TARGET, size=9)
    for pool in (chats, pd.Series(chats)):
        chosen = tsds.select(pool, TARGET, size=9)
        assert chosen.weights.tobytes() == plain.weights.tobytes()
        assert list(chosen.records()) == list(plain.records())


@pytest.mark.parametrize(
    "rows",
    [
        [("a text", "a label"), ("another", "label")],
        [[1.0, 2.0], [3.0]],
        [np.ones(2), np.ones(3)],
        [[{"content": "no role"}]],
        [[1.0, 2.0], "a text"],
    ],
)
def test_lists_that_are_nothing_are_one_line(rows: Any) -> None:
    with pytest.raises(tsds.InputError, match=r"^target: the lists in it are neither vectors nor chats \(vectors are"):
        tsds.select(POOL, rows, size=1)


@pytest.mark.parametrize("form", [list, pd.DataFrame, lambda x: pd.Series(list(x)), "tensor"])
def test_embeddings_and_exclude_take_what_the_pool_takes(form: Any) -> None:
    form = pytest.importorskip("torch").tensor if form == "tensor" else form
    vectors, aims = clustered(300, 8), clustered(5, 8, seed=1)
    plain = tsds.select(POOL, TARGET, size=9, embeddings=vectors, target_embeddings=aims, exclude=POOL[:2])
    assert plain.inputs.candidates.census.excluded == 2
    for unseen in (np.array(POOL[:2]), pd.Series(POOL[:2])):
        for aim, target in ((form(aims), TARGET), ({"a": form(aims)}, {"a": TARGET})):
            chosen = tsds.select(POOL, target, size=9, embeddings=form(vectors), target_embeddings=aim, exclude=unseen)
            assert chosen.weights.tobytes() == plain.weights.tobytes()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"embeddings": {"a": 1}}, "embeddings: no vectors can be read from a dict (give an (n, d) array"),
        ({"embeddings": pd.DataFrame({"text": POOL})}, "embeddings: no vectors can be read from a DataFrame"),
        ({"target_embeddings": {"a": ROWS, "b": 5}}, "target_embeddings of b: no vectors can be read from a int"),
        ({"target_embeddings": {"a": ROWS}}, "--target-embeddings has none for task 'b' (every task needs its own)"),
        ({"target_embeddings": {"a": ROWS, "b": ROWS, "c": ROWS}}, "--target-embeddings names 'c', which is no task"),
        ({"exclude": ROWS}, "the exclude can't be read from a numpy.ndarray"),
    ],
)
def test_what_is_no_embeddings_or_exclude_is_one_line(given: dict[str, Any], said: str) -> None:
    target = {"a": TARGET, "b": TARGET}
    given = {"embeddings": clustered(300, 8), "target_embeddings": {"a": ROWS, "b": ROWS}, **given}
    with pytest.raises(tsds.InputError) as caught:
        tsds.select(POOL, target, size=1, **given)
    assert str(caught.value).startswith(said)


def test_numbers_of_numpy_are_numbers() -> None:
    asked = Settings(
        np.float32(0.1), alpha=np.float32(0.3), scale=np.int64(4), bandwidth=np.float16(0.5), seed=np.uint64(7),  # type: ignore[arg-type]
        workers=np.int8(2), memory=np.int64(10**9), task_weights={"a": np.float32(0.2)},
    )  # fmt: skip
    assert asked == Settings(
        0.1, alpha=0.3, scale=4, bandwidth=0.5, seed=7, workers=2, memory=10**9, task_weights={"a": 0.2}
    )
    assert {type(one) for one in (asked.size, asked.alpha, asked.bandwidth, asked.task_weights["a"])} == {float}
    assert {type(one) for one in (asked.scale, asked.seed, asked.workers, asked.memory)} == {int}
    assert Settings(np.float64(1 / 3)).size == 1 / 3 and Settings(np.int64(5)).budget == Settings(5).budget
    chosen = tsds.select(POOL, TARGET, size=np.float32(0.1), bandwidth=np.float32(0.3))  # type: ignore[arg-type]
    assert len(chosen) == 30 and chosen.bandwidth is not None and chosen.bandwidth.value == 0.3


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"alpha": "0.5"}, "--alpha is '0.5'"),
        ({"alpha": float("nan")}, "--alpha is nan"),
        ({"neighbors": "3"}, "--neighbors is '3'"),
        ({"capacity": True}, "--capacity is True"),
        ({"bandwidth": None}, "--bandwidth is None"),
        ({"bandwidth": "0.3"}, "--bandwidth is '0.3'"),
        ({"workers": "2"}, "--workers is '2'"),
        ({"workers": 1.5}, "--workers is 1.5"),
        ({"size": 1.0}, 'the size 1.0 may be one record or the whole pool (say 1, or "100%")'),
        ({"size": np.float32(1)}, "the size 1.0 may be"),
        ({"size": None}, "the size 'None' can't be read"),
        ({"task_weights": {"a": "2"}}, "the weight of task 'a' is '2'"),
        ({"task_weights": {"a": None}}, "the weight of task 'a' is None"),
        ({"task_weights": "a=2"}, "the weights of the tasks are 'a=2'"),
    ],
)
def test_what_is_no_number_is_one_line(setting: dict[str, Any], said: str) -> None:
    with pytest.raises(tsds.InputError) as caught:
        tsds.select(POOL, {"a": TARGET}, **{"size": 5, **setting})
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)


def test_numbers_and_texts_need_no_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # type: ignore[arg-type]
    assert len(tsds.select(pa.table({"text": POOL}), TARGET, size=5)) == 5
