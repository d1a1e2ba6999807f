"""What paths, folders, globs and addresses stand for: files, in order."""

from __future__ import annotations

import difflib
import glob
from collections.abc import Callable
from pathlib import Path

import orjson

from tsds.errors import InputError, check_path, check_utf8
from tsds.records.formats import check_left_out, format_of, is_aside, known_suffixes
from tsds.records.remote import RemoteFile, is_remote, remote_files

#: Marks a folder of stored vectors (tsds.embeddings.store), which is no pool.
STORE_MARK = "tsds-store.json"
STDIN = Path("-")


def files_of(paths: list[str], local: Callable[[RemoteFile], Path] = RemoteFile.fetch) -> list[Path]:
    """The files that these stand for; what is elsewhere is fetched, unless `local` gives another path for it.

    Raises:
      InputError: if one stands for nothing, or can't be read.
    """
    files: list[Path] = []
    for given in paths:
        try:
            files += _expanded(given, local)
        except OSError as error:
            raise InputError(f"can't be read: {error.strerror or error}", path=given) from error
        except RuntimeError as error:  # the home of nobody
            raise InputError("no such file or folder", path=given, remedy="check the name after ~") from error
    for file in files:
        check_utf8(str(file))
    return files


def looks_like_path(text: str) -> bool:
    """Whether a text among others is the name of a file, a folder or a glob."""
    if text == "-" or is_remote(text):
        return True
    if len(text) > 4096 or "\0" in text or "\n" in text:
        return False
    path = Path(text)
    has_suffix = format_of(path) is not None or path.suffix.lower() in (".npy", ".mmap")
    if has_suffix and not any(letter.isspace() for letter in text):
        return True
    try:
        return path.expanduser().exists() or _is_column(text) or (has_suffix and bool(_matches(text)))
    except (OSError, RuntimeError):  # a name too long for the system, or the home of nobody: a text
        return False


def stands_for_files(text: str) -> bool:
    """Whether it is a file, a folder, a column of a file or a glob that matches some, as a whole."""
    return Path(text).expanduser().exists() or _is_column(text) or bool(_matches(text))


def is_store(folder: Path) -> bool:
    """Whether a folder is a store of vectors (tsds.embeddings.store)."""
    return (folder / STORE_MARK).is_file()


def is_array(path: Path) -> bool:
    """Whether a file that `files_of` gave is a matrix, not records."""
    if path.suffix.lower() in (".npy", ".mmap") or _is_column(str(path)):
        return True
    return path.is_dir()  # of folders only stores of gradients get here


def _expanded(given: str, local: Callable[[RemoteFile], Path]) -> list[Path]:
    """The files that a path, folder or glob stands for, sorted."""
    check_path(given)
    if given == "-":
        return [STDIN]
    if is_remote(given):
        return [local(file) for file in remote_files(given)]
    path = Path(given).expanduser()
    if path.is_dir():
        if _holds_gradients(path):
            return [path]
        files = _in_folder(path, frozenset()) or _in_folder(path, frozenset(), aside=True)
        if not files:
            raise InputError("the folder has no file that can be read", path=given, remedy=f"known: {known_suffixes()}")
        return files
    if path.exists() or _is_column(given):
        return [path]
    if glob.has_magic(given):
        matches = _matches(given)
        if not matches:
            raise InputError("the glob matches no file", path=given, remedy="try it with ls")
        return [file for match in matches for file in _expanded(match, local)]
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, 1)
    remedy = f"did you mean {path.parent / near[0]}?" if near else "check the path"
    raise InputError("no such file or folder", path=given, remedy=remedy)


def _is_column(text: str) -> bool:
    """Whether it is FILE.parquet:COLUMN, a column of vectors."""
    file, colon, column = text.rpartition(":")
    return bool(colon and column) and file.lower().endswith(".parquet") and Path(file).exists()


def _matches(pattern: str) -> list[str]:
    """What a glob stands for, "**" included, sorted; a name without any magic stands for nothing."""
    if not glob.has_magic(pattern):
        return []
    return sorted(glob.glob(str(Path(pattern).expanduser()), recursive=True))  # noqa: PTH207 - patterns may be absolute


def _in_folder(folder: Path, above: frozenset[Path], aside: bool = False) -> list[Path]:
    """All files of known formats in a folder and those below it; what `datasets` saved is read in its own order.

    Args:
      above: folders that it is in, which a link in it may lead to.
      aside: whether names that are set aside where others are (is_aside) count too, but for hidden ones.
    """
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        return _saved_dataset(folder)
    if (folder / "dataset_dict.json").is_file():
        splits = orjson.loads((folder / "dataset_dict.json").read_bytes())["splits"]
        if len(splits) != 1:
            remedy = f"name one of them: {folder / splits[0]}" if splits else "save it again"
            raise InputError(f"the folder holds several splits: {', '.join(splits)}", path=folder, remedy=remedy)
        return _in_folder(folder / splits[0], above, aside)
    if is_store(folder):
        raise InputError(
            "a store: its vectors are found by their texts", path=folder, remedy="name the pool, and this as --store"
        )
    files: list[Path] = []
    above = above | {folder.resolve()}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or (not aside and is_aside(entry.name)):
            continue
        if entry.is_dir():
            if entry.resolve() not in above:  # a link to a folder above it
                files += _in_folder(entry, above, aside)
        elif format_of(entry) is not None or is_array(entry):
            files.append(entry)
        else:
            check_left_out(entry)
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


def _holds_gradients(folder: Path) -> bool:
    """Whether bergson or TRAK wrote it: one matrix, not a folder of files."""
    bergson = (folder / "gradients.bin").is_file() and (folder / "info.json").is_file()
    return bergson or ((folder / "metadata.json").is_file() and any(folder.glob("*/*.mmap")))
