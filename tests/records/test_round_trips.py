"""What goes in comes out: every form is read as other libraries read it, and written back as it was."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.records.forms import MULTILINE, RECORDS, WRITERS, jsonl, zstd
from tsds.errors import InputError
from tsds.records import Pool

CHOSEN = [0, 2, 6, 7, 8]
NESTED = [
    {
        "id": 1,
        "text": "a",
        "messages": [{"role": "user", "content": "q"}],
        "extra": {"deep": [1.5, None]},
        "when": None,
    },
    {"id": 2, "text": "b", "messages": [], "extra": {"deep": []}, "when": 3},
    {"id": 3, "text": "c", "messages": None, "extra": None, "when": 2**62},
]


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_form_gives_the_same_stream(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pool.{suffix}"
    WRITERS[suffix](path)
    with Pool.open(path) as pool:
        batches = list(pool.batches(4))
    assert [text for batch in batches for text in batch.texts] == [record["text"] for record in MULTILINE]
    assert [id_ for batch in batches for id_ in batch.ids] == [record["id"] for record in MULTILINE]
    assert [group for batch in batches for group in batch.groups] == [record["source"] for record in MULTILINE]
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(len(MULTILINE)))
    tokens = [-(-len(record["text"].encode()) // 4) for record in MULTILINE]
    assert np.concatenate([batch.tokens for batch in batches]).tolist() == tokens
    assert [len(batch) for batch in batches] == [4, 4, 1]
    assert (pool.tally.read, pool.tally.used, pool.tally.empty, pool.tally.bad) == (9, 9, 0, 0)


@pytest.mark.parametrize("suffix", WRITERS)
def test_records_and_texts_at_rows(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pool.{suffix}"
    WRITERS[suffix](path)
    pool = Pool.open(path)
    assert list(pool.records(CHOSEN)) == [MULTILINE[row] for row in CHOSEN]
    assert pool.texts_at([1, 1, 8]) == [MULTILINE[row]["text"] for row in (1, 1, 8)]
    assert list(pool.records([])) == []


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "jsonl.gz", "jsonl.zst"])
def test_lines_of_json_keep_their_bytes(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pool.{suffix}"
    WRITERS[suffix](path)
    end = b"\r\n" if suffix == "ndjson" else b"\n"
    stored = jsonl(MULTILINE, end.decode()).split(b"\n")
    written = Pool.open(path).write(CHOSEN, tmp_path / "out", counts=[1, 3, 1, 1, 1])
    assert written == tmp_path / "out" / "selected.jsonl"
    assert written.read_bytes() == b"".join(stored[row] + b"\n" for row in [0, 2, 2, 2, 6, 7, 8])


def test_odd_lines_of_json_keep_their_bytes(tmp_path: Path) -> None:
    lines = [
        b'  {"text" : "spaces",  "n":1.0e+2 ,"n":3}  ',
        b'{"text":"\\u00e9 \\/"}\r',
        b'"bare text"',
        b'{"text":"end"}',
    ]
    path = tmp_path / "pool.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\n\n \t\r\n".join(lines))
    pool = Pool.open(path)
    assert [text for batch in pool.batches() for text in batch.texts] == ["spaces", "é /", "bare text", "end"]
    assert pool.write([0, 1, 2, 3], tmp_path).read_bytes() == b"".join(line + b"\n" for line in lines)


@pytest.mark.parametrize("suffix", ["txt", "txt.gz", "txt.zst"])
def test_lines_of_text_keep_their_bytes(suffix: str, tmp_path: Path) -> None:
    content = "\ufeffone \n\ntwo\u2028still two\r\n \t\nthree\x0b\x85\r\n".encode()
    squeeze = {"txt": bytes, "txt.gz": gzip.compress, "txt.zst": zstd}[suffix]
    path = tmp_path / f"pool.{suffix}"
    path.write_bytes(squeeze(content + b"last"))
    pool = Pool.open(path)
    (batch,) = pool.batches()
    assert batch.texts == ["one ", "two\u2028still two", "three\x0b\x85", "last"]
    assert batch.ids == [0, 1, 2, 3] and batch.groups == [None] * 4
    written = pool.write([1, 2, 3], tmp_path / "out")
    assert written.name == "selected.txt"
    assert written.read_bytes() == "two\u2028still two\r\nthree\x0b\x85\r\nlast\n".encode()


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv", "tsv.gz"])
def test_rows_of_csv_keep_their_values(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pool.{suffix}"
    WRITERS[suffix](path)
    written = Pool.open(path).write(CHOSEN, tmp_path / "out", counts=[2, 1, 1, 1, 1])
    assert written.suffix == f".{suffix[:3]}"
    with written.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="," if suffix.startswith("csv") else "\t"))
    assert rows == [MULTILINE[row] for row in [0, *CHOSEN]]


def test_csv_with_odd_but_legal_values(tmp_path: Path) -> None:
    rows = [["", "nul \0 byte"], ["1", "a\rb"], ["2", '"'], ["3", "y" * 300_000], ["4", "\ufeff"], ["5", "last"]]
    path = tmp_path / "pool.csv"
    body = "".join(f'{index},"{text.replace(chr(34), chr(34) * 2)}"\r\n' for index, text in rows)
    path.write_bytes(("\ufeff,text\r\n" + body).encode().removesuffix(b"\r\n"))
    pool = Pool.open(path)
    assert list(pool.records(range(6))) == [{"": index, "text": text} for index, text in rows]
    again = Pool.open(pool.write(range(6), tmp_path / "out"))
    assert list(again.records(range(6))) == list(pool.records(range(6)))


def test_rows_of_parquet_keep_values_schema_and_metadata(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(NESTED).append_column("big", pa.array(["x", None, "z"], pa.large_string()))
    table = table.append_column("kind", pa.array(["p", "q", "p"]).dictionary_encode())
    table = table.append_column("raw", pa.array([b"\xff", b"", None])).replace_schema_metadata({"note": "kept"})
    path = tmp_path / "pool.parquet"
    pq.write_table(table, path, row_group_size=1)
    pool = Pool.open(path, group_field="kind")
    assert [group for batch in pool.batches() for group in batch.groups] == ["p", "q", "p"]
    written = pq.read_table(pool.write([0, 2], tmp_path / "out", counts=[2, 1]))
    assert written.schema.equals(pq.read_table(path).schema, check_metadata=True)
    assert written.to_pylist() == table.take([0, 0, 2]).to_pylist()


def test_large_string_text_and_many_row_groups(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(5000)]
    path = tmp_path / "pool.parquet"
    pq.write_table(pa.table({"text": pa.array(texts, pa.large_string())}), path, row_group_size=7)
    pool = Pool.open(path)
    assert [text for batch in pool.batches(1000) for text in batch.texts] == texts
    written = pq.ParquetFile(pool.write(range(0, 5000, 3), tmp_path / "out"))
    assert written.read().column("text").to_pylist() == texts[::3]
    assert written.num_row_groups == 1


def test_arrow_files_of_both_kinds(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(NESTED)
    with pa.ipc.new_file(str(tmp_path / "pool.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    pool = Pool.open(tmp_path / "pool.arrow")
    assert list(pool.records([0, 1, 2])) == NESTED
    assert pq.read_table(pool.write([1], tmp_path / "out")).to_pylist() == NESTED[1:2]


def test_a_saved_dataset(tmp_path: Path) -> None:
    dataset = datasets.Dataset.from_list(NESTED)
    dataset.save_to_disk(str(tmp_path / "saved"), num_shards=2)
    pool = Pool.open(tmp_path / "saved")
    assert [shard.format_name for shard in pool.shards] == ["arrow", "arrow"]
    assert list(pool.records([0, 1, 2])) == list(dataset)
    written = pool.write([0, 2], tmp_path / "out")
    assert written.name == "selected.parquet"
    assert list(datasets.Dataset.from_parquet(str(written), cache_dir=str(tmp_path))) == list(dataset.select([0, 2]))


def test_a_dataset_in_memory_with_an_order_of_its_own(tmp_path: Path) -> None:
    dataset = datasets.Dataset.from_list(NESTED).select([2, 0])
    pool = Pool.open(dataset)
    assert [text for batch in pool.batches() for text in batch.texts] == ["c", "a"]
    assert list(pool.records([0, 1])) == list(dataset)
    assert pq.read_table(pool.write([1], tmp_path)).to_pylist() == [dataset[1]]
    two = Pool.open([dataset, datasets.Dataset.from_list(NESTED[1:2])])
    assert two.texts_at([0, 1, 2]) == ["c", "a", "b"]


def test_objects_in_memory_are_written_as_jsonl(tmp_path: Path) -> None:
    assert Pool.open(NESTED).write([0, 2], tmp_path).read_bytes().splitlines() == [
        json.dumps(record, separators=(",", ":")).encode() for record in (NESTED[0], NESTED[2])
    ]
    pool = Pool.open(["one", {"text": "two"}, "three"])
    assert pool.write([0, 1], tmp_path).read_text() == '{"text":"one"}\n{"text":"two"}\n'
    assert list(pool.records([0, 1])) == ["one", {"text": "two"}]


def test_a_pool_of_mixed_formats_is_written_as_jsonl(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text" :"kept as it was"}')
    (tmp_path / "b.txt").write_text("line\n")
    pq.write_table(pa.table({"text": ["cell"], "n": [1.5]}), tmp_path / "c.parquet")
    (tmp_path / "d.csv").write_text("text,n\nvalue,1\n")
    pool = Pool.open(tmp_path)
    written = pool.write([0, 1, 2, 3], tmp_path / "out")
    assert written.read_text() == (
        '{"text" :"kept as it was"}\n{"text":"line"}\n{"text":"cell","n":1.5}\n{"text":"value","n":"1"}\n'
    )


def test_tables_that_lack_columns_are_joined_and_others_become_jsonl(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "n": pa.nulls(1)}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"n": [2], "more": ["x"], "text": ["b"]}), tmp_path / "b.parquet")
    written = Pool.open(tmp_path).write([0, 1], tmp_path / "out")
    assert pq.read_table(written).to_pylist() == [
        {"text": "a", "n": None, "more": None},
        {"text": "b", "n": 2, "more": "x"},
    ]
    pq.write_table(pa.table({"text": ["c"], "n": ["two"]}), tmp_path / "c.parquet")
    parts = [tmp_path / f"{name}.parquet" for name in "abc"]
    assert Pool.open(parts).write([2], tmp_path / "out").read_text() == '{"text":"c","n":"two"}\n'


def test_csv_files_under_different_headers_become_jsonl(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,a\n")
    (tmp_path / "b.csv").write_text("text,id\nb,2\n")
    (tmp_path / "empty.csv").write_text("")
    pool = Pool.open(tmp_path)
    assert pool.write([0, 1], tmp_path / "out").read_text() == '{"id":"1","text":"a"}\n{"text":"b","id":"2"}\n'
    one = Pool.open([tmp_path / "a.csv", tmp_path / "empty.csv"])
    assert one.write([0], tmp_path / "out").read_text() == "id,text\n1,a\n"


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "json"])
@pytest.mark.parametrize("wanted", ["jsonl", "csv", "tsv", "parquet"])
def test_a_forced_format_keeps_the_values(suffix: str, wanted: str, tmp_path: Path) -> None:
    path = tmp_path / f"pool.{suffix}"
    WRITERS[suffix](path)
    written = Pool.open(path).write(CHOSEN, tmp_path / "out", format=wanted, counts=[1, 1, 1, 1, 2])
    assert written.name == f"selected.{wanted}"
    assert list(Pool.open(written).records(range(6))) == [MULTILINE[row] for row in [*CHOSEN, 8]]


def test_forced_txt(tmp_path: Path) -> None:
    pool = Pool.open(RECORDS)
    texts = [record["text"] for record in RECORDS]
    assert pool.write(range(7), tmp_path, format="txt").read_text() == "".join(text + "\n" for text in texts)
    with pytest.raises(InputError, match=r"row 1.*line break.*--format jsonl"):
        Pool.open(["fine", "two\nlines"]).write([0, 1], tmp_path / "out", format="txt")


def test_forced_parquet_finds_types_over_all_records(tmp_path: Path) -> None:
    records = [{"text": "a", "x": None}] + [{"text": "b", "y": [1]}] * 5000 + [{"text": "c", "x": 1.5}]
    written = pq.read_table(Pool.open(records).write(range(5002), tmp_path, format="parquet"))
    assert written.slice(5001).to_pylist() == [{"text": "c", "x": 1.5, "y": None}]
    assert written.schema.field("y").type == pa.list_(pa.int64())


@pytest.mark.parametrize(
    ("records", "wanted", "words"),
    [
        ([{"text": "a", "m": []}], "csv", ["row 0", "'m' holds list", "--format jsonl"]),
        ([{"text": "a", "n": 1}, {"text": "a", "n": "x"}], "parquet", ["parquet", "--format jsonl"]),
        ([{"text": "a", "n": {}}], "parquet", ["parquet", "--format jsonl"]),
        ([{"text": "a", "n": 2**80}], "parquet", ["parquet", "--format jsonl"]),
        ([{"text": "a", "n": b"bytes"}], "jsonl", ["row 0", "JSON", "--format parquet"]),
        ([{"text": "a"}], "parket", ["'parket'", "did you mean parquet?"]),
        ([{"text": "a"}], ".csv", ["did you mean csv?"]),
        ([{"text": "a"}], "json", ["did you mean jsonl?"]),
        ([{"text": "a"}], "xyz", ["there are jsonl, txt, csv, tsv, parquet"]),
    ],
)
def test_a_format_that_cannot_be(records: list[object], wanted: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        Pool.open(records).write(range(len(records)), tmp_path, format=wanted)
    for word in words:
        assert word in str(caught.value)
    assert list(tmp_path.iterdir()) == []
