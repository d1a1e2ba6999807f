"""From probabilities to a selection: inclusion probabilities, systematic, top and multinomial sampling, budgets."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array

Sampling = Literal["systematic", "top", "multinomial", "shares"]
Counts = NDArray[np.int64]


def inclusion_probabilities(p: Array, size: float, cost: Array | None = None) -> Array:
    """pi_j = min(1, c p_j) with sum pi_j cost_j = size exactly: the drawing without replacement nearest to p.

    Args:
      p: [n], probabilities of the candidates with mass, positive.
      size: examples wanted (or, with `cost`, units of it); everything is included where it exceeds what there is.
      cost: [n], what one candidate costs, for example its tokens; ones if not given.

    Returns:
      [n], inclusion probabilities in (0, 1].
    """
    cost = np.ones(len(p)) if cost is None else np.asarray(cost, dtype=np.float64)
    if size >= cost.sum():
        return np.ones(len(p))
    # Candidates are capped in descending order of p: find how many, then c is what is left over for the rest.
    order = np.argsort(-p, kind="stable")
    falling, price = p[order], cost[order]
    left = size - np.concatenate([[0.0], np.cumsum(price)[:-1]])
    rest = np.cumsum((falling * price)[::-1])[::-1]
    fits = falling * left <= rest  # with the first t capped, the next one stays at or below one
    t = int(np.argmax(fits)) if fits.any() else len(p) - 1
    c = left[t] / rest[t]
    pi = np.empty(len(p))
    pi[order] = np.concatenate([np.ones(t), np.minimum(falling[t:] * c, 1.0)])
    return pi


def systematic(pi: Array, rng: np.random.Generator) -> Counts:
    """Madow's systematic sampling: each candidate is drawn with exactly its inclusion probability.

    One random start, then every whole step along the cumulated probabilities. The order of the candidates is the
    caller's, and worth choosing: neighbours in it are rarely drawn together, so an order by target gives every
    target its share almost exactly (implicit stratification). If sum pi is whole, so many are drawn.

    Args:
      pi: [n], inclusion probabilities in [0, 1].
      rng: one uniform number is taken from it.

    Returns:
      [n], 0 or 1.
    """
    certain = pi >= 1.0
    counts = certain.astype(np.int64)
    cum = np.cumsum(pi[~certain])
    if not len(cum):
        return counts
    whole = round(float(cum[-1]))
    if whole and abs(cum[-1] - whole) < 1e-9 * whole:
        cum *= whole / cum[-1]  # a rounding error of the sum must not cost an example
        cum[-1] = whole
    # A start on a grid of 2^-24 keeps cum + start from being rounded up to the next whole number.
    start = int(rng.integers(1 << 24)) / (1 << 24)
    counts[~certain] = np.diff(np.floor(cum + start), prepend=0.0).astype(np.int64)
    return counts


def top(p: Array, size: int, tie_break: tuple[Array, ...] = ()) -> Counts:
    """The `size` of largest p, ties by the arrays of `tie_break` ascending, then by position; [n], 0 or 1."""
    order = np.lexsort((np.arange(len(p)), *reversed(tie_break), -p))
    counts = np.zeros(len(p), dtype=np.int64)
    counts[order[:size]] = 1
    return counts


def multinomial(p: Array, size: int, rng: np.random.Generator) -> Counts:
    """`size` draws with replacement (the paper's sampling); copies appear as counts, [n]."""
    q = np.asarray(p, dtype=np.float64) / np.sum(p, dtype=np.float64)
    return np.asarray(rng.multinomial(size, q / q.sum()), dtype=np.int64)


def within_tokens(counts: Counts, order: NDArray[np.int64], tokens: NDArray[np.int64], budget: int) -> Counts:
    """Mend a drawing so that its tokens keep to the budget, and no candidate that is left out would still fit.

    Those drawn stay in this order as far as the budget goes, the first that exceeds it as many times as fit. Then the
    others come in, in the same order, where they still fit, once or as often as they were drawn. That is greedy: other
    candidates might come nearer to the budget.

    Args:
      counts: [n], as drawn.
      order: [n], positions, the first to be kept first.
      tokens: [n], tokens of each candidate.
      budget: tokens allowed.

    Returns:
      [n], none of them more than max(1, as drawn).
    """
    cost = (tokens * counts)[order]
    kept = np.zeros_like(counts)
    kept[order] = np.clip((budget - (np.cumsum(cost) - cost)) // tokens[order], 0, counts[order])
    left = budget - int((tokens * kept).sum())
    for j in order[kept[order] == 0]:
        if tokens[j] <= left:
            kept[j] = min(max(int(counts[j]), 1), left // int(tokens[j]))
            left -= int(tokens[j] * kept[j])
    return kept
