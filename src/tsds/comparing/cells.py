"""One method on one fold of one draw: the cell that a comparison is made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import equals
from tsds.bandwidth import Bandwidth
from tsds.comparing.measures import measure, overlap
from tsds.engines import Engine
from tsds.errors import InputError
from tsds.inputs import Inputs
from tsds.methods import Answer, Problem, method_named
from tsds.methods.problem import Texts
from tsds.neighbors import NeighborSearch
from tsds.settings import Settings
from tsds.solving import asked_strength, drawn_from, problem_of, solved
from tsds.stages import Stages
from tsds.suggestions import nearest_name

#: Settings that may be given with a method, as in "balanced:neighbors=30,sampling=top".
_NUMBERS = ("alpha", "scale", "neighbors", "effective_size", "capacity", "bandwidth")
_TUNED: dict[str, Callable[[str], Any]] = dict.fromkeys(_NUMBERS, float) | {"sampling": str}


@dataclass(frozen=True)
class Contender:
    """A method with its settings, under the name that the user gave it."""

    name: str
    settings: Settings

    @classmethod
    def parse(cls, spec: str, common: Settings) -> Contender:
        """Read "METHOD" or "METHOD:SETTING=VALUE,...".

        Raises:
          InputError: if the method or a setting is not known, means nothing to the method, or excludes another.
        """
        method, _, given = spec.partition(":")
        found = method_named(method)
        tuned: dict[str, Any] = {}
        for part in filter(None, given.split(",")):
            name, equals, value = part.partition("=")
            name = name.strip().replace("-", "_")
            if name not in _TUNED or not equals:
                raise InputError(f"{spec!r} has the setting {part!r}", remedy=nearest_name(name, _TUNED))
            try:
                tuned[name] = _TUNED[name](value)
            except ValueError:
                raise InputError(f"{spec!r} has {part!r}", remedy=f"{name} is a number") from None
        found.settings_of(Settings(size=1, method=method, **tuned))
        # What is part of a method goes before what is common to all.
        return cls(spec, replace(common, method=method, **{**tuned, **found.fixed}))


@dataclass(frozen=True)
class Cell:
    """What came of one method on one fold.

    Attributes:
      contender, draw, fold: which.
      rows: chosen rows of the pool.
      values: by measure.
      groups: share of the chosen from each source.
    """

    contender: str
    draw: int
    fold: int
    rows: NDArray[np.int64]
    values: dict[str, float]
    groups: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a line of a file."""
        return {**asdict(self), "rows": self.rows.tolist()}

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Cell:
        """The cell of such a line."""
        return cls(**{**line, "rows": np.array(line["rows"], np.int64)})


@dataclass(frozen=True)
class Made:
    """A selection made for some of the targets.

    Attributes:
      rows, counts: chosen candidates, [b], and how often each, [b].
      answer: of the method.
      size: examples that it is for.
      seconds: it took, without the shared search.
    """

    rows: NDArray[np.int64]
    counts: NDArray[np.int64]
    answer: Answer
    size: int
    seconds: float


@dataclass(frozen=True)
class _SomeTexts:
    """The texts of the pool and of some of the targets."""

    texts: Texts
    which: NDArray[np.int64]

    def pool(self) -> Iterator[list[str]]:
        return self.texts.pool()

    def targets(self) -> list[str]:
        every = self.texts.targets()
        return [every[i] for i in self.which]


@dataclass
class Bench:
    """Candidates, targets and one search, on which any number of cells are made.

    Args:
      inputs: encoded pool and targets.
      settings: common to all methods.
      size: examples wanted.
      search: of all targets.
      bandwidth: of all methods that have none of their own.
      engine, device: what passes over the pool run on.
    """

    inputs: Inputs
    settings: Settings
    size: int
    search: NeighborSearch
    bandwidth: Bandwidth
    engine: Engine
    device: str | None

    def __post_init__(self) -> None:
        self._shared: dict[str, Any] = {}

    def folds(self, draw: int, folds: int) -> NDArray[np.int64]:
        """The fold of each target, in this draw, equal ones together: [m].

        Raises:
          InputError: on fewer distinct targets than folds.
        """
        group = equals(self.search.targets)
        count = int(group.max()) + 1
        if count < folds:
            said = f"{count} distinct targets can't be split into {folds} folds"
            raise InputError(said, remedy="fewer --folds or more targets")
        rng = np.random.default_rng([self.settings.seed, 5, draw])
        return np.asarray(rng.permutation(np.arange(count) % folds)[group])

    def cell(self, contender: Contender, draw: int, fold: int, of: NDArray[np.int64]) -> Cell:
        """Select for the targets of the other folds, measure on those of this one.

        Args:
          of: [m], the fold of each target.
        """
        drawing = np.random.SeedSequence([self.settings.seed, draw, fold]).generate_state(1)[0]
        settings = replace(contender.settings, seed=int(drawing))
        seen, held = np.flatnonzero(of != fold), np.flatnonzero(of == fold)
        made = self.select(settings, self.search.only(seen), seen)
        rows, counts, answer = made.rows, made.counts, made.answer
        mu = self.inputs.targets.mu[held]
        values = measure(self.search.only(held), mu, rows, counts, self.bandwidth.value, settings.seed)
        values |= {
            "effective_size": float(1 / np.square(answer.probability).sum()),
            "largest": float(answer.probability.max() * made.size),
            "tokens": float((self.inputs.candidates.census.tokens[rows] * counts).sum()),
            "seconds": made.seconds,
        }
        return Cell(contender.name, draw, fold, rows, values, self._groups(rows, counts))

    def select(self, settings: Settings, search: NeighborSearch, seen: NDArray[np.int64]) -> Made:
        """Select for some of the targets.

        Args:
          settings: of the method, with the seed of what it draws.
          search: of these targets.
          seen: their positions.
        """
        began = time.perf_counter()
        problem = self._problem(settings, search, seen)
        method = method_named(settings.method)
        answer, size = solved(method, problem, settings)
        answer, drawn = drawn_from(answer, replace(problem, size=size), settings, method.sampling)
        chosen = drawn.counts > 0
        return Made(answer.rows[chosen], drawn.counts[chosen], answer, size, time.perf_counter() - began)

    def _problem(self, settings: Settings, search: NeighborSearch, seen: NDArray[np.int64]) -> Problem:
        asked = settings.bandwidth
        bandwidth = self.bandwidth if asked == "auto" else Bandwidth(float(asked), "as asked")
        stages = Stages(engine=self.engine, device=self.device)
        whole = problem_of(self.inputs, settings, self.size, search, bandwidth, stages)
        mu = whole.mu[seen]
        return replace(
            whole,
            targets=whole.targets[seen],
            task=whole.task[seen],
            mu=mu / mu.sum() if mu.sum() > 0 else np.full(len(mu), 1 / len(mu)),
            target_tokens=whole.target_tokens[seen],
            strength=asked_strength(settings, self.size),
            texts=None if whole.texts is None else _SomeTexts(whole.texts, seen),
            shared=self._shared,
        )

    def _groups(self, rows: NDArray[np.int64], counts: NDArray[np.int64]) -> dict[str, float]:
        census = self.inputs.candidates.census
        if len(census.group_names) < 2:
            return {}
        group = census.group[rows]
        share = np.bincount(group[group >= 0], weights=counts[group >= 0], minlength=len(census.group_names))
        return {name: float(share[i] / counts.sum()) for i, name in enumerate(census.group_names) if share[i]}


def overlaps(cells: list[Cell], names: list[str]) -> list[list[float]]:
    """Mean overlap of the selections of each pair of methods, on the same fold and draw: [methods, methods]."""
    by = {(cell.contender, cell.draw, cell.fold): cell.rows for cell in cells}
    places = sorted({(cell.draw, cell.fold) for cell in cells})
    table = []
    for a in names:
        row = []
        for b in names:
            found = [overlap(by[(a, *at)], by[(b, *at)]) for at in places if (a, *at) in by and (b, *at) in by]
            row.append(float(np.mean(found)) if found else float("nan"))
        table.append(row)
    return table
