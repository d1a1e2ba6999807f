"""Embeddings in a column of a parquet file: the same as the array, however it is cut; errors name file and row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tsds
from tests.command.run import texts
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError

ROWS = np.random.default_rng(0).standard_normal((250, 5))


def write(path: Path, kind: Any, rows: Any = ROWS, **more: Any) -> Path:
    lists = [None if row is None else list(row) for row in rows]
    columns = {"vector": pa.array(lists, kind), "other": list(range(len(lists))), **more}
    pq.write_table(pa.table(columns), path, row_group_size=64)
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
    assert (chosen.indices == tsds.select(ROWS, target, **options).indices).all()


@pytest.mark.parametrize(
    ("rows", "column", "why"),
    [
        ([[1.0, 2.0], [1.0]], None, "row 1: has 1 numbers"),
        ([[1.0, 2.0], None], None, "row 1: has no vector"),
        ([[1.0], [None]], None, "holds null"),
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
