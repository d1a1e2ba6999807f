"""Records that are read where the workers are, file by file: the same as one process makes of them."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command.run import texts
from tests.command.run import tsds as command
from tsds import census as census_module
from tsds import corpus, encoding
from tsds.census import Census, by_file, take_census
from tsds.checkpoint import Checkpoint
from tsds.engines import Engine, LocalEngine
from tsds.errors import InputError
from tsds.leakage import Guard
from tsds.records import Pool, TextBatch
from tsds.selecting import run
from tsds.settings import Settings

ray = pytest.importorskip("ray")

from tsds.engines.ray import RayEngine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    os.environ["RAY_ADDRESS"] = "local"
    found = RayEngine(workers=3)
    yield found
    found.close()


class _Elsewhere(LocalEngine):
    """This process, in the part of one that is elsewhere."""

    here = False


def records(count: int = 900) -> list[dict[str, Any]]:
    """Records of two sources with copies, some without text, some that can't be used."""
    rows: list[dict[str, Any]] = [
        {"id": f"r{i}", "text": text, "source": ("web", "books", None)[i // 7 % 3]}
        for i, text in enumerate(texts(count))
    ]
    for i in range(0, count, 50):
        rows[i]["text"] = rows[i // 2]["text"]
        rows[i + 3]["text"] = "  "
    return rows


def written(rows: list[Any], folder: Path, files: int = 7) -> Path:
    """The records in so many jsonl files of unequal length, one of them empty."""
    folder.mkdir()
    edges = np.linspace(0, len(rows), files).astype(int)
    edges[1] += 20
    for k, (a, b) in enumerate(pairwise(edges)):
        (folder / f"{k}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[a:b]))
    (folder / "2-empty.jsonl").write_text("\n")
    return folder


def taken(folder: Path, engine: Engine | None, on_error: Any = "fail") -> Census:
    told = texts(900)
    pool = Pool.open(folder, on_error=on_error)
    exclude, targets = Guard([told[100:120]], overlapping=True), Guard([told[300:330]], overlapping=False)
    return take_census(pool, exclude=exclude, targets=targets, engine=engine)


def assert_same(one: Census, other: Census) -> None:
    for field in fields(Census):
        if field.name != "ends":  # known only where files were read one by one
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


def never(*_: Any) -> Iterator[TextBatch]:
    raise AssertionError("the driver reads the pool")


def test_the_workers_find_what_one_process_finds(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(records(), tmp_path / "pool")
    here = taken(folder, None)
    assert min(here.excluded, here.equal_to_target.sum(), here.empty, here.used - len(here)) > 10
    monkeypatch.setattr(Pool, "batches", never)
    there = taken(folder, engine)
    assert_same(here, there)
    assert there.ends[-1] == there.read and len(there.ends) == 7


def test_sources_are_told_apart_up_to_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they are spread over files: all in one, or the last of them in another."""
    monkeypatch.setattr(census_module, "SOURCES", 5)
    for name, sources in (
        ("few", [f"s{i % 5}" for i in range(900)]),
        ("one file", [f"s{i}" if 400 < i < 410 else None for i in range(900)]),
        ("several", [f"s{i // 150}" for i in range(900)]),
    ):
        rows = [record | {"source": source} for record, source in zip(records(), sources, strict=True)]
        folder = written(rows, tmp_path / name)
        here = taken(folder, None)
        assert_same(here, taken(folder, _Elsewhere(3)))
        assert here.many_groups == (name != "few") == (not here.group_names) == (here.group == -1).all()
    chosen = run(folder, texts(30, seed=1), Settings(20))
    (line,) = [what for what, remedy in chosen.warnings if "sources" in what and "--group-field" in str(remedy)]
    assert line.startswith("the pool names more than") and chosen.inputs.candidates.census.many_groups


def test_bad_records_and_repeated_ids_are_told_as_by_one_process(engine: Engine, tmp_path: Path) -> None:
    rows: list[Any] = records()
    rows[700] = {"id": "r700", "text": 7}
    rows[820] = {"id": "r5", "text": "its id is that of another file's record"}
    folder = written(rows, tmp_path / "bad")
    assert_same(taken(folder, None, "skip"), taken(folder, engine, "skip"))
    assert taken(folder, engine, "skip").bad == 2
    for wrong in (rows, [*rows[:700], *rows[701:]]):
        folder = written(wrong, tmp_path / f"bad-{len(wrong)}")
        said = []
        for one in (None, engine):
            with pytest.raises(InputError) as error:
                taken(folder, one)
            said.append(str(error.value))
        assert said[0] == said[1]
    nothing = written([{"text": " "}] * 200, tmp_path / "nothing")
    with pytest.raises(InputError, match=r"no usable record: 2\d\d read"):
        taken(nothing, engine)


def test_files_are_parts_only_where_none_keeps_the_others_waiting(tmp_path: Path) -> None:
    pool = Pool.open(written(records(), tmp_path / "pool"))
    assert by_file(pool, None) is None
    assert by_file(pool, LocalEngine()) is None
    assert len(by_file(pool, _Elsewhere(3)) or []) == 7
    assert by_file(pool, _Elsewhere(30)) is None
    assert by_file(Pool.open(texts(30)), _Elsewhere(1)) is None


def test_parts_of_long_texts_have_fewer_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    census = take_census(Pool.open(["four" * 1000] * 3 + texts(3)), collapse=False)
    assert corpus.part_rows(census) == corpus.part_rows(None) == corpus.PART_ROWS
    monkeypatch.setattr(corpus, "_PART_BYTES", 100_000)
    assert 40 <= corpus.part_rows(census) < 50 and corpus.part_rows(None) == corpus.PART_ROWS
    monkeypatch.setattr(corpus, "_PART_BYTES", 1)
    assert corpus.part_rows(census) == 1


@pytest.mark.parametrize("kept", [True, False])
def test_a_selection_reads_and_encodes_where_the_files_are(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setattr(corpus, "PART_ROWS", 100)
    for module in (census_module, encoding):
        monkeypatch.setattr(module, "LEAST_ROWS", 1)
    folder, target = written(records(), tmp_path / "pool"), texts(30, seed=1)
    found = []
    for engine in ("local", "ray"):
        place = tmp_path / engine
        place.mkdir()
        chosen = run(folder, target, Settings(50, engine=engine), checkpoint=Checkpoint(place) if kept else None)
        found.append((chosen.indices.tolist(), chosen.probabilities.tolist(), chosen.inputs.encoder))
    assert found[0] == found[1]
    if kept:
        assert len(list((tmp_path / "ray" / "0-by-file").iterdir())) > 8
        assert not (tmp_path / "ray" / "0").exists()


def test_files_of_vectors_that_are_there_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "PART_ROWS", 100)
    pool = Pool.open(written(records(), tmp_path / "pool"))
    engine = _Elsewhere(2)
    census = take_census(pool, engine=engine)
    files = corpus.Corpus(pool, census).files(engine)
    assert files is not None and sum(len(one.rows) for one in files) == len(census)
    calls: list[int] = []

    def encode(context: Any, some: Any) -> Any:
        calls.append(len(some))
        return np.array([[len(text), hash(text) % 1000] for text in some], np.float32)

    def encoded() -> Any:
        vectors = corpus.encoded_by_file(engine, tmp_path / "vectors", files, encode, None, lambda rows: None, 100)
        return vectors.take(np.arange(len(vectors)))

    whole = encoded()
    every = [text for batch in corpus.texts_of(pool, census) for text in batch]
    np.testing.assert_array_equal(whole, encode(None, every))
    paths = sorted((tmp_path / "vectors").iterdir())
    for path in paths[1::3]:
        path.unlink()
    calls.clear()
    np.testing.assert_array_equal(encoded(), whole)
    assert len(calls) == len(paths[1::3])


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv", "txt", "json", "jsonl.gz"])
@pytest.mark.parametrize("format", [None, "jsonl", "parquet", "csv"])
def test_chosen_records_that_workers_read_are_written_as_one_process_writes_them(
    suffix: str, format: str | None, tmp_path: Path
) -> None:
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, folder = records(200), tmp_path / "pool"
    folder.mkdir()
    for k in range(4):
        some, path = rows[50 * k : 50 * k + 50], folder / f"{k}.{suffix}"
        if suffix == "parquet":
            pq.write_table(pa.Table.from_pylist(some), path)
        elif suffix == "csv":
            path.write_text("text,id\n" + "".join(f"{row['text']},{row['id']}\n" for row in some))
        elif suffix == "txt":
            path.write_text("".join(row["text"] + "\n\n" for row in some))
        elif suffix == "json":
            path.write_text(json.dumps(some))
        else:
            lines = "".join(json.dumps(row) + "\n\n" for row in some).encode()
            path.write_bytes(gzip.compress(lines) if suffix.endswith("gz") else lines)
    pool, engine = Pool.open(folder), _Elsewhere(2)
    chosen = take_census(pool, engine=engine).rows[[0, 3, 40, 41, 150, 151, 160]]
    counts = np.array([1, 2, 1, 3, 1, 1, 2])
    here = pool.write(chosen, tmp_path / "here", format=format, counts=counts).read_bytes()
    pool = Pool.open(folder)
    pool.know_ends(take_census(pool, engine=engine).ends)
    with pool.read_by(pickled(engine.each)):
        assert pool.write(chosen, tmp_path / "there", format=format, counts=counts).read_bytes() == here
        assert pool.candidates_at(chosen) == Pool.open(folder).candidates_at(chosen)
        with pytest.raises(ValueError, match="row 10000 is beyond"):
            pool.candidates_at([0, 10000])
        assert pool.candidates_at([]) == []


def pickled(each: Any) -> Any:
    """The same engine, everything that goes to and fro in bytes."""

    def call(name: str, work: Any, context: Any, items: Any) -> Iterator[Any]:
        for item in items:
            yield pickle.loads(pickle.dumps(next(each(name, work, context, [pickle.loads(pickle.dumps(item))]))))

    return call


def test_what_cannot_be_written_names_the_same_place(tmp_path: Path) -> None:
    rows: list[Any] = [{"text": text, "tags": []} for text in texts(100)]
    pool, engine = Pool.open(written(rows, tmp_path / "pool", files=3)), _Elsewhere(1)
    pool.know_ends(take_census(pool, engine=engine).ends)
    said = []
    for there in (nullcontext(), pool.read_by(pickled(engine.each))):
        with there, pytest.raises(InputError, match="csv can't hold") as error:
            pool.write([70, 80], tmp_path / "out", format="csv")
        said.append(str(error.value))
    assert said[0] == said[1] and "line 1" in said[0]


def test_the_command_selects_the_same_from_files_that_workers_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")
    folder = written(records(), tmp_path / "pool")
    target = tmp_path / "target.jsonl"
    target.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts(30, seed=1)))
    for engine in ("local", "ray"):
        arguments = ["--pool", folder, "--target", target, "--size", "50", "--out", tmp_path / engine]
        said = command("select", *arguments, "--engine", engine)
        assert said.returncode == 0, said.stderr
    for name in ("selection.parquet", "selected.jsonl"):
        assert (tmp_path / "local" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes()
