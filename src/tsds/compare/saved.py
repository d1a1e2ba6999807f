"""A comparison on disk: cells as they are made, so that a stopped one goes on; then the tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tsds.compare.cells import Cell
from tsds.compare.comparison import Comparison, compare
from tsds.errors import InputError
from tsds.records import atomic_file
from tsds.settings import Settings
from tsds.stages import Listener

RESULT, TABLE, CELLS = "compare.json", "compare.parquet", "cells.jsonl"


def compare_to(
    folder: Path,
    pool: Any,
    target: Any,
    settings: Settings,
    methods: Sequence[str] | None,
    *,
    folds: int,
    draws: int,
    overwrite: bool = False,
    command: str | None = None,
    listener: Listener | None = None,
) -> Comparison:
    """Compare, keeping every cell; one that was stopped is continued if it was asked the same.

    Raises:
      InputError: if the folder holds a finished comparison that may not be overwritten, or can't be written.
    """
    if (folder / RESULT).exists() and not overwrite:
        raise InputError("holds a comparison already", path=folder, remedy="choose another --out, or --overwrite")
    asked = _fingerprint(pool, target, settings, folds)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULT).unlink(missing_ok=True)
        done = _cells(folder / CELLS, asked)
        if not done:
            (folder / CELLS).write_bytes(orjson.dumps({"asked": asked}) + b"\n")
        file = (folder / CELLS).open("ab")
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", path=folder, remedy="choose another --out") from error

    kept = len(done)

    def keep(cell: Cell) -> None:
        nonlocal kept
        file.write(orjson.dumps(cell.to_json()) + b"\n")
        file.flush()
        kept += 1

    try:
        with file:
            found = compare(
                pool, target, settings, methods, folds=folds, draws=draws, listener=listener, done=done, on_cell=keep
            )
    except BaseException:
        if not kept:  # nothing to go on with: leave no trace
            (folder / CELLS).unlink()
            if made:
                folder.rmdir()
        raise
    _write_table(found, folder / TABLE)
    with atomic_file(folder / RESULT) as result:
        result.write(orjson.dumps({**found.to_json(), "command": command}, option=orjson.OPT_INDENT_2))
    (folder / CELLS).unlink()
    return found


def _cells(path: Path, asked: str) -> list[Cell]:
    """The whole lines of a stopped comparison that was asked the same; a last line cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    if not lines or orjson.loads(lines[0]).get("asked") != asked:
        return []
    whole = b"\n".join(lines) + b"\n"
    if len(whole) < path.stat().st_size:
        with atomic_file(path) as file:
            file.write(whole)
    return [Cell.from_json(orjson.loads(line)) for line in lines[1:]]


def _fingerprint(pool: Any, target: Any, settings: Settings, folds: int) -> str:
    """Of all that changes a cell: the inputs' names, sizes and times, and the settings."""
    parts = [repr(settings), str(folds)]
    for source in (pool, target):
        for one in source.values() if isinstance(source, dict) else [source]:
            for path in one if isinstance(one, (list, tuple)) else [one]:
                parts.append(str(path))
                if isinstance(path, (str, Path)) and Path(path).is_file():
                    parts.append(f"{Path(path).stat().st_size} {Path(path).stat().st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _write_table(found: Comparison, path: Path) -> None:
    """One row a cell, one column a measure."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "method": [cell.contender for cell in found.cells],
            "draw": np.array([cell.draw for cell in found.cells]),
            "fold": np.array([cell.fold for cell in found.cells]),
            **{name: [cell.values[name] for cell in found.cells] for name in found.cells[0].values},
            "rows": [cell.rows for cell in found.cells],
        }
    )
    with atomic_file(path) as file:
        pq.write_table(table, file)
