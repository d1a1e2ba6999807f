"""The tables of an evaluation in Markdown, to be put into a report or an issue as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tsds.evaluate.statistics import Paired
from tsds.evaluate.tables import FACTS, Outcome, Table

#: Facts with a column, and digits after the point.
_FACTS = {
    "passes": 1, "trained_tokens": 0, "text_tokens": 1, "reply_tokens": 1, "test_reply_tokens": 1, "leaks": 1,
    "select_seconds": 1, "train_seconds": 1,
}  # fmt: skip
_HEAD = (
    "In brackets 95 % intervals over the seeds: of scores by Student's t; of differences, paired by seed, as far as "
    "the bootstrap or Student's t reaches, in bold where that leaves out zero.\n"
)


def markdown(found: Outcome) -> str:
    """A table for each target, size, condition and equality, and over all of them one for each of two measures."""
    parts = [_HEAD, *(_table(found, table) for table in found.tables)]
    for measure in list(found.measures)[:2] if len(found.tables) > 1 else ():
        records = found.records(measure)
        if records:
            parts.append(_over_all(found, measure, records))
    return "\n".join(parts)


def _table(found: Outcome, table: Table) -> str:
    references = [name for name in found.references if name in table.values]
    others = [name for name in found.measures if name != found.primary and table.has(name)]
    facts = [name for name in _FACTS if table.has(name)]
    heads = ["method", found.measures[found.primary].head, *(f"to {name}" for name in references)]
    heads += [found.measures[name].head for name in others] + [FACTS[name].head for name in facts]
    seeds = max((len(table.of(method, found.primary)) for method in found.methods), default=0)
    rows = []
    for method in found.methods:
        reached = table.interval(method, found.primary)
        if reached is None:
            if method in table.values:  # it is no number: the training diverged
                rows.append([method, "not measured", *[""] * (len(heads) - 2)])
            continue
        few = f" ({reached.count} of {seeds} seeds)" if reached.count < seeds else ""
        between = f" [{reached.low:.4f}, {reached.high:.4f}]" if reached.count > 1 else ""
        cells = [method, f"{reached.mean:.4f}{between}{few}"]
        for name in references:
            pair = found.paired(table, method, name) if name != method else None
            cells.append("" if pair is None else _gap(pair, lower=found.lower))
        for name, digits in (*((name, 3) for name in others), *((name, _FACTS[name]) for name in facts)):
            one = table.interval(method, name)
            cells.append("" if one is None else f"{one.mean:,.{digits}f}")
        rows.append(cells)
    return f"### {table.title}, {seeds} {'seed' if seeds == 1 else 'seeds'}\n\n{_lines(heads, rows)}"


def _gap(pair: Paired, *, lower: bool) -> str:
    """A difference with its interval, in bold where that leaves out zero; one seed has no interval."""
    if pair.pairs < 2:
        return f"{pair.mean:+.4f}"
    text = f"{pair.mean:+.4f} [{pair.low:+.4f}, {pair.high:+.4f}]"
    return text if pair.verdict(lower=lower) == "tie" else f"**{text}**"


def _over_all(found: Outcome, measure: str, records: Iterable[dict[str, Any]]) -> str:
    rows = [
        [f"{one['method']}", f"{one['against']}", f"{one['condition']}, equal {one['equal']}",
         f"{one['mean']:+.4f}" + (f" [{one['low']:+.4f}, {one['high']:+.4f}]" if one["seeds"] > 1 else ""),
         f"{one['wins']} / {one['ties']} / {one['losses']}"]
        for one in records
    ]  # fmt: skip
    head = f"{found.measures[measure].head}, difference [95 %, the wider of bootstrap and t]"
    table = _lines(["method", "against", "where", head, "wins / ties / losses"], rows)
    return f"### Over all: {found.measures[measure].head}\n\n{table}"


def _lines(heads: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows)]
    return "\n".join(lines) + "\n"
