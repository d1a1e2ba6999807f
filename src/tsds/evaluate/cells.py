"""The cells of a grid: where each lies on disk, and what it found. A killed grid does none again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from tsds.errors import InputError
from tsds.evaluate.arms import BLIND, UNSELECTED
from tsds.evaluate.held import CELLS
from tsds.evaluate.settings import Grid
from tsds.records import atomic_file

_AXES = ("conditions", "sizes", "equal", "methods", "seeds")


@dataclass(frozen=True)
class Place:
    """Which cell.

    Attributes:
      target, condition, size, equal, method, seed: one of each that the grid has; empty where an arm does not depend
        on it.
    """

    target: str
    condition: str
    size: str
    equal: str
    method: str
    seed: int

    @property
    def own(self) -> Place:
        """The cell that is run for this place: arms without a selection serve several places at once."""
        if self.method == "none":
            return replace(self, condition="", size="", equal="")
        if self.method == "in-domain":
            return replace(self, condition="")
        own = self if self.condition.startswith("near-duplicates") else replace(self, condition="")  # the same pool
        if self.method == "full-epoch":
            return replace(own, size="", equal="tokens")
        return own if self.method == "full" else self

    @property
    def diet(self) -> Place:
        """What its model is trained on: arms that don't look at the target read the same for every one of them."""
        if self.method not in BLIND:
            return self.own
        same = self.condition if self.condition.startswith("near-duplicates") else ""
        return replace(replace(self, condition=same).own, target="")

    @property
    def selects(self) -> bool:
        """Whether a method selects for it."""
        return self.method not in UNSELECTED

    @property
    def name(self) -> str:
        """Of its file."""
        parts = (self.target, self.condition, self.size, self.equal, self.method, str(self.seed))
        return "/".join(quote(part, safe=",=+% ") or "-" for part in parts) + ".json"


@dataclass(frozen=True)
class Cell:
    """What one model, trained on one selection, reached.

    Attributes:
      place: which.
      values: by measure, and facts about the training and the selection; what is no number, as after a training that
        diverged, is null in its file and left out when that is read: it counts as not measured.
    """

    place: Place
    values: dict[str, float]


def places_of(grid: Grid, targets: list[str]) -> list[Place]:
    """Every place of the grid, seed by seed: a grid that is stopped has whole pairs."""
    return [
        Place(target, condition, size, equal, method, seed)
        for seed in range(grid.seeds)
        for target in targets
        for condition in grid.conditions
        for size in grid.sizes
        for equal in grid.equal
        for method in grid.methods
    ]


def axes_of(grid: Grid, targets: list[str]) -> dict[str, Any]:
    """What tells the places of a grid, as plain values."""
    return {"targets": targets} | {name: getattr(grid, name) for name in _AXES}


def places_along(grid: Grid, axes: dict[str, Any]) -> list[Place]:
    """Every place of what `axes_of` tells; other values are those of the grid."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in axes.items()}
    return places_of(replace(grid, **values), axes["targets"])


class Cells:
    """The cells on disk.

    Args:
      folder: of the evaluation.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / CELLS

    def __contains__(self, place: Place) -> bool:
        return self._path(place).is_file()

    def write(self, cell: Cell) -> None:
        """Keep a cell, whole or not at all."""
        with atomic_file(self._path(cell.place)) as file:
            file.write(orjson.dumps(asdict(cell), option=orjson.OPT_INDENT_2))

    def read(self, place: Place) -> Cell:
        """The cell of a place that is there.

        Raises:
          InputError: if its file is damaged.
        """
        path = self._path(place)
        try:
            found: dict[str, Any] = orjson.loads(path.read_bytes())
            measured = {name: float(value) for name, value in found["values"].items() if value is not None}
            return Cell(place, measured)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"is no cell: {error}", path=path, remedy="remove it, and it is made again") from error

    def _path(self, place: Place) -> Path:
        return self._folder / place.own.name
