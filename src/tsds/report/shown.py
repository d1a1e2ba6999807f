"""The records and targets that the page shows: each read once, its text kept once, all cut to fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tsds.arrays import Rows
from tsds.records import Pool
from tsds.records.text import parts_of
from tsds.report.page_facts import RecordFact, Turn
from tsds.selection import Selection

#: Characters of ids, names of sources and values, and of roles; characters of a text that are held at all.
NAME, HELD = 80, 4000
Text = str | list[Turn]


class Shown:
    """Candidates and targets by number, and what is shown of them.

    Args:
      candidates: positions among the distinct candidates, any order, repeats allowed.
      targets: positions among the targets.
    """

    def __init__(self, selection: Selection, candidates: Rows, targets: Rows) -> None:
        self._census = selection.inputs.candidates.census
        self._names = self._census.group_names
        self.candidates, self.targets = np.unique(candidates), np.unique(targets)
        rows = self._census.rows[self.candidates]
        self._texts: list[Text] = []
        self._limits: list[int] = []
        self._ids: list[str | int] = []
        self.raw: list[dict[str, str]] = []  # the candidates' fields that may be categories
        self.target_raw: list[dict[str, str]] = [{}] * len(self.targets)
        self.target_tokens = np.zeros(len(self.targets), np.int64)
        self._target_ids: list[str | int] = [0] * len(self.targets)
        self._read_pool(selection, rows)
        self._read_targets(selection)

    def _read_pool(self, selection: Selection, rows: Rows) -> None:
        records = selection.inputs.candidates.records
        self._has_texts = records is not None
        spec = selection.settings.text
        if records is None:
            self._texts += [f"vector {row}" for row in rows]
            self._ids += rows.tolist()
            self.raw = [{}] * len(rows)
        else:
            for row, (record, found) in zip(rows.tolist(), records.read_at(rows), strict=True):
                parts = parts_of(record, spec)
                self._texts.append(_held(found.text, parts))
                self._ids.append(row if found.id is None else found.id)
                self.raw.append(_categories(record))

    def _read_targets(self, selection: Selection) -> None:
        targets, spec = selection.inputs.targets, selection.settings.target_text
        texts: list[Text] = [""] * len(self.targets)
        self.target_rows = np.zeros(len(self.targets), np.int64)
        for places, records, own in targets.by_task(self.targets):
            self.target_rows[places] = own
            for place, row, (record, found) in zip(places.tolist(), own.tolist(), _read(records, own), strict=True):
                parts = None if records is None else parts_of(record, spec)
                texts[place] = _held(found[0], parts)
                self._target_ids[place] = row if found[1] is None else found[1]
                self.target_tokens[place] = found[2]
                self.target_raw[place] = _categories(record)
        self._texts += texts

    def limit(self, candidates: Iterable[int], targets: Iterable[int], long: int, short: int) -> None:
        """Cut the texts of these to `long` characters, all others to `short`."""
        self._limits = [short] * len(self._texts)
        for i in candidates:
            self._limits[self.record(i)] = long
        for i in targets:
            self._limits[self.target_text(i)] = long

    def texts(self, share: float = 1.0) -> list[Text]:
        """All texts, cut to this share of their limits: those of the candidates, then those of the targets."""
        return [cut(t, max(20, int(share * most))) for t, most in zip(self._texts, self._limits, strict=True)]

    def record(self, candidate: int) -> int:
        """Where a candidate is in `records`, and its text in `texts`."""
        return int(np.searchsorted(self.candidates, candidate))

    def target_text(self, target: int) -> int:
        """Where a target's text is in `texts`."""
        return len(self.candidates) + int(np.searchsorted(self.targets, target))

    def target_id(self, target: int) -> str | int:
        """A target's id, its row where it has none."""
        return name(self._target_ids[int(np.searchsorted(self.targets, target))])

    def target_row(self, target: int) -> int:
        """A target's position in its task's records."""
        return int(self.target_rows[int(np.searchsorted(self.targets, target))])

    def records(self) -> list[RecordFact]:
        """What is known of each candidate."""
        census = self._census
        group = census.group[self.candidates].tolist()
        columns = (census.rows, census.tokens, census.copies)
        rows, tokens, copies = (column[self.candidates].tolist() for column in columns)
        return [
            RecordFact(
                row=rows[i],
                id=name(self._ids[i]),
                group=str(name(self._names[group[i]])) if group[i] >= 0 else None,
                text=i,
                tokens=tokens[i] if self._has_texts else None,
                copies=copies[i],
            )
            for i in range(len(self.candidates))
        ]


def name(value: str | int) -> str | int:
    """An id or the like, its middle left out where it is long; a whole number that a script would round as text."""
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    return value if len(value) <= NAME else f"{value[: NAME // 2 - 1]}…{value[-NAME // 2 :]}"


def cut(text: Text, most: int) -> Text:
    """The text in at most so many characters, the names of roles aside."""
    if isinstance(text, str):
        return text if len(text) <= most else text[:most].rstrip() + " …"
    turns: list[Turn] = []
    for role, content in text:
        if most <= 0:
            turns.append(["", "…"])
            break
        turns.append([str(name(role)), str(cut(content, most))])
        most -= len(content)
    return turns


def _held(text: str, parts: list[tuple[str, str]] | None) -> Text:
    """The beginning of a text, so that thousands of records of a megabyte each do not fill the memory."""
    return cut(text if parts is None else [list(part) for part in parts], HELD)


def _categories(record: Any) -> dict[str, str]:
    """The fields of a record that hold a short text, a truth value or a small whole number, as text."""
    found: dict[str, str] = {}
    for field, value in record.items() if isinstance(record, dict) else ():
        if isinstance(value, bool):
            found[field] = str(value).lower()
        elif isinstance(value, int) and abs(value) < 10**6:
            found[field] = str(value)
        elif isinstance(value, str) and 0 < len(value) <= NAME:
            found[field] = value
    return found


def _read(records: Pool | None, rows: Rows) -> Iterable[tuple[Any, tuple[str, str | int | None, int]]]:
    if records is None:
        return [(None, (f"target {row}", None, 1)) for row in rows.tolist()]
    return ((record, (found.text, found.id, found.tokens)) for record, found in records.read_at(rows))
