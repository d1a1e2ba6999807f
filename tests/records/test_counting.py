"""How many records a pool is foretold to hold, against how many were written."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command.run import tsds, write_jsonl
from tsds.records import Pool, count_records, counting

COUNT = 9_000
CHINESE = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面"


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
    return [" ".join(rng.choices(words, k=rng.randint(20, 200))) for _ in range(COUNT)]


def _jsonl(texts: list[str]) -> bytes:
    return "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)).encode()


def _json(texts: list[str]) -> bytes:
    return json.dumps([{"id": i, "text": text} for i, text in enumerate(texts)], indent=1).encode()


def _delimited(delimiter: str, texts: list[str]) -> bytes:
    file = io.StringIO()
    rows = csv.writer(file, delimiter=delimiter)
    rows.writerow(["id", "text", *(f"a_column_with_a_long_name_{k}" for k in range(20))])
    for i, text in enumerate(texts):  # values with line breaks and quotes: a row is more than a line
        rows.writerow([i, text.replace(" ", "\n", 1) + ' "end"', *range(20)])
    return file.getvalue().encode()


FORMS: dict[str, Callable[[list[str]], bytes]] = {
    "jsonl": _jsonl,
    "json": _json,
    "txt": lambda texts: "\n\n".join(texts).encode(),
    "csv": lambda texts: _delimited(",", texts),
    "tsv": lambda texts: _delimited("\t", texts),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda content: gzip.compress(content, 1),
    ".zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
}


def _counted(path: Path | list[Path]) -> tuple[int, bool]:
    return count_records(Pool.open(path).shards)


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("form", FORMS)
def test_small_files_are_counted_and_large_ones_foretold(
    form: str, packed: str, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"pool.{form}{packed}"
    path.write_bytes(PACKED[packed](FORMS[form](texts)))
    assert _counted(path) == (COUNT, True)
    monkeypatch.setattr(counting, "_SMALL", 0)
    monkeypatch.setattr(counting, "LOOKED_BYTES", 1 << 20)
    count, exact = _counted(path)
    assert not exact and count == pytest.approx(COUNT, rel=0.05)


def test_the_bytes_are_those_of_the_file_not_of_its_records_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(0)
    records = [{"text": "".join(rng.choices(CHINESE, k=rng.randint(20, 200)))} for _ in range(COUNT)]
    path = write_jsonl(tmp_path / "pool.jsonl", records)  # six bytes a letter, where orjson has three
    assert path.read_text().isascii()
    monkeypatch.setattr(counting, "_SMALL", 0)
    monkeypatch.setattr(counting, "LOOKED_BYTES", 1 << 20)
    count, exact = _counted(path)
    assert not exact and count == pytest.approx(COUNT, rel=0.05)


def test_files_are_counted_like_others_of_their_kind(
    texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, total, at = [], 0, 0
    rng = random.Random(1)
    for k in range(60):
        count = rng.randint(20, 60)
        some = texts[at : at + count]
        form, packed = [("jsonl", ".gz"), ("csv", ""), ("txt", ".zst")][k % 3]
        short = [text[:80] for text in some] if form == "csv" else some
        paths.append(tmp_path / f"{k:02d}.{form}{packed}")
        paths[-1].write_bytes(PACKED[packed](FORMS[form](short)))
        at, total = at + count, total + count
    assert _counted(paths) == (total, True)
    monkeypatch.setattr(counting, "_SMALL", 0)
    count, exact = _counted(paths)
    assert not exact and count == pytest.approx(total, rel=0.05)


def test_tables_say_how_many_rows_they_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"text": [f"text {i}" for i in range(5000)]})
    pq.write_table(table, tmp_path / "pool.parquet")
    with pa.OSFile(str(tmp_path / "pool.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    assert _counted([tmp_path / "pool.parquet", tmp_path / "pool.arrow"]) == (10_000, True)
    shard = Pool.open(tmp_path / "pool.parquet").shards[0]
    monkeypatch.setattr(type(shard), "blocks", None, raising=False)  # no row is read
    assert count_records([shard]) == (5000, True)


def test_records_longer_than_what_is_read_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_jsonl(tmp_path / "pool.jsonl", [{"text": "word " * 300_000}] * 20)
    monkeypatch.setattr(counting, "_SMALL", 0)
    monkeypatch.setattr(counting, "LOOKED_BYTES", 1 << 20)
    assert _counted(path)[0] == 20


def test_the_command_foretells_the_number_of_escaped_lines_and_of_rows(tmp_path: Path) -> None:
    records = [{"text": CHINESE[k % 40 :] + str(k)} for k in range(6000)]
    escaped = write_jsonl(tmp_path / "escaped.jsonl", records)
    rows = tmp_path / "rows.csv"
    rows.write_bytes(_delimited(",", [f"text number {k}" for k in range(6000)]))
    target = write_jsonl(tmp_path / "target.jsonl", records[:20])
    for pool in (escaped, rows):
        done = tsds("select", "--pool", pool, "--target", target, "--size", 9, "--out", "no", "--dry-run", "--json")
        assert done.returncode == 0, done.stderr
        plan = json.loads(done.stdout)
        assert (plan["records"], plan["records_exact"]) == (6000, True)
