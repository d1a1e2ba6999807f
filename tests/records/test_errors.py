"""Bad records and damaged files: one line that says where, what, and how to mend it; or counted, if asked to skip."""

from __future__ import annotations

import gzip
import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.records.forms import RECORDS, jsonl, zstd
from tsds.errors import InputError, RunError
from tsds.records import Pool, TextSpec, atomic_file, files

GOOD = b'{"text": "good"}\n'
MANY = jsonl(RECORDS * 300)


def read_all(path: object, **options: Any) -> Pool:
    pool = Pool.open(path, **options)
    for _ in pool.batches():
        pass
    return pool


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.jsonl", GOOD + b"\n\n" + GOOD + b'{"text": \n', ["p.jsonl, line 5: malformed JSON: unexpected", "column"]),
        ("p.jsonl", GOOD + b'{"text": "\xff"}\n', ["p.jsonl, line 2: not UTF-8", "iconv"]),
        ("p.jsonl", GOOD + b'{"text": "\\ud800"}\n', ["p.jsonl, line 2: malformed JSON", "surrogate"]),
        ("p.jsonl", GOOD + b"[1, 2]\n", ["p.jsonl, line 2: the record is a list, not an object"]),
        ("p.jsonl", GOOD + b"null\n", ["line 2: the record is null"]),
        ("p.jsonl", GOOD + b"12\n", ["line 2: the record is a number"]),
        ("p.jsonl", GOOD + b'{"body": "x", "n": 1}\n', ["p.jsonl, line 2: no text found", "body, n", "--text-field"]),
        (
            "p.jsonl",
            GOOD + b'{"id": 1, "text": null}\n',
            ["line 2: no text found; field 'text' is null; the record has id"],
        ),
        ("p.jsonl", GOOD + b'{"input": "q", "n": null}\n', ["line 2: no text found; the record has input, n"]),
        ("p.jsonl", GOOD + b'{"text": {}}\n', ["line 2: field 'text' holds dict, not text"]),
        ("p.jsonl", GOOD + b'{"text": "x", "id": [1]}\n', ["line 2: the id in field 'id' is a list", "--id-field"]),
        ("p.jsonl", GOOD + b'{"text": "x", "id": {}}\n', ["line 2: the id in field 'id' is a dict"]),
        ("p.jsonl", GOOD + b'{"text": "x", "id": true}\n', ["line 2: the id in field 'id' is a bool"]),
        ("p.jsonl", GOOD + b'{"text": "x", "id": 1.5}\n', ["line 2: the id in field 'id' is a float"]),
        ("p.jsonl", b'[{"text": "x"}]\n' + GOOD, ["line 1: the record is a list, not an object", "named .json"]),
        ("p.jsonl", b"[\n" + GOOD, ["line 1: malformed JSON: an array begins here", "named .json"]),
        ("p.jsonl", b'[{"text": "x"},\n' + GOOD, ["line 1: malformed JSON: an array begins here", "named .json"]),
        ("p.json", b"{\n" + GOOD, ["line 1: malformed JSON: an object begins here", "one object a line"]),
        ("p.jsonl", GOOD + b'{"text": "x", "n": NaN}\n', ["line 2: malformed JSON: NaN is no JSON, column 20", "null"]),
        ("p.jsonl", GOOD + b'{"text": "x", "n": -Infinity}\n', ["line 2: malformed JSON: Infinity is no JSON"]),
        ("p.txt", b"good\n\xff\xfe\n", ["p.txt, line 2: not UTF-8", "iconv"]),
        ("p.csv", b'text,n\n"two\nlines",1\n\ngood,2,3\n', ["p.csv, line 5: 3 fields where the header has 2", "quote"]),
        ("p.csv", b"text,n\ngood,1\ngood\n", ["p.csv, line 3: 1 fields where the header has 2"]),
        ("p.csv", b'text,n\ngood,1\n"b"ad,2\n', ["p.csv, line 3: malformed row", '""']),
        ("p.csv", b"text,n\ngood,1\nb\rad,2\n", ["p.csv, line 3: malformed row"]),
        ("p.csv", b'text,n\ngood,1\n"b\n\xff",2\n', ["p.csv, line 4: not UTF-8"]),
        ("p.csv", b"body,n\ngood,1\n", ["p.csv, line 2: no text found", "body, n", "--text-field"]),
    ],
)
def test_a_bad_record_is_told_or_skipped(name: str, content: bytes, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_all(path)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    if name == "p.csv" and b"body" in content:
        return  # nothing would be left
    pool = read_all(path, on_error="skip")
    assert pool.tally.bad == 1 and pool.tally.used == pool.tally.read - 1
    assert pool.tally.problems == [str(caught.value)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.jsonl.gz", gzip.compress(MANY)[:-200], ["damaged or cut short", "again"]),
        ("p.jsonl.gz", gzip.compress(MANY)[:-3], ["damaged or cut short"]),
        ("p.jsonl.gz", gzip.compress(MANY)[:50] + b"\0" * 20 + gzip.compress(MANY)[70:], ["damaged or cut short"]),
        ("p.jsonl.gz", MANY, ["damaged or cut short", "Not a gzipped file"]),
        ("p.txt.gz", gzip.compress(MANY) + b"garbage", ["damaged or cut short"]),
        ("p.jsonl.zst", zstd(MANY)[:-20], ["damaged or cut short"]),
        ("p.jsonl.zst", MANY, ["damaged or cut short"]),
        ("p.parquet", MANY, ["damaged or cut short"]),
        ("p.parquet", b"", ["damaged or cut short"]),
        ("p.arrow", b"hello", ["damaged or cut short"]),
        ("p.arrow", b"ARROW1\0\0 and then nothing", ["damaged or cut short"]),
        ("p.csv", b'text\ngood\n"never closed\nlost\n', ["line 3: a quote opened here is never closed", '""']),
        ("p.csv", b"text,n,text\n", ["line 1: the header names 'text' twice"]),
        ("p.csv", b"te\xffxt\n", ["line 1: not UTF-8"]),
        ("p.json", b'[{"text": "a"},\n {"text": ]', ["line 2: malformed JSON", "one array of objects"]),
        ("p.json", b'{"data": [\n{"text": "a"}]}', ["line 1: malformed JSON: an object begins here"]),
        ("p.json", b'[{"text": "a"},\n {"text": "b", "n": NaN}]', ["line 2: malformed JSON: NaN is no JSON", "null"]),
        ("p.json", b'[{"text": "a", "n": 18446744073709551616}]', ["18446744073709551616 would lose digits", ".jsonl"]),
        ("p.json", b'[{"text": "a", "n": [-' + b"9" * 60 + b"]}]", ["9... would lose digits", "write it as text"]),
    ],
)
def test_a_damaged_file_is_never_skipped(name: str, content: bytes, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for on_error in ("fail", "skip"):
        if name == "p.json" and on_error == "skip" and content.startswith(b"{"):
            words = ["no usable record"]  # read as lines: each is malformed
        with pytest.raises(InputError) as caught:
            read_all(path, on_error=on_error)
        for word in [str(path), *words]:
            assert word in str(caught.value)


def test_damaged_pages_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"text": ["x" * 100] * 1000}), path, compression="snappy")
    content = path.read_bytes()
    path.write_bytes(content[:20] + b"\xff" * 30 + content[50:])
    with pytest.raises(InputError, match=r"p\.parquet: damaged or cut short"):
        read_all(path)


def test_parquet_rows_that_are_unusable(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    spoiled = pa.array([b"good", b"\xff", b"fine", None, b"  "]).cast(pa.binary())
    text = pa.Array.from_buffers(pa.string(), 5, spoiled.buffers())
    pq.write_table(pa.table({"text": text, "other": [1, 2, 3, 4, 5]}), path)
    with pytest.raises(InputError, match=r"p\.parquet, row 1: not UTF-8"):
        read_all(path)
    pool = read_all(path, on_error="skip")
    assert (pool.tally.used, pool.tally.bad, pool.tally.empty) == (2, 2, 1)
    assert "row 3: no text found; field 'text' is null; the record has text, other" in pool.tally.problems[1]
    with pytest.raises(InputError, match="row 1: not UTF-8"):
        list(pool.records([1]))


@pytest.mark.parametrize("row", [2047, 2048, 5003])
@pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p.json", "p.parquet", "p.arrow"])
def test_places_far_into_a_file(name: str, row: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_CHUNK", 1000)
    records: list[Any] = [{"text": f"text {i}", "id": str(i)} for i in range(6000)]
    path = tmp_path / name
    table = pa.Table.from_pylist(records)
    if name == "p.jsonl":
        path.write_bytes(b"\n\n" + jsonl(records[:row]) + b"spoiled\n" + jsonl(records[row:]))
    elif name == "p.csv":
        path.write_text("text\n" + "".join(f'"text\n{i}"\n' for i in range(row)) + "a,b\n")
    elif name == "p.json":
        path.write_text(json.dumps([*records[:row], 3, *records[row:]]))
    else:
        table = table.set_column(0, "text", pa.array([None if i == row else "text" for i in range(6000)]))
        if name == "p.parquet":
            pq.write_table(table, path, row_group_size=700)
        else:
            with pa.ipc.new_stream(str(path), table.schema) as writer:
                writer.write_table(table, max_chunksize=2500)
    place = {"p.jsonl": f"line {row + 3}:", "p.csv": f"line {2 * row + 2}:"}.get(name, f"row {row}:")
    with pytest.raises(InputError, match=place):
        read_all(path)


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(InputError, match="two columns are named 'text'"):
        read_all(tmp_path / "p.parquet")


@pytest.mark.parametrize("content", [b"", b"\n \n", b'{"text": " "}\n{"text": ""}\n'])
def test_a_pool_without_records(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    for on_error in ("fail", "skip"):
        with pytest.raises(InputError, match=r"p\.jsonl: the target holds no usable record: \d read, \d empty, 0 bad"):
            read_all(path, role="target", on_error=on_error)


def test_empty_shards_among_others_are_fine(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.csv", "c.txt", "e.json"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "f.json").write_bytes(b" [ ]")
    (tmp_path / "g.jsonl").write_bytes(GOOD)
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "h.parquet")
    pool = Pool.open(tmp_path)
    (batch,) = pool.batches()
    assert (batch.shard, batch.rows.tolist()) == (6, [0])
    assert pool.write([0], tmp_path / "out").read_bytes() == GOOD


def test_named_fields_that_are_missing(tmp_path: Path) -> None:
    record = {"text": "x", "id": 1, "n": 1.5, "list": []}
    for options, words in (
        ({"text": TextSpec("body")}, ["pool, row 0: field 'body' is missing", "text, id, n, list", "--text-field"]),
        ({"id_field": "uid"}, ["'uid' is missing", "--id-field"]),
        ({"id_field": "n"}, ["id in field 'n' is a float"]),
        ({"group_field": "topic"}, ["'topic' is missing", "--group-field"]),
        ({"group_field": "list"}, ["group in field 'list' is a list"]),
        ({"tokens_field": "length"}, ["'length' is missing", "--tokens-field"]),
        ({"tokens_field": "n"}, ["'n' holds 1.5, no number of tokens", "at least 1"]),
    ):
        with pytest.raises(InputError) as caught:
            read_all([record], **options)
        for word in words:
            assert word in str(caught.value)
    for n in (0, -1, True, "x", None):
        with pytest.raises(InputError, match="no number of tokens"):
            read_all([{"text": "x", "n": n}], tokens_field="n")
    with pytest.raises(InputError, match="the id in field 'id' is a null"):
        read_all([{"text": "x", "id": None}], id_field="id")
    with pytest.raises(InputError, match="surrogate"):
        read_all(["half \ud800"])


def test_only_the_first_few_problems_are_kept() -> None:
    pool = read_all([{"text": "good"}, *[{"body": str(i)} for i in range(9)]], on_error="skip")
    assert pool.tally.bad == 9 and len(pool.tally.problems) == 5
    assert "pool, row 1: no text found" in pool.tally.problems[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_a_write_that_is_broken_off_leaves_nothing(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "selected.jsonl").write_bytes(b"from before")
    pool = Pool.open([{"text": str(i)} for i in range(10_000)])
    blocks = pool.shards[0].blocks

    def broken() -> Any:
        for k, block in enumerate(blocks()):
            if k == 1:
                raise error
            yield block

    object.__setattr__(pool.shards[0], "blocks", broken)
    for form in ("jsonl", "csv", "parquet"):
        with pytest.raises(error):
            pool.write(range(10_000), tmp_path, format=form)
    assert [path.name for path in tmp_path.iterdir()] == ["selected.jsonl"]
    assert (tmp_path / "selected.jsonl").read_bytes() == b"from before"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="can't be written"):
        Pool.open(["a"]).write([0], tmp_path / "file")
    with pytest.raises(RunError, match="can't be written"), atomic_file(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_goes_wrong_beside_the_writing_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), atomic_file(tmp_path / "file") as file:
        file.write(b"some of it")
        raise ConnectionResetError(104, "Connection reset by peer")
    assert list(tmp_path.iterdir()) == []


WRITERS: dict[str, Callable[[BinaryIO, np.ndarray], Any]] = {
    "bytes": lambda file, array: file.write(array.tobytes()),
    "little by little": lambda file, array: [file.write(row.tobytes()) for row in array],
    "npy": np.save,
    "npz": lambda file, array: np.savez(file, array=array),
    "parquet": lambda file, array: pq.write_table(pa.table({"x": array.ravel()}), file),
    "gzip": lambda file, array: gzip.GzipFile(fileobj=file, mode="wb", compresslevel=0).write(array.tobytes()),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_grows_too_large_is_said_and_one_that_fits_is_whole(name: str, tmp_path: Path) -> None:
    """The system's own limit stands in for a full disk; without it the bytes are those of an ordinary file."""
    array = np.random.default_rng(0).standard_normal((1000, 100))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(RunError, match="out: can't be written: File too large"), atomic_file(tmp_path / "out") as f:
            WRITERS[name](f, array)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    if name == "gzip":  # which has the time in it
        return
    with atomic_file(tmp_path / "out") as file, (tmp_path / "plain").open("xb") as plain:
        WRITERS[name](file, array)
        WRITERS[name](plain, array)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "plain").read_bytes()


@pytest.mark.parametrize("rows", [[1, 0], [-1], [0.5], [[0]], [True], [7]])
def test_rows_must_ascend_within_the_pool(rows: Any) -> None:
    with pytest.raises(ValueError, match="row"):
        list(Pool.open(["a", "b"]).records(rows))


@pytest.mark.parametrize("counts", [[1], [1, 0], [[1, 1]]])
def test_counts_must_fit_the_rows(counts: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="counts"):
        Pool.open(["a", "b"]).write([0, 1], tmp_path, counts=counts)
