"""The story of a selection: records -> embeddings -> neighbours -> density -> plan -> sample -> selection."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tsds.bandwidth import Bandwidth
from tsds.bandwidth_of_vectors import from_candidates
from tsds.budget import Size
from tsds.checkpoint import Checkpoint
from tsds.drawing import Drawn, check_holds_one, draw
from tsds.errors import BudgetError
from tsds.inputs import Inputs, prepare
from tsds.methods import Answer, Method, Problem, method_named
from tsds.methods.kept import answer_of, columns_of
from tsds.near_duplicates import stand_ins
from tsds.neighbors import NeighborSearch
from tsds.sampling import Sampling, inclusion_probabilities
from tsds.searching import neighbor_search, working
from tsds.selection import Selection
from tsds.settings import Settings
from tsds.stages import Listener, Stages
from tsds.strength import Strength
from tsds.target_weights import shared_by_density

#: Where the candidates with mass do not fill a size in tokens, it is solved again for more examples: so often at most
#: in all, for so many times as many at a time; and what they would hold may exceed the budget so many times.
_SOLVED, _LEAST, _MOST, _LOOSE = 6, 1.25, 4.0, 1.5


def run(
    pool: Any,
    target: Any,
    settings: Settings,
    listener: Listener | None = None,
    *,
    reach: float = 1.0,
    checkpoint: Checkpoint | None = None,
    stages: Stages | None = None,
) -> Selection:
    """Select from the pool what serves the target; `tsds.select` documents the settings.

    Args:
      reach: how many times the strength that is used the path should extend.
      checkpoint: where what was done is kept, and taken from.
      stages: to work in, with an engine that is needed afterwards too; else one is started, and let go of.

    Raises:
      InputError: on unusable input, or settings that exclude each other.
      BudgetError: if more is asked for than there is.
    """
    method = method_named(settings.method)
    settings = method.settings_of(settings)
    if stages is not None:
        return _run(pool, target, settings, method, stages, reach)
    with working(settings, listener, checkpoint) as stages:
        return _run(pool, target, settings, method, stages, reach)


def _run(pool: Any, target: Any, settings: Settings, method: Method, stages: Stages, reach: float) -> Selection:
    inputs = prepare(pool, target, settings, stages)
    try:
        size = examples_wanted(settings.budget, inputs)
        room = method.room(size, len(inputs.targets.mu))
        search = neighbor_search(inputs, settings, stages, room)
        shared = settings.target_weights == "density"
        bandwidth = choose_bandwidth(settings, inputs, search, stages) if method.weighs or shared else None
        if shared and bandwidth is not None:
            inputs.targets = shared_by_density(inputs.targets, bandwidth.value, settings.metric)
        problem = problem_of(inputs, settings, size, search, bandwidth, stages, reach)
        with stages.stage("plan"):
            answer, size = _answered(method, problem, settings)
            problem = replace(problem, size=size)
            if not search.exact:
                certificate = f"{answer.certificate}, among neighbours that are {search.line}"
                answer = replace(answer, exact=False, certificate=certificate)
        with stages.stage("draw"):
            answer, drawn = drawn_from(answer, problem, settings, method.sampling)
        selection = Selection(settings, inputs, answer, drawn, size, bandwidth, search.line, search.recall)
        if inputs.scratch is not None:  # these vectors are about to go, and the page has a picture of them
            with stages.stage("look around"):
                selection.picture = selection.surroundings
    finally:
        inputs.close()
    selection.stages, selection.seconds = list(stages.records.values()), stages.seconds
    return selection


def _answered(method: Method, problem: Problem, settings: Settings) -> tuple[Answer, int]:
    """What `solved` gives, or gave in an earlier run; what an index finds is measured anew, and solved anew with it."""
    stages = problem.stages
    if stages.checkpoint is None or not problem.search.exact:
        return solved(method, problem, settings)

    def made() -> dict[str, Any]:
        answer, size = solved(method, problem, settings)
        return {**columns_of(answer), "size": np.array(size)}

    kept = stages.kept("answer", len(problem.pool), made)
    return answer_of(kept), int(kept["size"])


@dataclass(frozen=True)
class _Solved:
    """An answer to a size in tokens: for how many examples, the tokens they would hold, and what was drawn of them."""

    answer: Answer
    size: int
    planned: float
    held: int
    short: bool


def solved(method: Method, problem: Problem, settings: Settings) -> tuple[Answer, int]:
    """The method's answer, and the number of examples it is for: for a size in tokens as many as hold about so many.

    That is the problem's size, from the mean length of the pool, where the candidates with mass fill the tokens. Where
    they are too short it grows until they do; where it grew so far that mass goes to others than are needed, it comes
    back between the two. A rule is not brought back, as its order says who is needed.
    """
    if settings.budget.kind != "tokens":
        return method.select(problem), problem.size
    budget, most = settings.budget.amount, len(problem.pool)
    low, high = _solved_for(problem.size, method, problem, settings), None
    if not low.short:
        return low.answer, low.size
    for _ in range(_SOLVED - 1):
        if high is None:
            size = min(most, math.ceil(low.size * min(_MOST, max(_LEAST, budget / max(low.held, 1)))))
        else:  # as if tokens were a power of the number
            power = math.log(high.planned / max(low.planned, 1)) / math.log(high.size / low.size)
            size = max(
                low.size + 1, min(high.size - 1, round(low.size * (budget / max(low.planned, 1)) ** (1 / power)))
            )
        if size == low.size or (high is not None and size == high.size):
            break
        tried = _solved_for(size, method, problem, settings)
        if not tried.short:
            high = tried
            if tried.answer.turn is not None or tried.planned <= _LOOSE * budget:
                break
        elif high is None and tried.held <= low.held:
            break  # the strength is given, or the pool has no more: more examples give mass to nobody else
        else:
            low = tried
    best = high or low
    return best.answer, best.size


def _solved_for(size: int, method: Method, problem: Problem, settings: Settings) -> _Solved:
    problem = replace(problem, size=size, strength=replace(problem.strength, size=size))
    answer = method.select(problem)
    drawn = drawn_from(answer, problem, settings, method.sampling)[1]
    tokens = problem.tokens[answer.rows]
    planned = float(inclusion_probabilities(answer.probability, size) @ tokens)
    return _Solved(answer, size, planned, int(tokens @ drawn.counts), drawn.short)


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


def drawn_from(answer: Answer, problem: Problem, settings: Settings, default: Sampling) -> tuple[Answer, Drawn]:
    """Draw from an answer as the user, the answer or the method would have it; near-duplicates are told apart first."""
    sampling = settings.sampling or answer.sampling or default
    if problem.bandwidth > 0 and answer.note is not None:
        crowded = answer.density > problem.copies[answer.rows] * (1 + 1e-9)
        leader = stand_ins(problem.pool, answer.rows, answer.distance, crowded, problem.bandwidth, problem.metric)
        answer = replace(answer, leader=leader)
    tokens = problem.tokens[answer.rows]
    drawn = draw(answer, settings.budget, problem.size, tokens, sampling, problem.seed, problem.mu)
    return answer, drawn


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
