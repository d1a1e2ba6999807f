"""An evaluation on the screen: its estimate before, its tables after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from tsds.evaluate.tables import Outcome, Table

#: Columns of a screen from which all measures are shown.
_ROOM = 110
_DIGITS = {"score": 4, "micro_f1": 4, "macro_f1": 4, "loss": 4, "exact_match": 3, "token_f1": 3}


def estimate_lines(plan: Mapping[str, Any]) -> list[str]:
    """What is about to be done, and how long it will take."""
    lines = [f"primary measure: {plan['primary']}"]
    left = plan["cells"] - plan["done"]
    line = f"{plan['cells']:,} cells, {plan['done']:,} done"
    if left:
        line += f"; about {plan['tokens'] + plan['beside'] + plan['base']:,} tokens to train or to read as much"
    lines.append(line)
    if left and plan.get("speed"):
        lines.append(
            f"about {_time(plan['seconds'])} at {plan['speed']:,.0f} tokens/s on this machine, selecting not counted"
        )
    return lines + [f"note: {note}" for note in plan.get("notes", ())]


def print_outcome(console: Console, found: Outcome) -> None:
    """A table for each target, size, condition and equality; then the record against the references."""
    for table in found.tables:
        _print_table(console, found, table)
    costs = found.costs()
    if costs:
        line = (
            f"a selection took {costs['select_seconds']:.1f} s, training on it {costs['train_seconds']:.1f} s; "
            f"encoding the pool {costs['encode_seconds']:.1f} s, once for all methods, sizes and seeds of a target"
        )
        console.print(Text(line, style="dim"))
    once = [table for table in found.tables if table.equal == found.tables[0].equal]  # the others hold the same texts
    leaks = sum(sum(by.get("leaks", {}).values()) for table in once for by in table.values.values())
    if leaks:
        line = f"{leaks:,.0f} selected texts share thirteen words in a row with a test text, or equal one"
        console.print(Text(line, style="yellow"))
    records = [row for row in found.records() if row["method"] not in found.references]
    if not records:
        return
    console.print(Text("Over all targets and sizes", style="bold"))
    shown = _grid("method", "against", "equal", "difference", "95 % interval", "wins / ties / losses")
    for row in records:
        where = row["equal"] if row["condition"] == "plain" else f"{row['equal']}, {row['condition']}"
        interval = f"{row['low']:+.4f} to {row['high']:+.4f}" if row["seeds"] > 1 else ""
        shown.add_row(
            row["method"], row["against"], where, f"{row['mean']:+.4f}", interval,
            f"{row['wins']} / {row['ties']} / {row['losses']}",
        )  # fmt: skip
    console.print(shown)
    note = "interval: the wider of paired bootstrap and Student's t over the seeds; a win or loss: it leaves out zero"
    console.print(Text(note, style="dim"))


def _print_table(console: Console, found: Outcome, table: Table) -> None:
    measure = found.measures[found.primary]
    better = "less" if found.lower else "more"
    console.print(Text(f"{table.title}: {measure.line}; {better} is better", style="bold"))
    references = [name for name in found.references if table.of(name, found.primary)]
    wide = console.width >= _ROOM
    others = [name for name in found.measures if name != found.primary] if wide else []
    heads = [*(found.measures[name].head for name in others), *(["tokens", "passes"] if wide else [])]
    shown = _grid("method", measure.head, "±", *(f"to {name}" for name in references), *heads)
    digits = _DIGITS.get(found.primary, 4)
    for method in found.methods:
        one = table.interval(method, found.primary)
        if one is None:
            if method in table.values:  # it is no number: the training diverged
                shown.add_row(method, "not measured")
            continue
        against = []
        for reference in references:
            gap = found.paired(table, method, reference) if method != reference else None
            against.append("" if gap is None else f"{gap.mean:+.{digits}f} ({gap.ahead}/{gap.pairs})")
        rest = [
            "" if (other := table.interval(method, name)) is None else f"{other.mean:.{_DIGITS.get(name, 3)}f}"
            for name in others
        ]
        tokens, passes = table.interval(method, "tokens"), table.interval(method, "passes")
        facts = (
            []
            if not wide
            else [f"{tokens.mean:,.0f}" if tokens else "", f"{passes.mean:.1f}" if passes and passes.mean else ""]
        )
        shown.add_row(
            method, f"{one.mean:.{digits}f}", f"{(one.high - one.low) / 2:.{digits}f}" if one.count > 1 else "",
            *against, *rest, *facts,
        )  # fmt: skip
    console.print(shown)
    note = "±: half of the 95 % interval over the seeds; (k/n): better on k of n seeds"
    console.print(Text(note, style="dim"))


def _grid(*heads: str) -> Grid:
    table = Grid(box=None, header_style="bold", pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left", no_wrap=not i, overflow="fold")
    return table


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
