"""One shard of a store on disk: vectors, the keys of their texts, and an entry that makes it valid.

The entry is written last and names the checksum of every other file: a shard without an entry is not there, and one
whose bytes differ from its entry is damaged. A shard is named by its keys, so that whoever makes it makes the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds.arrays import Block, Rows
from tsds.embeddings.npy import NpyShard
from tsds.errors import InputError
from tsds.records import atomic_file, sha256_of

Keys = NDArray[np.uint64]  # [n, 2], a digest of each text
Precision = Literal["float16", "float32", "int8"]
_FLOAT16_LARGEST = 65504.0


@dataclass(frozen=True)
class Entry:
    """What a store knows of a shard.

    Attributes:
      name: a digest of its keys.
      rows: how many texts.
      dim: width of the vectors.
      dtype: how they are stored.
      truncated, unfit: texts that were cut, and chats that the model's template refused.
      seconds: it took to encode them.
      sha256: of each file, by suffix.
    """

    name: str
    rows: int
    dim: int
    dtype: Precision
    truncated: int = 0
    unfit: int = 0
    seconds: float = 0.0
    sha256: dict[str, str] = field(default_factory=dict)


def shard_name(keys: Keys) -> str:
    """The name of a shard of these texts."""
    return hashlib.blake2b(np.ascontiguousarray(keys).tobytes(), digest_size=12).hexdigest()


def write_shard(folder: Path, keys: Keys, vectors: NDArray[np.float32], dtype: Precision, **facts: Any) -> Entry:
    """Store the vectors of texts, [n, d]; whole or not at all.

    Raises:
      InputError: if a vector does not fit the precision.
    """
    name = shard_name(keys)
    files: dict[str, NDArray[Any]] = {".keys.npy": np.ascontiguousarray(keys)}
    if dtype == "int8":
        files[".npy"], files[".scales.npy"] = quantized(vectors)
    else:
        if dtype == "float16" and len(vectors) and float(np.abs(vectors).max()) > _FLOAT16_LARGEST:
            raise InputError("a vector exceeds what float16 holds", remedy="--store-precision float32")
        files[".npy"] = np.ascontiguousarray(vectors, dtype=dtype)
    sums = {}
    for suffix, array in files.items():
        with atomic_file(folder / (name + suffix)) as file:
            np.save(file, array, allow_pickle=False)
        sums[suffix] = sha256_of(folder / (name + suffix))
    entry = Entry(name, len(keys), int(vectors.shape[1]), dtype, sha256=sums, **facts)
    with atomic_file(folder / f"{name}.json") as file:
        file.write(orjson.dumps(asdict(entry), option=orjson.OPT_APPEND_NEWLINE))
    return entry


def read_entry(path: Path) -> Entry | None:
    """The entry of a shard; None if it is damaged or gone."""
    try:
        return Entry(**orjson.loads(path.read_bytes()))
    except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
        return None


def damage(folder: Path, entry: Entry) -> str | None:
    """What is wrong with a shard's files; None if every byte is as it was written."""
    for suffix, wanted in entry.sha256.items():
        path = folder / (entry.name + suffix)
        if not path.is_file():
            return f"{path.name} is missing"
        if sha256_of(path) != wanted:
            return f"{path.name} is not what was written"
    return None


def remove_shard(folder: Path, name: str) -> None:
    """Take a shard away, its entry first."""
    for suffix in (".json", ".npy", ".keys.npy", ".scales.npy"):
        (folder / (name + suffix)).unlink(missing_ok=True)


def open_shard(folder: Path, entry: Entry) -> NpyShard | QuantizedShard:
    """The vectors of a shard as rows of a matrix."""
    path = folder / f"{entry.name}.npy"
    if entry.dtype != "int8":
        return NpyShard.open(path)
    whole = np.load(path, mmap_mode="r", allow_pickle=False)
    shape = (int(whole.shape[0]), int(whole.shape[1]))
    return QuantizedShard(path, shape, int(whole.offset), np.load(folder / f"{entry.name}.scales.npy"))


def quantized(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows in whole numbers from -127 to 127, and what to multiply each row with."""
    scales = np.abs(vectors).max(axis=1, initial=0).astype(np.float32) / np.float32(127)
    safe = np.where(scales > 0, scales, 1)
    return np.rint(vectors / safe[:, None]).astype(np.int8), scales


@dataclass(frozen=True)
class QuantizedShard:
    """Vectors stored as whole numbers with a scale for each row, seen as float32.

    The file is mapped while it is read only: a map holds a file descriptor, and a store has thousands of shards.
    """

    path: Path
    shape: tuple[int, int]
    offset: int
    scales: NDArray[np.float32]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def read(self, start: int, stop: int) -> Block:
        """Rows start..stop."""
        return self._whole()[start:stop].astype(np.float32) * self.scales[start:stop, None]

    def rows(self, positions: Rows) -> Block:
        """The rows at these positions."""
        return self._whole()[positions].astype(np.float32) * self.scales[positions, None]

    def _whole(self) -> NDArray[np.int8]:
        return np.memmap(self.path, np.int8, "r", self.offset, self.shape)
