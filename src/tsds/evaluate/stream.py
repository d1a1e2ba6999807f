"""The order in which a model sees texts: steps of an exact number of tokens, the same number for every method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """The texts of one step of training.

    Attributes:
      texts: [k], which.
      tokens: [k], how many tokens of each, from its start.
    """

    texts: Whole
    tokens: Whole

    @property
    def total(self) -> int:
        """Tokens of the step, padding not counted."""
        return int(self.tokens.sum())


def equal_tokens(lengths: Whole, counts: Whole, steps: int, step_tokens: int, seed: int) -> list[Step]:
    """So many steps of exactly so many tokens each, whatever the texts are.

    The texts go by in a new random order each pass, as often as it takes; the last text of a step is cut where the step
    is full, and what is left of it is not used.

    Args:
      lengths: [n], tokens of each text as the model reads it, positive.
      counts: [n], how often each text is in a pass.
    """
    found: list[Step] = []
    stream = _forever(np.repeat(np.arange(len(lengths)), counts), seed)
    for _ in range(steps):
        texts: list[int] = []
        tokens: list[int] = []
        room = step_tokens
        while room:
            text = next(stream)
            take = min(room, int(lengths[text]))
            texts.append(text)
            tokens.append(take)
            room -= take
        found.append(Step(np.array(texts, np.int64), np.array(tokens, np.int64)))
    return found


def equal_passes(lengths: Whole, counts: Whole, passes: int, step_tokens: int, seed: int) -> list[Step]:
    """Every text once a pass, whole, in steps of about so many tokens."""
    one = np.repeat(np.arange(len(lengths)), counts)
    stream = _forever(one, seed)
    order = np.array([next(stream) for _ in range(passes * len(one))], np.int64)
    step = (np.cumsum(lengths[order]) - 1) // step_tokens
    cuts = np.flatnonzero(np.diff(step)) + 1
    return [Step(part, lengths[part]) for part in np.split(order, cuts)]


def by_length(step: Step, padded: int) -> list[Whole]:
    """The texts of a step in batches of like length, of at most so many tokens each, padding included: positions."""
    order = np.argsort(-step.tokens, kind="stable")
    found, start = [], 0
    while start < len(order):
        rows = max(1, padded // int(step.tokens[order[start]]))
        found.append(order[start : start + rows])
        start += rows
    return found


def _forever(texts: Whole, seed: int) -> Iterator[int]:
    epoch = 0
    while True:
        yield from np.random.default_rng([seed, 7, epoch]).permutation(texts).tolist()
        epoch += 1
