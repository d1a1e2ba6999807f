"""The story of a selection: records -> embeddings -> neighbours -> density -> plan -> sample -> selection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tsds.checkpoint import Checkpoint
from tsds.inputs import prepare
from tsds.methods import Answer, Method, Problem, method_named
from tsds.methods.kept import answer_of, columns_of
from tsds.searching import neighbor_search, working
from tsds.selection import Selection
from tsds.settings import Settings
from tsds.solving import choose_bandwidth, drawn_from, examples_wanted, problem_of, solved
from tsds.stages import Listener, Stages
from tsds.surroundings import random_distance
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
            answer, size = _answered(method, problem, settings)
            problem = replace(problem, size=size)
            if not search.exact:
                certificate = f"{answer.certificate}, among neighbours that are {search.line}"
                answer = replace(answer, exact=False, certificate=certificate)
        with stages.stage("draw"):
            answer, drawn = drawn_from(answer, problem, settings, method.sampling)
        selection = Selection(settings, inputs, answer, drawn, size, bandwidth, search.line, search.recall)
        if inputs.encoder.startswith("hash-"):  # the only one for which the warning that needs it was measured
            found, wanted = inputs.candidates.vectors, inputs.targets
            selection.at_random = random_distance(found, wanted.vectors[wanted.mu > 0], settings.metric, settings.seed)
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
