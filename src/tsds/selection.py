"""The story of a selection, and what users hold at the end of it.

records -> embeddings -> neighbours -> density -> plan -> sample -> selection
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows
from tsds.bandwidth import Bandwidth, from_candidates
from tsds.budget import Size
from tsds.checkpoint import Checkpoint
from tsds.drawing import Drawn, check_holds_one, draw
from tsds.errors import BudgetError, InputError
from tsds.inputs import Inputs, prepare
from tsds.methods import Answer, Method, Problem, method_named
from tsds.methods.kept import answer_of, columns_of
from tsds.near_duplicates import stand_ins
from tsds.neighbors import NeighborSearch
from tsds.records import Record
from tsds.sampling import Sampling
from tsds.searching import neighbor_search, working
from tsds.settings import Settings
from tsds.stages import Listener, Stage, Stages
from tsds.strength import Strength
from tsds.surroundings import Surroundings, survey
from tsds.target_weights import shared_by_density
from tsds.transport import RegularizationPath

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    settings = settings.with_fixed(method.fixed)
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
        return from_candidates(search, settings.metric, settings.seed)


@dataclass
class Selection:
    """What was chosen, with what probability, and why.

    Attributes:
      settings: as asked for.
      inputs: the candidates and targets.
      answer: the method's probabilities, over distinct candidates.
      drawn: what was drawn from them.
      size: examples wanted.
      bandwidth: of the density; None if the method has none.
      neighbors: how the targets' neighbours came about.
      recall: share of them that was found, on a sample; 1 if exact.
      stages: seconds and memory.
      seconds: of the whole run.
      picture: the surroundings, where the vectors they are seen in are gone.
    """

    settings: Settings
    inputs: Inputs = field(repr=False)
    answer: Answer = field(repr=False)
    drawn: Drawn = field(repr=False)
    size: int
    bandwidth: Bandwidth | None
    neighbors: str = "exact"
    recall: float = 1.0
    stages: list[Stage] = field(default_factory=list, repr=False)
    seconds: float = 0.0
    picture: Surroundings | None = field(default=None, repr=False)

    @cached_property
    def rows(self) -> Rows:
        """Positions in the pool of all candidates with mass, ascending, [q]."""
        return self.inputs.candidates.census.rows[self.answer.rows]

    @cached_property
    def indices(self) -> Rows:
        """Positions in the pool of the chosen records, ascending."""
        return self.rows[self.drawn.counts > 0]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each of `indices` is chosen; ones unless sampling is multinomial."""
        return self.drawn.counts[self.drawn.counts > 0]

    @cached_property
    def probabilities(self) -> Array:
        """The probability of each of `indices` in the plan."""
        return self.answer.probability[self.drawn.counts > 0]

    @property
    def weights(self) -> Array:
        """The plan's probability of every record, [read], for a `torch.utils.data.WeightedRandomSampler`."""
        dense = np.zeros(self.inputs.candidates.census.read)
        dense[self.rows] = self.answer.probability
        return dense

    @cached_property
    def surroundings(self) -> Surroundings:
        """Where pool, candidates and targets lie in the plane, and the near-duplicates of the chosen."""
        if self.picture is not None:
            return self.picture
        found, answer = self.inputs.candidates, self.answer
        bandwidth = self.bandwidth or self.inputs.bandwidth
        return survey(
            found.vectors,
            self.inputs.targets.vectors,
            answer.rows,
            answer.probability,
            self.drawn.counts,
            answer.density,
            bandwidth=bandwidth.value if bandwidth else 0.0,
            metric=self.settings.metric,
            largest_norm=found.largest_norm,
            seed=self.settings.seed,
        )

    @property
    def effective_size(self) -> float:
        """The effective sample size of the plan, 1 / sum p^2."""
        return float(1 / np.square(self.answer.probability).sum())

    @property
    def path(self) -> RegularizationPath:
        """The regularization path as far as it was searched: ask it for another strength without searching again.

        Raises:
          InputError: if the method has none.
        """
        if self.answer.path is None:
            raise InputError(f"method {self.settings.method} has no regularization path", remedy="use kde or uniform")
        return self.answer.path

    @property
    def warnings(self) -> list[tuple[str, str | None]]:
        """What matters about this selection, each with what to do about it."""
        from tsds.warnings import warnings_of

        return warnings_of(self)

    def __len__(self) -> int:
        return int(self.drawn.counts.sum())

    def records(self) -> Iterator[Record]:
        """The chosen records as they are in the pool, in its order, repeated ones as often as they were drawn.

        Raises:
          InputError: if the pool is an array.
        """
        pool = self.inputs.candidates.records
        if pool is None:
            raise InputError("the pool is an array of embeddings and has no records", remedy="use .indices")
        return pool.records(np.repeat(self.indices, self.counts))

    def to_dataset(self) -> Any:
        """The chosen records as a `datasets.Dataset`; the same columns where the pool is one."""
        from tsds.records.datasets import to_dataset

        return to_dataset(self.inputs.candidates.records, np.repeat(self.indices, self.counts))

    def save(self, folder: str | Path, *, format: str | None = None, overwrite: bool = False) -> str | Path:
        """Write the chosen records, selection.parquet, report.html and run.json to a folder, all or nothing.

        Args:
          folder: made if missing, here or at an address; refused if it holds a run already, unless `overwrite`, or
            files of no run that would be replaced.
          format: of the chosen records; the pool's own if None.

        Raises:
          InputError: if the folder is refused or can't be written, or the records can't be written in that format.
        """
        from tsds.output import check_format, files_read, write_run
        from tsds.places import reserved

        check_format(format, vectors=self.inputs.candidates.records is None)
        with reserved(folder, overwrite=overwrite, inputs=files_read(self)) as scratch:
            write_run(self, scratch, format=format)
        return folder

    def report(self, path: str | Path) -> Path:
        """Write the page that shows what was chosen and why."""
        from tsds.report.data import facts_of
        from tsds.report.explorer import explorer
        from tsds.report.page import write_page

        write_page(facts_of(self), explorer(self), Path(path))
        return Path(path)

    def plot_path(self) -> Figure:
        """The regularization path as a matplotlib figure, the strength in use marked.

        Raises:
          InputError: if the method has no path.
          MissingExtra: without matplotlib (extra `plot`); so do the others.
        """
        from tsds.report.figures import path_figure

        return path_figure(self)

    def plot_map(self) -> Figure:
        """Pool, chosen and targets in the plane of two principal axes, as a matplotlib figure."""
        from tsds.report.figures import map_figure

        return map_figure(self)

    def plot_shift(self) -> Figure:
        """Sources and lengths, pool against chosen, as a matplotlib figure.

        Raises:
          InputError: if the pool is vectors, which have neither.
        """
        from tsds.report.figures import shift_figure

        return shift_figure(self)
