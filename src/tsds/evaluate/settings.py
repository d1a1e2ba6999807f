"""What a grid is made of, and how its models are trained; checked before any work is done."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

from tsds.budget import Size
from tsds.errors import InputError
from tsds.evaluate.arms import METHODS, Arm, chosen_arms

Kind = Literal["pretraining", "instruction"]
Equal = Literal["tokens", "examples"]

_CONDITION = re.compile(r"(plain|skewed|near-duplicates)(?::([0-9]+(?:\.[0-9]+)?)%x([0-9]+))?")


@dataclass(frozen=True)
class Training:
    """How a model is trained on texts.

    Attributes:
      epochs: how many times the tokens of an average selection of that size.
      rate: the highest learning rate; it rises to it over `rising` of the steps, then falls to zero, linearly.
      step_tokens: tokens of a step, padding not counted.
      longest: tokens read of a text.
      padded: tokens that go through the model at once, padding included.
      precision: "float32" or "bfloat16", of products of matrices.
    """

    epochs: float
    rate: float
    step_tokens: int
    longest: int
    rising: float = 0.06
    padded: int = 4096
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("epochs", "rate", "step_tokens", "longest"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise InputError(f"--{name.replace('_', '-')} is {value}", remedy="a positive number is wanted")


@dataclass(frozen=True)
class Settling:
    """How the common base of all arms is made.

    Attributes:
      head_steps: of the new head alone, at most (masked models without one).
      steps: of all weights, at most.
      window: steps over which the loss is averaged.
      gain: the loss has settled when a window is less than this share below the one before.
      rate: learning rate of all weights; of the head alone, `head_rate`.
    """

    head_steps: int
    steps: int
    window: int = 25
    gain: float = 0.01
    rate: float = 1e-4
    head_rate: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("steps", "rate"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise InputError(f"--base-{name} is {value}", remedy="a positive number is wanted")


@dataclass(frozen=True)
class Condition:
    """What is done to pool or target before anything is selected.

    Attributes:
      name: as given.
      kind: plain; near-duplicates: of `share` percent of the pool, `times` edited copies each are added; skewed: four
        fifths of the target examples are those of another target.
    """

    name: str
    kind: str
    share: float = 1.0
    times: int = 1000

    @classmethod
    def parse(cls, given: str) -> Condition:
        """Read "plain", "skewed", "near-duplicates" or "near-duplicates:0.1%x100".

        Raises:
          InputError: if it is something else.
        """
        match = _CONDITION.fullmatch(given)
        if match is None or (match[2] and match[1] != "near-duplicates"):
            raise InputError(
                f"unknown condition {given!r}", remedy="plain, skewed, near-duplicates or near-duplicates:1%x1000"
            )
        if not match[2]:
            return cls(given, match[1])
        share, times = float(match[2]), int(match[3])
        if not 0 < share <= 100 or times < 1:
            raise InputError(
                f"condition {given!r} adds no copies", remedy="more than 0 % and at most 100 %, once at least"
            )
        return cls(given, match[1], share, times)


@dataclass(frozen=True)
class Grid:
    """The cells of an evaluation: every method on every target, size, condition, equality and seed.

    Attributes:
      kind: which experiment.
      targets: names; all that the data has if empty.
      methods: names of arms, see `arms`.
      sizes: examples or shares of the pool.
      seeds: 0, 1, ... so many; each draws its own target examples, the same for all methods.
      equal: what is the same for all methods: training tokens and steps, or examples.
      conditions: see Condition.
      examples: target examples of a draw.
      test_rows: rows of the test set that are measured on, drawn at random; all if None.
      encoder: of the selection.
    """

    kind: Kind
    targets: tuple[str, ...] = ()
    methods: tuple[str, ...] = METHODS
    sizes: tuple[str, ...] = ("0.5%", "1%", "5%")
    seeds: int = 5
    equal: tuple[Equal, ...] = ("tokens",)
    conditions: tuple[str, ...] = ("plain",)
    examples: int = 1000
    test_rows: int | None = None
    encoder: str = "hash"
    chosen: dict[str, Arm] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("targets", "methods", "sizes", "equal", "conditions"):
            values = getattr(self, name)
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise InputError(f"--{name} names {twice!r} twice", remedy="name it once")
        for one in self.equal:
            if one not in ("tokens", "examples"):
                raise InputError(f"--equal is {one!r}", remedy="tokens, examples, or both")
        for size in self.sizes:
            if Size.parse(size).kind == "tokens":
                raise InputError(f"size {size!r} is in tokens", remedy="give examples (1000) or a share (1%)")
        for name in ("seeds", "examples"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} is {getattr(self, name)}", remedy="a whole number from 1 is wanted")
        if self.test_rows is not None and self.test_rows < 1:
            raise InputError(f"--test-rows is {self.test_rows}", remedy="a whole number from 1 is wanted")
        for condition in self.conditions:
            Condition.parse(condition)
        object.__setattr__(self, "chosen", chosen_arms(self.methods, self.encoder))
