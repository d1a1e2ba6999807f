"""Equal tokens are equal, and every text comes by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tsds.evaluate.experiment import Diet, facts_of_steps, steps_of
from tsds.evaluate.settings import Training
from tsds.evaluate.stream import by_length, equal_passes, equal_tokens


@pytest.mark.parametrize("longest", [5, 40, 300])
def test_every_step_has_the_same_tokens_whatever_the_texts(longest: int) -> None:
    lengths = np.random.default_rng(0).integers(1, longest, 37)
    steps = equal_tokens(lengths, np.ones(37, np.int64), 11, 128, seed=3)
    assert [step.total for step in steps] == [128] * 11
    cut = [(step.tokens < lengths[step.texts]).sum() for step in steps]
    assert max(cut) <= 1  # only the last of a step


def test_passes_are_whole() -> None:
    lengths, counts = np.array([3, 5, 2, 7]), np.array([1, 2, 0, 1])
    steps = equal_passes(lengths, counts, 3, 8, seed=0)
    seen = np.concatenate([step.texts for step in steps])
    assert np.bincount(seen, minlength=4).tolist() == [3, 6, 0, 3]
    assert sum(step.total for step in steps) == 3 * int((lengths * counts).sum())
    assert np.bincount(seen[:4], minlength=4).tolist() == [1, 2, 0, 1]  # a whole pass before the next


def test_a_diet_of_tokens_is_the_same_for_short_and_long_texts() -> None:
    training = Training(epochs=2, rate=1e-3, step_tokens=64, longest=100)
    for lengths in (np.full(30, 4), np.full(5, 90)):
        diet = Diet([""] * len(lengths), np.ones(len(lengths), np.int64), tokens=640)
        facts = facts_of_steps(steps_of(diet, lengths, training, 0), lengths, diet)
        assert (facts["tokens"], facts["steps"]) == (640, 10)
        assert facts["passes"] == pytest.approx(640 / lengths.sum())
        some = replace(diet, whole=6400.0)  # what is read of a pool ten times as large
        assert facts_of_steps(steps_of(some, lengths, training, 0), lengths, some)["passes"] == 0.1
        assert facts["text_tokens"] == lengths[0]


def test_the_mean_length_of_a_diet_counts_what_is_chosen_twice_twice() -> None:
    lengths, diet = np.array([10, 40]), Diet(["", ""], np.array([2, 1]), tokens=None)
    steps = steps_of(diet, lengths, Training(epochs=1, rate=1e-3, step_tokens=64, longest=100), 0)
    assert facts_of_steps(steps, lengths, diet)["text_tokens"] == 20


def test_batches_hold_each_text_once_and_bound_the_padding() -> None:
    lengths = np.random.default_rng(1).integers(1, 60, 50)
    step = equal_tokens(lengths, np.ones(50, np.int64), 1, 700, seed=0)[0]
    batches = by_length(step, 200)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(step.texts)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * step.tokens[batch].max() <= 200
