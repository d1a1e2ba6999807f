"""Everything that the page shows beyond the screen: which records, and the numbers beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsds.arrays import Array, Rows
from tsds.report.data import SHOWN, spread_over_targets
from tsds.report.island import island
from tsds.report.page_facts import ChosenFact, Explorer, HeldOut, NearFact, PoolMap, Stop, TargetPlaces, TargetRow
from tsds.report.path_table import walk
from tsds.report.shift import (
    clusters,
    field_shifts,
    largest_clusters,
    lengths,
    nearest_histogram,
    source_shift,
)
from tsds.report.shown import Shown, name
from tsds.selection import Selection

#: Chosen records and targets that are listed, near-duplicates of each, sampled records whose text can be read.
CHOSEN, TARGETS, NEAR, READABLE = 800, 300, 5, 1000
#: Stops of the slider, candidates and sources of each; chosen records whose fields are counted.
STOPS, TOP, SOURCES, COUNTED = 40, 12, 12, 2000
#: Characters of a text: of what is listed, and of what is only pointed at.
LONG, SHORT = 1200, 240
#: What all of it may take in the page, escapes included; texts are cut until it fits.
BYTES = 2_600_000
_CUTS = (1.0, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02)


def explorer(selection: Selection) -> Explorer:
    """What the page shows of a selection, in at most BYTES."""
    answer, around = selection.answer, selection.surroundings
    chosen = _listed(selection)
    counted = _evenly(np.flatnonzero(selection.drawn.counts > 0), COUNTED)
    steps = walk(selection, STOPS) if answer.path is not None else ()
    walked = [(row, *_top(rows, p)) for row, rows, p in steps]  # each cut at once: a stop lists all that has mass
    known = _largest_sources([row for row, _, _ in walked])
    tops = [top for _, top, _ in walked]
    worst = np.lexsort((np.arange(len(answer.nearest)), -answer.nearest))[:TARGETS]
    served = answer.target[chosen]
    listed = np.concatenate([worst, np.setdiff1d(served, worst)])
    nearest = answer.path.indices[listed, 0] if answer.path is not None else np.full(len(listed), -1)
    folded = _folded(selection, chosen)
    seeds = around.seeds[largest_clusters(selection)[0]]
    readable = np.sort(np.random.default_rng([selection.settings.seed, 8]).permutation(len(around.pool))[:READABLE])
    near = [row for rows, _ in folded if rows is not None for row, _ in rows]
    parts = [answer.rows[chosen], *tops, nearest[nearest >= 0], np.array(near, np.int64), seeds, around.pool[readable]]
    visible = np.unique(np.concatenate(parts))
    only_counted = np.concatenate([answer.rows[counted], around.pool])
    shown = Shown(selection, np.concatenate([visible, only_counted]), np.concatenate([listed, around.targets]))
    place = {int(t): i for i, t in enumerate(listed)}
    shift = source_shift(selection, shown)
    if selection.inputs.candidates.records is not None:
        shift += field_shifts(selection, shown, around.pool, answer.rows[counted])
    long = np.concatenate([answer.rows[chosen], *tops, seeds])
    whole = Explorer(
        text_limit=LONG,
        texts=[],
        records=[],
        chosen=[_chosen(selection, shown, int(j), place, folded[at]) for at, j in enumerate(chosen)],
        chosen_total=int((selection.drawn.counts > 0).sum()),
        targets=_targets(selection, shown, listed, nearest),
        targets_worst=len(worst),
        nearest=nearest_histogram(selection),
        stops=[_stop(row, shown, top, probability, known) for row, top, probability in walked],
        map=_map(selection, shown, readable),
        map_targets=_other_targets(selection, listed),
        shift=shift,
        lengths=lengths(selection, shown),
        clusters=clusters(selection, shown),
        clusters_complete=around.complete,
        held_out=_held_out(selection),
        comparison=None,
    )
    return _fitted(whole, shown, visible, long, listed)


def _fitted(whole: Explorer, shown: Shown, visible: Rows, long: Rows, listed: Rows) -> Explorer:
    """With the records and texts that are visible, cut until all fits in the page."""
    everything = shown.records()
    keep = np.searchsorted(shown.candidates, visible)
    target_texts = np.array([shown.target_text(int(t)) for t in listed], np.int64)
    at = np.full(len(shown.candidates) + len(shown.targets), -1)
    at[keep] = np.arange(len(keep))
    at[target_texts] = len(keep) + np.arange(len(target_texts))
    shown.limit(np.unique(long).tolist(), listed.tolist(), LONG, SHORT)
    moved = _renumbered(whole, at)
    moved["records"] = [{**everything[i], "text": int(at[i])} for i in keep]  # type: ignore[typeddict-item]
    for share in _CUTS:
        texts = shown.texts(share)
        moved["texts"] = [texts[i] for i in np.concatenate([keep, target_texts])]
        moved["text_limit"] = int(share * LONG)
        if len(island(moved).encode()) <= BYTES:
            break
    return moved


def _renumbered(whole: Explorer, at: Any) -> Explorer:
    """The same with the places of records and texts in the lists as they are written."""
    for c in whole["chosen"]:
        c["record"] = int(at[c["record"]])
        for one in c["near"] or []:
            one["record"] = int(at[one["record"]])
    for t in whole["targets"]:
        t["text"] = int(at[t["text"]])
        if t["nearest_record"] is not None:
            t["nearest_record"] = int(at[t["nearest_record"]])
    for stop in whole["stops"]:
        stop["top"] = [(int(at[record]), p) for record, p in stop["top"]]
    for cluster in whole["clusters"]:
        cluster["record"] = int(at[cluster["record"]])
    if whole["map"] is not None:
        whole["map"]["record"] = [None if i is None else int(at[i]) for i in whole["map"]["record"]]
    return whole


def _listed(selection: Selection) -> Rows:
    """Places, among the candidates with mass, of the chosen that are listed: those of the screen come first.

    Where not all can be, half of the others are the most probable and half are spread evenly over the rest.
    """
    chosen = np.flatnonzero(selection.drawn.counts > 0)
    first = spread_over_targets(selection, SHOWN)
    rest = np.setdiff1d(chosen, first)
    rest = rest[np.lexsort((rest, -selection.answer.probability[rest]))]
    room = CHOSEN - len(first)
    if len(rest) > room:
        rest = np.concatenate([rest[: room // 2], _evenly(rest[room // 2 :], room - room // 2)])
    return np.concatenate([first, rest])


def _evenly(rows: Rows, most: int) -> Rows:
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def _folded(selection: Selection, chosen: Rows) -> list[tuple[list[tuple[int, float]] | None, int]]:
    """For each of these candidates its nearest near-duplicates with their distance to it, and how many it has.

    Candidates are given as places among those with mass. One that is no seed itself shares the cluster of its seed;
    distances are then to the seed.
    """
    around = selection.surroundings
    order = np.lexsort((around.members, around.member_distance, around.member_seed))
    ends = np.searchsorted(around.member_seed[order], np.arange(len(around.seeds) + 1))
    rows, density = selection.answer.rows[chosen], selection.answer.density[chosen]
    found: list[tuple[list[tuple[int, float]] | None, int]] = []
    for row, place, dense in zip(rows, np.searchsorted(around.members, rows), density, strict=True):
        if place == len(around.members) or around.members[place] != row:
            alone = dense <= 1.02 or (around.complete and around.bandwidth > 0)
            found.append(([] if alone else None, 0))
            continue
        seed = around.member_seed[place]
        members = order[ends[seed] : ends[seed + 1]]
        members = members[around.members[members] != row]
        listed = [(int(around.members[i]), float(around.member_distance[i])) for i in members[:NEAR]]
        found.append((listed, len(members)))
    return found


def _chosen(
    selection: Selection,
    shown: Shown,
    j: int,
    place: dict[int, int],
    folded: tuple[list[tuple[int, float]] | None, int],
) -> ChosenFact:
    answer, counts = selection.answer, selection.drawn.counts
    near: list[NearFact] | None = None
    if folded[0] is not None:
        near = []
        for row, distance in folded[0]:
            at = int(np.searchsorted(answer.rows, row))
            there = at < len(answer.rows) and answer.rows[at] == row
            near.append(
                NearFact(
                    record=shown.record(row),
                    distance=_short(distance),
                    probability=_short(answer.probability[at]) if there else 0.0,
                    count=int(counts[at]) if there else 0,
                )
            )
    density = float(answer.density[j])
    around = selection.surroundings
    return ChosenFact(
        record=shown.record(int(answer.rows[j])),
        probability=_short(answer.probability[j]),
        count=int(counts[j]),
        density=_short(density) if np.isfinite(density) else None,
        target=place[int(answer.target[j])],
        distance=_short(answer.distance[j]),
        rank=int(answer.rank[j]),
        at=_place(around.candidates, around.candidates_at, int(answer.rows[j])),
        near=near,
        near_total=folded[1],
    )


def _targets(selection: Selection, shown: Shown, listed: Rows, nearest: Rows) -> list[TargetRow]:
    answer, targets, around = selection.answer, selection.inputs.targets, selection.surroundings
    served = np.bincount(answer.target, weights=selection.drawn.counts > 0, minlength=len(answer.nearest))
    return [
        TargetRow(
            row=shown.target_row(i),
            id=shown.target_id(i),
            task=str(name(targets.tasks[targets.task[i]])) or None,
            weight=_short(targets.mu[i]),
            nearest=_short(answer.nearest[i]),
            reach=_short(answer.reach[i]),
            candidates=int(answer.width[i]),
            chosen=int(served[i]),
            text=shown.target_text(i),
            at=_place(around.targets, around.targets_at, i),
            nearest_record=shown.record(int(nearest[at])) if nearest[at] >= 0 else None,
        )
        for at, i in enumerate(listed.tolist())
    ]


def _largest_sources(stops: list[dict[str, Any]]) -> dict[str, str]:
    """The sources that are among the largest at any stop, by the largest share that each has, as they are shown."""
    most: dict[str, float] = {}
    for row in stops:
        for source, share in row["sources"][:SOURCES]:
            most[source] = max(most.get(source, 0.0), share)
    first = sorted(most, key=lambda source: (-most[source], source))[: 4 * SOURCES]
    return {source: str(name(source)) for source in first}


def _top(rows: Rows, p: Array) -> tuple[Rows, Array]:
    """The most probable of these candidates, and their probabilities."""
    first = np.lexsort((rows, -p))[:TOP]
    return rows[first], p[first]


def _stop(row: dict[str, Any], shown: Shown, top: Rows, probability: Array, known: dict[str, str]) -> Stop:
    return Stop(
        neighbors=row["neighbors"],
        penalty=row["penalty"],
        alpha=row["alpha"],
        transport_cost=row["transport_cost"],
        support=row["support"],
        effective_size=row["effective_size"],
        largest=row["largest"],
        sources=[(known[source], share) for source, share in row["sources"] if source in known],
        top=[(shown.record(i), _short(x)) for i, x in zip(top.tolist(), probability.tolist(), strict=True)],
        here=row["here"],
    )


def _held_out(selection: Selection) -> list[HeldOut]:
    """The cost at each strength that was tried on held-out targets, by the sampling that was taken; most runs try none.

    The interval is that of the difference to the best, by two standard errors.
    """
    trials = selection.answer.trials
    taken = {trial.sampling for trial in trials if trial.chosen}
    return [
        HeldOut(neighbors=t.neighbors, cost=t.cost, low=t.cost - 2 * t.error, high=t.cost + 2 * t.error)
        for t in sorted(trials, key=lambda trial: trial.neighbors)
        if t.sampling in taken and t.capacity is None
    ]


def _map(selection: Selection, shown: Shown, readable: Rows) -> PoolMap:
    around = selection.surroundings
    known = set(readable.tolist())
    return PoolMap(
        x=around.pool_at[:, 0].astype(np.float64).round(3).tolist(),
        y=around.pool_at[:, 1].astype(np.float64).round(3).tolist(),
        record=[shown.record(row) if i in known else None for i, row in enumerate(around.pool.tolist())],
        total=len(selection.inputs.candidates.census),
        spread=[_short(share) for share in around.spread],
    )


def _other_targets(selection: Selection, listed: Rows) -> TargetPlaces:
    around = selection.surroundings
    others = ~np.isin(around.targets, listed)
    x, y = around.targets_at[others].astype(np.float64).round(3).T.tolist() if others.any() else ([], [])
    return TargetPlaces(x=x, y=y)


def _place(rows: Rows, places: Any, row: int) -> list[float] | None:
    at = int(np.searchsorted(rows, row))
    if at == len(rows) or rows[at] != row:
        return None
    return [round(float(x), 3) for x in places[at]]


def _short(value: float) -> float:
    """Six digits, which is more than the page shows."""
    return float(f"{value:.6g}")
