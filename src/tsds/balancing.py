"""A balanced plan over a whole pool: lists grow and candidates are weighed until the plan is proven."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array
from tsds.errors import InputError
from tsds.neighbors import NeighborSearch
from tsds.transport.balanced import BalancedPlan, TooLittleRoom, balanced_plan
from tsds.transport.path import numbered
from tsds.weights import KnownWeights, Weigh

#: Entries of all lists together that fit in memory with the solver's work on them.
LARGEST = 1 << 25
#: Candidates are weighed before they get mass if they would at a price so much higher, as a share of how far a target
#: reaches: one pass over the pool then weighs those that the next plan turns to.
_HEADROOM = 0.25
#: Where the candidates weighed so far weigh less than this on average, taking the others for one leads nowhere: all of
#: those listed are weighed before anything is solved.
_CROWDED = 0.5


@dataclass(frozen=True)
class Balanced:
    """A balanced plan and the lists it is on.

    Attributes:
      plan: gamma, with prices and gap.
      indices, distances: [m, k], the lists; a candidate of unknown weight counted as one and has no mass.
      exact: whether nothing outside the lists can matter.
    """

    plan: BalancedPlan
    indices: NDArray[np.int64]
    distances: Array
    exact: bool

    @property
    def reason(self) -> str:
        """What the proof rests on, or what is missing."""
        if self.exact:
            return f"relative gap {self.plan.gap:.1e} to a dual bound that holds for candidates beyond the lists too"
        return f"{len(self.plan.short):,} targets need candidates beyond the longest lists that fit"


def find_balanced(
    search: NeighborSearch,
    weigh: Weigh,
    size: float,
    neighbors: float | None,
    mu: Array,
    *,
    largest: int = LARGEST,
) -> Balanced:
    """Fetch, weigh and solve until the plan is proven.

    Args:
      search: the targets' neighbour search.
      weigh: rows of the pool to weights; called once for each row that matters.
      size: S, how many effective candidates must share the mass.
      neighbors: s, effective neighbours of each target; no bound if None.
      mu: [m], the targets' masses.
      largest: entries of all lists together beyond which they don't grow.

    Raises:
      TooLittleRoom: when the whole pool can't hold the mass.
      InputError: when the lists can't get so long that every target has a candidate on them.
    """
    n, m = len(search.pool), len(mu)
    known = KnownWeights(n)
    k = min(n, int(max(4 * size / m, 2 * (neighbors or 0))) + 64)
    start: tuple[NDArray[np.int64], Array] | None = None
    while True:
        indices, distances = search.fetch(k)
        complete = indices.shape[1] == n and bool((indices >= 0).all())
        empty = np.flatnonzero(indices[:, 0] < 0)  # float32 can't tell the nearest of these apart: longer lists may
        plan = None
        if not len(empty):
            plan = _weighed(indices, distances, known, weigh, size, neighbors, mu, complete, start)
        if plan is not None and (complete or not len(plan.short)):
            return Balanced(plan, indices, distances, exact=plan.proven)
        listed, k = k, min(n, 2 * k)
        if m * k > largest:
            if len(empty):
                raise equally_near(len(empty), m, listed)
            if plan is None:
                weights = known.look_up(indices)[0]
                raise TooLittleRoom(_room(indices, weights), size, neighbors)
            return Balanced(plan, indices, distances, exact=False)
        if plan is not None:
            start = plan.candidates, plan.price


def equally_near(count: int, targets: int, listed: int) -> InputError:
    """What to raise where so many targets have no candidate on lists that can't get longer."""
    return InputError(
        f"{count:,} of {targets:,} targets have more than {listed:,} candidates that are all equally near",
        remedy="leave these targets out, or --copies collapse",
    )


def _room(indices: NDArray[np.int64], weights: Array) -> float:
    """What the listed candidates weigh together."""
    listed = weights > 0
    candidates, column = numbered(np.where(listed, indices, indices[0, 0]))
    weight = np.zeros(len(candidates))
    weight[column[listed]] = weights[listed]
    return float(weight.sum())


def _weighed(
    indices: NDArray[np.int64],
    distances: Array,
    known: KnownWeights,
    weigh: Weigh,
    size: float,
    neighbors: float | None,
    mu: Array,
    complete: bool,
    start: tuple[NDArray[np.int64], Array] | None,
) -> BalancedPlan | None:
    """The plan on these lists with the weights of all candidates that have mass; None if they weigh less than S."""
    while True:
        weights, unknown = known.look_up(indices)
        told = (indices >= 0) & ~unknown
        if unknown.any() and told.any() and weights[told].mean() < _CROWDED:
            rows = np.unique(indices[unknown])
            known.learn(rows, weigh(rows))
            continue
        room = _room(indices, weights)
        if room < size:  # whatever the plan, the lists can't hold it
            if complete:
                raise TooLittleRoom(room, size, neighbors)
            return None
        plan = balanced_plan(
            distances, weights, indices, size, neighbors=neighbors, target_weights=mu, complete=complete, start=start
        )
        # Unknown weights count as one, the most they can be: who has no mass now may have it once others weigh less.
        if not (unknown & (plan.mass > 0)).any():
            return plan
        reach = plan.row_price - distances[:, 0]
        near = unknown & (distances <= (plan.row_price + _HEADROOM * reach)[:, None])
        rows = np.unique(indices[near | (unknown & (plan.mass > 0))])
        known.learn(rows, weigh(rows))
        start = plan.candidates, plan.price
