"""From inputs to an answer: how many examples, the problem that a method is given, its solution, what is drawn of it.

A selection, the folds of a comparison and the cells of an evaluation all go through here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from tsds.bandwidth import Bandwidth
from tsds.bandwidth_of_vectors import from_candidates
from tsds.budget import Size
from tsds.drawing import Drawn, check_holds_one, draw
from tsds.errors import BudgetError
from tsds.inputs import Inputs
from tsds.methods import Answer, Method, Problem
from tsds.near_duplicates import stand_ins
from tsds.neighbors import NeighborSearch
from tsds.sampling import Sampling, inclusion_probabilities
from tsds.settings import Settings
from tsds.stages import Stages
from tsds.strength import Strength

#: Where the candidates with mass do not fill a size in tokens, it is solved again for more examples: so often at most
#: in all, for so many times as many at a time; and what they would hold may exceed the budget so many times.
_SOLVED, _LEAST, _MOST, _LOOSE = 6, 1.25, 4.0, 1.5


def examples_wanted(budget: Size, inputs: Inputs) -> int:
    """How many examples to draw; for a size in tokens, about how many.

    Raises:
      BudgetError: if that is more than there are, or no record is so short.
    """
    census = inputs.candidates.census
    if budget.kind == "tokens":
        total = int(census.tokens.sum())
        if budget.amount > total:
            raise BudgetError(
                f"{budget.asked} is more than the pool's {total:,} tokens", remedy=f"{total}-tokens at most"
            )
        check_holds_one(budget, census.tokens)
        return max(1, round(budget.amount / (total / len(census))))
    size = budget.examples(census.used)
    if size > len(census):
        distinct = "distinct " if census.used > len(census) else ""
        remedy = f"--size {len(census)} at most" + (", or --copies keep" if distinct else "")
        raise BudgetError(f"size {size:,} exceeds the {len(census):,} {distinct}records of the pool", remedy=remedy)
    return size


def asked_strength(settings: Settings, size: int, reach: float = 1.0) -> Strength:
    """The strength that the settings ask for."""
    return Strength(size, settings.alpha, settings.scale_or_default, settings.neighbors, settings.effective_size, reach)


def choose_bandwidth(settings: Settings, inputs: Inputs, search: NeighborSearch, stages: Stages) -> Bandwidth:
    """h as given, from edited texts where there are texts and an encoder, else from the distances of candidates."""
    if settings.bandwidth != "auto":
        return Bandwidth(float(settings.bandwidth), "as asked")
    if inputs.bandwidth is not None:
        return inputs.bandwidth
    with stages.stage("bandwidth"):
        return from_candidates(search, inputs.targets.mu, settings.metric, settings.seed)


def problem_of(
    inputs: Inputs,
    settings: Settings,
    size: int,
    search: NeighborSearch,
    bandwidth: Bandwidth | None,
    stages: Stages,
    reach: float = 1.0,
) -> Problem:
    """The problem that a method is given."""
    found, wanted = inputs.candidates, inputs.targets
    return Problem(
        pool=found.vectors,
        copies=found.census.copies,
        targets=wanted.vectors,
        mu=wanted.mu,
        task=wanted.task,
        metric=settings.metric,
        strength=asked_strength(settings, size, reach),
        bandwidth=bandwidth.value if bandwidth else 0.0,
        largest_norm=found.largest_norm,
        search=search,
        seed=settings.seed,
        stages=stages,
        size=size,
        capacity=settings.capacity,
        sampling=settings.sampling,
        tokens=found.census.tokens,
        target_tokens=wanted.tokens,
        group=found.census.group,
        texts=inputs.texts,
    )


@dataclass(frozen=True)
class _Solved:
    """An answer to a size in tokens: for how many examples, the tokens they would hold, and what was drawn of them."""

    answer: Answer
    size: int
    planned: float
    held: int
    short: bool


_Solve = Callable[[int], _Solved]


def solved(method: Method, problem: Problem, settings: Settings) -> tuple[Answer, int]:
    """The method's answer, and the number of examples it is for: for a size in tokens as many as hold about so many.

    That is the problem's size, from the mean length of the pool, where the candidates with mass fill the tokens. Where
    they are too short it grows until they do; where it grew so far that mass goes to others than are needed, it comes
    back between the two. A rule is not brought back, as its order says who is needed.
    """
    if settings.budget.kind != "tokens":
        return method.select(problem), problem.size

    def solve(size: int) -> _Solved:
        asked = replace(problem, size=size, strength=replace(problem.strength, size=size))
        answer = method.select(asked)
        drawn = drawn_from(answer, asked, settings, method.sampling)[1]
        tokens = asked.tokens[answer.rows]
        planned = float(inclusion_probabilities(answer.probability, size) @ tokens)
        return _Solved(answer, size, planned, int(tokens @ drawn.counts), drawn.short)

    best = solve(problem.size)
    if best.short:
        best = _filling(solve, best, settings.budget.amount, len(problem.pool))
    return best.answer, best.size


def _filling(solve: _Solve, short: _Solved, budget: float, most: int) -> _Solved:
    """The answer that fills the tokens, or comes nearest to it, after one that does not."""
    tries, filled = _SOLVED - 1, None
    while filled is None and tries > 0:
        size = min(most, math.ceil(short.size * min(_MOST, max(_LEAST, budget / max(short.held, 1)))))
        if size == short.size:
            return short
        tried, tries = solve(size), tries - 1
        if not tried.short:
            filled = tried
        elif tried.held <= short.held:
            return short  # the strength is given, or the pool has no more: more examples give mass to nobody else
        else:
            short = tried
    if filled is None or filled.answer.turn is not None:
        return filled or short
    return _tightened(solve, short, filled, budget, tries)


def _tightened(solve: _Solve, short: _Solved, filled: _Solved, budget: float, tries: int) -> _Solved:
    """The least of the answers tried that fill the tokens, between one that is short and one that fills them."""
    while tries > 0 and filled.planned > _LOOSE * budget and filled.size > short.size + 1:
        # as if tokens were a power of the number
        power = math.log(filled.planned / max(short.planned, 1)) / math.log(filled.size / short.size)
        size = round(short.size * (budget / max(short.planned, 1)) ** (1 / power))
        tried, tries = solve(max(short.size + 1, min(filled.size - 1, size))), tries - 1
        short, filled = (tried, filled) if tried.short else (short, tried)
    return filled


def drawn_from(answer: Answer, problem: Problem, settings: Settings, default: Sampling) -> tuple[Answer, Drawn]:
    """Draw from an answer as the user, the answer or the method would have it; near-duplicates are told apart first."""
    sampling = settings.sampling or answer.sampling or default
    if problem.bandwidth > 0 and answer.note is not None:
        crowded = answer.density > problem.copies[answer.rows] * (1 + 1e-9)
        leader = stand_ins(problem.pool, answer.rows, answer.distance, crowded, problem.bandwidth, problem.metric)
        answer = replace(answer, leader=leader)
    tokens = problem.tokens[answer.rows]
    drawn = draw(answer, settings.budget, problem.size, tokens, sampling, problem.seed, problem.mu, problem.task)
    return answer, drawn
