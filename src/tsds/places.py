"""Where a run is written: a folder here, moved into place whole, or a place elsewhere, `run.json` last."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from tsds.errors import InputError, check_path
from tsds.interrupts import if_interrupted
from tsds.records import FORMATS, Elsewhere, atomic_file, is_remote
from tsds.scratch import owned, scratch_in, sweep

RUN, TABLE, PAGE = "run.json", "selection.parquet", "report.html"
#: What a run may write; nothing else in its place is ever touched.
FILES = {RUN, TABLE, PAGE, "selected.npy", *(f"selected{one.suffixes[0]}" for one in FORMATS.values() if one.write)}
#: Lies in a place while a run is moved to it, and names what is the run's: what a killed one leaves is known by it.
_MOVING = ".tsds-moving"
#: Protocols of the same place.
_SAME = {"gcs": "gs", "s3a": "s3", "local": "file"}


@contextmanager
def reserved(place: Path | str, *, overwrite: bool = False, inputs: Iterable[str] = ()) -> Iterator[Path]:
    """A folder to write to; what is in it is at `place` at the end, if all went well.

    Args:
      place: a folder here, or an address (s3://bucket/run).
      overwrite: whether a run that is there may be replaced.
      inputs: names of the files that the run reads.

    Raises:
      InputError: as check_vacant does, or if the place can't be written.
    """
    check_path(place)
    inputs = list(inputs)
    there = _elsewhere(str(place), overwrite, inputs) if is_remote(place) else _here(Path(place), overwrite, inputs)
    with there as scratch:
        yield scratch


def check_vacant(place: Path | str, *, overwrite: bool, inputs: Iterable[str] = ()) -> None:
    """Raise InputError unless a run may be written there without harm to what is the user's.

    So if the place is a file, holds a run that may not be overwritten, holds a file that is of no run under a name that
    a run gives its files, or an input would be replaced: the last two whatever `overwrite` says.

    Args:
      place: a folder here, or an address.
      overwrite: whether a run that is there may be replaced.
      inputs: names of the files that the run reads, as records.file_facts gives them.
    """
    check_path(place)
    read: Callable[[str], bytes]
    if is_remote(place):
        there = Elsewhere(str(place))
        found, read, name_of = there.names(), there.read, there.address_of
    else:
        folder = Path(place)
        if folder.exists() and not folder.is_dir():
            raise InputError("is a file, not a folder", path=folder, remedy="choose another --out")
        found, read, name_of = _names(folder), _reader(folder), lambda name: str(folder / name)
    if RUN in found and not overwrite:
        raise InputError("holds a run already", path=place, remedy="choose another --out, or --overwrite")
    for name in sorted((found & FILES) - _of_a_run(found, read)):
        raise InputError(f"holds {name}, which is of no run", path=place, remedy="choose another --out, or move it")
    at_risk = {_key(name_of(name)) for name in found & FILES} - {None}
    for one in inputs if at_risk else ():
        if (_key(one) or _key(one.rpartition(":")[0])) in at_risk:  # FILE.parquet:COLUMN
            raise InputError("is read by the run and would be replaced", path=one, remedy="choose another --out")


def _names(folder: Path) -> set[str]:
    return {name for name in (*FILES, _MOVING) if os.path.lexists(folder / name)}


def run_in(folder: Path) -> dict[str, Any]:
    """What run.json of this folder, where it is there, holds.

    Raises:
      InputError: if it is of no run.
    """
    try:
        run = orjson.loads((folder / RUN).read_bytes())
    except orjson.JSONDecodeError:
        run = None
    if not isinstance(run, dict):
        raise InputError("is not of a run", path=folder / RUN, remedy="run the selection again")
    return run


def _reader(folder: Path) -> Callable[[str], bytes]:
    return lambda name: (folder / name).read_bytes()


def _of_a_run(found: set[str], read: Callable[[str], bytes]) -> set[str]:
    """Names of what is of the run in a place, or of one that was killed while it was moved there."""
    if RUN not in found:
        return FILES.intersection(orjson.loads(read(_MOVING))) if _MOVING in found else set()
    try:
        run = orjson.loads(read(RUN))
    except orjson.JSONDecodeError:  # somebody else's
        return set()
    if not isinstance(run, dict) or "tsds" not in run:
        return set()
    return FILES & {RUN, TABLE, PAGE, run.get("selected", {}).get("name")}


def _key(name: str) -> object:
    """What tells a file from every other, under whatever name: its number here, its address elsewhere."""
    protocol, _, path = name.partition("://") if is_remote(name) else ("file", "", name)
    protocol = _SAME.get(protocol, protocol)
    if protocol != "file":
        return f"{protocol}://{path}"
    try:
        about = Path("/" + path.lstrip("/") if is_remote(name) else path).stat()
    except (OSError, ValueError):  # no file: an object in memory, standard input
        return None
    return about.st_dev, about.st_ino


@contextmanager
def _elsewhere(address: str, overwrite: bool, inputs: list[str]) -> Iterator[Path]:
    check_vacant(address, overwrite=overwrite, inputs=inputs)
    there = Elsewhere(address)
    there.check_writable()
    with scratch_in() as name:
        with if_interrupted(f"nothing was written to {address}"):
            yield Path(name)
        check_vacant(address, overwrite=overwrite, inputs=inputs)
        files = sorted(Path(name).iterdir(), key=lambda p: p.name == RUN)
        stale = _of_a_run(there.names(), there.read) - {path.name for path in files}
        there.write(_MOVING, orjson.dumps(sorted(stale | {path.name for path in files})))
        there.remove([RUN, *stale])  # as long as run.json is not there, no run is
        for path in files:
            there.put(path)
        there.remove([_MOVING])


@contextmanager
def _here(folder: Path, overwrite: bool, inputs: list[str]) -> Iterator[Path]:
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  (resolve() would follow a link that is the user's)
    check_vacant(folder, overwrite=overwrite, inputs=inputs)
    partial = f".{folder.name}.tsds-partial-"
    scratch = folder.parent / owned(partial)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent, partial)
        scratch.mkdir()  # with the rights of any new folder: it is renamed to what the user keeps
        if folder.exists():
            with atomic_file(folder / ".tsds-probe"):
                pass
            (folder / ".tsds-probe").unlink()
    except OSError as error:
        shutil.rmtree(scratch, ignore_errors=True)
        raise InputError(f"can't be written: {error.strerror}", path=folder, remedy="choose another --out") from error
    try:
        with if_interrupted(f"nothing was written to {folder}"):
            yield scratch
        check_vacant(folder, overwrite=overwrite, inputs=inputs)
        _move(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move(scratch: Path, folder: Path) -> None:
    """Into place: by one rename where the folder is new, else file by file, with run.json gone first and back last."""
    if not folder.exists():
        scratch.rename(folder)
        return
    files = sorted(scratch.iterdir(), key=lambda p: p.name == RUN)
    stale = _of_a_run(_names(folder), _reader(folder)) - {path.name for path in files}
    with atomic_file(folder / _MOVING) as moving:
        moving.write(orjson.dumps(sorted(stale | {path.name for path in files})))
    for name in (RUN, *stale):
        (folder / name).unlink(missing_ok=True)
    for path in files:
        path.replace(folder / path.name)
    (folder / _MOVING).unlink()
