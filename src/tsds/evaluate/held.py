"""What the folder of a grid holds of settings and base: cells of others are not added to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from tsds.errors import InputError
from tsds.evaluate.data import Data
from tsds.records import atomic_file, sha256_of

ASKED, BASE = "grid.json", "base.json"
#: Its folders: of cells, of selections, and of copies of records of the pool.
CELLS, SELECTIONS, COPIES = "cells", "selections", "pools"
#: What may be added to from run to run, and what an entry of it is called.
_GROWING = {"targets": "target", "mixed": "partner in the skewed condition for"}
#: What it was asked for from run to run: the cells are those of all these grids.
GRIDS = "grids"
#: What "auto" sets by the machine, and the option that says it.
_BY_MACHINE = {"training precision": "--precision", "device": "--device"}


def checked(out: Path, settings: dict[str, Any], *, late: bool = False) -> dict[str, Any]:
    """All settings that cells depend on, with what the folder holds of other targets and was asked for before.

    Args:
      late: whether cells of these are made already, so that others may not have claimed the folder meanwhile; before
        that it may be claimed anew as long as nothing was made in it.

    Raises:
      InputError: if it holds cells that other settings made.
    """
    asked: dict[str, Any] = orjson.loads(orjson.dumps(settings))
    held = _read(out / ASKED)
    others = _differences(held, asked)
    if others and (late or _has_cells(out)):
        name, old, new = others[0]
        # Of files there are digests, which tell nobody anything.
        told = "" if isinstance(new, list) or name in ("model", "pool texts") else f": {old}, not {new}"
        go_on = f"{_BY_MACHINE[name]} {old} goes on with it; else " if name in _BY_MACHINE else ""
        raise InputError(
            f"holds an evaluation with another {name}{told}", path=out, remedy=f"{go_on}choose another --out"
        )
    if others:
        return asked
    before = [grid for grid in held.get(GRIDS, []) if grid not in asked[GRIDS]]
    grown = {kind: {**held.get(kind, {}), **asked[kind]} for kind in _GROWING}
    return {**asked, **grown, GRIDS: [*before, *asked[GRIDS]]}


def claim(out: Path, settings: dict[str, Any]) -> None:
    """Make the folder one of these settings, or go on with what it holds; see `checked`."""
    asked = checked(out, settings)
    if _differences(_read(out / ASKED), asked):  # nothing came of what was asked for before: what it left goes
        (out / BASE).unlink(missing_ok=True)
        for path in (out / COPIES).glob("*"):
            path.unlink()
    with atomic_file(out / ASKED) as file:
        file.write(orjson.dumps(asked, option=orjson.OPT_INDENT_2))


def check_base(out: Path, digest: object) -> None:
    """Keep a digest of the base, or hold it against the one that is kept.

    It has a file of its own, read when there is a base: parts on other machines claim the folder before they have one,
    and each may make its own, with other bits, so that arms of a pair would start from two.

    Raises:
      InputError: if the cells of the folder start from another base.
    """
    path, own = out / BASE, {"digest": digest}
    if not path.is_file():
        with atomic_file(path) as file:
            file.write(orjson.dumps(own))
    if _read(path) != own:
        raise InputError(
            "holds cells that start from another base than the one here", path=out,
            remedy="let all machines use the same TSDS_BASES, or choose another --out",
        )  # fmt: skip


def asked_of(settings: Mapping[str, Any], data: Data, conditions: Sequence[str]) -> dict[str, Any]:
    """All that a cell depends on, as plain values: settings, the pool among them; name and digests of targets.

    Where targets are skewed, what each is mixed with is among it: another folder of a target may change that.
    """
    mixed = data.targets if "skewed" in conditions and len(data.every) > 1 else {}

    def plain(value: Any) -> Any:
        return asdict(value) if hasattr(value, "__dataclass_fields__") else value

    return {
        **{name: plain(value) for name, value in settings.items()},
        "targets": {name: [known(one.examples), known(one.test)] for name, one in data.targets.items()},
        "mixed": {name: known(data.beside(name).examples) for name in mixed},
    }


def _read(path: Path) -> dict[str, Any]:
    """What a file of the folder holds; nothing if it is not there.

    Raises:
      InputError: if it is damaged: what the cells were made with is not known then.
    """
    try:
        found = orjson.loads(path.read_bytes()) if path.is_file() else {}
        if not isinstance(found, dict):
            raise ValueError("no object")
    except ValueError as error:
        raise InputError(f"is no record of an evaluation: {error}", path=path, remedy="choose another --out") from error
    return found


def _has_cells(out: Path) -> bool:
    """Whether there is any cell, or a selection for one."""
    return any(True for kind in (CELLS, SELECTIONS) for _ in (out / kind).rglob("*.json"))


def _differences(held: Mapping[str, Any], asked: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What is held and asked for otherwise: in words, what is held, and what is asked; none where nothing is held."""
    if not held:
        return []
    found = _others(held, {name: value for name, value in asked.items() if name not in (*_GROWING, GRIDS)})
    for kind, what in _GROWING.items():
        old, new = held.get(kind, {}), asked[kind]
        both = sorted(old.keys() & new.keys())
        found += [(f"{what} {name}", old[name], new[name]) for name in both if old[name] != new[name]]
    return found


def _others(held: Mapping[str, Any], asked: Mapping[str, Any], group: str = "") -> list[tuple[str, Any, Any]]:
    """The settings that differ, those of a group by themselves: in words, what is held, and what is asked."""
    found: list[tuple[str, Any, Any]] = []
    for name, new in asked.items():
        old, words = held.get(name), group + name.replace("_", " ")
        if isinstance(old, dict) and isinstance(new, dict):
            found += _others(old, new, f"{words} ")
        elif old != new:
            found.append((words, old, new))
    return found


def known(path: Path) -> list[str]:
    """What tells a file or a folder of files from others: its name, and the digest of each file."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [path.name, *map(sha256_of, files)]
