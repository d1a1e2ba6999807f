"""The arms of a grid: what selects nothing, methods, and what is drawn at random to be like what a method selects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tsds.comparing.cells import Contender
from tsds.settings import Settings

#: Arms that select nothing: no training; the target's own texts; the whole pool, as far as the tokens go, or once.
UNSELECTED = {
    "none": "no training on the pool at all",
    "in-domain": "the target's own example texts: what selection could reach at best",
    "full": "the whole pool in random order, as far as the same tokens go",
    "full-epoch": "the whole pool once, whatever that costs",
}
#: Arms that don't look at the target: they train one model for all of them.
BLIND = ("none", "full", "full-epoch", "random", "random-stratified")
METHODS = (
    "none", "full", "random", "random-length", "random-stratified", "topk", "round-robin", "dsir", "uniform",
    "kde-published", "auto",
)  # fmt: skip
QUICK_METHODS = ("none", "random", "random-length", "round-robin", "auto")
#: Those that the others are held against, as far as they are in the grid; so is every random arm that is like a method.
_REFERENCES = ("random", "random-length", "round-robin")
_LIKE = re.compile(r"random-(source-length|source|length):as=(.+)")


@dataclass(frozen=True)
class Arm:
    """An arm that selects.

    Attributes:
      contender: the method with its settings.
      like: of what it selects, random candidates take on the "length", the "source" or both, "source-length"; empty
        where what it selects is trained on itself.
    """

    contender: Contender
    like: str = ""

    @classmethod
    def parse(cls, spec: str, common: Settings) -> Arm:
        """Read "METHOD", "METHOD:SETTING=VALUE,..." or "random-source:as=METHOD".

        Raises:
          InputError: if the method or a setting is not known, or the settings exclude each other.
        """
        like = _LIKE.fullmatch(spec)
        return cls(Contender.parse(like[2] if like else spec, common), like[1] if like else "")

    @property
    def by_source(self) -> bool:
        """Whether it asks for a pool whose records name their sources."""
        return "source" in self.like or self.contender.settings.method == "random-stratified"


def chosen_arms(methods: Iterable[str], encoder: str) -> dict[str, Arm]:
    """Those of the named arms that select.

    Raises:
      InputError: as `Arm.parse`.
    """
    common: Any = Settings(size="1%", encoder=encoder)
    return {name: Arm.parse(name, common) for name in methods if name not in UNSELECTED}


def references_of(methods: Iterable[str]) -> list[str]:
    """Those of a grid's arms that the others are held against, in their order."""
    named = list(methods)
    fixed = [name for name in _REFERENCES if name in named]
    return fixed + [name for name in named if _LIKE.fullmatch(name)]
