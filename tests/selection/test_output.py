"""What a run writes does not hold in memory what it only looks through."""

from __future__ import annotations

import sys
import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import tsds
from tests.command.run import texts, write_jsonl
from tests.search.data import clustered
from tsds import cli
from tsds.errors import InputError
from tsds.output import write_table
from tsds.report import explorer
from tsds.report.path_table import walk


@pytest.mark.parametrize("ids", ["text", "numbers", "some", "both", "none"])
def test_the_table_has_the_ids_and_never_all_texts(ids: str, tmp_path: Path) -> None:
    """1200 candidates with mass, of 20 kB each."""
    named: dict[str, Any] = {
        "text": {i: f"r{i}" for i in range(1200)},
        "numbers": {i: 5 * i - 7 for i in range(1200)},
        "some": {i: -i - 1 for i in range(0, 1200, 3)},
        "both": {i: f"r{i}" if i % 7 else -i - 1 for i in range(1200)},
        "none": {},
    }
    of = named[ids]
    long = [{"text": f"{i} " + "long " * 4000, **({"id": of[i]} if i in of else {})} for i in range(1200)]
    pool = write_jsonl(tmp_path / "pool.jsonl", long)
    vectors, targets = clustered(1200, 8), clustered(6, 8, seed=1)
    chosen = tsds.select(
        pool, [f"target {i}" for i in range(6)], size=20, neighbors=600, bandwidth=0,
        embeddings=vectors, target_embeddings=targets,
    )  # fmt: skip
    assert len(chosen.rows) >= 1000  # 20 MB of text
    write_table(chosen, tmp_path / "table.parquet")  # what is imported at the first time is not counted
    tracemalloc.start()
    try:
        write_table(chosen, tmp_path / "table.parquet")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12e6
    table = pq.read_table(tmp_path / "table.parquet")
    assert "task" not in table.column_names and table["target_id"].to_pylist() == table["target"].to_pylist()
    written = table["id"].to_pylist()
    expected = [of.get(row, row) for row in chosen.rows.tolist()]
    assert written == ([str(one) for one in expected] if ids in ("text", "both") else expected)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_format_that_the_first_records_do_not_fit_is_said_before_any_work(
    dry_run: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are lists in csv, texts of two lines in txt, or values of two types in parquet; others run."""
    begun: list[str] = []
    monkeypatch.setattr("tsds.selecting.run", lambda *given, **more: begun.append("run") or sys.exit())
    monkeypatch.setattr("tsds.forecast.forecast", lambda *given: begun.append("forecast") or sys.exit())
    target = write_jsonl(tmp_path / "t.jsonl", [{"text": "alpha"}])
    user = [{"role": "user", "content": "alpha"}]
    cases = {
        "csv": ({"messages": user}, r"pool\.jsonl, line 3: field 'messages' holds list, which csv can't hold"),
        "txt": ({"text": "alpha\nbeta"}, r"pool\.jsonl, line 3: the text has a line break, which txt can't hold"),
        "parquet": ({"text": "alpha", "n": [1]}, "the records can't be written as parquet"),
        "jsonl": ({"messages": user}, ""),
    }
    for format, (record, said) in cases.items():
        pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": "one", "n": 1}, {"text": " "}, record])
        pool.write_text(pool.read_text() + "{oops}\n")
        files, options = ([str(pool)], [str(target)]), {"format": format, "dry_run": dry_run, "on_error": "skip"}
        with pytest.raises(InputError if said else SystemExit, match=said or None):
            cli.select(*files, "1", str(tmp_path / "out"), **options)
        assert begun == ([] if said else ["forecast" if dry_run else "run"])
        assert not (tmp_path / "out").exists()


def test_chosen_vectors_are_written_as_they_were_given(tmp_path: Path) -> None:
    """Far from the origin, some of them copies, and transformed for the search: none of that is the user's."""
    pool, target = clustered(300, 8) + np.float32(1000), clustered(5, 8, seed=1) + np.float32(1000)
    pool[150:200] = pool[:50]
    np.save(tmp_path / "pool.npy", pool)
    cases: list[tuple[Any, dict[str, Any]]] = [
        (tmp_path / "pool.npy", {"transform": "normalize"}),
        (pool, {"transform": "pca:4"}),
        (pool, {"capacity": 5}),
    ]
    for source, options in cases:
        chosen = tsds.select(source, target, size=20, **options)
        chosen.save(tmp_path / "out", overwrite=True)
        written = np.load(tmp_path / "out" / "selected.npy")
        np.testing.assert_array_equal(written, pool[np.repeat(chosen.indices, chosen.counts)])
        assert written.dtype == np.float32 and (len(written) > len(chosen.indices)) == ("capacity" in options)


def test_of_each_stop_of_the_path_only_the_largest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tsds.select(texts(400), texts(8, seed=1), size=20, neighbors=30)
    alive: list[weakref.ref[Any]] = []
    expected: list[list[tuple[int, float]]] = []

    def watched(*arguments: Any) -> Iterator[Any]:
        for row, rows, p in walk(*arguments):
            assert sum(one() is not None for one in alive) <= 1  # that of the stop before, which the loop still names
            alive.append(weakref.ref(p))
            best = sorted(zip((-p).tolist(), rows.tolist(), strict=True))[: explorer.TOP]
            expected.append([(i, float(f"{-x:.6g}")) for x, i in best])
            yield row, rows, p
            del rows, p

    monkeypatch.setattr(explorer, "walk", watched)
    page = explorer.explorer(chosen)
    assert len(expected) == len(page["stops"]) > 10
    row_of = [one["row"] for one in page["records"]]
    pool_row = chosen.inputs.candidates.census.rows
    for stop, best in zip(page["stops"], expected, strict=True):
        assert [(row_of[record], p) for record, p in stop["top"]] == [(int(pool_row[i]), p) for i, p in best]


def test_near_duplicates_are_listed_with_the_chosen_that_have_them() -> None:
    """Every listed neighbour is within the bandwidth, by the vectors themselves."""
    rng = np.random.default_rng(0)
    seeds = clustered(60, 8)
    pool = np.concatenate([seeds, seeds[:30] + rng.normal(0, 1e-3, (30, 8)).astype(np.float32)])
    chosen = tsds.select(pool, clustered(10, 8, seed=1), size=12, neighbors=6, bandwidth=0.05)
    page = explorer.explorer(chosen)
    squares = np.square(pool[:, None] - pool).sum(axis=2)
    row_of = [one["row"] for one in page["records"]]
    seen = 0
    for one in page["chosen"]:
        row = row_of[one["record"]]
        close = {int(i) for i in np.flatnonzero(squares[row] < 0.05**2) if i != row}
        assert one["near"] is not None and {row_of[near["record"]] for near in one["near"]} == close
        seen += len(close)
    assert seen
