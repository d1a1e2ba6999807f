"""A comparison as a table on the screen."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tsds.comparing.comparison import Comparison
from tsds.comparing.measures import MEASURES

#: Measures with a column of their own, and digits after the point; the second lot where the screen has room.
_COLUMNS = {"cost": 4, "near_duplicates": 2, "seconds": 1}
_WIDE = {"nearest": 3, "five": 3, "largest": 1, "effective_size": 0}
_ROOM = 110


def print_comparison(console: Console, found: Comparison) -> None:
    """One row a method, the best first: its held-out cost, how far it is behind the best, what else was measured."""
    count = found.folds * found.draws
    title = f"{found.size:,} records for each of {count} held-out parts of the targets; lower cost is better"
    console.print(Text(title, style="bold"))
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("method", overflow="fold", min_width=20)
    table.add_column("behind the best", justify="right", no_wrap=True)
    columns = {**_COLUMNS, **(_WIDE if console.width >= _ROOM else {})}
    for name in columns:
        table.add_column(MEASURES[name].head, justify="right")
    for row in found.table():
        metrics, behind = row["metrics"], row["behind"]
        first = row["method"] == found.best
        level = not first and behind["mean"] <= behind["error"]
        half = (behind["high"] - behind["low"]) / 2
        gap = "best" if first else f"{'= ' if level else ''}{behind['mean']:+.4f} ± {half:.4f}"
        style = "bold green" if first else "green" if level else None
        cells = [f"{metrics[name]['mean']:,.{digits}f}" for name, digits in columns.items()]
        table.add_row(row["method"], gap, *cells, style=style)
    console.print(table)
    note = "± half of the 95 % interval of the paired difference; =: within one standard error of the best"
    console.print(Text(note, style="dim"))
