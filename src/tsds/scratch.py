"""Folders for what a run needs only while it goes on; those that killed runs left are removed by later ones."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

from tsds.errors import InputError

#: How such a folder is called: the machine and the process that made it tell whether it is still in use.
PREFIX = ".tsds-scratch-"
_NAME = re.compile(rf"{re.escape(PREFIX)}(?P<host>.+)-(?P<pid>\d+)-[^-]+")


def scratch_in(folder: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """A new folder in this one, or in the system's for temporary files; what killed runs left there is removed.

    Raises:
      InputError: if it can't be written.
    """
    place = folder or Path(tempfile.gettempdir())
    sweep(place)
    try:
        return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{socket.gethostname()}-{os.getpid()}-", dir=place)
    except OSError as error:
        raise InputError(
            f"can't be written: {error.strerror}", path=place, remedy="make room, or let it be written"
        ) from error


def sweep(folder: Path) -> None:
    """Remove the folders in this one whose process, of this machine, is gone."""
    for path in folder.glob(f"{PREFIX}*"):
        match = _NAME.fullmatch(path.name)
        if match and match["host"] == socket.gethostname() and not alive(int(match["pid"])):
            shutil.rmtree(path, ignore_errors=True)  # another user's, in a folder of all: theirs to remove


def alive(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
