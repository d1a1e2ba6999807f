"""Columns of times beyond Python's calendar."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tsds.records import Pool


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_times_that_python_has_not_are_text_and_are_written_as_they_were(suffix: str, tmp_path: Path) -> None:
    far = pa.array([10**12, 2**62, None, 7], pa.int64())
    us = far.cast(pa.timestamp("us"))
    table = pa.table(
        {
            "text": ["one", "two", "three", "four"],
            "us": us,
            "zone": far.cast(pa.timestamp("us", "UTC")),
            "nowhere": far.cast(pa.timestamp("us", "Mars/Base")),
            "day": pa.array([1, 2**30, None, 7], pa.int32()).cast(pa.date32()),
            "took": far.cast(pa.duration("s")),
            "list": pa.ListArray.from_arrays([0, 1, 2, 3, 4], us),
            "struct": pa.StructArray.from_arrays([us, pa.array(["a", "b", "c", "d"])], ["at", "name"]),
            "map": pa.MapArray.from_arrays([0, 1, 2, 3, 4], ["x", "y", "z", "w"], us),
        }
    )
    path = tmp_path / f"p.{suffix}"
    if suffix == "parquet":
        table = table.drop_columns("took")  # parquet has no such type
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    pool = Pool.open(path)
    assert [text for batch in pool.batches() for text in batch.texts] == ["one", "two", "three", "four"]
    records: list[Any] = list(pool.records([0, 1, 2, 3]))
    for row, record in enumerate(records):
        for name in table.schema.names:
            if row != 1 and name != "nowhere":  # what Python does have is as ever
                assert record[name] == table[name][row].as_py()
    odd = records[1]
    assert "4611686018427387904" in odd["us"] and "4611686018427387904" in odd["nowhere"]
    assert odd["zone"].startswith("17036-07-06")  # 2^62 microseconds are a good 146,138 years; Arrow's clock wraps
    assert odd["list"] == [odd["us"]] and odd["struct"] == {"at": odd["us"], "name": "b"}
    assert odd["map"] == [("y", odd["us"])]
    written = pq.read_table(pool.write([1, 3], tmp_path / "out"))
    assert written.equals(pq.read_table(path).take([1, 3]) if suffix == "parquet" else table.take([1, 3]))
    if suffix == "parquet":
        lines = pool.write([1, 3], tmp_path / "out", format="jsonl").read_bytes().splitlines()
        assert orjson.loads(lines[0])["us"] == odd["us"]


class Moment(datetime):
    """A time as pandas has it: of a type derived from Python's."""


def test_times_of_other_kinds_are_written_as_json(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "at": pa.array([10**18], pa.timestamp("ns"))}), tmp_path / "p.parquet")
    records = [{"text": "b", "at": Moment(2001, 9, 9, 1, 46, 40)}]
    for pool in (Pool.open(tmp_path / "p.parquet"), Pool.open(records)):
        written = pool.write([0], tmp_path / "out", format="jsonl").read_bytes()
        assert orjson.loads(written)["at"] == "2001-09-09T01:46:40"


def test_a_row_that_is_not_utf8_is_named_all_the_same(tmp_path: Path) -> None:
    spoiled = pa.array([b"good", b"\xff", b"fine"]).cast(pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, spoiled.buffers())
    far = pa.array([2**62] * 3, pa.int64()).cast(pa.timestamp("us"))
    pq.write_table(pa.table({"at": far, "text": text}), tmp_path / "p.parquet")
    pool = Pool.open(tmp_path / "p.parquet", on_error="skip")
    assert [batch.texts for batch in pool.batches()] == [["good", "fine"]]
    assert "p.parquet, row 1: not UTF-8" in pool.tally.problems[0]
    assert [type(record) for record in pool.records([0, 2])] == [dict, dict]
