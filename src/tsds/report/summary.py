"""The summary of a selection on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tsds.report.facts import Counted, Facts
from tsds.report.plain import plain

_TASKS, _SOURCES, _EXAMPLES, _BAR = 24, 12, 10, 20


def print_summary(console: Console, facts: Facts) -> None:
    """Print what was chosen, from where, why, and what to look out for. No text of the data is read as markup."""
    _headline(console, facts)
    _settings(console, facts)
    if facts["tasks"]:
        _tasks(console, facts)
    if facts["composition"]:
        _composition(console, facts)
    if facts["examples"]:
        _examples(console, facts)
    _stages(console, facts)
    for warning in facts["warnings"]:
        console.print()
        line = Text.assemble(("! ", "bold yellow"), (plain(warning["what"], 400), "yellow"))
        if warning["remedy"]:
            line.append(f" — {plain(warning['remedy'], 300)}")
        console.print(line)
    console.print()


def _headline(console: Console, facts: Facts) -> None:
    tokens = "" if facts["tokens"] is None else f", {facts['tokens']:,} tokens"
    repeats = "" if facts["distinct"] == facts["size"] else f" ({facts['distinct']:,} different ones)"
    console.print()
    console.print(
        Text.assemble(
            (f"{facts['size']:,}", "bold green"),
            f" of {facts['pool']['used']:,} records{repeats} chosen for ",
            (f"{facts['target']['used']:,}", "bold"),
            f" {'target' if facts['target']['used'] == 1 else 'targets'}{tokens}, in {facts['seconds']:.1f} s",
        )
    )


def _settings(console: Console, facts: Facts) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("pool", Text(_counts(facts["pool"])))
    table.add_row("target", Text(_counts(facts["target"])))
    why = "" if facts["method_why"] is None else f"; {facts['method_why']}"
    table.add_row("method", Text(f"{facts['method']}: {facts['method_line']}{why}"))
    strength = facts["strength"]
    numbers = [
        f"{name} = {value:.4g}"
        for name, value in (("s", strength["neighbors"]), ("lambda", strength["penalty"]), ("alpha", strength["alpha"]))
        if value is not None
    ]
    if not facts["rule"]:
        table.add_row("diversity", Text(f"{', '.join(numbers)} ({strength['asked']}: {strength['why']})"))
    share = f"{facts['support']:,} candidates have mass, effective size {facts['effective_size']:,.0f}"
    proven = "" if facts["rule"] else "optimal: " if facts["exact"] else "not proven optimal: "
    table.add_row("plan", Text(f"{share}; {proven}{facts['certificate']}"))
    if facts["bandwidth"] is not None:
        near = facts["near_duplicates"]
        count = "" if near is None else f"; a candidate has {near:.2g} near-duplicates on average"
        table.add_row("bandwidth", Text(f"{facts['bandwidth']:.3g} ({facts['bandwidth_why']}){count}"))
    if facts["density_note"]:
        table.add_row("density", Text(facts["density_note"]))
    console.print(table)


def _counts(counted: Counted) -> str:
    files = len(counted["shards"])
    where = counted["shards"][0] if files == 1 else f"{files} files"
    parts = [f"{counted['read']:,} records read from {plain(where, 200)}"]
    names: tuple[tuple[int, str], ...] = (
        (counted["copies"], "exact copies collapsed"),
        (counted["excluded"], "excluded as leaks"),
        (counted["empty"], "without text"),
        (counted["bad"], "unusable"),
    )
    parts += [f"{count:,} {what}" for count, what in names if count]
    if fields := counted.get("text_fields"):  # not in the pages of earlier runs
        parts.append(f"text from {plain(', '.join(fields), 80)}")
    return ", ".join(parts)


def _tasks(console: Console, facts: Facts) -> None:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("task")
    for head in ("targets", "asked for", "chosen", "share"):
        table.add_column(head, justify="right", no_wrap=True)
    for task in facts["tasks"][:_TASKS]:
        share = f"{task['chosen'] / max(facts['size'], 1):.1%}"
        cells = (f"{task['targets']:,}", f"{task['weight']:.1%}", f"{task['chosen']:,}", share)
        table.add_row(Text(plain(task["name"], 28)), *cells)
    console.print()
    console.print(table)
    rest = facts["tasks"][_TASKS:]
    if rest:
        what = f"and {len(rest)} more tasks with {sum(task['chosen'] for task in rest):,} chosen"
        console.print(Text(what, style="dim"))


def _composition(console: Console, facts: Facts) -> None:
    groups = [group for group in facts["composition"] if group["chosen"]]
    none = len(facts["composition"]) - len(groups)
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("chosen from")
    for head in ("chosen", "share", "of pool", "lift"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for group in groups[:_SOURCES]:
        bar = "█" * round(_BAR * group["chosen_share"]) or ("▏" if group["chosen"] else "")
        lift = "" if group["lift"] is None else f"{group['lift']:.1f}x"
        table.add_row(
            Text(plain(group["name"], 28)),
            f"{group['chosen']:,}",
            f"{group['chosen_share']:.1%}",
            f"{group['pool_share']:.1%}",
            lift,
            Text(bar, style="green"),
        )
    console.print()
    console.print(table)
    if len(groups) > _SOURCES:
        rest = sum(group["chosen"] for group in groups[_SOURCES:])
        console.print(Text(f"and {len(groups) - _SOURCES} more sources with {rest:,} chosen", style="dim"))
    if none:
        console.print(Text(f"nothing from {none} other source{'s' if none > 1 else ''} of the pool", style="dim"))


def _examples(console: Console, facts: Facts) -> None:
    width = max(40, min(console.width, 120))
    console.print()
    console.print(Text("some of them, each with the target it serves:", style="dim"))
    for example in facts["examples"][:_EXAMPLES]:
        console.print(Text.assemble(("  + ", "green"), plain(example["text"], width - 6)), soft_wrap=False)
        where = f"  ← {example['distance']:.2f}  "
        console.print(Text.assemble((where, "cyan"), (plain(example["target_text"], width - len(where) - 2), "dim")))


def _stages(console: Console, facts: Facts) -> None:
    shown = [s for s in facts["stages"] if s["seconds"] >= 0.05]
    peak = max((s["peak_mb"] for s in facts["stages"]), default=0.0)
    times = ", ".join(f"{stage['name']} {stage['seconds']:.1f} s" for stage in shown)
    console.print()
    console.print(Text(f"time: {times or 'under 0.1 s'}; peak memory {peak / 1000:.2f} GB", style="dim"))
