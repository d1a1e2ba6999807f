"""Shards seen as one matrix: the same rows as the array that was cut into them; no more is read than is asked for."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsds
from tsds.corpus import write_vectors
from tsds.embeddings import vectors as module
from tsds.embeddings.transforms import Learned
from tsds.embeddings.vectors import Vectors
from tsds.errors import RunError

ROWS = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)


def cut(folder: Path, sizes: Sequence[int]) -> list[Path]:
    """The first rows in .npy files of these many rows."""
    starts = np.cumsum([0, *sizes])
    paths = [folder / f"{i:03}.npy" for i in range(len(sizes))]
    for path, start, size in zip(paths, starts, sizes, strict=False):
        np.save(path, ROWS[start : start + size])
    return paths


@pytest.mark.parametrize("sizes", [(0, 20, 40), (20, 0, 0, 40), (20, 40, 0)])
def test_an_empty_shard_hides_no_other(tmp_path: Path, sizes: Sequence[int]) -> None:
    vectors = Vectors.of(cut(tmp_path, sizes))
    for step in (7, 20, 60):
        blocks = list(vectors.blocks(step))
        assert [start for start, _ in blocks] == list(range(0, 60, step))
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), ROWS)
    order = np.random.default_rng(1).permutation(60)
    np.testing.assert_array_equal(vectors.take(order), ROWS[order])


class _Counted:
    """An array in memory that knows how often it was read."""

    dtype = ROWS.dtype

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array, self.shape, self.reads = array, (int(array.shape[0]), int(array.shape[1])), 0

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        return self.array[start:stop]

    def rows(self, positions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self.reads += 1
        return self.array[positions]


class _Unlooped(tuple[Any, ...]):
    """Shards that can be asked for one by one only."""

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("looks at every shard")


@pytest.mark.parametrize("kept", [False, True])
def test_take_reads_the_shards_it_needs_once(kept: bool) -> None:
    shards = [_Counted(part) for part in np.split(ROWS, [10, 20, 20, 35, 50])]
    vectors = Vectors(shards, np.arange(0, 60, 2) if kept else None)
    vectors._shards = _Unlooped(vectors._shards)
    whole = ROWS[::2] if kept else ROWS
    for wanted in ([], [len(whole) - 1], [0, 29, 1, 0, 29], [12, 11, 13, 12]):
        rows = np.array(wanted, np.int64)
        before = [shard.reads for shard in shards]
        taken = vectors.take(rows)
        assert taken.dtype == ROWS.dtype and taken.shape == (len(rows), 5)
        np.testing.assert_array_equal(taken, whole[rows])
        stored = rows * 2 if kept else rows
        hit = [int(((stored >= a) & (stored < b)).any()) for a, b in pairwise([0, 10, 20, 20, 35, 50, 60])]
        assert [shard.reads - was for shard, was in zip(shards, before, strict=True)] == hit


def test_take_of_shards_of_two_types_is_of_the_wider(tmp_path: Path) -> None:
    paths = cut(tmp_path, (30, 30))
    np.save(paths[0], ROWS[:30].astype(np.float16))
    taken = Vectors.of(paths).take(np.array([3, 2, 2]))  # of the narrower only
    assert taken.dtype == np.float32
    np.testing.assert_array_equal(taken, ROWS[[3, 2, 2]].astype(np.float16).astype(np.float32))


def test_masked_values_are_refused() -> None:
    masked = np.ma.masked_array(ROWS, mask=ROWS > 2)
    for pool in (masked, list(masked)):
        with pytest.raises(tsds.InputError, match=r"^pool: holds masked values \(fill or drop them\)"):
            tsds.select(pool, ROWS[:2], size=1)
    with pytest.raises(tsds.InputError, match=r"^targets: holds masked"):
        tsds.nearest_neighbors(ROWS, masked)
    np.testing.assert_array_equal(Vectors.of(np.ma.masked_array(ROWS)).take(np.arange(60)), ROWS)


def test_there_is_no_row_beyond_the_last(tmp_path: Path) -> None:
    vectors = Vectors.of(cut(tmp_path, (30, 30)))
    for rows in ([60], [0, -1]):
        with pytest.raises(IndexError, match="of 60 rows"):
            vectors.take(np.array(rows))


@pytest.mark.parametrize("columns", [1, 3, 64])
def test_take_from_columns_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    rows = np.random.default_rng(2).standard_normal((8000, 64))
    np.save(tmp_path / "fortran.npy", np.asfortranarray(rows))
    monkeypatch.setattr(module, "_COPIED_BYTES", columns * 8 * 8000)
    vectors, wanted = Vectors.of(tmp_path / "fortran.npy"), np.array([7999, 0, 4321, 0])
    tracemalloc.start()
    taken = vectors.take(wanted)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(taken, rows[wanted])
    assert peak < rows.nbytes / 50


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EOPNOTSUPP])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """All three that write by memory map ask for the whole size first; a file system that can't tell is let be."""
    asked: list[int] = []

    def full(descriptor: int, start: int, size: int) -> None:
        asked.append(size)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    path, vectors = tmp_path / "x.npy", Vectors.of(ROWS)
    for write in (
        lambda: write_vectors(path, [ROWS], 60, 5),
        lambda: Learned().write(vectors, path),
        lambda: vectors.arranged(np.arange(60)[::-1], path),
    ):
        if code == errno.ENOSPC:
            with pytest.raises(RunError, match=r"x\.npy: can't be written: No space left on device$"):
                write()
        else:
            assert len(write()) == 60
        assert path.exists() == (code != errno.ENOSPC)
    assert asked == [path.stat().st_size if path.exists() else 1328] * 3


_FEW_FILES = """
import resource, sys
from pathlib import Path
import numpy as np
from tsds.embeddings.shards import open_shard, write_shard
from tsds.embeddings.vectors import Vectors

folder, dtype = Path(sys.argv[1]), sys.argv[2]
rows = np.random.default_rng(0).integers(-127, 128, (1200, 3)).astype(np.float32)
parts = np.split(rows, 300)
entries = [write_shard(folder, np.full((4, 2), i, np.uint64), part, dtype) for i, part in enumerate(parts)]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
vectors = Vectors([open_shard(folder, entry) for entry in entries])
order = np.random.default_rng(1).permutation(1200)
(block,) = [block for _, block in vectors.blocks(1200)]
held = [block for _, block in vectors.blocks(40)]  # several at once, as threads hold them
for found, wanted in ((block, rows), (np.concatenate(held), rows), (vectors.take(order), rows[order])):
    assert found.dtype == vectors.dtype and np.abs(found - wanted).max() <= (0.5 if dtype == "int8" else 0)
print(len(vectors))
"""


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_more_shards_than_files_may_be_open(tmp_path: Path, dtype: str) -> None:
    pytest.importorskip("resource")
    command = [sys.executable, "-c", _FEW_FILES, str(tmp_path), dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "1200\n", done.stderr
