"""`tsds compare`: the same pool, targets, embedding and search for every method; folds held out in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tsds.bandwidth import Bandwidth
from tsds.comparing.cells import Bench, Cell, Contender, overlaps
from tsds.comparing.measures import MEASURES
from tsds.comparing.same import described
from tsds.comparing.statistics import Interval
from tsds.errors import InputError
from tsds.inputs import prepare
from tsds.searching import neighbor_search, working
from tsds.settings import Settings
from tsds.solving import choose_bandwidth, examples_wanted
from tsds.stages import Listener
from tsds.target_weights import shared_by_density

#: Neighbours a target that the shared search brings, at least.
_ROOM = 512
#: What is compared where nothing is said: all that need no sources and no texts.
DEFAULT = [
    "auto", "balanced", "kde", "uniform", "kde-published", "round-robin", "semdedup+round-robin", "nearest", "topk",
    "mmd", "random", "random-length",
]  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Methods measured on held-out targets.

    Attributes:
      names: of the contenders, as given.
      cells: all of them: each has a contender, a draw and a fold, the chosen `rows` of the pool, and `values`.
      size, folds, draws: as used.
      bandwidth: of near-duplicates.
      compared: pool, targets and size, as `described` has them.
    """

    names: list[str]
    cells: list[Cell]
    size: int
    folds: int
    draws: int
    bandwidth: Bandwidth
    compared: dict[str, Any] = field(default_factory=dict)

    def values(self, name: str, measure: str) -> dict[tuple[int, int], float]:
        """A measure of a contender, by draw and fold."""
        return {(c.draw, c.fold): c.values[measure] for c in self.cells if c.contender == name}

    def interval(self, name: str, measure: str) -> Interval:
        """Its mean and interval."""
        return self._interval(self.values(name, measure))

    @property
    def best(self) -> str:
        """The contender of the least held-out cost."""
        return min(self.names, key=lambda name: self.interval(name, "cost").mean)

    def behind(self, name: str, other: str | None = None) -> Interval:
        """Paired differences of the held-out cost to another contender's, by default the best one's."""
        mine, theirs = self.values(name, "cost"), self.values(other or self.best, "cost")
        return self._interval({at: mine[at] - theirs[at] for at in mine if at in theirs})

    def table(self) -> list[dict[str, Any]]:
        """One row a contender, the best first.

        Each has `method`; `metrics`, of every measure ("cost" is the held-out cost) the mean and interval; `behind`,
        the same of its paired difference to the best; and `groups`, the mean share of each source among the chosen.
        """
        rows = []
        for name in sorted(self.names, key=lambda name: self.interval(name, "cost").mean):
            rows.append(
                {
                    "method": name,
                    "metrics": {measure: asdict(self.interval(name, measure)) for measure in MEASURES},
                    "behind": asdict(self.behind(name)),
                    "groups": self._groups(name),
                }
            )
        return rows

    def to_json(self) -> dict[str, Any]:
        """All of it but the chosen rows."""
        return {
            **self.compared,
            "size": self.size,
            "folds": self.folds,
            "draws": self.draws,
            "bandwidth": asdict(self.bandwidth),
            "measures": {name: asdict(measure) for name, measure in MEASURES.items()},
            "methods": self.table(),
            "names": self.names,
            "overlap": overlaps(self.cells, self.names),
        }

    def _interval(self, values: dict[tuple[int, int], float]) -> Interval:
        draws = sorted({draw for draw, _ in values})
        return Interval.of(np.array([[values[draw, fold] for fold in range(self.folds)] for draw in draws]))

    def _groups(self, name: str) -> dict[str, float]:
        mine = [cell.groups for cell in self.cells if cell.contender == name]
        groups = sorted({group for one in mine for group in one})
        mean = {group: float(np.mean([one.get(group, 0.0) for one in mine])) for group in groups}
        return dict(sorted(mean.items(), key=lambda item: -item[1]))


def compare(
    pool: Any,
    target: Any,
    settings: Settings,
    methods: Sequence[str] | None = None,
    *,
    folds: int = 5,
    draws: int = 1,
    listener: Listener | None = None,
    done: Iterable[Cell] = (),
    on_cell: Callable[[Cell], None] = lambda cell: None,
    on_inputs: Callable[[dict[str, Any]], None] = lambda compared: None,
) -> Comparison:
    """Measure methods on folds of the targets that they have not seen.

    Args:
      pool, target, settings: as for a selection; the settings are common to all methods.
      methods: names, each with settings of its own if wanted: "balanced:neighbors=30,sampling=top".
      folds: the targets are split so; each part is held out once.
      draws: how often they are split anew, with another seed for what is drawn.
      done: cells that are known already.
      on_cell: told of each new cell.
      on_inputs: told of what is compared, as `described` has it, before it is.

    Raises:
      InputError: on unusable input, unknown methods, or fewer targets than folds.
    """
    names = list(methods or DEFAULT)
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"method {name!r} is named twice", remedy="name it once")
    contenders = [Contender.parse(name, settings) for name in names]
    if folds < 2 or draws < 1:
        raise InputError(f"{folds} folds and {draws} draws", remedy="two folds and one draw at least")
    with contextlib.ExitStack() as stack:
        stages = stack.enter_context(working(settings, listener))
        inputs = prepare(pool, target, settings, stages)
        stack.callback(inputs.close)
        m = len(inputs.targets.mu)
        if m < folds:
            raise InputError(f"{m} targets can't be split into {folds} folds", remedy="fewer --folds or more targets")
        size = examples_wanted(settings.budget, inputs)
        compared = described(inputs, settings, size)
        on_inputs(compared)
        search = neighbor_search(inputs, settings, stages)
        with stages.stage("search", len(inputs.candidates.vectors)):
            search.rough(min(len(inputs.candidates.vectors), max(_ROOM, 8 * size // m)))
        bandwidth = choose_bandwidth(settings, inputs, search, stages)
        if settings.target_weights == "density":
            inputs.targets = shared_by_density(inputs.targets, bandwidth.value, settings.metric)
        bench = Bench(inputs, settings, size, search, bandwidth, stages.engine, stages.device)
        known = {(cell.contender, cell.draw, cell.fold): cell for cell in done}
        cells = []
        with stages.stage("compare", len(contenders) * folds * draws) as advance:
            for draw in range(draws):
                of = bench.folds(draw, folds)
                for fold in range(folds):
                    for contender in contenders:
                        cell = known.get((contender.name, draw, fold))
                        if cell is None:
                            cell = bench.cell(contender, draw, fold, of)
                            on_cell(cell)
                        cells.append(cell)
                        advance(1)
    return Comparison(names, cells, size, folds, draws, bench.bandwidth, compared)
