"""auto: a balanced plan whose strength and sampling are chosen by what holds for targets that it has not seen.

The distinct targets are split into folds. For each setting a selection of the size asked for is made from the others,
and the transport cost from those held out to that selection is measured (transport/between.py). Of the settings within
one standard error of the best, the nearest to the default is taken. One search serves all of it (lists that prove too
short grow for all folds at once), and what is weighed is weighed once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows, equals
from tsds.balancing import LARGEST, find_balanced
from tsds.distances import from_squares, product_squares, unit_rows
from tsds.methods.balanced import balanced_answer, default_neighbors, solve
from tsds.methods.kde import KernelWeights
from tsds.methods.kept import trial_columns, trials_of
from tsds.methods.problem import Answer, Problem, Trial
from tsds.near_duplicates import stand_ins
from tsds.neighbors import NeighborSearch, with_spare
from tsds.parallel import map_ordered
from tsds.sampling import Sampling
from tsds.shares import Edges, Massed, choose
from tsds.transport.balanced import TooLittleRoom
from tsds.transport.between import transport_cost_between

#: Strengths tried, times the default one, and samplings, of which `top` keeps no task's share (docs/comparison.md).
FACTORS = (1.0, 1 / 3, 3.0)
SAMPLINGS: tuple[Sampling, ...] = ("shares", "top")
FOLDS = 5
#: Of auto-repeats: how often a candidate may count at most, tried last and one after the other; and by how much, as a
#: share of the cost, that must be better than distinct examples, or fewer repeats, to be taken.
REPEATS, LEAST_GAIN = (2, 4, 8), 0.01
#: Selections made to choose among settings; auto-repeats makes as many as there are folds more for each step it tries.
TRIED = FOLDS * len(FACTORS) * len(SAMPLINGS)
#: Fewer targets are not split; more are not needed to choose; and so many chosen records are measured.
LEAST_TARGETS, MOST_TARGETS, MOST_CHOSEN = 10, 300, 1000


def room(size: int, targets: int) -> int:
    """How many candidates a target are listed for all that is tried."""
    seen = targets - -(-targets // FOLDS) if targets >= LEAST_TARGETS else targets
    shared = min(4 * size // seen, LARGEST // targets)  # what find_balanced lists for the targets of four folds
    return max(int(2 * default_neighbors(size, targets) * max(FACTORS)), shared) + 64


def select(problem: Problem) -> Answer:
    """A balanced plan of distinct candidates with the settings that serve held-out targets best.

    A good candidate twice would often be nearer to the held-out targets than a poor one beside it. A model learns less
    from it (docs/results.md), so that is left to `select_repeating`.
    """
    return _select(problem, repeating=False)


def select_repeating(problem: Problem) -> Answer:
    """The same; then good candidates count several times where that is clearly nearer to held-out targets."""
    return _select(problem, repeating=True)


def _select(problem: Problem, *, repeating: bool) -> Answer:
    weights = KernelWeights.of(problem)
    s, sampling, capacity = default_neighbors(problem.size, len(problem.mu)), None, None
    trials: list[Trial] = []
    distinct = _distinct(problem)
    few = "1 target is" if len(distinct[0]) == 1 else f"{len(distinct[0])} targets are"
    why = f"a twentieth of the size: {few} too few to hold some out"
    if len(distinct[0]) >= LEAST_TARGETS:
        with problem.stages.stage("try settings on held-out targets", len(problem.pool)):
            trials = try_settings(problem, distinct, weights, repeating)
        why = "the pool leaves no choice"
    if trials:
        best = next(trial for trial in trials if trial.chosen)
        s, sampling, capacity = best.neighbors, best.sampling, best.capacity
        why = f"of {len(trials)} settings tried on held-out targets, "
        why += "within one standard error of the best" if capacity is None else _gain(trials, problem.size / capacity)
    with problem.stages.stage("search", len(problem.pool)):
        solved = solve(problem, weights, s, capacity)
    return replace(balanced_answer(problem, solved, weights, why), sampling=sampling, trials=tuple(trials))


def _gain(trials: list[Trial], repeats: float) -> str:
    """Why good candidates count more than once."""
    best = next(trial for trial in trials if trial.chosen)
    distinct = min(trial.cost for trial in trials if trial.capacity is None)
    return (
        f"the best lets good candidates count up to {repeats:g} times, {1 - best.cost / distinct:.1%} nearer than "
        "distinct ones"
    )


def try_settings(
    problem: Problem, distinct: tuple[Rows, Array], weights: KernelWeights, repeating: bool
) -> list[Trial]:
    """Every setting with its cost on held-out targets, the one to take marked; none if the pool lacks room.

    Args:
      problem: with the targets to be split.
      distinct: as `_distinct` gives them; no others are split.
      weights: of candidates, as far as they are known; more are learned.
      repeating: whether it is tried too to let candidates count several times.
    """
    rng = np.random.default_rng([problem.seed, 2])
    m = len(problem.mu)
    wanted, masses = distinct
    some = np.sort(rng.choice(len(wanted), min(len(wanted), MOST_TARGETS), replace=False))
    used, mu = wanted[some], masses[some]
    listable = room(problem.size, m)
    problem.search.rough(with_spare(listable))  # once, for all folds and the plan after them
    search, task = problem.search.only(used), problem.task[used]
    fold = _folds(search.targets, rng)
    samplings = (problem.sampling,) if problem.sampling else SAMPLINGS if problem.alike else SAMPLINGS[:1]
    default = default_neighbors(problem.size, len(problem.mu))
    listed = search.fetch(listable)[0]
    near = listed[:, : int(2 * default) + 64]
    rows = np.unique(near[near >= 0])
    weights(rows)  # a run that goes on must know them too, whether it tries anything or not

    def tried() -> dict[str, Any]:
        known = _Known.of(problem, weights)
        return trial_columns(_tried(problem, known, search, mu, task, fold, default, samplings, repeating))

    return trials_of(problem.stages.kept(f"trials-{problem.size}", len(problem.pool), tried))


def _tried(
    problem: Problem, known: _Known, search: NeighborSearch, mu: Array, task: NDArray[np.int64],
    fold: NDArray[np.int64], default: float, samplings: tuple[Sampling, ...], repeating: bool,
) -> list[Trial]:  # fmt: skip
    """The settings tried, one after the other."""
    settings = [(default * factor, sampling) for factor in FACTORS for sampling in samplings]
    asked = [(f, default * factor, 1, samplings) for f in range(FOLDS) for factor in FACTORS]

    def one(item: tuple[int, float, int, tuple[Sampling, ...]]) -> list[float]:
        f, s, repeats, drawn = item
        seen, held = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        return _fold_costs(problem, known, search, mu, task, seen, held, s, problem.size / repeats, drawn)

    first = one(asked[0])
    if not np.isfinite(first).any():
        return []
    costs = np.array([first, *map_ordered(one, asked[1:])]).reshape(FOLDS, len(settings))
    trials = choose_trial(settings, costs, default)
    if repeating and problem.sampling is None:
        taken = next(t for t, trial in enumerate(trials) if trial.chosen)
        s = settings[taken][0]

        def repeated(repeats: int) -> Array:
            return np.array(list(map_ordered(one, [(f, s, repeats, ("shares",)) for f in range(FOLDS)])))[:, 0]

        trials = choose_repeats(trials, costs[:, taken], repeated, problem.size)
    return trials


def choose_repeats(trials: list[Trial], costs: Array, repeated: Callable[[int], Array], size: int) -> list[Trial]:
    """The trials with those of repeats: taken while each is clearly better than the last.

    Args:
      trials: of distinct examples, one of them chosen.
      costs: [folds], of the chosen one.
      repeated: how often a candidate may count to costs, [folds].
      size: examples wanted.
    """
    s = next(trial.neighbors for trial in trials if trial.chosen)
    for repeats in REPEATS:
        found = repeated(repeats)
        gain = costs - found
        error = float(gain.std(ddof=1) / np.sqrt(len(gain))) if np.isfinite(gain).all() else np.inf
        better = bool(gain.mean() > max(error, LEAST_GAIN * costs.mean()))
        if better:
            trials = [replace(trial, chosen=False) for trial in trials]
        trials = [*trials, Trial(s, "shares", float(found.mean()), error, better, size / repeats)]
        if not better:
            break
        costs = found
    return trials


def _distinct(problem: Problem) -> tuple[Rows, Array]:
    """Targets with mass, of equal ones the first with the mass of all: else some held out would have been seen."""
    wanted = np.flatnonzero(problem.mu > 0)
    group = equals(problem.search.targets[wanted])
    first = np.unique(group, return_index=True)[1]
    return wanted[first], np.bincount(group, weights=problem.mu[wanted]).astype(np.float64)


def _folds(targets: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """The fold of each target: dealt out along their main direction, so that every fold has some of each kind."""
    centred = targets - targets.mean(axis=0)
    order = np.argsort(centred @ np.linalg.svd(centred, full_matrices=False)[2][0], kind="stable")
    dealt = np.concatenate([rng.permutation(FOLDS) for _ in range(-(-len(targets) // FOLDS))])[: len(targets)]
    fold = np.empty(len(targets), np.int64)
    fold[order] = dealt
    return fold


def choose_trial(settings: list[tuple[float, Sampling]], costs: Array, default: float) -> list[Trial]:
    """The one-standard-error rule on paired differences, towards the default.

    Args:
      settings: s and sampling of each.
      costs: [folds, settings]; infinite where the pool had no room, and then the setting is none to take.
      default: the s that wins among equals; the first sampling named wins among those.
    """
    mean = costs.mean(axis=0)
    error = np.full(len(settings), np.inf)
    there = np.flatnonzero(np.isfinite(mean))
    if len(there):
        difference = costs[:, there] - costs[:, [int(mean.argmin())]]
        error[there] = difference.std(axis=0, ddof=1) / np.sqrt(len(costs))
        equals = there[difference.mean(axis=0) <= error[there]]
    else:  # none had room in every fold: nothing tells them apart
        equals = np.arange(len(settings))
    away = [abs(np.log(settings[t][0] / default)) for t in equals]
    taken = int(equals[int(np.argmin(np.round(away, 9)))])
    return [Trial(s, sampling, float(mean[t]), float(error[t]), t == taken) for t, (s, sampling) in enumerate(settings)]


@dataclass(frozen=True)
class _Known:
    """What is known of candidates when settings are tried: weights, and who stands for whom."""

    rows: Rows
    weights: Array
    leader: Rows  # a row of the pool

    @classmethod
    def of(cls, problem: Problem, weights: KernelWeights) -> _Known:
        rows, rho = weights.known()
        copies = problem.copies[rows]
        position = stand_ins(
            problem.pool, rows, np.zeros(len(rows)), rho > copies * (1 + 1e-9), problem.bandwidth, problem.metric
        )
        return cls(rows, copies / rho, rows[position])

    def weigh(self, asked: Rows) -> Array:
        """Their weights; one for those farther away than twice the default."""
        if not len(self.rows):  # no target had a list yet: float32 could not tell the nearest apart
            return np.ones(len(asked))
        at = np.minimum(np.searchsorted(self.rows, asked), len(self.rows) - 1)
        return np.where(self.rows[at] == asked, self.weights[at], 1.0)

    def leaders(self, asked: Rows) -> NDArray[np.int64]:
        """Positions in `asked` (ascending) of who stands for each; themselves where that one is not among them."""
        if not len(self.rows):
            return np.arange(len(asked))
        at = np.minimum(np.searchsorted(self.rows, asked), len(self.rows) - 1)
        leader = np.where(self.rows[at] == asked, self.leader[at], asked)
        place = np.minimum(np.searchsorted(asked, leader), len(asked) - 1)
        return np.where(asked[place] == leader, place, np.arange(len(asked)))


def _fold_costs(
    problem: Problem, known: _Known, every: NeighborSearch, mass_of: Array, task: NDArray[np.int64],
    seen: Rows, held: Rows, s: float, capacity: float, samplings: tuple[Sampling, ...],
) -> list[float]:  # fmt: skip
    """Costs from the held-out targets to what each sampling chooses for the others."""
    search, mu, size = every.only(seen), mass_of[seen] / mass_of[seen].sum(), problem.size
    try:
        found = find_balanced(search, known.weigh, capacity, s, mu)
    except TooLittleRoom:  # a setting that the pool has no room for is none to take
        return [float("inf")] * len(samplings)
    i, k = np.nonzero(found.plan.mass)
    rows, at = np.unique(found.indices[i, k], return_inverse=True)
    mass, distance = found.plan.mass[i, k], found.distances[i, k]
    p = np.bincount(at, weights=mass)
    near = np.full(len(rows), np.inf)
    np.minimum.at(near, at, distance)
    unknown = np.zeros(len(rows), np.int64)  # whom each serves most matters to no sampling but systematic
    edges, leader = Edges(i, at, mass, distance), known.leaders(rows)
    massed = Massed(rows, p / p.sum(), leader, unknown, near, edges, mu, capacity, task[seen])
    rng = np.random.default_rng([problem.seed, 3])
    costs = []
    for sampling in samplings:
        chosen = np.repeat(rows, choose(sampling, massed, size, rng))
        costs.append(held_out_cost(every.only(held), mass_of[held], chosen, problem.seed))
    return costs


def held_out_cost(search: NeighborSearch, mu: Array, chosen: Rows, seed: int, most: int = MOST_CHOSEN) -> float:
    """The transport cost from the targets of a search to chosen rows of its pool (a sample of them, if very many)."""
    if len(chosen) > most:
        chosen = np.sort(np.random.default_rng([seed, 4]).choice(chosen, most, replace=False))
    if mu.sum() == 0:
        mu = np.ones(len(mu))
    rows = unit_rows(search.pool.take(chosen), search.metric, exact=True).astype(np.float64)
    distances = from_squares(product_squares(search.targets, rows), search.metric)
    return transport_cost_between(distances, weights=mu)
