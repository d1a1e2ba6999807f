"""The numbered stream: rows, batches, groups, ids that occur twice, checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.records.forms import MULTILINE, RECORDS, WRITERS, jsonl
from tsds.errors import InputError, RunError
from tsds.records import Pool, TextSpec, duplicates

SPOILED = [
    b'{"id": "a", "text": "one", "source": "s"}',
    b'{"id": "b", "text": " \\n"}',
    b"",
    b'{"id": "c", "text": ',
    b'{"id": "d", "text": "two", "dataset": 7}',
    b'{"id": "a", "text": "the id of the first again"}',
    b'{"id": "b", "text": "an id that an empty record has"}',
    b'{"id": null, "text": "no id", "subset": "t"}',
    b'{"text": "no id either", "source": ["no group"]}',
]


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    (tmp_path / "p.jsonl").write_bytes(b"\n".join(SPOILED))
    return tmp_path / "p.jsonl"


def test_rows_count_every_record_in_every_pass(spoiled: Path, tmp_path: Path) -> None:
    stored = [line for line in SPOILED if line]
    pool = Pool.open(spoiled, on_error="skip")
    for _ in range(2):
        (batch,) = pool.batches()
        assert batch.rows.tolist() == [0, 3, 5, 6, 7]
        assert batch.ids == ["a", "d", "b", 6, 7]
        assert batch.groups == ["s", "7", None, "t", None]
        assert (pool.tally.read, pool.tally.used, pool.tally.empty, pool.tally.bad) == (8, 5, 1, 2)
        assert "line 4: malformed JSON" in pool.tally.problems[0]
        assert "line 6: the id 'a' is that of an earlier record too" in pool.tally.problems[1]
    assert pool.texts_at(batch.rows) == batch.texts
    assert [record["text"] for record in pool.records(batch.rows)] == batch.texts
    assert pool.write(batch.rows, tmp_path / "out").read_bytes() == b"".join(stored[row] + b"\n" for row in batch.rows)
    with pytest.raises(InputError, match="line 4: malformed JSON"):
        list(pool.records([2]))


def test_batches_are_full_but_at_the_end_of_a_shard(tmp_path: Path) -> None:
    for name, n in (("a", 5), ("b", 4), ("c", 1), ("d", 7)):
        (tmp_path / f"{name}.txt").write_text("".join(f"{name}{i}\n" for i in range(n)))
    pool = Pool.open(tmp_path)
    batches = list(pool.batches(2))
    assert [len(batch) for batch in batches] == [2, 2, 1, 2, 2, 1, 2, 2, 2, 1]
    assert [batch.shard for batch in batches] == [0, 0, 0, 1, 1, 2, 3, 3, 3, 3]
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(17))
    assert batches[0].rows.dtype == batches[0].tokens.dtype == np.int64
    with pytest.raises(ValueError, match="size"):
        next(pool.batches(0))


def test_shards_without_chosen_rows_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"{name}0\n{name}1\n")
    pool = Pool.open(tmp_path)
    assert pool.texts_at([5]) == ["c1"]  # before any pass: everything is read on the way
    for _ in pool.batches():
        pass
    (tmp_path / "a.txt").unlink()
    assert pool.texts_at([2, 4]) == ["b0", "c0"]


def test_fields_may_be_named_and_nested() -> None:
    records = [{"m": {"key": 7, "kind": "x", "size": 3, "body": "text"}}, {"m": {"key": "k", "kind": None, "size": 9}}]
    records[1]["m"]["body"] = "more"
    pool = Pool.open(records, text=TextSpec("m.body"), id_field="m.key", group_field="m.kind", tokens_field="m.size")
    (batch,) = pool.batches()
    assert (batch.texts, batch.ids, batch.groups) == (["text", "more"], [7, "k"], ["x", None])
    assert batch.tokens.tolist() == [3, 9]


def test_tokens_in_csv_are_text(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("text,length\na,12\n")
    (batch,) = Pool.open(tmp_path / "p.csv", tokens_field="length").batches()
    assert batch.tokens.tolist() == [12]


def ids(values: list[Any]) -> list[dict[str, Any]]:
    return [{"id": value, "text": f"text {i}"} for i, value in enumerate(values)]


def read_all(pool: Pool, size: int = 10) -> list[int]:
    return [row for batch in pool.batches(size) for row in batch.rows.tolist()]


def test_an_id_that_occurs_twice(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(ids(["x", "y", 1])))
    (tmp_path / "b.jsonl").write_bytes(jsonl(ids(["1", "z", "y", "x"])))
    with pytest.raises(InputError) as caught:
        read_all(Pool.open(tmp_path))
    for words in ("b.jsonl, line 3", "the id 'y' occurs twice", "rows 1 and 5 of the pool", "--id-field", "--on-error"):
        assert words in str(caught.value)
    assert "--id-field none takes the rows for ids" in str(caught.value)
    pool = Pool.open(tmp_path, on_error="skip")
    assert read_all(pool) == [0, 1, 2, 3, 4]
    assert pool.tally.bad == 2
    for on_error in ("fail", "skip"):
        pool = Pool.open(tmp_path, id_field="none", on_error=on_error)
        assert read_all(pool) == list(range(7)) and not pool.tally.bad
        assert [one.id for one in pool.candidates_at([0, 6])] == [None, None]


def test_ids_that_are_none_are_left_alone_where_that_is_asked_for() -> None:
    records = [{"id": {"$oid": f"{i:024x}"}, "text": f"text {i}"} for i in range(3)]
    for on_error, said in (("fail", "is a dict"), ("skip", "no usable record")):
        with pytest.raises(InputError, match=f"{said}.*--id-field none takes the rows for ids"):
            read_all(Pool.open(records, on_error=on_error))
    assert read_all(Pool.open(records, id_field="none")) == [0, 1, 2]


def test_rows_that_stand_in_for_ids_are_not_compared() -> None:
    assert read_all(Pool.open([{"text": "a"}, {"text": "b", "id": 0}, {"text": "c", "id": 2}])) == [0, 1, 2]


def test_ids_whose_hashes_agree_are_not_the_same() -> None:
    assert hash(-1) == hash(-2)
    for on_error in ("fail", "skip"):
        assert read_all(Pool.open(ids([-1, -2, 5]), on_error=on_error)) == [0, 1, 2]


def test_repeated_ids_show_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_FIRST_LOOK", 8)
    values: list[Any] = list(range(1000))
    values[5] = 3
    batches = Pool.open(ids(values)).batches(10)
    with pytest.raises(InputError, match="rows 3 and 5"):
        next(batches)
    values[5], values[20] = 5, 3
    with pytest.raises(InputError, match="rows 3 and 20"):
        for batch in Pool.open(ids(values)).batches(10):
            assert batch.rows[0] < 40
    values[20] = 20
    assert len(read_all(Pool.open(ids(values)))) == 1000
    values[999] = 500
    with pytest.raises(InputError, match="rows 500 and 999"):
        read_all(Pool.open(ids(values)))


def test_a_file_that_has_changed_is_not_read_by_row_again(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(jsonl(ids([0, 1, 2])))
    first, others = Pool.open(path), [Pool.open(path), Pool.open(path)]
    assert read_all(first) == [0, 1, 2] and first.texts_at([1]) == ["text 1"]
    assert others[0].parts() and others[1].texts_at([2]) == ["text 2"]
    path.write_bytes(jsonl([{"id": 9, "text": "new"}, *ids([0, 1, 2])]))

    def elsewhere(*asked: object) -> Any:
        raise AssertionError("nothing is to be read")

    again: list[Callable[[Pool], object]] = [
        lambda pool: pool.texts_at([1]),
        lambda pool: pool.write([1], tmp_path / "out"),
        lambda pool: pool.parts(),
        read_all,
    ]
    for pool in (first, *others):
        for ask in again:
            with pytest.raises(RunError, match=r"p\.jsonl has changed since it was read"):
                ask(pool)
    with first.read_by(elsewhere), pytest.raises(RunError, match="has changed"):
        first.texts_at([1])
    assert not list((tmp_path / "out").iterdir())
    assert Pool.open(path).texts_at([1]) == ["text 0"]


def test_checksums_are_of_the_files_as_stored(tmp_path: Path) -> None:
    for suffix in ("jsonl.gz", "parquet"):
        WRITERS[suffix](tmp_path / f"p.{suffix}")
    for entry in Pool.open(tmp_path).checksum():
        content = Path(str(entry["name"])).read_bytes()
        assert entry == {"name": entry["name"], "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_checksums_of_objects_depend_on_their_content() -> None:
    (one,) = Pool.open(MULTILINE).checksum()
    assert (one,) == tuple(Pool.open([dict(record) for record in MULTILINE]).checksum())
    assert one["name"] == "pool" and one["bytes"] > 5000
    assert Pool.open(RECORDS).checksum()[0]["sha256"] != one["sha256"]
