"""A grid of cells, run one after the other; what is on disk already is not done again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from tsds.budget import Size
from tsds.census import first_of_equals
from tsds.errors import BudgetError, InputError
from tsds.evaluate.cells import Cell, Cells, Place, places_along, places_of
from tsds.evaluate.data import Data, TargetFiles, read
from tsds.evaluate.diets import Diets
from tsds.evaluate.experiment import Diet, Experiment
from tsds.evaluate.held import COPIES, GRIDS, SELECTIONS, check_base, checked, claim, known
from tsds.evaluate.selecting import Selected, Selector, read_selected, write_selected
from tsds.evaluate.settings import Condition, Grid
from tsds.evaluate.tables import Outcome, names_of, tables_of
from tsds.leakage import digests
from tsds.records import Pool
from tsds.stages import Stages

#: Texts from which the mean length and the speed are told.
PROBE = 2000
Elsewhere = Callable[[Sequence[Sequence[Place]]], Iterable[int]]


@dataclass(frozen=True)
class PoolFacts:
    """What a pass over the pool found.

    Attributes:
      used: usable records.
      distinct: of these, without exact copies.
      rows: their positions, [used].
      probe: texts of some of them, drawn at random.
      sample: texts of more of them, to make a base on.
      grouped: whether it has several sources.
      known: name and digests of its files.
    """

    used: int
    distinct: int
    rows: np.ndarray[Any, np.dtype[np.int64]]
    probe: list[str]
    sample: list[str]
    grouped: bool
    known: list[str]


def look_at(path: Path, sample: int) -> PoolFacts:
    """Read the pool once, and a random sample of so many of its texts."""
    pool = Pool.open(path, ids="unread")
    rows, keys, groups = [], [], set[str | None]()
    for batch in pool.batches():
        rows.append(batch.rows)
        keys.append(digests(batch.texts))
        if len(groups) < 2:  # more are of no matter, and there may be as many as records
            groups |= set(batch.groups)
    every = np.concatenate(rows)
    order = np.random.default_rng(31).permutation(len(every))
    some = np.sort(order[:sample])
    texts = pool.texts_at(every[some])
    at = {int(i): k for k, i in enumerate(some)}
    probe = [texts[at[int(i)]] for i in order[: min(PROBE, sample)] if int(i) in at]
    distinct = len(first_of_equals(np.concatenate(keys))[0])
    return PoolFacts(len(every), distinct, every, probe, texts, len(groups) > 1, known(path))


class Evaluation:
    """A grid, its data and its folder.

    Args:
      experiment: which.
      data: the files of the pool and of the targets that take part.
      grid: the cells.
      pool: what a pass over the pool found.
      out: the folder.
      asked: all settings that a cell depends on; a folder that holds cells of other settings is refused.
      stages: told of progress.
    """

    def __init__(
        self, experiment: Experiment, data: Data, grid: Grid, pool: PoolFacts, out: Path, asked: dict[str, Any],
        stages: Stages,
    ) -> None:  # fmt: skip
        self.experiment, self.data, self.grid, self.pool, self.out = experiment, data, grid, pool, out
        self.stages, self.cells = stages, Cells(out)
        self._conditions = {name: Condition.parse(name) for name in grid.conditions}
        if any(c.kind == "skewed" for c in self._conditions.values()) and len(data.every) < 2:
            raise InputError("a skewed target needs a second target", remedy="leave skewed out")
        if not pool.grouped and (grouped := next((m for m, arm in grid.chosen.items() if arm.by_source), None)):
            raise InputError(f"method {grouped} needs a pool of several sources", remedy="leave it out")
        self.sizes = {size: Size.parse(size).examples(pool.used) for size in grid.sizes}
        # Before anything is made: copies that a condition adds make room for more, so they are left to the selection.
        there = pool.distinct
        plain = any(c.kind != "near-duplicates" for c in self._conditions.values())
        if plain and grid.chosen and max(self.sizes.values()) > there:
            raise BudgetError(
                f"size {max(self.sizes.values()):,} exceeds the {there:,} distinct records of the pool",
                remedy=f"--sizes {there} at most",
            )
        self.places = places_of(grid, list(data.targets))
        self._asked = asked
        self._diets = Diets(data, pool.rows, self.sizes, self._conditions, experiment.training, out / COPIES)

    @property
    def todo(self) -> list[Place]:
        """The cells that are not there yet, each once."""
        return [place for place in dict.fromkeys(p.own for p in self.places) if place not in self.cells]

    @cached_property
    def tabulated(self) -> list[Place]:
        """The places whose cells are there: of this grid, then of those that the folder was asked for before."""
        asked = checked(self.out, self._asked, late=True)[GRIDS]
        every = dict.fromkeys([*self.places, *(place for axes in asked for place in places_along(self.grid, axes))])
        return [place for place in every if place in self.cells]

    def check(self) -> dict[str, Any]:
        """All settings that cells depend on, with what the folder holds of other targets.

        Raises:
          InputError: if it holds cells that other settings made.
        """
        return checked(self.out, self._asked)

    def _check_late(self) -> None:
        """Raise InputError if another evaluation has claimed the folder while nothing of this one was in it."""
        checked(self.out, self._asked, late=True)

    def claim(self) -> None:
        """Make the folder, or go on with what it holds; see `check`."""
        claim(self.out, self._asked)

    def prepare(self) -> dict[str, object]:
        """Make the base of all cells or find it; facts about it. The folder is claimed already.

        Raises:
          InputError: if the cells of the folder start from another base.
        """
        facts = self.experiment.prepare(self.stages)
        if "digest" in facts:
            check_base(self.out, facts["digest"])
        return facts

    def estimate(self, at_once: int = 1) -> dict[str, Any]:
        """How long the whole will take, told from a few steps on this machine.

        Args:
          at_once: trainings that run at the same time, each as fast as these steps.
        """
        mean, todo = self._mean_tokens(), self.todo
        trainings = _trainings(todo)
        trained = sum(self._diets.tokens(places[0], mean) for places in trainings)
        beside = sum(self.experiment.work(self.data.targets[place.target]) for place in todo)
        base = self.experiment.base_work()
        speed = self.experiment.speed(self.pool.probe) if todo else float("nan")
        return {
            "cells": len(dict.fromkeys(p.own for p in self.places)),
            "done": len(dict.fromkeys(p.own for p in self.places)) - len(todo),
            "tokens": trained,
            "beside": beside,
            "base": base,
            "speed": speed,
            "seconds": ((trained + beside) / min(at_once, len(trainings)) + base) / speed if todo else 0.0,
            "mean_tokens": mean,
            "notes": self._notes() if todo else [],
        }

    def _notes(self) -> list[str]:
        """What the numbers will not tell: whose examples a skewed draw has, and seeds that have much the same."""
        notes = []
        if any(condition.kind == "skewed" for condition in self._conditions.values()):
            mixed = (f"of {name} with {self.data.beside(name).name}'s" for name in self.data.targets)
            notes.append(f"skewed draws are {', '.join(mixed)}")
        for target in self.data.targets.values() if self.grid.seeds > 1 else ():
            there = len(read(target.examples, target.name))
            if 2 * self.grid.examples > there:
                drawn = f"{min(self.grid.examples, there):,} of {there:,} examples of {target.name}"
                notes.append(f"every seed draws {drawn}: seeds share most of them, and intervals are narrow for it")
        return notes

    def run(self, part: tuple[int, int] = (1, 1), elsewhere: Elsewhere | None = None) -> None:
        """Run the cells that are missing, of their trainings every i-th of n: parts may run at once, in one folder.

        The folder is claimed already.

        Args:
          part: (i, n).
          elsewhere: measures the cells of each training in other processes and tells how many; here if None.
        """
        mine = _trainings(p.own for p in self.places)[part[0] - 1 :: part[1]]
        todo = [place for places in mine for place in places if place not in self.cells]
        if not todo:
            return
        self._select([place for place in todo if place.selects])
        self._check_late()
        with self.stages.stage("train and measure", len(todo)) as advance:
            for done in (elsewhere or partial(map, self.measure_all))(_trainings(todo)):
                advance(done)

    def measure_all(self, places: Sequence[Place]) -> int:
        """Train and measure cells that share a training, and keep what was found; their selections are there.

        Returns:
          How many.
        """
        diet: Diet | None = None
        fed: Any = ()  # what the diet was made of: a selection's rows and counts; None for an arm that selects nothing
        for place in places:
            began = time.perf_counter()
            found = read_selected(self._selected(place)) if place.selects else None
            asked = None if found is None else (found.rows, found.counts)
            if asked != fed:
                diet, fed = self._diet(place, found), asked
            values = {} if found is None else found.facts
            values |= self.experiment.run(self.data.targets[place.target], diet, place.seed)
            self.cells.write(Cell(place, {**values, "seconds": time.perf_counter() - began}))
        return len(places)

    def _diet(self, place: Place, found: Selected | None) -> Diet | None:
        if found is None:
            return self._diets.unselected(place, self._mean)
        return self._diets.of_selection(place, found, self._mean)

    @cached_property
    def _mean(self) -> float:
        """Tokens of a text of the pool, as the prepared model reads it; kept from the first cell on.

        An estimate is made before there is a base, with a tokenizer of its own: the budget must not come from that.
        """
        return self._mean_tokens()

    def _mean_tokens(self) -> float:
        return float(self.experiment.lengths(self.pool.probe).mean())

    def outcome(self, facts: dict[str, Any]) -> Outcome:
        """The tables of what is there."""
        found: Mapping[Place, Cell] = {p: self.cells.read(p) for p in self.tabulated}
        measures = self.experiment.measures
        names = names_of([*self.places, *self.tabulated])
        return Outcome(self.grid.kind, measures, names, tables_of(found), facts)

    def _select(self, places: Sequence[Place]) -> None:
        """All selections first, so that the vectors of a pool are made once."""
        missing = list(dict.fromkeys(self._selection(p) for p in places))
        missing = [place for place in missing if not self._selected(place).is_file()]
        groups = dict.fromkeys((place.condition, place.target) for place in missing)
        with self.stages.stage("select", len(missing)) as advance:
            for condition, target in groups:
                selector = self._selector(self._conditions[condition], self.data.targets[target])
                try:
                    for place in missing:
                        if (place.condition, place.target) == (condition, target):
                            arm = self.grid.chosen[place.method]
                            found = selector.select(arm, self.sizes[place.size], place.seed)
                            self._check_late()
                            write_selected(self._selected(place), found)
                            advance(1)
                finally:
                    selector.close()

    def _selector(self, condition: Condition, target: TargetFiles) -> Selector:
        other = None
        if condition.kind == "skewed":
            beside = self.data.beside(target.name)
            other = read(beside.examples, beside.name)
        own, tests = read(target.examples, target.name), read(target.test, target.name)
        return Selector(
            self._diets.pool(condition.name), own, other, self.grid.examples, [one.text for one in tests],
            self.grid.encoder, self.stages,
        )  # fmt: skip

    def _selection(self, place: Place) -> Place:
        """Selections are the same whatever is equal in training."""
        return Place(place.target, place.condition, place.size, "", place.method, place.seed)

    def _selected(self, place: Place) -> Path:
        return self.out / SELECTIONS / self._selection(place).name


def _trainings(places: Iterable[Place]) -> list[list[Place]]:
    """The cells that each training serves, each once, in the order of the first."""
    found: dict[Place, list[Place]] = {}
    for place in dict.fromkeys(places):
        found.setdefault(place.diet, []).append(place)
    return list(found.values())
