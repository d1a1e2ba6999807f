"""How strongly to diversify: what the user asked for, found on the path, fetching and weighing only what it needs.

The neighbour count is no setting. Lists are fetched, the path is looked up, and where the certificate is not met the
lists grow. Likewise densities: they are asked for only where a candidate can get mass. A candidate whose density is not
known yet counts with weight one, the most it can have; so s is first reached too early, never too late.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array
from tsds.errors import InputError
from tsds.neighbors import NeighborSearch, spared
from tsds.transport import Plan, RegularizationPath, penalty_from_alpha, solve
from tsds.transport.path import numbered
from tsds.transport.penalty import DEFAULT_SCALE
from tsds.transport.plan import ROUNDING
from tsds.transport.rows import begins
from tsds.weights import KnownWeights, Weigh

#: Entries of all lists together beyond which the lists would fill the memory.
LARGEST_LISTS = 1 << 27


def check_lists(k: int, targets: int, what: str, remedy: str) -> None:
    """Raise InputError, as what needs them could not be done, if lists of k neighbours a target fill the memory."""
    if targets * k > LARGEST_LISTS:
        raise InputError(f"{what} would need lists of {k:,} neighbours for each of {targets:,} targets", remedy=remedy)


@dataclass(frozen=True)
class Strength:
    """What was asked for: at most one of alpha, neighbors and effective_size; none is "auto", from the size.

    Attributes:
      size: how many examples will be drawn, for "auto".
      reach: how many times the s that is found the path should extend beyond it, for looking around.
    """

    size: float
    alpha: float | None = None
    scale: float = DEFAULT_SCALE
    neighbors: float | None = None
    effective_size: float | None = None
    reach: float = 1.0

    @property
    def penalty(self) -> float | None:
        """lambda, where alpha was given."""
        return None if self.alpha is None else penalty_from_alpha(self.alpha, self.scale)

    @property
    def asked(self) -> str:
        """The setting in words."""
        if self.alpha is not None:
            return f"alpha {self.alpha:g}, scale {self.scale:g}"
        if self.neighbors is not None:
            return f"neighbors {self.neighbors:g}"
        return "auto" if self.effective_size is None else f"effective size {self.effective_size:g}"

    def on(self, path: RegularizationPath) -> float | None:
        """The s that fulfils it on this path; None if it lies beyond the path's end."""
        if self.neighbors is not None:
            return self.neighbors if self.neighbors <= path.longest * (1 + 1e-12) else None
        penalty = self.penalty
        if penalty is not None:
            s = path.curve.neighbors(penalty)
            return s if s is not None and s <= path.longest * (1 + 1e-12) else None
        fulfilled = self._fulfilled(path)
        if not path.complete and not fulfilled(path.longest):
            return None  # longer lists will tell; neither criterion is monotone, but nearly
        return path.smallest(fulfilled)

    def _fulfilled(self, path: RegularizationPath) -> Callable[[float], bool]:
        wanted = self.effective_size
        if wanted is not None:
            return lambda s: path.effective_size(s) >= wanted
        return lambda s: self.size * path.largest(s) <= 1 + 1e-9

    @property
    def may_be_capped(self) -> bool:
        """Whether the end of the lists is an answer, where they can't get longer."""
        return self.alpha is None and self.neighbors is None

    def guess(self, targets: int) -> int:
        """Neighbours a target to begin with."""
        if self.neighbors is not None:
            return int(1.3 * self.neighbors) + 32
        if self.alpha is not None:
            return 256
        return int(4 * (self.effective_size or self.size) / targets) + 64


@dataclass(frozen=True)
class Solution:
    """The path as far as it was needed, and the plan on it.

    Attributes:
      plan: gamma on the lists, with its certificate.
      path: all that the lists can answer.
      why: how the strength came about.
      capped: whether the path ended before what was asked for.
    """

    plan: Plan
    path: RegularizationPath
    why: str
    capped: bool


def find_plan(search: NeighborSearch, weigh: Weigh, strength: Strength, mu: Array) -> Solution:
    """Fetch, weigh and look up until the plan is certified.

    Args:
      search: the targets' neighbour search.
      weigh: rows of the pool to weights; called once for each row that matters.
      strength: what was asked for.
      mu: [m], the targets' masses.

    Raises:
      InputError: if more effective neighbours are asked for than half of the pool's weight, or so weak a penalty on
        distance that every target would need a large share of a large pool.
    """
    n, m = len(search.pool), len(mu)
    known = KnownWeights(n)
    k = min(n, _first_guess(search, strength, mu))
    while True:
        indices, distances = search.fetch(k)
        complete = indices.shape[1] == n and bool((indices >= 0).all())
        longer = min(n, max(2 * k, k + 256))
        last = complete or (m * longer > LARGEST_LISTS and strength.may_be_capped)
        if (indices[:, 0] >= 0).all():  # else float32 can't tell a target's nearest apart: copies, kept
            path, s = _weighed(indices, distances, known, weigh, strength, mu, complete, last)
            if last or (s is not None and path.longest >= min(strength.reach * s, (path.pool_weight or np.inf) / 2)):
                return _finish(path, strength, s)
        remedy = "ask for less diversity (a larger --alpha, fewer --neighbors) or fewer targets"
        check_lists(longer, m, strength.asked, remedy)
        k = longer


def _first_guess(search: NeighborSearch, strength: Strength, mu: Array) -> int:
    """Neighbours a target to begin with: what the strength would need if all candidates weighed one.

    It is looked up on the lists as faiss gave them, in float32: making lists exact is the dear part for many targets.
    """
    indices, distances = search.rough(strength.guess(len(mu)))
    there = np.isfinite(distances)  # an index finds fewer where it does not look far enough
    s = None
    if there[:, 0].all():
        path = RegularizationPath(
            distances, there.astype(float), indices, target_weights=mu, pool_weight=np.inf, scale=strength.scale
        )
        s = strength.on(path)
    if s is None:
        return max(strength.guess(len(mu)), spared(int(indices.shape[1])))
    return int(1.3 * strength.reach * s) + 32


def _weighed(
    indices: NDArray[np.int64],
    distances: Array,
    known: KnownWeights,
    weigh: Weigh,
    strength: Strength,
    mu: Array,
    complete: bool,
    last: bool,
) -> tuple[RegularizationPath, float | None]:
    """The path on these lists, with the weights of all candidates that get mass at the strength asked for, its s.

    Args:
      last: whether the lists won't get longer, so that a strength beyond their end is settled at their end.
    """
    farther = False
    while True:
        weights, unknown = known.look_up(indices)
        path = RegularizationPath(
            distances,
            weights,
            indices,
            target_weights=mu,
            pool_weight=known.supposed(indices, weights, unknown),
            complete=complete,
            scale=strength.scale,
        )
        s = strength.on(path)
        if s is None and not last:
            return path, s  # longer lists come first: the weights of these would not settle it
        if not unknown.any():
            return path, s
        before = begins(np.cumsum(weights, axis=1))
        reach = np.inf if s is None else strength.reach * s
        if s is None:
            near = unknown  # where the path ends, and what is beyond, depends on the weight of all
        elif (unknown & (before < reach)).any():
            # Some headroom, since weights below one make s reach further than it seemed.
            near = unknown & (before < 1.3 * reach + 16)
        else:
            proven = known.proven(weights, unknown)
            if proven * (1 + ROUNDING) >= 2 * reach:
                return known_part(path, unknown, proven), s
            # Few targets: what they need weighs too little to prove that s is at most W / 2. Where the next ones don't
            # prove it either, they are near-duplicates that weigh next to nothing: then all that are listed.
            near = unknown & (before < 2 * reach)
            near = unknown if farther or not near.any() else near
            farther = True
        rows = numbered(indices[near])[0]
        known.learn(rows, weigh(rows))


def known_part(
    path: RegularizationPath, unknown: NDArray[np.bool_], pool_weight: float | None = None
) -> RegularizationPath:
    """The path without what follows a candidate of unknown weight: about that it can't say anything.

    Args:
      pool_weight: what W is at least, by known weights alone; None: what the longest list that is left proves.
    """
    blocked = np.maximum.accumulate(unknown, axis=1)
    if not blocked.any():
        return path
    width = int((~blocked).sum(axis=1).max())
    blocked = blocked[:, :width]
    return RegularizationPath(
        np.where(blocked, np.inf, path.distances[:, :width]),
        np.where(blocked, 0.0, path.weights[:, :width]),
        np.where(blocked, -1, path.indices[:, :width]),
        target_weights=path.mu,
        pool_weight=pool_weight,
        scale=path.scale,
    )


def _finish(path: RegularizationPath, strength: Strength, s: float | None) -> Solution:
    d, w, complete = path.distances, path.weights, path.complete
    penalty = strength.penalty
    if penalty is not None and (s is None or math.isinf(penalty)):
        plan = solve(d, w, penalty=penalty, target_weights=path.mu, pool_weight=path.pool_weight, complete=complete)
        return Solution(plan, path, f"alpha {strength.alpha:g} reaches the end of the path", False)
    if s is None and strength.neighbors is not None:
        raise InputError(
            f"{strength.neighbors:g} neighbours a target exceed half of the pool's weight, {path.longest:.6g}",
            remedy=f"--neighbors up to {math.floor(path.longest)}",
        )
    capped = s is None
    at = min(path.longest, path.longest if s is None else s)
    plan = solve(d, w, neighbors=at, target_weights=path.mu, pool_weight=path.pool_weight, complete=complete)
    if strength.alpha is not None:
        why = f"alpha {strength.alpha:g} with scale {strength.scale:g} is lambda {strength.penalty:.4g}"
    elif strength.neighbors is not None:
        why = "as asked"
    elif strength.effective_size is not None:
        why = f"the smallest s with an effective size of {strength.effective_size:g}"
        if capped:
            why = f"the end of the path; an effective size of {strength.effective_size:g} is not reached"
    elif capped:
        why = f"the end of the path; even there a candidate would be drawn more than once of {strength.size:.0f}"
    else:
        why = f"the smallest s for which {strength.size:.0f} can be drawn without replacement"
    return Solution(plan, path, why, capped)
