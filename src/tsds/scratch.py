"""Folders for what a run needs only while it goes on; those that killed runs left are removed by later ones."""

from __future__ import annotations

import glob
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path
from secrets import token_hex

from tsds.errors import InputError

#: How the names of such folders begin.
PREFIX = ".tsds-scratch-"
_OWNER = re.compile(r"(?P<host>.+)-(?P<pid>\d+)-[^-]+")


def scratch_in(folder: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """A new folder in this one, or in the system's for temporary files; what killed runs left there is removed.

    Raises:
      InputError: if it can't be written.
    """
    place = folder or Path(tempfile.gettempdir())
    sweep(place)
    try:
        return tempfile.TemporaryDirectory(prefix=owned(PREFIX), dir=place)
    except OSError as error:
        raise InputError(
            f"can't be written: {error.strerror}", path=place, remedy="make room, or let it be written"
        ) from error


def owned(prefix: str) -> str:
    """A new name for a folder of this process; `sweep` tells by the machine and the process in it."""
    return f"{prefix}{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"


def sweep(folder: Path, prefix: str = PREFIX) -> None:
    """Remove the folders of such names in this one whose process, of this machine, is gone."""
    for path in folder.glob(f"{glob.escape(prefix)}*"):
        match = _OWNER.fullmatch(path.name.removeprefix(prefix))
        if match and match["host"] == socket.gethostname() and not _alive(int(match["pid"])):
            shutil.rmtree(path, ignore_errors=True)  # another user's, in a folder of all: theirs to remove


def _alive(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
