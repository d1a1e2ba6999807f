"""Any Python function from texts to vectors as an encoder."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders.protocol import Advance, Report, Role, Setting, ignore
from tsds.errors import InputError
from tsds.records import sha256_of

_BATCH = 256


class FunctionEncoder:
    """A function that takes a list of texts and returns an (n, d) array.

    A function that has a `role` parameter is told "candidate" or "target". One that has an attribute `fingerprint`, a
    text that changes whenever its vectors do, may be used with a store. Dialogues come as texts with `.turns`.

    Args:
      function: as described.
      name: what messages call it.
      source: a digest of the code it comes from, where that is known; tells it apart if it has no `fingerprint`.
    """

    chats = True

    def __init__(self, function: Callable[..., Any], name: str, setting: Setting, source: str = "") -> None:
        self._function, self._name, self._source = function, name, source
        self._mark = getattr(function, "fingerprint", None)
        self.kept = self.lasting = self._mark is not None
        self.report = Report()
        self._dim: int | None = None
        try:
            self._roles = "role" in inspect.signature(function).parameters
        except (TypeError, ValueError):  # a builtin
            self._roles = False

    @classmethod
    def named(cls, argument: str | None, setting: Setting) -> FunctionEncoder:
        """The function of MODULE:FUNCTION, imported.

        Raises:
          InputError: if there is none.
        """
        module, _, name = (argument or "").rpartition(":")
        if not module:
            raise InputError(f"encoder python names no function: {argument!r}", remedy="python:MODULE:FUNCTION")
        try:
            found = import_module(module)
        except ImportError as error:
            raise InputError(
                f"module {module!r} can't be imported: {error}", remedy="install it, or set PYTHONPATH to its folder"
            ) from error
        function = getattr(found, name, None)
        if not callable(function):
            raise InputError(f"module {module!r} has no function {name!r}", remedy="python:MODULE:FUNCTION")
        return cls(function, f"{module}:{name}", setting, _source(module, getattr(function, "__module__", None)))

    def fit(self, batches: Iterable[Sequence[str]]) -> Self:
        """Nothing to learn."""
        return self

    @property
    def dim(self) -> int:
        """Width of what the function returns, asked with one short text if it is not known yet."""
        if self._dim is None:
            self._call(["a"], "candidate")
        assert self._dim is not None
        return self._dim

    def encode(self, texts: Sequence[str], role: Role = "candidate", advance: Advance = ignore) -> NDArray[np.float32]:
        """Embed texts: [n, dim].

        Raises:
          InputError: if the function returns anything but one row of finite numbers a text, always as wide.
        """
        parts = []
        for start in range(0, len(texts), _BATCH):
            parts.append(self._call(list(texts[start : start + _BATCH]), role))
            advance(len(parts[-1]))
        self.report.texts += len(texts)
        return np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32)

    def fingerprint(self, role: Role = "candidate") -> str:
        """The function's name and own mark; without one, a digest of its source, which says less than a mark does."""
        if self._mark is None:
            return f"python {self._name} {self._source}".rstrip()
        return f"python {self._name} {self._mark}" + (f" {role}" if self._roles else "")

    def _call(self, texts: list[str], role: Role) -> NDArray[np.float32]:
        rows = self._function(texts, role=role) if self._roles else self._function(texts)
        rows = np.asarray(rows)
        if rows.ndim != 2 or len(rows) != len(texts) or rows.dtype.kind not in "fiu":
            got = f"{rows.dtype} of shape {rows.shape}"
            raise InputError(f"{self._name} returned {got}", remedy=f"wanted: an array of {len(texts)} rows of numbers")
        if self._dim is not None and rows.shape[1] != self._dim:
            raise InputError(f"{self._name} returned rows of {rows.shape[1]} numbers, before of {self._dim}")
        self._dim = int(rows.shape[1])
        return rows.astype(np.float32)


def _source(*modules: str | None) -> str:
    """A digest of the files of these modules, each once; those that have none, as builtins, are left out."""
    files = [getattr(sys.modules.get(name or ""), "__file__", None) for name in dict.fromkeys(modules)]
    here = [path for path in map(Path, filter(None, files)) if path.is_file()]
    code = b"".join(bytes.fromhex(sha256_of(path)) for path in here)
    return hashlib.blake2b(code, digest_size=8).hexdigest() if here else ""
