"""Embeddings in a column of a parquet file: the same as the array, however it is cut; errors name file and row."""

from __future__ import annotations

import pickle
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tsds
from tests.command.run import texts
from tsds.begun import input_checksums
from tsds.embeddings import columns
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError

ROWS = np.random.default_rng(0).standard_normal((250, 5))


def write(path: Path, kind: Any, rows: Any = ROWS, **more: Any) -> Path:
    lists = [None if row is None else list(row) for row in rows]
    table = {"vector": pa.array(lists, kind), "other": list(range(len(lists))), **more}
    pq.write_table(pa.table(table), path, row_group_size=64)
    return path


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 5), pa.large_list(pa.float32())])
def test_a_column_is_the_matrix_it_holds(tmp_path: Path, kind: Any) -> None:
    path = write(tmp_path / "v.parquet", kind)
    for source in (path, f"{path}:vector", [path, path]):
        vectors = Vectors.of(source)
        whole = np.concatenate([ROWS] * (2 if isinstance(source, list) else 1)).astype(vectors.dtype)
        assert len(vectors) == len(whole)
        for step in (7, 64, 1000):
            np.testing.assert_array_equal(np.concatenate([block for _, block in vectors.blocks(step)]), whole)
        np.testing.assert_array_equal(vectors.take(np.array([200, 3, 64])), whole[[200, 3, 64]])


def test_select_with_columns(tmp_path: Path) -> None:
    pool, target = write(tmp_path / "p.parquet", pa.list_(pa.float64())), ROWS[:4] + 0.01
    aim = write(tmp_path / "t.parquet", pa.list_(pa.float64()), rows=target)
    options: dict[str, Any] = {"size": 9, "bandwidth": 0.1, "method": "kde"}
    chosen = tsds.select(texts(250), texts(4, seed=1), embeddings=f"{pool}:vector", target_embeddings=aim, **options)
    arrays = tsds.select(ROWS, target, **options)
    assert (chosen.indices == arrays.indices).all()
    columns = tsds.select(f"{pool}:vector", [f"{aim}:vector"], **options)
    assert columns.weights.tobytes() == arrays.weights.tobytes()
    assert [one["name"] for one in input_checksums(columns.inputs)["target"]] == [f"{aim}:vector"]
    with pytest.raises(InputError, match=r"p\.parquet:vector: an array of embeddings among records"):
        tsds.select([aim, f"{pool}:vector"], target, **options)


@pytest.mark.parametrize(
    ("rows", "column", "why"),
    [
        ([[1.0, 2.0], [1.0]], None, "row 1: has 1 numbers"),
        ([[1.0, 2.0], None], None, "row 1: has no vector"),
        ([[1.0, 2.0], [2.0, 3.0], [3.0, None], [4.0, 5.0]], None, "row 2: a vector holds null"),
        ([[1.0]] * 70 + [[None]], None, "row 70: a vector holds null"),
        ([[1.0]], "other", "no column 'other' of vectors"),
        ([[1.0]], "none", "it has vector"),
    ],
)
def test_what_is_no_matrix(tmp_path: Path, rows: Any, column: str | None, why: str) -> None:
    path = write(tmp_path / "v.parquet", pa.list_(pa.float32()), rows=rows)
    with pytest.raises(InputError, match=why):
        Vectors.of(path if column is None else f"{path}:{column}").take(np.arange(len(rows)))


def test_two_columns_of_vectors_need_a_name(tmp_path: Path) -> None:
    path = write(tmp_path / "v.parquet", pa.list_(pa.float32()), more=pa.array(ROWS.tolist()))
    with pytest.raises(InputError, match="2 columns of vectors: vector, more"):
        Vectors.of(path)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="not a whole parquet file"):
        Vectors.of(tmp_path / "x.parquet")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The row groups that are read, each time; reading takes a while, so that threads meet there."""
    seen: list[int] = []
    whole = pq.ParquetFile.read_row_group

    def read(self: Any, i: int, *args: Any, **more: Any) -> Any:
        seen.append(i)
        time.sleep(0.005)
        return whole(self, i, *args, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read)
    return seen


def test_take_reads_the_row_groups_it_needs_once(tmp_path: Path, reads: list[int]) -> None:
    vectors = Vectors.of(write(tmp_path / "v.parquet", pa.list_(pa.float64())))
    reads.clear()
    wanted = np.array([249, 70, 65, 70, 248])  # groups 3 and 1 of 0..3
    np.testing.assert_array_equal(vectors.take(wanted), ROWS[wanted])
    assert sorted(reads) == [1, 3]
    assert len(vectors.take(np.empty(0, np.int64))) == 0 and sorted(reads) == [1, 3]


def test_an_empty_row_group_is_no_row(tmp_path: Path) -> None:
    table = pa.table({"vector": pa.array(ROWS[:20].tolist(), pa.list_(pa.float64()))})
    with pq.ParquetWriter(tmp_path / "v.parquet", table.schema) as file:
        for part in (table[:0], table[:10], table[:0], table[10:]):
            file.write_table(part)
    assert pq.ParquetFile(tmp_path / "v.parquet").num_row_groups == 4
    vectors = Vectors.of(tmp_path / "v.parquet")
    np.testing.assert_array_equal(np.concatenate([block for _, block in vectors.blocks(7)]), ROWS[:20])
    np.testing.assert_array_equal(vectors.take(np.array([19, 0, 10])), ROWS[[19, 0, 10]])


@pytest.mark.parametrize("held", [0, 64 << 20])
def test_threads_share_row_groups(tmp_path: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(columns, "_HELD_BYTES", held)
    vectors = Vectors.of([write(tmp_path / f"{i}.parquet", pa.list_(pa.float64())) for i in range(2)])
    whole = np.concatenate([ROWS, ROWS])
    reads.clear()
    meet = threading.Barrier(8)

    def hammer(seed: int) -> None:
        meet.wait()
        np.testing.assert_array_equal(vectors.take(np.array([499, 0])), whole[[499, 0]])
        for rows in np.random.default_rng(seed).integers(0, 500, (10, 3)):
            np.testing.assert_array_equal(vectors.take(rows), whole[rows])
            start = int(rows[0])
            for first, block in vectors.blocks(50, (start, min(start + 90, 500))):
                np.testing.assert_array_equal(block, whole[first : first + len(block)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hammer, range(8)))
    if held:
        assert sorted(reads) == [0, 0, 1, 1, 2, 2, 3, 3]  # of two files, each once for all threads


def test_what_is_held_of_many_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_HELD_BYTES", 5000)
    path = write(tmp_path / "v.parquet", pa.list_(pa.float64()))
    paths = [shutil.copy(path, tmp_path / f"{i}.parquet") for i in range(30)]
    vectors, before = Vectors.of(paths), pa.total_allocated_bytes()
    for read in (lambda: vectors.take(np.arange(0, len(vectors), 9)), lambda: list(vectors.blocks(500))):
        read()
        assert pa.total_allocated_bytes() - before < 15_000  # a row group has 2,560 bytes, all have 300,000
    alone = pickle.dumps(vectors)
    assert len(alone) < 20_000
    np.testing.assert_array_equal(pickle.loads(alone).take(np.array([7])), ROWS[[7]])
