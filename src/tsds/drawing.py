"""From an answer to a drawing of so many examples, or so many tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds.budget import Size
from tsds.methods import Answer
from tsds.sampling import Counts, Sampling, inclusion_probabilities, multinomial, systematic, top, within_tokens
from tsds.transport.rows import Array


@dataclass(frozen=True)
class Drawn:
    """How often each candidate with mass was drawn.

    Attributes:
      counts: [q].
      inclusion: [q], the probability of being drawn (for multinomial, the expected count).
      short: whether there were fewer candidates with mass than wanted.
    """

    counts: Counts
    inclusion: Array
    short: bool


def draw(answer: Answer, budget: Size, size: int, tokens: NDArray[np.int64], sampling: Sampling, seed: int) -> Drawn:
    """Draw `size` examples, or the budget's tokens.

    Candidates are drawn in the order of the target they serve and their distance to it, so that systematic sampling
    gives every target its share (implicit stratification).
    """
    p = answer.probability
    rng = np.random.default_rng([seed, 1])
    order = np.lexsort((answer.rows, answer.distance, answer.target))
    in_tokens = budget.kind == "tokens"
    if sampling == "multinomial":
        return Drawn(multinomial(p, size, rng), size * p, short=False)
    short = bool(tokens.sum() < budget.amount) if in_tokens else len(p) < size
    if sampling == "top":
        if in_tokens:
            counts = within_tokens(np.zeros(len(p), np.int64), p, tokens, int(budget.amount))
        else:
            counts = top(p, size, (answer.distance,))
        return Drawn(counts, counts.astype(np.float64), short)
    if in_tokens:
        pi = inclusion_probabilities(p, budget.amount, tokens.astype(np.float64))
    else:
        pi = inclusion_probabilities(p, size)
    counts = np.empty(len(p), np.int64)
    counts[order] = systematic(pi[order], rng)
    if in_tokens:
        counts = within_tokens(counts, p, tokens, int(budget.amount))
    return Drawn(counts, pi, short)
