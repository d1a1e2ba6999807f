"""What users hold at the end: what was chosen, with what probability, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows
from tsds.bandwidth import Bandwidth
from tsds.drawing import Drawn
from tsds.errors import InputError
from tsds.inputs import Inputs
from tsds.methods import Answer
from tsds.records import Record
from tsds.settings import Settings
from tsds.stages import Stage
from tsds.surroundings import Surroundings, survey
from tsds.transport import PathPoint, RegularizationPath
from tsds.transport.penalty import DEFAULT_SCALE, alpha_from_penalty

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsds.explaining import Why


class SearchedPath(RegularizationPath):
    """The path of a selection: a strength that it can't answer for is an InputError."""

    @classmethod
    def of(cls, path: RegularizationPath) -> SearchedPath:
        """The same path, with what it has worked out already."""
        found = cls.__new__(cls)
        found.__dict__.update(path.__dict__)
        return found

    def point(self, s: float) -> PathPoint:
        """Everything the path knows about one s.

        Raises:
          InputError: if s is not on the path, or beyond what was searched.
        """
        try:
            return super().point(s)
        except ValueError as error:
            raise self._refused(error, "neighbors", s) from None

    def at(
        self,
        *,
        penalty: float | None = None,
        alpha: float | None = None,
        neighbors: float | None = None,
        effective_size: float | None = None,
    ) -> PathPoint:
        """The point for one strength: give exactly one.

        Raises:
          InputError: if none or several are given, or it lies beyond what was searched.
        """
        given = {"penalty": penalty, "alpha": alpha, "neighbors": neighbors, "effective_size": effective_size}
        asked = {name: value for name, value in given.items() if value is not None}
        try:
            return super().at(**asked)
        except ValueError as error:
            if len(asked) != 1:
                raise InputError(str(error)) from None
            raise self._refused(error, *asked.popitem()) from None

    def _refused(self, error: ValueError, name: str, value: float) -> InputError:
        """Beyond what was searched, where it is a strength at all."""
        if not (0 <= value <= 1 if name == "alpha" else value > 0):
            return InputError(f"{name}={value:g} is no strength: {error}")
        again = f"{name}={value:g}"
        if name in ("penalty", "alpha"):  # a selection is asked for alpha
            again = f"alpha={alpha_from_penalty(value, self.scale) if name == 'penalty' else value:g}"
            again += "" if self.scale == DEFAULT_SCALE else f", scale={self.scale:g}"
        what = (
            f"{name}={value:g} lies beyond the path as far as it was searched, {self.longest:.4g} neighbours a target"
        )
        return InputError(what, remedy=f"select again with {again}")


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
      at_random: how far a random candidate is from a typical target; NaN if not measured.
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
    at_random: float = field(default=float("nan"), repr=False)
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
        """How often each of `indices` is chosen; ones unless sampling is multinomial or the method is auto-repeats."""
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

    @cached_property
    def path(self) -> SearchedPath:
        """The regularization path as far as it was searched: ask it for another strength without searching again.

        Raises:
          InputError: if the method has none.
        """
        if self.answer.path is None:
            raise InputError(f"method {self.settings.method} has no regularization path", remedy="use kde or uniform")
        return SearchedPath.of(self.answer.path)

    @property
    def warnings(self) -> list[tuple[str, str | None]]:
        """What matters about this selection, each with what to do about it."""
        from tsds.warnings import warnings_of

        return warnings_of(self)

    def __len__(self) -> int:
        return int(self.drawn.counts.sum())

    def why(self, record: int | str) -> Why:
        """Why a record was chosen, or why not: `print(chosen.why(17))`.

        Args:
          record: its position in the pool, or, as a str, its id.

        Raises:
          InputError: if the pool has no such record.
        """
        from tsds.explaining import why

        return why(self, record)

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
