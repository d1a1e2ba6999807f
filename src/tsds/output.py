"""What a run writes: the chosen records, the table of candidates, the page, and run.json."""

from __future__ import annotations

import platform
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tsds.arrays import Rows
from tsds.begun import as_asked, input_checksums
from tsds.census import by_file
from tsds.engines import Engine
from tsds.errors import InputError
from tsds.inputs import opened
from tsds.places import PAGE, RUN, TABLE
from tsds.records import Pool, atomic_file, checksum_of, file_facts, glimpse, not_here, repeatable, writable
from tsds.report.data import facts_of
from tsds.report.explorer import explorer
from tsds.report.facts import Facts
from tsds.report.page import write_page
from tsds.scratch import PREFIX
from tsds.selection import Selection
from tsds.settings import Settings
from tsds.targets import Targets

#: Records of a pool by which it is seen whether they fit a format.
_TRIED = 100


def check_format(format: str | None, *, vectors: bool) -> None:
    """Raise InputError if no pool of records, or of `vectors`, can be written so: better before the work than after it.

    Whether the chosen records fit the format is known only when they are written, but see `check_fits`.
    """
    if vectors and format not in (None, "npy"):
        raise InputError(f"a pool of embeddings can't be written as {format}", remedy="leave out --format")
    if format is not None and not vectors:
        writable(format)


def check_fits(format: str, pool: Any, settings: Settings) -> None:
    """Raise InputError if the first records of a pool can't be written so, as it would be raised at the end of the run.

    Standard input, which can be read but once, is not looked at, nor are files that would have to be fetched for it.
    """
    if not repeatable(file_facts(pool)):
        return
    with tempfile.TemporaryDirectory(prefix=PREFIX) as scratch:
        seen = glimpse(pool, "pool", Path(scratch))
        if seen is None and not_here(pool):
            return
        records = opened(pool if seen is None else seen.first, "pool", settings, ids="unread")
        records.write(next(iter(records.batches(_TRIED))).rows, scratch, format=format)


def write_run(
    selection: Selection,
    folder: Path,
    *,
    format: str | None = None,
    command: str | None = None,
    engine: Engine | None = None,
) -> Facts:
    """Write selected records, table, page and run.json; returns the facts that the page shows.

    An engine reads the chosen records where its workers are.
    """
    records = selection.inputs.candidates.records
    if records is None or engine is None or by_file(records, engine) is None:
        return _write_run(selection, folder, format, command)
    with records.read_by(engine.each):
        return _write_run(selection, folder, format, command)


def _write_run(selection: Selection, folder: Path, format: str | None, command: str | None) -> Facts:
    records = selection.inputs.candidates.records
    if records is not None:
        chosen = records.write(selection.indices, folder, format=format, counts=selection.counts)
    else:
        chosen = _write_vectors(selection, folder, format)
    write_table(selection, folder / TABLE)
    facts = facts_of(selection, command)
    write_page(facts, explorer(selection), folder / PAGE)
    run = run_json(selection, facts, chosen)
    with atomic_file(folder / RUN) as file:
        file.write(orjson.dumps(run, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return facts


def write_table(selection: Selection, path: Path) -> None:
    """One row for each candidate with mass, in pool order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    answer, inputs, found = selection.answer, selection.inputs, selection.inputs.candidates
    census = found.census
    targets = inputs.targets
    served, at = np.unique(answer.target, return_inverse=True)
    named = pa.array(targets.tasks, pa.string()).dictionary_encode() if any(targets.tasks) else None
    shards = np.array(found.names, dtype=object)[census.shard[answer.rows]]
    table = pa.table(
        {
            "row": selection.rows,
            "id": _ids(_ids_at(found.records, selection.rows)),
            "shard": pa.array(shards, pa.string()),
            "probability": answer.probability,
            "count": selection.drawn.counts,
            "density": pa.array(answer.density, from_pandas=True),  # null where the method weighs nothing
            "target": answer.target,
            "distance": answer.distance,
            "rank": answer.rank,
            "inclusion": pa.array(selection.drawn.inclusion, from_pandas=True),  # null for a size in tokens
            "copies": census.copies[answer.rows],
            **({} if named is None else {"task": named.take(pa.array(targets.task[answer.target]))}),
            "target_id": _ids(_target_ids(targets, served)).dictionary_encode().take(pa.array(at)),
        }
    )
    with atomic_file(path) as file:
        pq.write_table(table, file)


def _ids(ids: list[str | int]) -> Any:
    """Ids as a column: of whole numbers if all are, else of text."""
    import pyarrow as pa

    whole = all(isinstance(one, int) and -(2**63) <= one < 2**63 for one in ids)
    return pa.array(ids, pa.int64()) if whole else pa.array([str(one) for one in ids], pa.string())


def _target_ids(targets: Targets, which: Rows) -> list[str | int]:
    """The ids of these targets, ascending; its position in its task's records where one has none."""
    return [one for _, records, rows in targets.by_task(which) for one in _ids_at(records, rows)]


def _ids_at(records: Pool | None, rows: Rows) -> list[str | int]:
    """The ids of the records at these positions, ascending; the position where there is none."""
    ids: list[str | int] = rows.tolist()
    if records is None:
        return ids
    # As they are read: a list of the candidates would hold the texts of all.
    each = (one.id for some in records.candidates(rows) for one in some)
    return [row if one is None else one for row, one in zip(ids, each, strict=True)]


def run_json(selection: Selection, facts: Facts, chosen: Path) -> dict[str, Any]:
    """Every setting as resolved, sizes, certificate, stages and checksums."""
    settings, answer, inputs = selection.settings, selection.answer, selection.inputs
    note = answer.note
    return {
        "tsds": facts["version"],
        "command": facts["command"],
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "faiss-cpu", "pyarrow", "orjson")},
        "settings": as_asked(settings),
        "seed": settings.seed,
        "size": {
            "asked": facts["size_asked"],
            "wanted": selection.size,
            "chosen": len(selection),
            "distinct": facts["distinct"],
            "tokens": facts["tokens"],
        },
        "pool": {**facts["pool"], "dimensions": inputs.candidates.vectors.dim},
        "target": {**facts["target"], "tasks": [name for name in inputs.targets.tasks if name]},
        "tasks": facts["tasks"],
        "encoder": facts["encoder"],
        "strength": {**facts["strength"], "effective_size": facts["effective_size"], "support": facts["support"]},
        "trials": [asdict(trial) for trial in answer.trials],
        "sampling": selection.drawn.sampling,
        "bandwidth": {"value": facts["bandwidth"], "why": facts["bandwidth_why"]},
        "transport_cost": answer.cost,
        "certificate": {
            "exact": answer.exact and (note is None or note.exact),
            "plan": answer.certificate,
            "neighbors": selection.neighbors,
            "recall": selection.recall,
            "density": "not used" if note is None else note.line,
        },
        "density": None if note is None else {**asdict(note), "near_duplicates": note.near_duplicates},
        "warnings": facts["warnings"],
        "stages": facts["stages"],
        "seconds": facts["seconds"],
        "inputs": input_checksums(inputs),
        "selected": checksum_of(chosen, chosen.name),
    }


def files_read(selection: Selection) -> list[str]:
    """Names of the files that a selection was made from, as far as they are there still."""
    settings, inputs = selection.settings, selection.inputs
    names = [*inputs.candidates.names, *inputs.targets.names]
    for source in (settings.exclude, settings.embeddings, settings.target_embeddings):
        for one in source.values() if isinstance(source, dict) else [source]:
            try:
                names += [facts["name"] for facts in file_facts(one)]
            except InputError:  # an array, or a file that is gone: there is nothing to lose
                continue
    return names


def _write_vectors(selection: Selection, folder: Path, format: str | None) -> Path:
    check_format(format, vectors=True)
    given = selection.inputs.candidates.given
    assert given is not None, "a pool without records is given as vectors"
    path = folder / "selected.npy"
    with atomic_file(path) as file:
        np.save(file, given.take(np.repeat(selection.indices, selection.counts)), allow_pickle=False)
    return path
