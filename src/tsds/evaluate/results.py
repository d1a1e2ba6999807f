"""Results on disk: all tables as JSON and in Markdown, every cell as a row of a parquet file, and a plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tsds.evaluate.markdown import markdown
from tsds.evaluate.tables import Outcome
from tsds.records import atomic_file

if TYPE_CHECKING:
    from tsds.evaluate.grid import Evaluation

RESULT, PAGE, TABLE, PLOT = "evaluate.json", "evaluate.md", "evaluate.parquet", "evaluate.svg"


def write_results(found: Outcome, evaluation: Evaluation, out: Path) -> None:
    """Write what the cells that are there say; whoever is the last of several parts writes the whole."""
    with atomic_file(out / RESULT) as file:
        file.write(orjson.dumps(found.to_json(), option=orjson.OPT_INDENT_2))
    with atomic_file(out / PAGE) as file:
        file.write(markdown(found).encode())
    _write_table(evaluation, out / TABLE)
    with atomic_file(out / PLOT) as file:
        figure = plot(found)
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})


def _write_table(evaluation: Evaluation, path: Path) -> None:
    """One row a cell, one column a value."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = [evaluation.cells.read(place) for place in evaluation.tabulated]
    names = list(dict.fromkeys(name for cell in cells for name in cell.values))
    columns: dict[str, Any] = {
        field: [getattr(cell.place, field) for cell in cells]
        for field in ("target", "condition", "size", "equal", "method", "seed")
    }
    columns |= {name: pa.array([cell.values.get(name) for cell in cells], pa.float64()) for name in names}
    with atomic_file(path) as file:
        pq.write_table(pa.table(columns), file)


def plot(found: Outcome) -> Any:
    """The primary measure of every method with its interval, a panel a table, as a matplotlib figure.

    Raises:
      MissingExtra: without matplotlib.
    """
    from tsds.embeddings.encoders.models import need

    need("matplotlib", "the plot", "evaluate")
    from matplotlib.figure import Figure

    tables = found.tables
    across = min(3, max(1, len(tables)))
    down = -(-len(tables) // across) or 1
    figure = Figure(figsize=(4.2 * across, (0.28 * len(found.methods) + 1.1) * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    measure = found.measures[found.primary]
    for panel, table in zip(panels, tables, strict=False):
        rows = [(name, one) for name in found.methods if (one := table.interval(name, found.primary)) is not None]
        for i, (_, one) in enumerate(rows):
            panel.plot([one.low, one.high], [i, i], color="#7a8c8c", linewidth=1.5)
            seeds = list(table.of(rows[i][0], found.primary).values())
            panel.plot(seeds, [i] * len(seeds), "o", color="#7a8c8c", markersize=2.5)
            panel.plot(one.mean, i, "o", color="#00796b", markersize=5)
        panel.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
        panel.invert_yaxis()
        panel.set_title(table.title, fontsize=9)
        panel.set_xlabel(f"{measure.head} ({'less' if measure.lower else 'more'} is better)", fontsize=8)
        panel.tick_params(axis="x", labelsize=8)
        values = [v for name, _ in rows for v in table.of(name, found.primary).values()]
        if values:  # intervals of two seeds are wide: the seeds themselves set the scale
            room = (max(values) - min(values) or 0.01) * 0.25
            panel.set_xlim(min(values) - room, max(values) + room)
    for panel in panels[len(tables) :]:
        panel.remove()
    return figure
