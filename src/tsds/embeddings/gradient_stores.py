"""Gradients made elsewhere as rows of a matrix: what bergson and TRAK leave on disk.

A store of bergson is a folder of `info.json` and `gradients.bin`, all modules of an example side by side in one row
(bergson.data.load_gradients). TRAK keeps a folder for each model, with the projected gradients of the training set in
`grads.mmap`, those of an experiment's targets in `NAME_grads.mmap` and its features in `features.mmap`, each a .npy
array by another name (trak.savers.MmapSaver).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Rows
from tsds.errors import InputError

_TRAK = ("grads.mmap", "features.mmap")


@dataclass(frozen=True)
class FlatShard:
    """A file of nothing but rows of numbers; bfloat16 is widened to float32 as it is read.

    Attributes:
      path: of the file.
      shape: rows and width.
      stored: the type on disk, uint16 for bfloat16.
    """

    path: Path
    shape: tuple[int, int]
    stored: np.dtype[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of what is read."""
        return np.dtype(np.float32) if self.stored == np.uint16 else self.stored

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start..stop."""
        if start == stop:
            return np.empty((0, self.shape[1]), self.dtype)
        where = start * self.shape[1] * self.stored.itemsize
        return self._widened(np.memmap(self.path, self.stored, "r", where, (stop - start, self.shape[1])))

    def rows(self, positions: Rows) -> NDArray[Any]:
        """The rows at these ascending positions."""
        return self._widened(np.memmap(self.path, self.stored, "r", 0, self.shape)[positions])

    def _widened(self, rows: NDArray[Any]) -> NDArray[Any]:
        if self.stored == np.uint16:  # a bfloat16 is the upper half of a float32
            return (rows.astype(np.uint32) << 16).view(np.float32)
        return rows


def bergson_store(folder: Path) -> FlatShard:
    """The gradients of a folder that bergson wrote.

    Raises:
      InputError: if they are of tokens, not of examples, of an unknown type, or cut short.
    """
    about = folder / "info.json"
    try:
        info = json.loads(about.read_text())
        rows, sizes = int(info["num_grads"]), [int(size) for size in info["grad_sizes"].values()]
        name = info["base_dtype"] if "base_dtype" in info else np.dtype(info["dtype"]["formats"][0]).base.name
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "build the store again with bergson"
        raise InputError(f"does not describe a store of gradients ({error})", path=about, remedy=remedy) from None
    if info.get("attribute_tokens"):
        raise InputError("holds gradients of tokens", path=folder, remedy="build it with one gradient for each example")
    types = {"bfloat16": np.uint16, "float16": np.float16, "float32": np.float32, "float64": np.float64}
    if name not in types:
        raise InputError(f"holds gradients as {name}", path=folder, remedy=f"known: {', '.join(types)}")
    shard = FlatShard(folder / "gradients.bin", (rows, sum(sizes)), np.dtype(types[name]))
    wanted, found = rows * sum(sizes) * shard.stored.itemsize, shard.path.stat().st_size
    if found != wanted:
        raise InputError(f"has {found:,} bytes, not {wanted:,}", path=shard.path, remedy="build the store again")
    return shard


def trak_file(folder: Path) -> Path:
    """The gradients of the training set in a folder of TRAK, or its features where the gradients were tidied away.

    Raises:
      InputError: if it has those of several models, or none.
    """
    found = [
        next(folder / model / name for name in _TRAK if (folder / model / name).is_file())
        for model in sorted(path.name for path in folder.iterdir() if path.is_dir())
        if any((folder / model / name).is_file() for name in _TRAK)
    ]
    if len(found) != 1:
        which = "no model's" if not found else f"{len(found)} models'"
        raise InputError(f"has {which} gradients", path=folder, remedy="name one file: FOLDER/MODEL/grads.mmap")
    return found[0]
