"""What encoders with a model share: its folder and device, how they are told apart, and batches that fit in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tsds.embeddings.encoders.models import CPU_TOKENS, GPU_TOKENS, device_of, in_batches, model_fingerprint
from tsds.embeddings.encoders.protocol import Advance, Report, Setting


class ModelEncoder:
    """Base of encoders that read a model from a folder.

    Attributes:
      report: what happened so far.
    """

    name: str
    kept = lasting = True

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.report = Report()
        self._folder, self._setting = folder, setting

    @cached_property
    def _weights(self) -> str:
        return model_fingerprint(self._folder)

    @cached_property
    def _device(self) -> str:
        return device_of(self._setting.device)

    def _told_apart(self, version: int, settings: tuple[Any, ...]) -> str:
        """A fingerprint of the weights and whatever else the vectors depend on."""
        digest = hashlib.blake2b(repr((self._weights, (version, *settings))).encode(), digest_size=16)
        return f"{self.name}-v{version}-{digest.hexdigest()}"

    def _in_batches(
        self, lengths: Sequence[int], work: Callable[[list[int]], NDArray[Any]], advance: Advance
    ) -> NDArray[Any]:
        """Rows of all texts, [n, d], a batch of like lengths at a time."""
        tokens = CPU_TOKENS if self._device == "cpu" else GPU_TOKENS
        rows = in_batches(lengths, work, tokens=tokens, advance=advance, say=self._setting.say)
        return rows.reshape(len(lengths), -1)
