"""What the shell gives, as calls take it: several values of one option, names of tasks, numbers, settings."""

from __future__ import annotations

import shlex
import sys
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from tsds.errors import InputError, check_path

#: Options that may be followed by several values, as a shell's glob gives them.
_MANY = (
    "--pool", "--target", "--exclude", "--embeddings", "--target-embeddings", "--methods", "--test", "--targets",
    "--sizes", "--conditions", "--equal",
)  # fmt: skip
#: Options that name files or folders.
_PATHS = (
    "--pool", "--target", "--exclude", "--embeddings", "--target-embeddings", "--out", "--store", "--index", "--data",
    "--test", "--compare",
)  # fmt: skip


def spread(arguments: list[str]) -> list[str]:
    """`--pool a b`, or `--pool=a b`, as `--pool a --pool b`, for the options that take several values."""
    out: list[str] = []
    flag: str | None = None
    for argument in arguments:
        if argument.startswith("-") and argument != "-":
            name, equals, _ = argument.partition("=")
            flag = name if name in _MANY else None
            fresh = not equals
            out.append(argument)
        elif flag is not None and not fresh:
            out += [flag, argument]
        else:
            fresh = False
            out.append(argument)
    return out


def check_paths(arguments: list[str]) -> None:
    """Check, as the parser would make the current folder of an empty path, that none is.

    Args:
      arguments: spread.

    Raises:
      InputError: if one is empty, after an option that names files or in a place of its own.
    """
    for before, argument in pairwise(arguments):
        flag, equals, value = argument.partition("=")
        if flag in _PATHS and equals:
            check_path(value, flag)
        elif before in _PATHS or not before.startswith("-"):
            check_path(argument, before if before in _PATHS else None)


def settings_of(given: dict[str, Any]) -> Any:
    """The settings of a selection, from the options of a verb.

    Raises:
      InputError: on a value that can't be.
    """
    from tsds.settings import Settings

    names = {one.name for one in fields(Settings)}
    chosen = {name: value for name, value in given.items() if name in names}
    chosen["bandwidth"] = _bandwidth(given["bandwidth"])
    chosen["task_weights"] = _task_weights(given.get("task_weights"))
    for name in ("exclude", "embeddings"):
        chosen[name] = paths_of(given[name]) if given.get(name) else None
    chosen["target_embeddings"] = tasks_of(given["target_embeddings"]) if given.get("target_embeddings") else None
    return Settings(**chosen)


def _bandwidth(value: str) -> float | str:
    try:
        return value if value == "auto" else float(value)
    except ValueError:
        raise InputError(f"--bandwidth is {value!r}", remedy="a number, 0, or auto") from None


def _task_weights(value: str | None) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in (value or "").split(","):
        name, _, number = part.partition("=")
        name = name.strip()
        if not part.strip():
            continue
        if name in weights:
            raise InputError(f"--task-weights has {name!r} twice", remedy="name each task once")
        try:
            weights[name] = float(number)
        except ValueError:
            raise InputError(f"--task-weights has {part!r}", remedy="NAME=2,NAME=1") from None
    return weights


def paths_of(sources: list[str]) -> list[Path | str]:
    """Files here as paths, addresses as they are."""
    from tsds.records import is_remote

    for source in sources:
        check_path(source)
    return [source if is_remote(source) else Path(source) for source in sources]


def tasks_of(sources: list[str]) -> Any:
    """Files, or tasks by name where they are given as NAME=FILE."""
    named = [_named(source) for source in sources]
    if not any(name for name, _ in named):
        return paths_of(sources)
    tasks: dict[str, list[Path | str]] = {}
    for name, file in named:
        if name is None:
            raise InputError(f"the target {file} has no name and others have", remedy="NAME=FILE for each")
        tasks.setdefault(name, []).extend(paths_of([file]))
    return tasks


def _named(source: str) -> tuple[str | None, str]:
    from tsds.records.paths import stands_for_files

    name, equals, file = source.partition("=")
    # date=1/*.jsonl is of a folder that Hive named, not of a task called date.
    if equals and name and file and "/" not in name and not stands_for_files(source):
        return name, file
    return None, source


def command_line() -> str:
    """The command as it was given."""
    return shlex.join(["tsds", *sys.argv[1:]])
