"""From an answer to a drawing of so many examples, or so many tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, places_within
from tsds.budget import Size
from tsds.errors import BudgetError
from tsds.methods import Answer
from tsds.sampling import Counts, Sampling, inclusion_probabilities, systematic, within_tokens
from tsds.shares import Massed, choose


@dataclass(frozen=True)
class Drawn:
    """How often each candidate with mass was drawn.

    Attributes:
      counts: [q].
      inclusion: [q], the probability of being drawn (for multinomial, the expected count); NaN for a size in tokens:
        what is mended to hold so many is no longer drawn with the probabilities that it began with.
      short: whether there were fewer candidates with mass than wanted.
      sampling: how they were drawn.
    """

    counts: Counts
    inclusion: Array
    short: bool
    sampling: Sampling


def draw(
    answer: Answer, budget: Size, size: int, tokens: NDArray[np.int64], sampling: Sampling, seed: int, mu: Array,
    task: NDArray[np.int64],
) -> Drawn:  # fmt: skip
    """Draw `size` examples, or the budget's tokens.

    Systematic sampling takes candidates in the order of the target they serve and their distance to it, so that every
    target gets its share (implicit stratification).

    Args:
      tokens: [q], of the candidates with mass.
      mu: [m], the targets' masses.
      task: [m], index of each target's task.

    Raises:
      BudgetError: if no candidate with mass is so short.
    """
    p = answer.probability
    rng = np.random.default_rng([seed, 1])
    in_tokens = budget.kind == "tokens"
    if in_tokens:
        check_holds_one(budget, tokens, " that serve the targets")
    if in_tokens and sampling == "systematic":
        order = np.lexsort((answer.rows, answer.distance, answer.target))
        pi = inclusion_probabilities(p, budget.amount, tokens.astype(np.float64))
        counts = np.empty(len(p), np.int64)
        counts[order] = systematic(pi[order], rng)
    else:
        leader = np.arange(len(p)) if answer.leader is None else answer.leader
        found = Massed(answer.rows, p, leader, answer.target, answer.distance, answer.edges, mu, answer.capacity, task)
        counts = choose(sampling, found, size, rng)
        pi = counts.astype(np.float64)
        if sampling == "systematic":
            pi = inclusion_probabilities(p, size)
        elif sampling == "multinomial":
            pi = size * p
    if in_tokens:
        # Masses equal up to the solver's rounding are told apart by distance, never by the place in the file.
        worth = (
            np.lexsort((answer.distance, -np.round(p * size, 9))) if answer.turn is None else np.argsort(answer.turn)
        )
        if answer.turn is None and np.ptp(task):
            worth = _by_turns(worth, counts, task[answer.target])
        counts = within_tokens(counts, worth, tokens, int(budget.amount))
        every = int((tokens * np.maximum(counts, 1)).sum())  # if those that were left out came in as well
        return Drawn(counts, np.full(len(p), np.nan), every < budget.amount, sampling)
    return Drawn(counts, pi, bool(counts.sum() < size), sampling)


def _by_turns(worth: NDArray[np.int64], counts: Counts, task: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order of worth with tasks taking turns by how many of each were drawn: a cut takes as much of every task.

    Args:
      worth: [q], positions, the best first.
      counts: [q], as drawn.
      task: [q], whom each serves.
    """
    drawn_first = worth[np.argsort(counts[worth] == 0, kind="stable")]
    drawn = np.maximum(np.bincount(task, weights=counts > 0)[task], 1)
    return np.lexsort((task, (places_within(task, drawn_first) + 0.5) / drawn))


def check_holds_one(budget: Size, tokens: NDArray[np.int64], which: str = "") -> None:
    """Raise BudgetError if a size in tokens is less than any of these records."""
    shortest = int(tokens.min())
    if budget.amount < shortest:
        raise BudgetError(
            f"{budget.asked} holds no record: the shortest of the {len(tokens):,}{which} has {shortest:,} tokens",
            remedy=f"{shortest}-tokens at least",
        )
