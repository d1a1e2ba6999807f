"""Files elsewhere (s3://, gs://, hf://, https://, ...): fetched once, kept in a cache, and read like any other.

A pool is read more than once and its chosen records are read again by place, so what is elsewhere is copied here, a
file at a time, through fsspec. A copy is found again as long as the address tells the same size and version.
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from tsds.errors import InputError, MissingExtra
from tsds.records.files import atomic_file, sweep_parts, user_cache
from tsds.records.formats import check_left_out, format_of, is_aside, known_suffixes

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://\S+")
_CHUNK = 4 << 20
#: What tells one version of a file from another; which of them there are depends on where it is.
_VERSIONS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "created", "blob_id", "sha256")
_SOURCE = ".address"
#: Drivers that fsspec asks for by the protocol's name.
_DRIVERS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub", "http": "aiohttp", "https": "aiohttp"}


@dataclass(frozen=True)
class RemoteFile:
    """A file elsewhere.

    Attributes:
      address: with its protocol.
      size: bytes; None where it is not told.
      local: where its copy is, or will be.
      system, path: fsspec's.
    """

    address: str
    size: int | None
    local: Path
    system: Any
    path: str

    @property
    def here(self) -> bool:
        """Whether it has been fetched."""
        return self.local.is_file()

    def open(self) -> BinaryIO:
        """Read it where it is.

        Raises:
          InputError: if it can't be.
        """
        try:
            return cast(BinaryIO, self.system.open(self.path, "rb"))
        except OSError as error:
            raise _unreadable(self.address, error) from error

    def fetch(self, advance: Callable[[int], None] = lambda count: None) -> Path:
        """Copy it here unless it is; `advance` is told the bytes as they come.

        Raises:
          InputError: if it can't be read to its end.
        """
        if self.here:
            return self.local
        sweep_parts(self.local)
        try:
            with self.system.open(self.path, "rb") as source, atomic_file(self.local) as copy:
                got = 0
                while chunk := source.read(_CHUNK):
                    copy.write(chunk)
                    got += len(chunk)
                    advance(len(chunk))
                if self.size is not None and got != self.size:
                    raise InputError(
                        f"ended after {got:,} of {self.size:,} bytes", path=self.address, remedy="run again"
                    )
        except OSError as error:
            raise _unreadable(self.address, error) from error
        (self.local.parent / _SOURCE).write_text(self.address)
        return self.local


def is_remote(source: object) -> bool:
    """Whether this is the address of files elsewhere."""
    return isinstance(source, str) and _ADDRESS.fullmatch(source) is not None


def shown(path: Path) -> str:
    """The name by which people know a file: its address, if it is a copy of one elsewhere."""
    source = path.parent / _SOURCE
    return source.read_text() if path.is_relative_to(cache()) and source.is_file() else str(path)


def cache() -> Path:
    """Where copies are kept: $TSDS_FILES, or the user's cache."""
    return user_cache("files", "TSDS_FILES")


def remote_files(address: str) -> list[RemoteFile]:
    """The files that an address, a folder's or a glob stands for, sorted; nothing is fetched.

    Raises:
      InputError: if there is none, or it can't be looked at.
      MissingExtra: if fsspec is not installed.
    """
    try:
        import fsspec
    except ImportError:
        raise MissingExtra(f"reading {address}", "remote") from None
    protocol = address.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(address)
        if glob.has_magic(path) and not system.exists(path):
            paths = sorted(system.glob(path))
        elif system.isdir(path) and not system.isfile(path):
            paths, aside = list[str](), list[str]()
            for one in sorted(system.find(path)):
                if format_of(Path(one)) or one.endswith(".npy"):
                    inside = one.removeprefix(path).split("/")
                    (aside if any(map(is_aside, inside)) else paths).append(one)
                else:
                    check_left_out(Path(one))
            paths = paths or aside
        else:
            paths = [path]
        if not paths:
            remedy = f"known: {known_suffixes()}"
            raise InputError("there is no file that can be read", path=address, remedy=remedy)
        return [_remote_file(system, protocol, one) for one in paths]
    except ImportError as error:
        driver = _DRIVERS.get(protocol)
        raise InputError(
            str(error), path=address, remedy=f"pip install {driver}" if driver else "see fsspec's documentation"
        ) from error
    except ValueError as error:
        raise InputError(str(error), path=address, remedy="see fsspec's list of protocols") from error
    except OSError as error:
        raise _unreadable(address, error) from error


def _remote_file(system: Any, protocol: str, path: str) -> RemoteFile:
    about = system.info(path)
    size = about.get("size")
    address = _address(protocol, path)
    version = [str(about[name]) for name in _VERSIONS if about.get(name) is not None]
    key = hashlib.blake2b("\0".join([address, str(size), *version]).encode(), digest_size=12).hexdigest()
    return RemoteFile(address, size, cache() / key / Path(path).name, system, path)


def _address(protocol: str, path: str) -> str:
    return path if "://" in path else f"{protocol}://{path.lstrip('/')}"


def _unreadable(address: str, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError("no such file", path=address, remedy="check the address")
    return InputError(f"can't be read: {_reason(error)}", path=address, remedy="check the address and your credentials")


def _reason(error: Exception) -> str:
    """The first line of what a driver says."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


class Elsewhere:
    """A folder elsewhere, to write files to.

    Args:
      address: with its protocol.

    Raises:
      InputError: if there is no such kind of place.
      MissingExtra: if fsspec is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise MissingExtra(f"writing to {address}", "remote") from None
        self.address = address.rstrip("/")
        try:
            self._system, self._path = fsspec.core.url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            driver = _DRIVERS.get(address.partition("://")[0])
            remedy = f"pip install {driver}" if driver else "see fsspec's documentation"
            raise InputError(str(error), path=address, remedy=remedy) from error

    def names(self) -> set[str]:
        """Of all that is there; none if there is no such folder."""
        with self._trying("can't be read"):
            self._system.invalidate_cache()  # others may have written meanwhile
            try:
                found = self._system.ls(self._path, detail=False)
            except FileNotFoundError:
                return set()
            return {str(one).rstrip("/").rpartition("/")[2] for one in found}

    def address_of(self, name: str) -> str:
        """The address of a file there, as remote_files has it."""
        return _address(self.address.partition("://")[0], f"{self._path}/{name}")

    def read(self, name: str) -> bytes:
        """The content of a file there."""
        with self._trying("can't be read"):
            return bytes(self._system.cat_file(f"{self._path}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """Put a file there."""
        with self._trying("can't be written"):
            self._system.pipe_file(f"{self._path}/{name}", content)

    def check_writable(self) -> None:
        """Raise InputError unless a file can be put there: better before the work than after it."""
        with self._trying("can't be written"):
            self._system.makedirs(self._path, exist_ok=True)
            self._system.pipe_file(f"{self._path}/.tsds-probe", b"tsds")
            self._system.rm_file(f"{self._path}/.tsds-probe")

    def put(self, path: Path) -> None:
        """Copy a file there, under its own name."""
        with self._trying("can't be written"):
            self._system.put_file(str(path), f"{self._path}/{path.name}")

    def remove(self, patterns: list[str]) -> None:
        """Remove the files whose names are like these."""
        with self._trying("can't be written"):
            for pattern in patterns:
                for found in self._system.glob(f"{self._path}/{pattern}"):
                    self._system.rm_file(found)

    @contextmanager
    def _trying(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, NotImplementedError, ValueError) as error:
            why = f"{what}: {_reason(error)}"
            raise InputError(why, path=self.address, remedy="check the address and your credentials") from error
