"""What the two experiments have in common: what the grid asks of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tsds.comparing.measures import Measure
from tsds.embeddings.encoders.warmup import rising_then_falling
from tsds.evaluate.bases import digest_of
from tsds.evaluate.data import TargetFiles
from tsds.evaluate.settings import Training
from tsds.evaluate.stream import Step, equal_passes, equal_tokens
from tsds.evaluate.training import Batch, Trainable, train
from tsds.stages import Stages

#: Forward passes cost about a third of a training step.
READING = 1 / 3


@dataclass(frozen=True)
class Diet:
    """What a model is trained on in one cell.

    Attributes:
      texts: of the selection.
      counts: [n], how often each is in a pass.
      tokens: to train on in all; None for whole passes.
      passes: so many, then.
      whole: tokens of all texts, about, where these are but as many of them as will be read; None where these are all.
    """

    texts: Sequence[str]
    counts: NDArray[np.int64]
    tokens: int | None
    passes: int = 1
    whole: float | None = None


class Fed:
    """Trains a model on one diet after the other, but not again on the one that it has just been trained on.

    Arms that don't look at the target have the same diet for all of them: one training serves every target, as long as
    nothing else changes the model's weights.
    """

    def __init__(self) -> None:
        self._last: tuple[Any, dict[str, float]] | None = None

    def on(self, diet: Diet | None, seed: int, train: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What `train` says of this diet, now or when it was called for it last."""
        asked: Any = None
        if diet is not None:
            asked = digest_of(diet.texts), diet.counts.tobytes(), diet.tokens, diet.passes, seed
        if self._last is None or self._last[0] != asked:
            self._last = None  # a training that fails leaves weights of neither
            self._last = asked, train()
        return dict(self._last[1])


class Experiment(Protocol):
    """One of the two.

    Attributes:
      training: on the selection.
    """

    training: Training

    @property
    def measures(self) -> dict[str, Measure]:
        """What is measured, by name; the first is the primary one."""

    def lengths(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Tokens of each text as the model reads it, [n]."""

    def speed(self, sample: Sequence[str]) -> float:
        """Tokens trained in a second on this machine, from a step or two."""

    def base_work(self) -> int:
        """Tokens trained to make the base, at most; 0 if it is there."""

    def prepare(self, stages: Stages) -> dict[str, object]:
        """Make the base or find it; facts about it."""

    def work(self, target: TargetFiles) -> int:
        """What measuring one cell of this target costs, in units of a trained token."""

    def run(self, target: TargetFiles, diet: Diet | None, seed: int) -> dict[str, float]:
        """Train on a diet (None: not at all) and measure."""


def train_on(
    model: Trainable,
    diet: Diet | None,
    lengths: NDArray[np.int64],
    batches: Callable[[int, Step], list[Batch]],
    training: Training,
    seed: int,
) -> dict[str, float]:
    """Train a model on a diet; what it was trained on, its losses and seconds. Without a diet all is zero.

    Args:
      lengths: [n], tokens of the diet's texts.
      batches: of a step, by its number.
    """
    if diet is None:
        return {"tokens": 0.0, "steps": 0.0, "distinct": 0.0, "passes": 0.0, "train_seconds": 0.0}
    began = time.perf_counter()
    steps = steps_of(diet, lengths, training, seed)
    rate = rising_then_falling(training.rate, training.rising, len(steps))
    losses = train(model, (batches(i, step) for i, step in enumerate(steps)), rate, seed)
    few = max(1, len(losses) // 10)
    return {
        **facts_of_steps(steps, lengths, diet),
        "loss_first": float(np.mean(losses[:few])),
        "loss_last": float(np.mean(losses[-few:])),
        "train_seconds": time.perf_counter() - began,
    }


def tokens_a_second(model: Trainable, steps: Sequence[Step], batches: Callable[[Step], list[Batch]]) -> float:
    """How fast steps of one size are trained: the quickest of them, as the first warms up."""
    times = []
    for step in steps:
        made = batches(step)
        began = time.perf_counter()
        train(model, [made], lambda number: 1e-6, 0)
        times.append(time.perf_counter() - began)
    return steps[0].total / min(times)


def steps_of(diet: Diet, lengths: NDArray[np.int64], training: Training, seed: int) -> list[Step]:
    """The steps of training on a diet."""
    if diet.tokens is None:
        return equal_passes(lengths, diet.counts, diet.passes, training.step_tokens, seed)
    steps = max(1, round(diet.tokens / training.step_tokens))
    return equal_tokens(lengths, diet.counts, steps, training.step_tokens, seed)


def facts_of_steps(steps: Sequence[Step], lengths: NDArray[np.int64], diet: Diet) -> dict[str, float]:
    """What a model was trained on: tokens, steps, different texts, how often each went by, and how long they are."""
    tokens = sum(step.total for step in steps)
    held = (lengths * diet.counts).sum()
    seen = np.unique(np.concatenate([step.texts for step in steps]))
    return {
        "tokens": float(tokens),
        "steps": float(len(steps)),
        "distinct": float(len(seen)),
        "passes": tokens / (diet.whole or float(held)),
        "text_tokens": float(held / diet.counts.sum()),
    }
