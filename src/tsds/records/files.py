"""Bytes of files: decompressed while read, cut into lines; and written under a temporary name until whole."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from tsds.errors import InputError, RunError
from tsds.scratch import owned, sweep

_CHUNK = 1 << 20
_LARGEST_RATIO = 64  # of content to stored bytes: a head of a file that packs better than that is cut
_BOM = b"\xef\xbb\xbf"
NOT_UTF8_REMEDY = "convert the file: iconv -f ENCODING -t UTF-8"


def _plain(stored: BinaryIO) -> BinaryIO:
    return stored


def _gunzipped(stored: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.open(stored, "rb"))


def _unzstd(stored: BinaryIO) -> BinaryIO:
    import pyarrow as pa

    return io.BufferedReader(pa.input_stream(stored, compression="zstd"), _CHUNK)


#: Suffix of a compressed file -> its content, from the file as it is stored.
COMPRESSIONS: dict[str, Callable[[BinaryIO], BinaryIO]] = {".gz": _gunzipped, ".zst": _unzstd}


def chunks(path: Path, name: str) -> Generator[bytes, None, None]:
    """The content of a file about a megabyte at a time, decompressed, without a byte order mark.

    Args:
      path: where it is; a suffix of COMPRESSIONS tells how it is compressed.
      name: what error messages call it.

    Raises:
      InputError: if it can't be read, or its compressed data is damaged or cut short.
    """
    content = COMPRESSIONS.get(path.suffix.lower(), _plain)
    try:
        with path.open("rb") as stored, content(stored) as stream:
            chunk = stream.read(_CHUNK).removeprefix(_BOM)
            while chunk:
                yield chunk
                chunk = stream.read(_CHUNK)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(error, name) from error


@dataclass(frozen=True)
class Head:
    """The first bytes of a file.

    Attributes:
      content: decompressed, without a byte order mark.
      stored: how many bytes of the file that is.
      whole: whether there are no more.
    """

    content: bytes
    stored: int
    whole: bool


def head(stored: BinaryIO, suffix: str, name: str, size: int) -> Head:
    """About the first `size` bytes of a file as it is stored, decompressed; little more of it is read.

    Args:
      stored: the file, opened; it is closed.
      suffix: the last one of its name, which tells how it is compressed.
      name: what error messages call it.

    Raises:
      InputError: if it can't be read, or its compressed data is damaged or cut short.
    """
    pieces: list[bytes] = []
    total = used = 0
    known: tuple[int, int] | None = None  # bytes of content that so many bytes of the file have given
    try:
        with stored, COMPRESSIONS.get(suffix.lower(), _plain)(stored) as stream:
            # What has been decompressed is only known to be all that so many bytes give when more bytes are taken.
            while piece := stream.read(_CHUNK):
                at = stored.tell()
                if at > used and total:
                    known = total, used
                used = at
                if known is not None and (known[1] >= size or total >= _LARGEST_RATIO * size):
                    content = b"".join(pieces)[: known[0]]
                    return Head(content.removeprefix(_BOM), known[1], False)
                pieces.append(piece)
                total += len(piece)
            return Head(b"".join(pieces).removeprefix(_BOM), used, True)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(error, name) from error


def lines(path: Path, name: str) -> Iterator[list[bytes]]:
    """All lines of a file, in lists of many, without their "\\n" (a "\\r" before it stays: it is the record's)."""
    pending: list[bytes] = []  # pieces of one line that spans chunks, joined once: a line may be gigabytes long
    for chunk in chunks(path, name):
        parts = chunk.split(b"\n")
        pending.append(parts[0])
        if len(parts) > 1:
            parts[0] = b"".join(pending)
            pending = [parts.pop()]
            yield parts
    last = b"".join(pending)
    if last:
        yield [last]


def unreadable(error: Exception, name: str) -> InputError:
    """The error of a file that exists and yet gives no content: the system's reason, or damage."""
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(f"can't be read: {error.strerror or error}", path=name)
    return InputError(f"damaged or cut short: {error}", path=name, remedy="copy or make the file again")


def user_cache(name: str, variable: str) -> Path:
    """A folder of the user's cache; an environment variable of that name says otherwise."""
    named, home = os.environ.get(variable), os.environ.get("XDG_CACHE_HOME")
    return Path(named) if named else (Path(home) if home else Path.home() / ".cache") / "tsds" / name


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when whole and on disk; whatever ends the block early leaves nothing.

    What a kill leaves is for `sweep_parts`.

    Raises:
      RunError: if it can't be written; other errors of the block, as of what is read there, stay what they are.
    """
    temporary = path.with_name(f"{owned(f'.{path.name}.')}.part")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = temporary.open("xb")
    try:
        with _Told(file, path) as told:
            yield cast(BinaryIO, told)
            with _writing(path):
                file.flush()
                os.fsync(file.fileno())
        with _writing(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # it is gone already if all went well


def sweep_parts(path: Path) -> None:
    """Remove what killed processes left of this file while they wrote it."""
    sweep(path.parent, f".{path.name}.")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"{path}: can't be written: {error.strerror or error}") from error


class _Told(io.BufferedIOBase):
    """A file being written, whose failures say which file it was and are told from those of what is read meanwhile.

    It is no `BufferedWriter`, so that numpy writes through it and not through its descriptor.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path

    def write(self, data: Any, /) -> int:
        with _writing(self._path):
            return self._file.write(data)

    def flush(self) -> None:
        with _writing(self._path):
            self._file.flush()

    def close(self) -> None:
        with _writing(self._path):
            self._file.close()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        with _writing(self._path):
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    @property
    def closed(self) -> bool:
        return self._file.closed


def checksum_of(path: Path, name: str) -> dict[str, str | int]:
    """What tells a file that was read or written: the name it goes by, its bytes, its digest."""
    return {"name": name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def sha256_of(path: Path) -> str:
    """A digest of what a file holds, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
