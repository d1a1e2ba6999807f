"""Names for what a process needs only while it goes on; what killed ones left is removed by later ones."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path
from secrets import token_hex

from tsds.errors import InputError

_NAMESPACE = Path("/proc/self/ns/pid")
#: How the names of such folders and files begin.
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
    """A new name for a folder or file of this process; `sweep` tells by the machine and the process in it."""
    return f"{prefix}{machine()}-{os.getpid()}-{token_hex(4)}"


def machine() -> str:
    """What numbers processes as this one is numbered: containers may have the name of their host, and other numbers."""
    space = f".{_NAMESPACE.stat().st_ino}" if _NAMESPACE.exists() else ""
    return f"{socket.gethostname()}{space}"


def sweep(folder: Path, prefix: str = PREFIX) -> None:
    """Remove the folders and files of such names in this folder whose process, of this machine, is gone."""
    for path in folder.glob(f"{glob.escape(prefix)}*"):
        match = _OWNER.fullmatch(path.name.removeprefix(prefix))
        if match and match["host"] == machine() and not _alive(int(match["pid"])):
            with contextlib.suppress(OSError):  # another user's, in a folder of all: theirs to remove
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _alive(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
