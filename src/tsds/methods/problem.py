"""What a method is given, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows
from tsds.embeddings.scan import Metric
from tsds.embeddings.vectors import Vectors
from tsds.neighbors import NeighborSearch
from tsds.sampling import Sampling
from tsds.shares import Edges
from tsds.stages import Stages
from tsds.strength import Strength
from tsds.transport import Plan, RegularizationPath


class Texts(Protocol):
    """The texts behind the vectors, read again when asked for."""

    def pool(self) -> Iterator[list[str]]:
        """The candidates' texts, in batches."""

    def targets(self) -> list[str]:
        """The targets' texts."""


@dataclass(frozen=True)
class Problem:
    """One selection to be made, in arrays.

    Attributes:
      pool: [n, d], each exact copy once.
      copies: [n], how many records each candidate stands for.
      targets: [m, d].
      mu: [m], the targets' masses, summing to one.
      task: [m], index of each target's task.
      metric: of the distances.
      strength: of diversity, as asked for.
      bandwidth: h of the density, in the metric's units; 0: only exact copies are duplicates.
      largest_norm: a bound on the norms of the pool's rows.
      search: of the targets in the pool, shared with whoever asked it before.
      seed: of whatever is drawn.
      stages: where time is recorded.
      size: B, how many examples are wanted; for a size in tokens, about how many.
      capacity: S, how many effective candidates must share the mass (balanced); the size if None.
      sampling: as asked for; None leaves it to the method.
      tokens: [n], lengths of the candidates.
      target_tokens: [m], of the targets.
      group: [n], index of each candidate's source, -1 where it has none.
      texts: the texts of pool and targets, for methods that read them; None where there are none.
      shared: what methods found out about the pool, for the next problem on the same pool and bandwidth.
    """

    pool: Vectors
    copies: NDArray[np.int64]
    targets: Array
    mu: Array
    task: NDArray[np.int64]
    metric: Metric
    strength: Strength
    bandwidth: float
    largest_norm: float
    search: NeighborSearch
    seed: int
    stages: Stages
    size: int
    capacity: float | None
    sampling: Sampling | None
    tokens: NDArray[np.int64]
    target_tokens: NDArray[np.int64]
    group: NDArray[np.int32]
    texts: Texts | None
    shared: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def alike(self) -> bool:
        """Whether all targets that have mass have the same, and are of one task."""
        some = self.mu > 0
        return bool(np.ptp(self.task[some]) == 0 and np.ptp(self.mu[some]) <= 1e-9 * self.mu.max())


@dataclass(frozen=True)
class DensityNote:
    """How the densities came about.

    Attributes:
      exact: whether every pair within the bandwidth was found.
      recall: the share found, measured against brute force on a sample of the candidates; 1 if exact.
      recall_pairs: how many pairs that sample had.
      candidates: how many candidates were weighed.
      near_duplicates: mean number of other pool members within the bandwidth of one.
    """

    exact: bool
    recall: float
    recall_pairs: int
    candidates: int
    near_duplicates: float

    @property
    def line(self) -> str:
        """In words."""
        if self.exact:
            return f"exact, over the whole pool, for {self.candidates:,} candidates"
        found = f"{self.recall:.2%} of {self.recall_pairs:,} near-duplicate pairs of a sample"
        return f"approximate: found {found} that brute force finds; for {self.candidates:,} candidates"


@dataclass(frozen=True)
class Trial:
    """One setting that was tried on held-out targets.

    Attributes:
      neighbors: s.
      sampling: of the size asked for.
      cost: mean over the folds of the transport cost from held-out targets to the selection.
      error: standard error of its difference to the best setting, over the folds; zero for the best.
      chosen: whether it was taken.
      capacity: S, where it is less than the size so that good candidates count more than once.
    """

    neighbors: float
    sampling: Sampling
    cost: float
    error: float
    chosen: bool
    capacity: float | None = None


@dataclass(frozen=True)
class Answer:
    """Probabilities for the candidates with mass, and where they come from.

    Attributes:
      rows: [q], candidates with mass, ascending.
      probability: [q], summing to one.
      density: [q], rho; NaN where the method does not use it.
      target: [q], the target that gives most of the mass.
      distance: [q], to that target.
      rank: [q], place in that target's list, 0 the nearest; -1 where the method has no lists.
      nearest: [m], distance of each target's nearest candidate.
      reach: [m], distance of the farthest candidate that a target gives mass to.
      width: [m], how many candidates a target gives mass to.
      cost: transport cost.
      neighbors: s; None where the method has none.
      penalty: lambda; None where the method has none.
      exact: whether this is proven to be the method's optimum over the whole pool.
      certificate: what the proof rests on.
      why: how the strength came about.
      capped: whether the path ended before what was asked for.
      path: the regularization path; None where the method has none.
      note: how the densities came about; None where the method uses none.
      sampling: that goes with it, where the user asks for none; None leaves it to the method's default.
      trials: settings tried on held-out targets, if any were.
      leader: [q], position of the near-duplicate that stands for each candidate, itself for most.
      edges: where the plan has mass; None for methods without a plan.
      capacity: S, where it is less than the size asked for so that good candidates count more than once.
      turn: [q], place of each in the order in which a rule chose them, 0 the first; None for methods that give masses.
    """

    rows: Rows
    probability: Array
    density: Array
    target: NDArray[np.int64]
    distance: Array
    rank: NDArray[np.int64]
    nearest: Array
    reach: Array
    width: NDArray[np.int64]
    cost: float
    neighbors: float | None
    penalty: float | None
    exact: bool
    certificate: str
    why: str
    capped: bool = False
    path: RegularizationPath | None = field(default=None, repr=False)
    note: DensityNote | None = None
    sampling: Sampling | None = None
    trials: tuple[Trial, ...] = ()
    leader: NDArray[np.int64] | None = None
    edges: Edges | None = field(default=None, repr=False)
    capacity: float | None = None
    turn: NDArray[np.int64] | None = None


def answer(
    plan: Plan,
    indices: NDArray[np.int64],
    distances: Array,
    *,
    why: str,
    capped: bool = False,
    path: RegularizationPath | None = None,
    density: tuple[Rows, Array] | None = None,
    note: DensityNote | None = None,
) -> Answer:
    """Sum a plan over the targets.

    Args:
      plan: masses on the lists, [m, k].
      indices, distances: [m, k], the lists.
      density: rows, ascending, and their rho.
    """
    i, k = np.nonzero(plan.mass)
    mass, j, d = plan.mass[i, k], indices[i, k], distances[i, k]
    rows, at = np.unique(j, return_inverse=True)
    p = np.bincount(at, weights=mass)
    order = np.lexsort((k, -mass, at))  # of each candidate: most mass first, then the nearest place
    first = order[np.searchsorted(at[order], np.arange(len(rows)))]
    rho = np.full(len(rows), np.nan) if density is None else density[1][np.searchsorted(density[0], rows)]
    return Answer(
        rows=rows,
        probability=p / p.sum(),
        density=rho,
        target=i[first],
        distance=d[first],
        rank=k[first],
        nearest=distances[:, 0],
        reach=np.where(plan.mass > 0, distances, 0.0).max(axis=1),
        width=(plan.mass > 0).sum(axis=1),
        cost=plan.cost,
        neighbors=plan.neighbors,
        penalty=plan.penalty if np.isfinite(plan.penalty) else None,
        exact=plan.exact,
        certificate=plan.reason,
        why=why,
        capped=capped,
        path=path,
        note=note,
        edges=Edges(i, at, mass, d),
    )
