"""The screen: progress and messages on standard error, results on standard output."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from tsds.report.facts import Facts
from tsds.stages import Listener

if TYPE_CHECKING:
    from tsds.comparing.comparison import Comparison
    from tsds.evaluate.tables import Outcome
    from tsds.explaining import Why


class Speed(ProgressColumn):
    """Rows a second of the stage at hand."""

    def render(self, task: Task) -> Text:
        """As "1,234/s"; nothing while it is not known."""
        return Text("" if task.finished or task.speed is None else f"{task.speed:,.0f}/s", style="progress.data.speed")


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

    def say(self, line: str) -> None:
        """A line above the bars, which stays."""
        self._progress.console.print(Text(line))


class Lines:
    """Progress where nobody watches, as in a log: what is said, and a line a minute while a stage takes long."""

    every = 60.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open: list[_Count] = []

    def start(self, name: str, total: int | None) -> None:
        """A stage begins."""
        self._open.append(_Count(name, total, time.monotonic()))

    def advance(self, rows: int) -> None:
        """Rows of the innermost stage."""
        stage = self._open[-1]
        stage.done += rows
        now = time.monotonic()
        if not stage.done or now - stage.told < self.every:  # without anything done there is no rate
            return
        stage.told = now
        rate = stage.done / (now - stage.began)
        of = "" if stage.total is None else f" of {stage.total:,}"
        left = "" if stage.total is None else f", {max(stage.total - stage.done, 0) / rate / 60:.0f} min left"
        self.say(f"{stage.name}: {stage.done:,}{of}, {rate:,.0f} a second{left}")

    def end(self) -> None:
        """The innermost stage is over."""
        self._open.pop()

    def say(self, line: str) -> None:
        """A line on standard error."""
        self._console.print(Text(line), soft_wrap=True)


@dataclass
class _Count:
    name: str
    total: int | None
    began: float
    done: int = 0
    told: float = 0.0

    def __post_init__(self) -> None:
        self.told = self.began


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
        """Bars on standard error while a run goes on, or lines where it is no terminal."""
        if self._quiet:
            yield None
            return
        if not self._err.is_terminal:
            yield Lines(self._err)
            return
        columns = (
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Speed(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        )
        with Progress(*columns, console=self._err, transient=True) as progress:
            yield Bars(progress)

    def selected(self, facts: Facts, out: Path | str, files: Sequence[str]) -> None:
        """The summary of a selection and where it lies."""
        if self._json:
            self._write({**facts, "out": str(out), "files": list(files)})
        elif not self._quiet:
            from tsds.report.summary import print_summary

            print_summary(self._out, facts)
            self._out.print(Text.assemble(("Written to ", "bold"), f"{out}/: ", ", ".join(files)))

    def path(self, rows: Sequence[Mapping[str, Any]], note: str | None = None) -> None:
        """The regularization path as a table, and what to know about it."""
        if note and not self._quiet:
            self._err.print(Text(note), soft_wrap=True)
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

    def explained(self, records: Sequence[Why]) -> None:
        """Why each of these records was chosen or not."""
        if self._json:
            self._write({"records": [asdict(one) for one in records]})
            return
        for one in records:
            self._out.print(Text(str(one)), soft_wrap=True)

    def compared(self, found: Comparison, out: Path) -> None:
        """Methods side by side, the best first."""
        if self._json:
            self._write({**found.to_json(), "out": str(out)})
        elif not self._quiet:
            from tsds.report.comparison import print_comparison

            print_comparison(self._out, found)
            self._out.print(Text.assemble(("Written to ", "bold"), f"{out}/: compare.json, compare.parquet"))

    def planned(self, plan: Mapping[str, Any], *, alone: bool) -> None:
        """What an evaluation is about to do: on standard error before it starts, or as the result of a dry run."""
        if alone and self._json:
            self._write(dict(plan))
        elif alone or not self._quiet:
            from tsds.report.evaluation import estimate_lines

            for line in estimate_lines(plan):
                (self._out if alone else self._err).print(Text(line))

    def evaluated(self, found: Outcome, out: Path) -> None:
        """The tables of an evaluation."""
        if self._json:
            self._write({**found.to_json(), "out": str(out)})
        elif not self._quiet:
            from tsds.report.evaluation import print_outcome

            print_outcome(self._out, found)
            written = "evaluate.json, evaluate.md, evaluate.parquet, evaluate.svg, cells/"
            self._out.print(Text.assemble(("Written to ", "bold"), f"{out}/: {written}"))

    def listing(self, lines: Mapping[str, str]) -> None:
        """Names with a line each; on a terminal a long one goes on in its own column."""
        if self._json:
            self._write(dict(lines))
            return
        if not self._out.is_terminal:
            width = max(map(len, lines))
            for name, line in lines.items():
                self._out.print(Text(f"{name.ljust(width)}  {line}"), soft_wrap=True)
            return
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        for name, line in lines.items():
            table.add_row(Text(name), Text(line))
        self._out.print(table)

    def embedded(self, written: Mapping[str, Any]) -> None:
        """What an embedding run did."""
        if self._json:
            self._write(dict(written))
        elif not self._quiet:
            for name, count in written["sources"].items():
                done = f"{count['made']:,} encoded, {count['found']:,} were there"
                self._out.print(Text(f"{name}: {count['texts']:,} texts x {count['dimensions']} ({done})"))
            for line, remedy in written["notes"]:
                self._out.print(Text(line + (f" ({remedy})" if remedy else ""), style="yellow"))
            self._out.print(Text.assemble(("Stored in ", "bold"), f"{written['store']}/"))

    def spaces(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The encoders of a store."""
        if self._json:
            self._write({"spaces": list(rows)})
            return
        table = Table(box=None, header_style="bold", pad_edge=False)
        for head in ("encoder", "rows", "dims", "precision", "shards", "MB", "days unused"):
            table.add_column(head, justify="left" if head in ("encoder", "precision") else "right", overflow="fold")
        for row in rows:
            numbers = (f"{row['rows']:,}", str(row["dimensions"]), row["precision"], f"{row['shards']:,}")
            table.add_row(Text(row["encoder"]), *numbers, f"{row['bytes'] / 1e6:,.1f}", f"{row['days_unused']:.1f}")
        self._out.print(table)

    def indexes(self, found: Sequence[Mapping[str, Any]]) -> None:
        """The indexes of a store, one for each encoder."""
        if self._json:
            self._write({"indexes": list(found)})
            return
        for facts in found:
            self.facts(facts)

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Names and values, a line each."""
        if self._json:
            self._write(dict(facts))
            return
        for name, value in facts.items():
            shown = ", ".join(value) or "none" if isinstance(value, list) else value
            self._out.print(Text(f"{name}: {shown:,}" if isinstance(shown, int) else f"{name}: {shown}"))

    def forecast(self, plan: Mapping[str, Any]) -> None:
        """What a run would need."""
        if self._json:
            self._write(dict(plan))
            return
        for line in plan["lines"]:
            self._out.print(Text(line))

    def _write(self, value: Any) -> None:
        self._out.file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
