"""From probabilities to a selection: which of the candidates with mass, and how often each.

Sampling by *shares* makes a plan whole. A plan that spreads each target's mass over s neighbours says which candidates
are good: those that several targets agree on have the most mass. Drawing from it at random costs alignment, and
taking the B of most mass gives crowded parts of the task more than their share and rare ones nothing. So the mass is
moved once more, on the same edges, to where others have put theirs already, and each target keeps its share:

    minimise  sum_ij gamma_ij (d_ij / d - B p_j)   with the same row sums and edges, and every candidate at most 1 / B

(d the plan's mean distance). Its vertices are nearly whole: of B candidates most get 1 / B, and those are taken. What
either term does without the other is in docs/balanced.md. Of several tasks each gets its whole number of examples, by
largest remainders: the targets of a task that has many, or little weight, gather less than an example each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows, places_within
from tsds.sampling import Counts, Sampling, inclusion_probabilities, multinomial, systematic, top
from tsds.transport.network import cheapest_flow


@dataclass(frozen=True)
class Edges:
    """Where a plan has mass.

    Attributes:
      target: [e], ascending.
      candidate: [e], positions among the candidates with mass.
      mass: [e], gamma.
      distance: [e].
    """

    target: NDArray[np.int64]
    candidate: NDArray[np.int64]
    mass: Array
    distance: Array


@dataclass(frozen=True)
class Massed:
    """The candidates with mass, and how they came to it.

    Attributes:
      rows: [q], of the pool, ascending.
      probability: [q], summing to one.
      leader: [q], who stands for each of them (near_duplicates.py).
      target: [q], the target they serve most.
      distance: [q], to it.
      edges: of the plan; None where there was none.
      mu: [m], the targets' masses.
      capacity: S, which of them fill the selection; less than its size where good ones count more than once.
      task: [m], index of each target's task; None for a single one.
    """

    rows: Rows
    probability: Array
    leader: NDArray[np.int64]
    target: NDArray[np.int64]
    distance: Array
    edges: Edges | None
    mu: Array
    capacity: float | None = None
    task: NDArray[np.int64] | None = None


def choose(sampling: Sampling, found: Massed, size: int, rng: np.random.Generator) -> Counts:
    """How often each candidate is chosen, [q]; less than `size` in all only if fewer candidates have mass."""
    p = found.probability
    if sampling == "multinomial":
        return multinomial(p, size, rng)
    if sampling == "systematic":
        order = np.lexsort((found.rows, found.distance, found.target))
        size = min(size, len(p))
        counts = np.empty(len(p), np.int64)
        counts[order] = systematic(inclusion_probabilities(p, size)[order], rng)
        return counts
    mass, own = group_mass(found)
    if sampling == "shares" and found.edges is not None and found.capacity is not None and found.capacity < size:
        return _repeated(found, found.edges, mass, own, size, found.capacity)
    size = min(size, len(p))
    first, task = mass, np.zeros(len(p), np.int64)
    if sampling == "shares" and found.edges is not None and len(own) > size:
        first, task = fair_shares(found, found.edges, mass, size)
    counts = np.zeros(len(p), np.int64)
    # Rounded, so that what differs by the solver's rounding is told apart by mass, and then by distance.
    shares, masses = np.round(first[own] * size, 9), np.round(mass[own] * size, 9)
    order = np.lexsort((found.distance[own], -masses, -shares))
    turns = _turns(shares, task[own], order)
    counts[own[top(turns, min(size, len(own)), (-shares, -masses, found.distance[own])) > 0]] = 1
    if len(own) < size:  # too few distinct ones: near-duplicates fill up
        rest = np.flatnonzero(counts == 0)
        counts[rest[top(p[rest], size - len(own), (found.distance[rest],)) > 0]] = 1
    return counts


def _repeated(found: Massed, edges: Edges, mass: Array, own: NDArray[np.int64], size: int, capacity: float) -> Counts:
    """Counts where a candidate may count size / capacity times, rounded by largest remainders."""
    gathered, task = mass, np.zeros(len(mass), np.int64)
    if len(own) > capacity:
        gathered, task = fair_shares(found, edges, mass, capacity)
    expected = np.round(gathered[own] * (size / gathered[own].sum()), 9)
    whole = np.floor(expected).astype(np.int64)
    order = np.lexsort((found.distance[own], -np.round(mass[own] * size, 9), whole - expected))
    order = order[np.argsort(-_turns(expected - whole, task[own], order)[order], kind="stable")]
    np.add.at(whole, np.resize(order, size - int(whole.sum())), 1)
    counts = np.zeros(len(mass), np.int64)
    counts[own] = whole
    return counts


def _turns(shares: Array, task: NDArray[np.int64], order: NDArray[np.int64]) -> Array:
    """Who comes first so that each task gets the sum of its shares: ones, then remainders, then zeros, [q].

    With a single task this is the order itself.

    Args:
      shares: [q], of an example.
      task: [q], whom each serves.
      order: [q], positions, the best first.
    """
    turns = np.bincount(task, weights=shares)[task] - places_within(task, order)
    return np.asarray(np.round(np.clip(turns, 0, 1), 6), dtype=np.float64)


def group_mass(found: Massed) -> tuple[Array, NDArray[np.int64]]:
    """The mass of each candidate with those that it stands for, [q], and who stands for anyone."""
    mass = np.bincount(found.leader, weights=found.probability, minlength=len(found.rows))
    return np.asarray(mass, dtype=np.float64), np.flatnonzero(found.leader == np.arange(len(found.rows)))


def fair_shares(found: Massed, edges: Edges, mass: Array, size: float) -> tuple[Array, NDArray[np.int64]]:
    """What each candidate gets when the mass gathers, [q], at most 1 / size; and the task that it gets most of it from.

    Args:
      mass: [q], of each candidate with its near-duplicates, which count as one.
    """
    leader = found.leader[edges.candidate]
    # One edge for each target and group: the nearest of its near-duplicates.
    order = np.lexsort((edges.distance, leader, edges.target))
    target, leader, distance = edges.target[order], leader[order], edges.distance[order]
    first = np.ones(len(order), bool)
    first[1:] = (target[1:] != target[:-1]) | (leader[1:] != leader[:-1])
    target, leader, distance = target[first], leader[first], distance[first]
    task = np.zeros(len(target), np.int64) if found.task is None else found.task[target]
    tasks = int(task.max()) + 1
    pair, of_pair = np.unique(leader * tasks + task, return_inverse=True)
    agreed = mass[leader]
    if np.ptp(task):  # each gathers where its own targets agree: else the heavy ones draw the mass of the others away
        held = np.add.reduceat(edges.mass[order], np.flatnonzero(first)) / edges.mass.sum()
        agreed = np.asarray(np.bincount(of_pair, weights=held)[of_pair], dtype=np.float64)
    mean = float(edges.mass @ edges.distance / edges.mass.sum()) or 1.0
    cost = distance / mean - size * agreed
    columns, at = np.unique(leader, return_inverse=True)
    supply = np.where(np.bincount(target, minlength=len(found.mu)) > 0, found.mu, 0.0)
    # The plan itself fits but for what near-duplicates held together: hardly anything stays outside.
    flow = cheapest_flow(target, at, cost, supply, np.full(len(columns), 1 / size), leave=True)
    gathered, served = np.zeros(len(found.rows)), np.zeros(len(found.rows), np.int64)
    gathered[columns] = np.bincount(at, weights=flow, minlength=len(columns))
    largest = np.lexsort((-np.bincount(of_pair, weights=flow), pair // tasks))  # of each candidate's tasks, first
    served[columns] = pair[largest[np.unique(pair[largest] // tasks, return_index=True)[1]]] % tasks
    return gathered, served
