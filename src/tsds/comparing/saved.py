"""A comparison on disk: cells as they are made, so that a stopped one goes on; then the tables."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

import tsds
from tsds.begun import begun_with
from tsds.comparing.cells import Cell
from tsds.comparing.comparison import Comparison, compare
from tsds.comparing.same import check_same
from tsds.encoding import marks_of
from tsds.errors import InputError
from tsds.places import RUN, run_in
from tsds.records import atomic_file, is_vectors, repeatable
from tsds.settings import Settings
from tsds.stages import Listener

RESULT, TABLE, CELLS = "compare.json", "compare.parquet", "cells.jsonl"
#: Raised when the same settings make other cells, so that those of before are not gone on with.
_MAKING = 2
_MOVE = "choose another --out, or move it"


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

    What the folder holds already stays until there is something to put in its place.

    Raises:
      InputError: if the folder holds a comparison, finished or stopped, that may not be overwritten, or files of none
        under the names of one, or a run of another pool, target or size, or can't be written.
    """
    if (folder / RESULT).exists() and not overwrite:
        raise InputError("holds a comparison already", path=folder, remedy="choose another --out, or --overwrite")
    run = run_in(folder) if (folder / RUN).is_file() else {}  # its page would show the comparison
    begun = begun_with(pool, target, settings)
    if settings.embeddings is None and not is_vectors(pool):
        begun["encoder"] = marks_of(settings)
    asked = _fingerprint(begun, folds)
    made = not folder.exists()
    try:
        done = _cells(folder, asked, overwrite)
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # better said before the work than after it
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", path=folder, remedy="choose another --out") from error
    kept = _Kept(folder / CELLS, asked, len(done))
    try:
        found = compare(
            pool, target, settings, methods, folds=folds, draws=draws, listener=listener, done=done, on_cell=kept.add,
            on_inputs=lambda compared: check_same(run, compared, folder, "choose another --out"),
        )  # fmt: skip
    except BaseException as stop:
        if made and not kept.count:  # nothing to go on with: leave no trace
            folder.rmdir()
        if isinstance(stop, KeyboardInterrupt):
            raise KeyboardInterrupt(*stop.args, _left(kept.count, repeatable(begun["files"]))) from None
        raise
    _write_table(found, folder / TABLE)
    with atomic_file(folder / RESULT) as result:
        result.write(orjson.dumps({**found.to_json(), "command": command}, option=orjson.OPT_INDENT_2))
    (folder / CELLS).unlink(missing_ok=True)
    return found


@dataclass
class _Kept:
    """The file of cells; it is there, in the place of an older one, as soon as there is a cell.

    Args:
      path: of the file.
      asked: what is compared; its first line.
      count: how many cells it holds.
    """

    path: Path
    asked: str
    count: int

    def add(self, cell: Cell) -> None:
        """Keep another one."""
        line = orjson.dumps(cell.to_json()) + b"\n"
        if self.count:
            with self.path.open("ab") as file:
                file.write(line)
        else:
            with atomic_file(self.path) as new:
                new.write(orjson.dumps({"asked": self.asked}) + b"\n" + line)
        self.count += 1


def _left(count: int, repeatable: bool) -> str:
    if not count:
        return "nothing was written"
    cells = "1 cell is" if count == 1 else f"{count} cells are"
    return f"{cells} kept" + (", and the same command goes on with them" if repeatable else "")


def _cells(folder: Path, asked: str, overwrite: bool) -> list[Cell]:
    """The whole lines of a stopped comparison that was asked the same; a last line cut short is left out."""
    path = folder / CELLS
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    if lines and (was := _asked(lines[0])) is None:
        raise InputError(f"holds {CELLS}, which is of no comparison", path=folder, remedy=_MOVE)
    if not lines and (folder / TABLE).exists() and not (folder / RESULT).exists():
        raise InputError(f"holds {TABLE}, which is of no comparison", path=folder, remedy=_MOVE)
    if not lines:
        return []
    if was != asked:
        if overwrite:
            return []
        remedy = "ask the same to go on with it, choose another --out, or --overwrite"
        raise InputError("holds a stopped comparison of other data or settings", path=folder, remedy=remedy)
    whole = b"\n".join(lines) + b"\n"
    if len(whole) < path.stat().st_size:
        with atomic_file(path) as file:
            file.write(whole)
    return [Cell.from_json(orjson.loads(line)) for line in lines[1:]]


def _asked(line: bytes) -> str | None:
    """What a comparison was asked, from the first line of its cells; None if it is no such line."""
    try:
        first = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return first.get("asked") if isinstance(first, dict) else None


def _fingerprint(begun: dict[str, Any], folds: int) -> str:
    """Of all that changes a cell: names, sizes and times of files that are read, encoder, settings, folds, version."""
    asked = {"tsds": tsds.__version__, "making": _MAKING, "folds": folds, **begun}
    return hashlib.sha256(orjson.dumps(asked)).hexdigest()


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
