"""The screen: progress and messages on standard error, results on standard output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from tsds.report.facts import Facts
from tsds.stages import Listener

if TYPE_CHECKING:
    from tsds.compare.comparison import Comparison


class Bars:
    """Progress bars: one for the stage at hand, a tick for each that is done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._open: list[TaskID] = []
        self._known: dict[str, TaskID] = {}

    def start(self, name: str, total: int | None) -> None:
        """A stage begins, or is gone through again."""
        if name in self._known:
            self._progress.reset(self._known[name], total=total)
        else:
            self._known[name] = self._progress.add_task(name, total=total)
        self._open.append(self._known[name])

    def advance(self, rows: int) -> None:
        """Rows of the innermost stage."""
        task = self._progress.tasks[self._progress.task_ids.index(self._open[-1])]
        if task.total is not None and task.completed + rows > task.total:
            self._progress.reset(task.id, total=task.total)  # another pass over the pool
        self._progress.advance(task.id, rows)

    def end(self) -> None:
        """The innermost stage is over."""
        task = self._progress.tasks[self._progress.task_ids.index(self._open.pop())]
        self._progress.update(task.id, total=task.total or 1, completed=task.total or 1)


class Screen:
    """Where a command's results go.

    Args:
      json: one JSON object on standard output instead of text for people.
      quiet: neither progress nor summary.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self._json, self._quiet = json, quiet
        self._out, self._err = Console(), Console(stderr=True)

    @contextmanager
    def progress(self) -> Iterator[Listener | None]:
        """Bars on standard error while a run goes on, if a person can see them."""
        if self._quiet or not self._err.is_terminal:
            yield None
            return
        columns = (
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        )
        with Progress(*columns, console=self._err, transient=True) as progress:
            yield Bars(progress)

    def selected(self, facts: Facts, out: Path, files: Sequence[str]) -> None:
        """The summary of a selection and where it lies."""
        if self._json:
            self._write({**facts, "out": str(out), "files": list(files)})
        elif not self._quiet:
            from tsds.report.summary import print_summary

            print_summary(self._out, facts)
            self._out.print(Text.assemble(("Written to ", "bold"), f"{out}/: ", ", ".join(files)))

    def path(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The regularization path as a table."""
        if self._json:
            self._write({"path": list(rows)})
            return
        table = Table(box=None, header_style="bold", pad_edge=False)
        heads = ("s", "lambda", "alpha", "cost", "candidates", "effective", "max p", "what it would select")
        for head in heads:
            table.add_column(head, justify="left" if head == heads[-1] else "right", overflow="fold")
        for row in rows:
            shares = ", ".join(f"{name} {share:.0%}" for name, share in row["sources"][:3])
            style = "bold green" if row["here"] else None
            numbers = (row["neighbors"], row["penalty"], row["alpha"], row["transport_cost"])
            cells = [f"{x:.3g}" for x in numbers]
            cells += [f"{row['support']:,}", f"{row['effective_size']:,.0f}", f"{row['largest']:.2g}"]
            table.add_row(*cells, Text(shares), style=style)
        self._out.print(table)

    def compared(self, found: Comparison, out: Path) -> None:
        """Methods side by side, the best first."""
        if self._json:
            self._write({**found.to_json(), "out": str(out)})
        elif not self._quiet:
            from tsds.report.comparison import print_comparison

            print_comparison(self._out, found)
            self._out.print(Text.assemble(("Written to ", "bold"), f"{out}/: compare.json, compare.parquet"))

    def listing(self, lines: Mapping[str, str]) -> None:
        """Names with a line each."""
        if self._json:
            self._write(dict(lines))
            return
        width = max(map(len, lines))
        for name, line in lines.items():
            self._out.print(Text.assemble((name.ljust(width), "bold"), "  ", line))

    def embedded(self, written: Mapping[str, Any], out: Path) -> None:
        """What an embedding run wrote."""
        if self._json:
            self._write(dict(written))
        elif not self._quiet:
            for name, shape in written["files"].items():
                self._out.print(Text(f"{out / name}: {shape[0]:,} x {shape[1]}"))

    def forecast(self, plan: Mapping[str, Any]) -> None:
        """What a run would need."""
        if self._json:
            self._write(dict(plan))
            return
        for line in plan["lines"]:
            self._out.print(Text(line))

    def _write(self, value: Any) -> None:
        self._out.file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
