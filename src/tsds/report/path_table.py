"""The regularization path as a table: each strength, and what it would select."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from tsds.arrays import Array, Rows
from tsds.errors import InputError
from tsds.methods import method_named
from tsds.selection import Selection


def path_note(method: str) -> str | None:
    """What to say about the path of a method, if anything, before it is walked.

    Raises:
      InputError: if the method has a strength, and no path along it.
    """
    if method == "balanced":
        raise InputError("method balanced has no closed path", remedy="--method kde has one")
    if not method_named(method).tried:  # those that try settings choose a balanced plan
        return None
    return f"method {method} has no path of its own: this is kde's, as far as {method} searched (--method kde goes on)"


def walk(selection: Selection, points: int) -> Iterator[tuple[dict[str, Any], Rows, Array]]:
    """The rows of `path_table`, each with the candidates that have mass there and their probabilities."""
    path, here = selection.path, selection.answer.neighbors
    census = selection.inputs.candidates.census
    grid = set(path.grid(points).tolist())
    if here is not None:
        # The strength in use takes the place of the nearest row, so that the table has it exactly.
        nearest = min(grid, key=lambda s: abs(np.log(s / here)))
        grid = (grid - {nearest}) | {here}
    for s in sorted(min(s, path.longest) for s in grid):
        candidates, p = path.probabilities(s)
        group = census.group[candidates]
        mass = np.bincount(group[group >= 0], weights=p[group >= 0], minlength=len(census.group_names))
        order = [i for i in np.argsort(-mass, kind="stable") if mass[i] > 0]
        sources = [(census.group_names[i], float(mass[i])) for i in order]
        yield {**asdict(path.point(s)), "sources": sources, "here": s == here}, candidates, p


def path_table(selection: Selection, points: int) -> list[dict[str, Any]]:
    """Rows from the weakest to the strongest diversity.

    Each has the fields of a `PathPoint`, the sources that would be selected with their share of the mass (largest
    first), and whether it is the strength that the selection uses.
    """
    return [row for row, _, _ in walk(selection, points)]
