"""Encoders: texts to vectors. A new one is one file here and one line in the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders.hashing import HashEncoder
from tsds.errors import InputError
from tsds.suggestions import nearest_name


class Encoder(Protocol):
    """Texts to vectors."""

    dim: int

    def fit(self, batches: Iterable[Sequence[str]]) -> Self:
        """Learn from the texts of the pool, in one pass; an encoder that needs nothing of them may ignore them."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: [n, dim]."""

    def fingerprint(self) -> str:
        """Equal for encoders that give the same vectors."""


@dataclass(frozen=True)
class EncoderEntry:
    """An encoder on offer.

    Attributes:
      line: what it is, in one line.
      make: the argument after the colon of its name, and the seed, to the encoder.
    """

    line: str
    make: Callable[[str | None, int], Encoder]


def _hash(argument: str | None, seed: int) -> Encoder:
    if argument is None:
        return HashEncoder(seed=seed)
    if not (argument.isdecimal() and 2 <= int(argument) <= 4096):
        raise InputError(
            f"the width {argument!r} of encoder hash is no number from 2 to 4096", remedy="for example hash:256"
        )
    return HashEncoder(dim=int(argument), seed=seed)


ENCODERS: dict[str, EncoderEntry] = {
    "hash": EncoderEntry(
        "hashed words and word pairs on 256 directions of the pool, no download; hash:DIM for another width",
        _hash,
    ),
}


def make_encoder(spec: str, seed: int) -> Encoder:
    """The encoder of a name as users write it, "hash" or "hash:128".

    Raises:
      InputError: if there is none of that name.
    """
    name, _, argument = spec.partition(":")
    if name not in ENCODERS:
        raise InputError(f"unknown encoder {name!r}", remedy=nearest_name(name, ENCODERS))
    return ENCODERS[name].make(argument or None, seed)
