"""What a run has done so far, on disk: so that a run that was killed can go on.

    .OUT.tsds-resume/
      begun.json        settings, version and input files of the run
      encoder.json      what tells its vectors from those of another encoder
      NAME.npz          arrays that a stage has made; NAME-START.npz of the part of a pass that starts there
      NUMBER/START.npy  vectors of a stream of texts, from a row on

Everything is written whole or not at all, and nothing is changed once written. The folder lies beside the run's own and
goes when the run has ended.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

import tsds
from tsds.errors import InputError
from tsds.places import RUN
from tsds.records import atomic_file, is_remote, repeatable, user_cache

_BEGUN, _ENCODER, _LOCK = "begun.json", "encoder.json", ".lock"
_GOES_ON = "--resume goes on with what was done"
_ANEW = "--overwrite without --resume begins anew"
#: Stages of fewer rows take seconds and are not recorded.
LEAST_ROWS = 100_000


@dataclass(frozen=True)
class Checkpoint:
    """A folder of what was done.

    Attributes:
      folder: it is there.
    """

    folder: Path

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """The arrays kept under a name; None if there are none."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as held:
            return {key: held[key] for key in held.files}

    def keep(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Keep arrays under a name."""
        with atomic_file(self.folder / f"{name}.npz") as file:
            np.savez(file, **arrays)

    def same_encoder(self, name: str, marks: Mapping[str, str]) -> None:
        """Keep what tells an encoder's vectors from others, or compare it with what was kept.

        Raises:
          InputError: if it differs: vectors of two encoders, and what was found among them, must not be mixed.
        """
        path = self.folder / _ENCODER
        if not path.exists():
            with atomic_file(path) as file:
                file.write(orjson.dumps(marks, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        elif orjson.loads(path.read_bytes()) != marks:
            remedy = f"use it as it was then, with --store only if it was given, or {_ANEW}"
            raise InputError(f"encoder {name} gives other vectors than in the run to be resumed", remedy=remedy)

    def drop(self, pattern: str) -> None:
        """Remove what is kept under names like this."""
        for path in self.folder.glob(f"{pattern}.npz"):
            path.unlink()


@contextmanager
def resumable(out: Path | str, begun: dict[str, Any], *, resume: bool, overwrite: bool) -> Iterator[Checkpoint]:
    """The checkpoint of a run that writes to `out`; if the run does not come to its end, it stays with what was done.

    Whatever ends the block early is given a note that says so; if nothing was done, nothing stays.

    Args:
      out: the folder of the run; for an address, what was done is kept in the user's cache, or $TSDS_RESUME.
      begun: "settings" and "files" of the run, as JSON has them; if one of them changes, the run can't be resumed.
      resume: whether to go on with what an earlier run has left.
      overwrite: whether to remove it.

    Raises:
      InputError: if a run was left and neither is said, if it had other settings or other input, or is still running.
    """
    folder = _folder_of(out)
    begun = {"tsds": tsds.__version__, **begun}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("ab")
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", path=out, remedy="choose another --out") from error
    with lock:
        _hold(lock.fileno(), out)
        if resume and (folder / _BEGUN).exists():
            _check_same(begun, orjson.loads((folder / _BEGUN).read_bytes()))
        else:
            if _holds_something(folder) and not (overwrite or resume):
                remedy = "--resume goes on with it, --overwrite begins anew"
                raise InputError("an earlier run to it did not come to its end", path=out, remedy=remedy)
            _empty(folder)
            with atomic_file(folder / _BEGUN) as file:
                file.write(orjson.dumps(begun, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        try:
            yield Checkpoint(folder)
        except BaseException as stop:
            if not _holds_something(folder):
                shutil.rmtree(folder, ignore_errors=True)
            elif repeatable(begun["files"]):
                if isinstance(stop, KeyboardInterrupt):
                    raise KeyboardInterrupt(*stop.args, _GOES_ON) from None
                stop.add_note(f"{_GOES_ON}, --overwrite begins anew")
            raise
        shutil.rmtree(folder, ignore_errors=True)


def forget_finished(out: Path | str) -> None:
    """Remove what a run kept that had come to its end, and was killed before it could tidy up.

    Its run.json is younger than all that was kept; that of an earlier run, which it was to replace, is not.
    """
    folder, run = _folder_of(out), Path(out) / RUN
    if is_remote(out) or not (folder.is_dir() and run.is_file()):
        return
    with (folder / _LOCK).open("ab") as lock:
        _hold(lock.fileno(), out)
        kept = (path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != _LOCK)
        if max(kept, default=0) < run.stat().st_mtime_ns:
            shutil.rmtree(folder, ignore_errors=True)


def _folder_of(out: Path | str) -> Path:
    if is_remote(out):
        return user_cache("resume", "TSDS_RESUME") / hashlib.sha256(str(out).encode()).hexdigest()[:24]
    place = Path(os.path.abspath(out))  # noqa: PTH100
    return place.parent / f".{place.name}.tsds-resume"


def _check_same(now: dict[str, Any], then: dict[str, Any]) -> None:
    if now["tsds"] != then.get("tsds"):
        raise InputError(f"the run was begun by tsds {then.get('tsds')}, this is {now['tsds']}", remedy=_ANEW)
    for name, value in now["settings"].items():
        before = then["settings"].get(name)
        if value != before:
            flag = "--" + name.replace("_", "-")
            raise InputError(f"{flag} is {value} and was {before} in the run to be resumed", remedy=_ANEW)
    was, files = ({(one["role"], one["name"]): one for one in run["files"]} for run in (then, now))
    for role, name in sorted(files.keys() - was.keys()):
        raise InputError(f"was not in the run to be resumed as {role}", path=name, remedy=_ANEW)
    for role, name in sorted(was.keys() - files.keys()):
        raise InputError(f"was in the run to be resumed as {role} and is not now", path=name, remedy=_ANEW)
    for key, one in files.items():
        if one != was[key]:
            raise InputError("has changed since the run to be resumed began", path=one["name"], remedy=_ANEW)
    if now["files"] != then["files"]:  # rows are counted over the files as they are given
        raise InputError("the files were given in another order in the run to be resumed", remedy=_ANEW)


def _hold(handle: int, out: Path | str) -> None:
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError("another run is writing to it", path=out, remedy="wait, or choose another --out") from None
    except OSError:  # a folder without locks
        pass


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()


def _holds_something(folder: Path) -> bool:
    """Whether anything was finished: what is being written has a dot before its name."""
    done = (path for path in folder.rglob("*") if not any(part[0] == "." for part in path.relative_to(folder).parts))
    return any(path.is_file() and path.name not in (_BEGUN, _ENCODER) for path in done)
