"""What every encoder offers, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders.gathering import Gathered

#: Whose texts are encoded: some models want a prompt for either, and gradients of candidates are preconditioned.
Role = Literal["candidate", "target"]
Advance = Callable[[int], None]
Say = Callable[[str], None]


def ignore(_: object) -> None:
    """Tells nobody."""


@dataclass
class Report:
    """What happened to the texts that an encoder was given.

    Attributes:
      texts: how many were encoded.
      truncated: how many of them were longer than the model reads, and were cut.
      unfit: how many chats the model's chat template refused, so that plain role marks were used.
    """

    texts: int = 0
    truncated: int = 0
    unfit: int = 0

    def plus(self, other: Report) -> Report:
        """Both together."""
        return Report(self.texts + other.texts, self.truncated + other.truncated, self.unfit + other.unfit)


class Encoder(Protocol):
    """Texts to vectors.

    Attributes:
      dim: width of the vectors; asking for it may load a model.
      chats: whether the turns of a dialogue make a difference, not only its text.
      kept: whether its vectors go to a store without being asked: they are slow to make.
      lasting: whether its fingerprint tells whether it would give the same vectors again.
      report: what happened so far.
    """

    chats: bool
    kept: bool
    lasting: bool
    report: Report

    @property
    def dim(self) -> int: ...

    def fit(self, batches: Iterable[Sequence[str]]) -> Self:
        """Learn from the texts of the pool, in one pass; an encoder that needs nothing of them may ignore them."""

    def encode(self, texts: Sequence[str], role: Role = "candidate", advance: Advance = ignore) -> NDArray[np.float32]:
        """Embed texts: [n, dim]; `advance` is told the number of texts done."""

    def fingerprint(self, role: Role = "candidate") -> str:
        """Equal for encoders that give the same vectors; known without loading a model."""


@runtime_checkable
class Recalls(Protocol):
    """An encoder that can give the vectors of the texts it was fitted on without being given them again.

    Attributes:
      remember: whether to keep in memory, while it is fitted, what that takes.
    """

    remember: bool

    def recall(self, advance: Advance = ignore) -> Iterator[NDArray[np.float32]] | None:
        """Blocks of vectors in the order of the texts, once; None where there were too many to remember."""


@runtime_checkable
class Restores(Protocol):
    """An encoder whose fitted state is a few arrays."""

    def state(self) -> dict[str, NDArray[Any]]:
        """What it has learned."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Be as if fitted on what gave that state."""


@runtime_checkable
class Gathers(Protocol):
    """An encoder that learns from what can be gathered from pieces of the pool, each in a process of its own."""

    def gather(self, batches: Iterable[Sequence[str]], first: int = 0) -> Gathered:
        """From texts of the pool, the first of which has this position there; `gathering.merged` joins two."""

    def learn(self, gathered: Gathered) -> Self:
        """Be fitted on all the texts that this was gathered from."""


#: The folder, in that of a setting, of what encoders have trained on pools.
WARM_UPS = "warm-ups"


@dataclass(frozen=True)
class Setting:
    """What an encoder is made with, besides its name.

    Attributes:
      seed: of everything that is drawn.
      device: "cpu", "cuda" or "auto".
      folder: where what is learned may be kept for later runs; nowhere if None.
      say: told what a person should know while it works.
    """

    seed: int = 0
    device: str = "auto"
    folder: Path | None = None
    say: Say = ignore
