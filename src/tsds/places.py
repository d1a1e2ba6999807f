"""Where a run is written: a folder here, moved into place whole, or a place elsewhere, `run.json` last."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tsds.errors import InputError
from tsds.records import Elsewhere, atomic_file, is_remote
from tsds.scratch import alive, scratch_in

RUN = "run.json"
_PARTIAL = re.compile(r"\.(?P<name>.+)\.tsds-partial-(?P<pid>\d+)")


@contextmanager
def reserved(place: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder to write to; what is in it is at `place` at the end, if all went well.

    Args:
      place: a folder here, or an address (s3://bucket/run).
      overwrite: whether a run that is there may be replaced.

    Raises:
      InputError: if the place holds a run already and may not be overwritten, or can't be written.
    """
    with _elsewhere(str(place), overwrite) if is_remote(place) else _here(Path(place), overwrite) as scratch:
        yield scratch


def check_vacant(place: Path | str, *, overwrite: bool) -> None:
    """Raise InputError if the place is a file, or holds a run that may not be overwritten."""
    remedy = "choose another --out, or --overwrite"
    if is_remote(place):
        if not overwrite and Elsewhere(str(place)).holds(RUN):
            raise InputError("holds a run already", path=place, remedy=remedy)
        return
    folder = Path(place)
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file, not a folder", path=folder, remedy="choose another --out")
    if (folder / RUN).exists() and not overwrite:
        raise InputError("holds a run already", path=folder, remedy=remedy)


@contextmanager
def _elsewhere(address: str, overwrite: bool) -> Iterator[Path]:
    check_vacant(address, overwrite=overwrite)
    there = Elsewhere(address)
    there.check_writable()
    with scratch_in() as name:
        yield Path(name)
        check_vacant(address, overwrite=overwrite)
        there.remove([RUN, "selected.*"])  # as long as run.json is not there, no run is
        for path in sorted(Path(name).iterdir(), key=lambda p: p.name == RUN):
            there.put(path)


@contextmanager
def _here(folder: Path, overwrite: bool) -> Iterator[Path]:
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  (resolve() would follow a link that is the user's)
    check_vacant(folder, overwrite=overwrite)
    scratch = folder.parent / f".{folder.name}.tsds-partial-{os.getpid()}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        scratch.mkdir()
        if folder.exists():
            with atomic_file(folder / ".tsds-probe"):
                pass
            (folder / ".tsds-probe").unlink()
    except OSError as error:
        shutil.rmtree(scratch, ignore_errors=True)
        raise InputError(f"can't be written: {error.strerror}", path=folder, remedy="choose another --out") from error
    try:
        yield scratch
        check_vacant(folder, overwrite=overwrite)
        _move(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move(scratch: Path, folder: Path) -> None:
    """Into place: by one rename where the folder is new, else file by file, with run.json gone first and back last."""
    if not folder.exists():
        scratch.rename(folder)
        return
    (folder / RUN).unlink(missing_ok=True)
    for stale in folder.glob("selected.*"):
        stale.unlink()
    for path in sorted(scratch.iterdir(), key=lambda p: p.name == RUN):
        path.replace(folder / path.name)


def _sweep(folder: Path) -> None:
    """Remove what killed runs have left of this folder."""
    for path in folder.parent.glob(f".{folder.name}.tsds-partial-*"):
        match = _PARTIAL.fullmatch(path.name)
        if match and match["name"] == folder.name and not alive(int(match["pid"])):
            shutil.rmtree(path, ignore_errors=True)
