"""The tables of docs/results.md from the raw cells beside it: `python -m tools.results_tables docs/results-*.parquet`.

So that a table can be made again when the statistics change, or from the cells of several machines.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tsds.evaluate import instruction, pretraining
from tsds.evaluate.cells import Cell, Place
from tsds.evaluate.markdown import markdown
from tsds.evaluate.tables import Outcome, names_of, tables_of

_PLACE = ("target", "condition", "size", "equal", "method", "seed")


def outcome(paths: Sequence[Path]) -> Outcome:
    """All cells of these files; of a model with a new head, as in the documentation, the masked loss comes first."""
    table = pa.concat_tables([pq.read_table(path) for path in paths], promote_options="default")
    cells = {}
    for row in table.to_pylist():
        place = Place(*(row.pop(name) for name in _PLACE))
        cells[place] = Cell(place, {name: value for name, value in row.items() if value is not None})
    if "masked_loss" in table.column_names:
        own = pretraining.MEASURES
        return Outcome("pretraining", {"masked_loss": own["masked_loss"], **own}, names_of(cells), tables_of(cells), {})
    return Outcome("instruction", instruction.MEASURES, names_of(cells), tables_of(cells), {})


if __name__ == "__main__":
    print(markdown(outcome([Path(name) for name in sys.argv[1:]])))
