"""How to make an encoder again in another process: its name and settings, and what it has learned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from tsds.embeddings.encoders.protocol import Encoder, Restores, Setting

#: Encoders that need more than that: what they have learned is large, or tied to this machine.
_NOT_ELSEWHERE = ("gradient",)
_made: dict[str, Encoder] = {}  # the latest of this process: its model is loaded once


@dataclass(frozen=True)
class Recipe:
    """An encoder by name.

    Attributes:
      spec: its name.
      seed, device: its settings.
      state: what it has learned, if it has.
      key: tells it from others.
    """

    spec: str
    seed: int
    device: str
    state: Mapping[str, NDArray[Any]] | None
    key: str

    @classmethod
    def of(cls, spec: Any, setting: Setting, encoder: Encoder) -> Recipe | None:
        """The recipe of an encoder; None if it can only be used in this process."""
        if not isinstance(spec, str) or spec.partition(":")[0] in _NOT_ELSEWHERE:
            return None
        state = encoder.state() if isinstance(encoder, Restores) else None
        digest = hashlib.sha256(repr((spec, setting.seed, setting.device)).encode())
        for name, array in (state or {}).items():
            digest.update(name.encode())
            digest.update(array.data)
        return cls(spec, setting.seed, setting.device, state, digest.hexdigest())

    def make(self) -> Encoder:
        """The encoder, made once in a process."""
        from tsds.embeddings.encoders import make_encoder

        if self.key not in _made:
            encoder = make_encoder(self.spec, Setting(self.seed, self.device))
            if self.state is not None and isinstance(encoder, Restores):
                encoder.restore(self.state)
            _made.clear()  # one at a time: a worker that serves many runs would hold the models of all
            _made[self.key] = encoder
        return _made[self.key]
