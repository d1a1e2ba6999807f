"""Why a record was chosen, or why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tsds.distances import from_squares, pair_squares, unit_rows
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.given import as_given
from tsds.leakage import digests, guard_of_excluded
from tsds.records import Pool
from tsds.report.plain import plain
from tsds.report.shown import Shown
from tsds.selection import Selection

#: Characters of a target's text; copies that are compared at once.
SHORT, _AT_ONCE = 160, 4096


@dataclass(frozen=True)
class Why:
    """What became of one record of the pool, and why; `str` has it in words.

    Attributes:
      row: position in the pool; None where only an id is known.
      id: of the record, its row where it has none; None where only a row is known.
      count: how often it was chosen.
      probability: of the plan; 0 without mass.
      reason: in words.
      density: near-duplicates, itself included; None without mass, and where the method weighs nothing.
      target: the one that gives it most mass; without mass the nearest, as far as that is known: a number over all
        tasks, from 0.
      target_id: of that target, its row where it has none.
      target_text: its beginning; None for vectors.
      distance: to it.
      rank: among its nearest, 0 the nearest; None without mass, and where the method keeps no lists.
      reach: how far away the candidates are that this target uses; of a record without mass alone.
      copy_of: the row of an equal record that stands for it.
    """

    row: int | None
    id: str | int | None
    count: int
    probability: float
    reason: str
    density: float | None = None
    target: int | None = None
    target_id: str | int | None = None
    target_text: str | None = None
    distance: float | None = None
    rank: int | None = None
    reach: float | None = None
    copy_of: int | None = None

    def __str__(self) -> str:
        name = [] if self.row is None else [f"row {self.row}"]
        name += [] if self.id in (None, self.row) else [f"id {self.id}"]
        lines = [f"{', '.join(name)}: {self.reason}"]
        if self.probability:
            density = "" if self.density is None else f", density {self.density:.3g}"
            lines.append(f"probability {self.probability:.3g}{density}")
        if self.target is not None and self.distance is not None:
            which = f"target {self.target}" + (
                "" if self.target_id in (None, self.target) else f" (id {self.target_id})"
            )
            place = "" if self.rank is None else f", of rank {self.rank} among its nearest (from 0)"
            text = f": {self.target_text}" if self.target_text else ""
            does = "serves" if self.probability else "nearest to"
            lines.append(f"{does} {which} at {self.distance:.4g}{place}{text}")
        return "\n  ".join(plain(line, 2 * SHORT) for line in lines)


def why(selection: Selection, name: int | str) -> Why:
    """Why a record of the pool was chosen or not; `Selection.why` documents it."""
    row = _row_named(selection, name)
    census = selection.inputs.candidates.census
    j = int(np.searchsorted(census.rows, row))
    if j < len(census) and census.rows[j] == row:
        return _candidate(selection, j)
    return _no_candidate(selection, row)


def _row_named(selection: Selection, name: int | str) -> int:
    found = selection.inputs.candidates
    if isinstance(name, str):
        row = None if found.records is None else _row_of_id(found.records, name)
        if row is not None:
            return row
        raise InputError(f"no record of the pool with a text has the id {name!r}", remedy="give its row, a number")
    if isinstance(name, bool) or not isinstance(name, (int, np.integer)):
        raise InputError(f"a record is asked for by {name!r}", remedy="give its row, a number, or its id, a str")
    if not 0 <= name < found.census.read:
        remedy = f"rows are 0 to {found.census.read - 1}"
        raise InputError(f"row {name} is none of the {found.census.read:,} records of the pool", remedy=remedy)
    return int(name)


def _row_of_id(records: Pool, name: str) -> int | None:
    """The row of the first usable record of that id; an id that is a number is given in digits."""
    for batch in records.batches():
        for row, one in zip(batch.rows.tolist(), batch.ids, strict=True):
            if str(one) == name:
                return int(row)
    return None


def _candidate(selection: Selection, j: int) -> Why:
    """Of a record that took part, by its place among those."""
    answer, drawn = selection.answer, selection.drawn
    at = int(np.searchsorted(answer.rows, j))
    if at == len(answer.rows) or answer.rows[at] != j:
        return _without_mass(selection, j)
    count, i = int(drawn.counts[at]), int(answer.target[at])
    reason = reason_of(count, drawn.sampling, float(drawn.inclusion[at]))
    leader = at if answer.leader is None else int(answer.leader[at])
    if not count and leader != at and drawn.counts[leader]:
        reason = f"not chosen: row {selection.rows[leader]}, a near-duplicate of it, was"
    shown = Shown(selection, np.array([j]), np.array([i]))
    density = float(answer.density[at])
    return Why(
        **_named(shown),
        count=count,
        probability=float(answer.probability[at]),
        reason=reason,
        density=density if np.isfinite(density) else None,
        **_of_target(selection, shown, i),
        distance=float(answer.distance[at]),
        rank=rank_of(answer.rank[at]),
    )


def reason_of(count: int, sampling: str, inclusion: float | None) -> str:
    """Of a record with mass."""
    if count:
        return "chosen" if count == 1 else f"chosen {count} times"
    if sampling == "shares":
        return "not chosen: the plan's mass was gathered on others that serve the same targets"
    if sampling == "top":
        return "not chosen: others have more mass, or are nearer"
    chance = "" if inclusion is None or np.isnan(inclusion) else f"; on average it would be {inclusion:.2g} times"
    return f"not chosen: it has mass, and was not drawn{chance}"


def _without_mass(selection: Selection, j: int) -> Why:
    answer = selection.answer
    near = _nearest(selection, j)
    if near is None:
        reason = _no_mass(selection)
        shown = Shown(selection, np.array([j]), np.empty(0, np.int64))
        return Why(**_named(shown), count=0, probability=0.0, reason=reason)
    i, distance = near
    reach = float(answer.reach[i])
    if answer.edges is None:
        reason = _no_mass(selection)
    elif distance >= reach:
        reason = f"no mass: target {i} uses candidates up to {reach:.4g} away, and this is at {distance:.4g}"
    elif selection.neighbors != "exact":
        reason = f"no mass: as near as candidates that have it, but neighbours are {selection.neighbors}"
    else:
        reason = f"no mass: target {i} uses others, up to {reach:.4g} away, in full, and this is at {distance:.4g}"
    shown = Shown(selection, np.array([j]), np.array([i]))
    return Why(
        **_named(shown),
        count=0,
        probability=0.0,
        reason=reason,
        **_of_target(selection, shown, i),
        distance=distance,
        reach=reach,
    )


def _no_mass(selection: Selection) -> str:
    """Of a candidate whose distances are not known, or do not matter."""
    answer = selection.answer
    if answer.edges is None:
        return f"no mass: method {selection.settings.method} took others"
    if selection.neighbors != "exact":
        return f"no mass: among the neighbours of no target; they are {selection.neighbors}"
    ends = answer.reach[selection.inputs.targets.mu > 0]
    upto = f"{ends.min():.4g}" if ends.min() == ends.max() else f"{ends.min():.4g} to {ends.max():.4g}"
    return f"no mass: farther from every target than the candidates that it uses, which end at {upto}"


def _nearest(selection: Selection, j: int) -> tuple[int, float] | None:
    """The target with mass that a candidate is nearest to, and the distance.

    Vectors that were made for the run alone are gone: then it is the nearest of those that list it, None if none does.
    """
    vectors, metric, targets = selection.inputs.candidates.vectors, selection.settings.metric, selection.inputs.targets
    if all(path is None or path.exists() for path, _, _ in vectors.files()):
        some = np.flatnonzero(targets.mu > 0)
        own = unit_rows(vectors.take(np.array([j])), metric, exact=True)
        wanted = unit_rows(targets.vectors[some], metric, exact=True)
        distances = from_squares(pair_squares(wanted, np.arange(len(some)), own, np.zeros(len(some), int)), metric)
        at = int(distances.argmin())
        return int(some[at]), float(distances[at])
    path = selection.answer.path
    if path is None:
        return None
    i, k = np.nonzero((path.indices == j) & np.isfinite(path.distances) & (targets.mu > 0)[:, None])
    if not len(i):
        return None
    at = int(path.distances[i, k].argmin())
    return int(i[at]), float(path.distances[i[at], k[at]])


def _no_candidate(selection: Selection, row: int) -> Why:
    """Of a record that took no part: without text, excluded, or a copy."""
    records, settings = selection.inputs.candidates.records, selection.settings
    if records is None:
        return _copy(selection, row, row, _equal_vector(selection, row))
    try:
        (record,) = records.candidates_at([row])
    except InputError as error:
        return Why(row, None, 0, 0.0, f"left out: {error.problem}")
    name = row if record.id is None else record.id
    if settings.on_error == "skip" and record.id is not None:
        first = _row_of_id(records, str(record.id))
        if first is not None and first != row:
            return Why(row, name, 0, 0.0, f"left out: row {first} has the same id")
    if settings.exclude is not None:
        guard, _ = guard_of_excluded(settings)
        if guard.leaks([record.text], digests([record.text]))[0]:
            return Why(
                row,
                name,
                0,
                0.0,
                "dropped by --exclude: it equals one of those texts, shares 13 words, or asks the same",
            )
    return _copy(selection, row, name, _equal_text(selection, row, record.text))


def _copy(selection: Selection, row: int, name: str | int, first: int | None) -> Why:
    """Of a record for which another stands; None: one whose vector is equal, and which one is not known."""
    if first is None:
        return Why(row, name, 0, 0.0, "an earlier record, whose vector is equal, stands for it")
    reason = f"an exact copy of row {first}, which stands for it ({why(selection, first).reason})"
    return Why(row, name, 0, 0.0, reason, copy_of=first)


def _copied(selection: Selection, row: int) -> Any:
    """Rows before this one that stand for others too, ascending."""
    census = selection.inputs.candidates.census
    return census.rows[(census.copies > 1) & (census.rows < row)]


def _equal_text(selection: Selection, row: int, text: str) -> int | None:
    rows, records = _copied(selection, row), selection.inputs.candidates.records
    assert records is not None
    done = 0
    for some in records.candidates(rows):
        for one in some:
            if one.text == text:
                return int(rows[done])
            done += 1
    given = selection.settings.embeddings
    return None if given is None else _equal_vector(selection, row)


def _equal_vector(selection: Selection, row: int) -> int | None:
    """By the vectors as they were given, before any transform."""
    given, rows = selection.inputs.candidates.given, _copied(selection, row)
    whole = Vectors.of(as_given(selection.settings.embeddings)) if given is None else given
    own = whole.take(np.array([row]))
    for start in range(0, len(rows), _AT_ONCE):
        same = (whole.take(rows[start : start + _AT_ONCE]) == own).all(axis=1)
        if same.any():
            return int(rows[start + int(same.argmax())])
    return None


def _named(shown: Shown) -> dict[str, Any]:
    (record,) = shown.records()
    return {"row": record["row"], "id": record["id"]}


def _of_target(selection: Selection, shown: Shown, i: int) -> dict[str, Any]:
    shown.limit([], [i], SHORT, SHORT)
    vectors = selection.inputs.candidates.records is None
    text = None if vectors else in_short(shown.texts()[shown.target_text(i)])
    return {"target": i, "target_id": shown.target_id(i), "target_text": text}


def in_short(text: Any) -> str:
    """The beginning of a text, or of a chat, in one line."""
    return plain(text if isinstance(text, str) else " ".join(said for _, said in text), SHORT)


def rank_of(rank: Any) -> int | None:
    """None where there are no lists."""
    return int(rank) if rank >= 0 else None
