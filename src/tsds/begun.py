"""What a run was asked for and began with: it is kept with the result, and tells whether another run is the same."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from tsds.embeddings.columns import column_of
from tsds.inputs import Inputs
from tsds.records import Pool, checksum_of, file_facts
from tsds.settings import Settings

#: Settings that say how to work, not what to make of it; and those that are files.
_NO_MATTER = ("engine", "workers", "memory", "device", "store", "index", "method_why")
_FILES = ("exclude", "embeddings", "target_embeddings")


def as_asked(settings: Settings) -> dict[str, Any]:
    """Every setting by name; objects in memory are but described."""
    values = {one.name: getattr(settings, one.name) for one in fields(settings)}
    return {name: value if _plain(value) else _described(value) for name, value in values.items()}


def begun_with(pool: Any, target: Any, settings: Settings) -> dict[str, Any]:
    """What a run to be resumed must have had too: the settings that its result depends on, and its input files.

    A file is there once for each role that it has: "pool", "target", "target NAME" of a task, "exclude", and so on.
    """
    sources = {"pool": pool, "target": target, **{name: getattr(settings, name) for name in _FILES}}
    files: list[dict[str, Any]] = []
    for role, source in sources.items():
        for task, one in source.items() if isinstance(source, dict) else [("", source)]:
            as_this = {"role": f"{role} {task}".rstrip()}
            files += [] if one is None else [as_this | facts for facts in file_facts(one)]
    asked = {name: value for name, value in as_asked(settings).items() if name not in _NO_MATTER}
    return {"settings": asked, "files": files}


def input_checksums(inputs: Inputs) -> dict[str, list[dict[str, str | int]]]:
    """Name, bytes and digest of each file of the pool, and of the targets; none for what is in memory."""
    pool, targets = inputs.candidates, inputs.targets
    found = {"pool": _checksums(pool.records, pool.names), "target": list[dict[str, str | int]]()}
    for records, _ in targets.sources:
        found["target"] += _checksums(records, [] if records is not None else targets.names)
    return found


def _checksums(records: Pool | None, names: list[str]) -> list[dict[str, str | int]]:
    if records is not None:
        return list(records.checksum())
    columns = [(name, column_of(Path(name))) for name in names]  # FILE.parquet:COLUMN is of a file too
    files = [(name, Path(name) if column is None else column[0]) for name, column in columns]
    return [checksum_of(file, name) for name, file in files if file.is_file()]


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_plain(one) for one in value.values())
    return value is None or isinstance(value, (str, int, float, bool))


def _described(value: Any) -> str | list[str]:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)) and all(isinstance(one, (str, Path)) for one in value):
        return [str(one) for one in value]
    return f"a {type(value).__name__} in memory"
