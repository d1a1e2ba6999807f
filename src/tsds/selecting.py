"""The story of a selection: records -> embeddings -> neighbours -> density -> plan -> sample -> selection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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
from tsds.sampling import Sampling
from tsds.searching import neighbor_search, working
from tsds.selection import Selection
from tsds.settings import Settings
from tsds.stages import Listener, Stages
from tsds.strength import Strength
from tsds.target_weights import shared_by_density


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
            answer = _answered(method, problem)
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


def _answered(method: Method, problem: Problem) -> Answer:
    """The method's answer, or that of an earlier run; what an index finds is measured anew, and solved anew with it."""
    stages = problem.stages
    if stages.checkpoint is None or not problem.search.exact:
        return method.select(problem)
    return answer_of(stages.kept("answer", len(problem.pool), lambda: columns_of(method.select(problem))))


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
