"""What users give as a pool or target, as an ordered list of shards: files here or elsewhere, folders, objects."""

from __future__ import annotations

import difflib
import glob
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tsds.errors import InputError
from tsds.records.blocks import Block, Objects
from tsds.records.formats import FORMATS, Format, format_of, known_suffixes
from tsds.records.remote import RemoteFile, is_remote, remote_files, shown
from tsds.records.shards import Shard
from tsds.records.tables import read_dataset

#: What users may give: a path, paths, texts, records, a `datasets.Dataset` or several.
Sources = Any
#: Marks a folder of stored vectors (tsds.embeddings.store), which is no pool.
STORE_MARK = "tsds-store.json"
_STDIN = Path("-")
_OBJECTS_BLOCK = 4096


def shards_of(sources: Sources, role: str) -> list[Shard]:
    """The shards of a pool, in the order given; every file is known to exist and to be of a known format.

    A str or Path alone is a path. In a list, a Path is always a path, "-" (standard input) or a glob, and a dict is a
    record. A list of str is a list of paths if each element names a file, a folder or a glob's match, or has no white
    space and ends in a known suffix; otherwise it is a list of texts.

    Raises:
      InputError: if a file is missing, of unknown format or given twice, or the objects are no records.
    """
    paths = _as_paths(sources, role)
    if paths is None:
        return _in_memory(sources, role)
    if not paths:
        raise InputError(f"no {role} is given", remedy="name a file, a folder or a glob")
    files = _files(paths)
    formats = _formats(files, role)
    return [
        _standard_input() if entry is None else _file_shard(entry, file, shown(file))
        for file, entry in zip(files, formats, strict=True)
    ]


def is_vectors(sources: Sources) -> bool:
    """Whether these are embeddings: an array, or .npy files. Raises InputError if .npy is mixed with records."""
    if isinstance(sources, np.ndarray):
        return True
    paths = _as_paths(sources, "source")
    if paths is None:
        return isinstance(sources, Sequence) and any(isinstance(one, np.ndarray) for one in sources)
    files = _files(paths)
    arrays = [file for file in files if _is_array(file)]
    if arrays and len(arrays) < len(files):
        other = next(file for file in files if not _is_array(file))
        raise InputError(f"an array of embeddings among records ({other})", path=arrays[0], remedy="give one kind")
    return bool(arrays)


def array_files(sources: Sources) -> list[Path] | None:
    """The .npy files of embeddings given by path, folder or glob; None if they are in memory."""
    if isinstance(sources, np.ndarray):
        return None
    paths = _as_paths(sources, "source")
    return None if paths is None else _files(paths)


def file_facts(sources: Sources) -> list[dict[str, Any]]:
    """Name, size and time of change of the files of these sources, wherever they are; nothing is read or fetched."""
    facts = []
    for one in _as_paths(sources, "source") or []:
        if is_remote(one):
            for file in remote_files(one):
                facts.append({"name": file.address, "bytes": file.size, "changed": file.local.parent.name})
            continue
        for path in _files([one]):
            if path == _STDIN:  # it can't be read twice, so it is never the same
                facts.append({"name": "standard input", "bytes": None, "changed": time.time_ns()})
                continue
            held = path if path.exists() else Path(str(path).rpartition(":")[0])  # FILE.parquet:COLUMN
            about = held.stat()
            facts.append({"name": str(path), "bytes": about.st_size, "changed": about.st_mtime_ns})
    return facts


def is_store(folder: Path) -> bool:
    """Whether a folder is a store of vectors (tsds.embeddings.store)."""
    return (folder / STORE_MARK).is_file()


def not_here(sources: Sources) -> list[RemoteFile]:
    """The files of these sources that are elsewhere and have no copy here yet."""
    given = [sources] if isinstance(sources, str) else sources if isinstance(sources, (list, tuple)) else []
    return [file for one in given if is_remote(one) for file in remote_files(one) if not file.here]


def _as_paths(sources: Sources, role: str) -> list[str] | None:
    """The paths given, or None for objects in memory."""
    if isinstance(sources, (str, os.PathLike)):
        return [os.fspath(sources)]
    if _is_dataset(sources):
        return None
    if not isinstance(sources, (list, tuple)):
        kind = f"{type(sources).__module__}.{type(sources).__qualname__}".removeprefix("builtins.")
        remedy = (
            "give a path, a list of paths, texts or dicts, or a datasets.Dataset; list(...) holds a generator's records"
        )
        raise InputError(f"the {role} can't be read from a {kind}", remedy=remedy)
    are_paths = [isinstance(one, os.PathLike) for one in sources]
    if any(are_paths):
        if not all(path or isinstance(one, str) for path, one in zip(are_paths, sources, strict=True)):
            raise InputError(f"the {role} mixes paths with records", remedy="give one kind")
        return [os.fspath(one) for one in sources]
    # Texts end it at the first element that is no path, so a long list of texts costs nothing.
    return list(sources) if all(isinstance(one, str) and _looks_like_path(one) for one in sources) else None


def _looks_like_path(text: str) -> bool:
    if text == "-" or is_remote(text):
        return True
    if len(text) > 4096 or "\0" in text or "\n" in text:
        return False
    path = Path(text)
    has_suffix = format_of(path) is not None or path.suffix.lower() in (".npy", ".mmap")
    if has_suffix and not any(letter.isspace() for letter in text):
        return True
    try:
        return path.expanduser().exists() or (has_suffix and bool(_matches(text)))
    except (OSError, RuntimeError):  # a name too long for the system, or the home of nobody: a text
        return False


def _files(paths: list[str]) -> list[Path]:
    files: list[Path] = []
    for given in paths:
        try:
            files += _expanded(given)
        except OSError as error:
            raise InputError(f"can't be read: {error.strerror or error}", path=given) from error
    return files


def _expanded(given: str) -> list[Path]:
    """The files that a path, folder or glob stands for, sorted."""
    if given == "-":
        return [_STDIN]
    if is_remote(given):
        return [file.fetch() for file in remote_files(given)]
    path = Path(given).expanduser()
    if path.is_dir():
        if _holds_gradients(path):
            return [path]
        files = _in_folder(path, frozenset())
        if not files:
            raise InputError("the folder has no file that can be read", path=given, remedy=f"known: {known_suffixes()}")
        return files
    file, colon, column = given.rpartition(":")
    if path.exists() or (colon and column and file.lower().endswith(".parquet") and Path(file).exists()):
        return [path]  # FILE.parquet:COLUMN is a column of vectors
    if glob.has_magic(given):
        matches = _matches(given)
        if not matches:
            raise InputError("the glob matches no file", path=given, remedy="try it with ls")
        return [file for match in matches for file in _expanded(match)]
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, 1)
    remedy = f"did you mean {path.parent / near[0]}?" if near else "check the path"
    raise InputError("no such file or folder", path=given, remedy=remedy)


def _matches(pattern: str) -> list[str]:
    """What a glob stands for, "**" included, sorted; a name without any magic stands for nothing."""
    if not glob.has_magic(pattern):
        return []
    return sorted(glob.glob(str(Path(pattern).expanduser()), recursive=True))  # noqa: PTH207 - patterns may be absolute


def _in_folder(folder: Path, above: frozenset[Path]) -> list[Path]:
    """All files of known formats in a folder and those below it; what `datasets` saved is read in its own order."""
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        return _saved_dataset(folder)
    if (folder / "dataset_dict.json").is_file():
        splits = orjson.loads((folder / "dataset_dict.json").read_bytes())["splits"]
        if len(splits) != 1:
            remedy = f"name one of them: {folder / splits[0]}" if splits else "save it again"
            raise InputError(f"the folder holds several splits: {', '.join(splits)}", path=folder, remedy=remedy)
        return _in_folder(folder / splits[0], above)
    if is_store(folder):
        raise InputError(
            "a store: its vectors are found by their texts", path=folder, remedy="name the pool, and this as --store"
        )
    files: list[Path] = []
    above = above | {folder.resolve()}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if entry.resolve() not in above:  # a link to a folder above it
                files += _in_folder(entry, above)
        elif format_of(entry) is not None or _is_array(entry):
            files.append(entry)
    return files


def _saved_dataset(folder: Path) -> list[Path]:
    state = folder / "state.json"
    try:
        content = orjson.loads(state.read_bytes())
        files = [folder / entry["filename"] for entry in content["_data_files"]]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError("not what save_to_disk writes", path=state, remedy="save the dataset again") from error
    if content.get("_indices_data_files"):
        remedy = "call flatten_indices() before save_to_disk()"
        raise InputError("the dataset was saved with an order of its own", path=folder, remedy=remedy)
    return files


def _formats(files: list[Path], role: str) -> list[Format | None]:
    """The format of each file, None for standard input; raises at the first that can't be part of the role."""
    formats: list[Format | None] = []
    seen: set[Path] = set()
    for file in files:
        entry = format_of(file)
        if _is_array(file):
            remedy = f"give the {role} either as records or as arrays"
            raise InputError("an array of embeddings where records are read", path=file, remedy=remedy)
        if file != _STDIN and not file.exists():
            raise InputError("the folder names a file that is missing", path=file, remedy="save the dataset again")
        if file != _STDIN and entry is None:
            raise InputError("unknown kind of file", path=file, remedy=f"known: {known_suffixes()}")
        if file.resolve() in seen:
            raise InputError(f"given twice in the {role}", path=file, remedy="a folder or glob may hold it already")
        seen.add(file.resolve())
        formats.append(entry)
    return formats


def _file_shard(entry: Format, path: Path, name: str, temporary: bool = False) -> Shard:
    schema = partial(entry.schema, path, name) if entry.schema else _no_schema
    return Shard(name, path, entry.name, partial(entry.read, path, name), entry.written_as, schema, temporary)


def _standard_input() -> Shard:
    """Standard input, copied to a temporary file because a pool is read more than once."""
    handle, name = tempfile.mkstemp(prefix="tsds-stdin-")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy, 1 << 20)
        with path.open("rb") as copy:
            head = copy.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
    except BaseException:
        path.unlink()
        raise
    return _file_shard(FORMATS["jsonl" if head.startswith(b"{") else "txt"], path, "standard input", temporary=True)


def _in_memory(sources: Sources, role: str) -> list[Shard]:
    given = [sources] if _is_dataset(sources) else list(sources)
    if given and all(_is_dataset(one) for one in given):
        names = [f"{role} dataset"] if len(given) == 1 else [f"{role} dataset {k}" for k in range(len(given))]
        return [_dataset_shard(one, name) for one, name in zip(given, names, strict=True)]
    for row, record in enumerate(given):
        if not isinstance(record, (dict, str)):
            kind = type(record).__name__
            raise InputError(f"the record is a {kind}", path=role, row=row, remedy="a record is a dict or a text")
    return [Shard(role, None, "list", partial(_objects, given, role), "jsonl", _no_schema)]


def _objects(records: list[object], name: str) -> Iterator[Block]:
    for first in range(0, len(records), _OBJECTS_BLOCK):
        yield Objects(name, records[first : first + _OBJECTS_BLOCK], range(first, first + _OBJECTS_BLOCK))


def _dataset_shard(dataset: Any, name: str) -> Shard:
    return Shard(
        name, None, "dataset", partial(read_dataset, dataset, name), "parquet", lambda: dataset.features.arrow_schema
    )


def _is_dataset(source: object) -> bool:
    """Whether this is a `datasets.Dataset`: it can only be one if its package is imported already."""
    package = sys.modules.get("datasets")
    if package is None:
        return False
    if isinstance(source, (package.IterableDataset, package.DatasetDict, package.IterableDatasetDict)):
        kind = type(source).__name__
        remedy = "choose one split of it" if "Dict" in kind else "a pool is read more than once: save it to disk first"
        raise InputError(f"a datasets.{kind} can't be read", remedy=remedy)
    return isinstance(source, package.Dataset)


def _is_array(path: Path) -> bool:
    return path.suffix.lower() in (".npy", ".mmap") or path.is_dir()  # of folders only stores of gradients get here


def _holds_gradients(folder: Path) -> bool:
    """Whether bergson or TRAK wrote it: one matrix, not a folder of files."""
    bergson = (folder / "gradients.bin").is_file() and (folder / "info.json").is_file()
    return bergson or ((folder / "metadata.json").is_file() and any(folder.glob("*/*.mmap")))


def _no_schema() -> None:
    return None
