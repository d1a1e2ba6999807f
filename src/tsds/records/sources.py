"""What users give as a pool or target, as an ordered list of shards: files here or elsewhere, folders, objects."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tsds.errors import InputError, RunError
from tsds.records.files import COMPRESSIONS, unreadable
from tsds.records.formats import FORMATS, Format, format_of, known_suffixes
from tsds.records.objects import Texts, in_memory, is_dataset, is_frame, no_schema
from tsds.records.paths import STDIN, files_of, is_array, looks_like_path
from tsds.records.remote import RemoteFile, is_remote, remote_files, shown
from tsds.records.shards import Shard
from tsds.scratch import PREFIX, owned, sweep

#: What users may give: a path, paths, texts, records, a data frame, a `datasets.Dataset` or several.
Sources = Any
_STDIN_NAME = "standard input"
#: How a JSON array of records begins, which "[INST] a plain line" does not.
_ARRAY = re.compile(rb"\[\s*[{\"\]]")


def shards_of(sources: Sources, role: str, skip: bool = False) -> list[Shard]:
    """The shards of a pool, in the order given; every file is known to exist and to be of a known format.

    A str or Path alone is a path; a data frame (pandas, polars, pyarrow) has a record a row. In a list, a Path is
    always a path, "-" (standard input) or a glob, and a dict is a record. A list of str is a list of paths if each
    element names a file, a folder or a glob's match, or has no white space and ends in a known suffix, or is empty;
    otherwise, and where it is a `Texts`, it is a list of texts. An empty path is refused.

    Raises:
      InputError: if a file is missing, of unknown format or given twice, or, unless such are to be skipped, an object
        is no record.
    """
    paths = _as_paths(sources, role)
    if paths is None:
        return in_memory(sources, role, skip)
    if not paths:
        raise InputError(f"no {role} is given", remedy="name a file, a folder or a glob")
    files = files_of(paths)
    formats = _formats(files, role)
    return [
        _standard_input() if entry is None else _file_shard(entry, file, shown(file))
        for file, entry in zip(files, formats, strict=True)
    ]


def is_vectors(sources: Sources) -> bool:
    """Whether these are embeddings: an array, or .npy files; nothing is fetched.

    Raises:
      InputError: if .npy is mixed with records.
    """
    if isinstance(sources, np.ndarray):
        return True
    paths = _as_paths(sources, "source")
    if paths is None:
        return isinstance(sources, Sequence) and any(isinstance(one, np.ndarray) for one in sources)
    files = files_of(paths, lambda file: file.local)  # their names say it
    arrays = [file for file in files if is_array(file)]
    if arrays and len(arrays) < len(files):
        other = next(file for file in files if not is_array(file))
        raise InputError(f"an array of embeddings among records ({other})", path=arrays[0], remedy="give one kind")
    return bool(arrays)


def array_files(sources: Sources) -> list[Path] | None:
    """The .npy files of embeddings given by path, folder or glob; None if they are in memory."""
    if isinstance(sources, np.ndarray):
        return None
    paths = _as_paths(sources, "source")
    return None if paths is None else files_of(paths)


def file_facts(sources: Sources) -> list[dict[str, Any]]:
    """Name, size and time of change of the files of these sources, wherever they are; nothing is read or fetched."""
    facts = []
    for one in _as_paths(sources, "source") or []:
        if is_remote(one):
            for file in remote_files(one):
                facts.append({"name": file.address, "bytes": file.size, "changed": file.local.parent.name})
            continue
        for path in files_of([one]):
            if path == STDIN:  # it can't be read twice, so it is never the same
                facts.append({"name": _STDIN_NAME, "bytes": None, "changed": time.time_ns()})
                continue
            held = path if path.exists() else Path(str(path).rpartition(":")[0])  # FILE.parquet:COLUMN
            # A store of gradients is a folder, whose own time does not change when what is in it is written anew.
            inside = sorted(part for part in held.rglob("*") if part.is_file()) if held.is_dir() else [held]
            for part in inside:
                about, name = part.stat(), str(path if part == held else part)
                facts.append({"name": name, "bytes": about.st_size, "changed": about.st_mtime_ns})
    return facts


def repeatable(facts: list[dict[str, Any]]) -> bool:
    """Whether files with these facts can be read again by another run, which standard input can't."""
    return all(one["name"] != _STDIN_NAME for one in facts)


def not_here(sources: Sources) -> list[RemoteFile]:
    """The files of these sources that are elsewhere and have no copy here yet."""
    given = [sources] if isinstance(sources, str) else sources if isinstance(sources, (list, tuple)) else []
    return [file for one in given if is_remote(one) for file in remote_files(one) if not file.here]


def _as_paths(sources: Sources, role: str) -> list[str] | None:
    """The paths given, or None for objects in memory."""
    if isinstance(sources, (str, os.PathLike)):
        return [os.fspath(sources)]
    if isinstance(sources, Texts) or is_dataset(sources) or is_frame(sources):
        return None
    if not isinstance(sources, (list, tuple)):
        kind = f"{type(sources).__module__}.{type(sources).__qualname__}".removeprefix("builtins.")
        remedy = (
            "give a path, a list of paths, texts or dicts, a data frame, or a datasets.Dataset; "
            "list(...) holds a generator's records"
        )
        raise InputError(f"the {role} can't be read from a {kind}", remedy=remedy)
    are_paths = [isinstance(one, os.PathLike) for one in sources]
    if any(are_paths):
        if not all(path or isinstance(one, str) for path, one in zip(are_paths, sources, strict=True)):
            raise InputError(f"the {role} mixes paths with records", remedy="give one kind")
        return [os.fspath(one) for one in sources]
    # Texts end it at the first element that is no path, so a long list of texts costs nothing. An empty one is no text,
    # so it does not make texts of paths: it is refused among them.
    return list(sources) if all(isinstance(one, str) and (not one or looks_like_path(one)) for one in sources) else None


def _formats(files: list[Path], role: str) -> list[Format | None]:
    """The format of each file, None for standard input; raises at the first that can't be part of the role."""
    formats: list[Format | None] = []
    seen: set[Path] = set()
    for file in files:
        entry = format_of(file)
        if is_array(file):
            remedy = f"give the {role} either as records or as arrays"
            raise InputError("an array of embeddings where records are read", path=file, remedy=remedy)
        if file != STDIN and not file.exists():
            raise InputError("the folder names a file that is missing", path=file, remedy="save the dataset again")
        if file != STDIN and entry is None:
            raise InputError("unknown kind of file", path=file, remedy=f"known: {known_suffixes()}")
        if file != STDIN and file.suffix.lower() in COMPRESSIONS and not file.stat().st_size:
            raise InputError("holds no bytes: was its download cut?", path=file, remedy="fetch it again, or remove it")
        if file.resolve() in seen:
            raise InputError(f"given twice in the {role}", path=file, remedy="a folder or glob may hold it already")
        seen.add(file.resolve())
        formats.append(entry)
    return formats


def _file_shard(entry: Format, path: Path, name: str, temporary: bool = False) -> Shard:
    schema = partial(entry.schema, path, name) if entry.schema else no_schema
    return Shard(name, path, entry.name, partial(entry.read, path, name), entry.written_as, schema, temporary)


def _standard_input() -> Shard:
    """Standard input, copied to a temporary file because a pool is read more than once.

    Raises:
      InputError: if it can't be read.
      RunError: if the copy can't be written.
    """
    folder = Path(tempfile.gettempdir())
    sweep(folder)
    path = folder / owned(PREFIX)
    try:
        _copy_standard_input(path)
        with path.open("rb") as copy:
            head = copy.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    kind = "jsonl" if head.startswith(b"{") else "json" if _ARRAY.match(head) else "txt"
    return _file_shard(FORMATS[kind], path, _STDIN_NAME, temporary=True)


def _copy_standard_input(path: Path) -> None:
    pieces = _pieces_of_standard_input()
    try:
        # Of its owner alone: others use the folder too.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
            copy.writelines(pieces)
    except OSError as error:
        raise RunError(
            f"{path}: the copy of {_STDIN_NAME} can't be written: {error.strerror or error} "
            "(make room, or name another folder in TMPDIR)"
        ) from error


def _pieces_of_standard_input() -> Iterator[bytes]:
    try:
        while piece := sys.stdin.buffer.read(1 << 20):
            yield piece
    except OSError as error:
        raise unreadable(error, _STDIN_NAME) from error
