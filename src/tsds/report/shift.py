"""How pool, targets and chosen differ: values of fields, lengths, and what near-duplicates weigh."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from tsds.arrays import Rows
from tsds.records.fields import GROUP_FIELDS, NO_ID
from tsds.report.page_facts import Cluster, FieldShift, Histogram, Lengths, Share
from tsds.report.shown import Shown, name
from tsds.selection import Selection
from tsds.transport import RegularizationPath

#: Fields, values of a field, bins of a histogram, clusters that are listed.
FIELDS, VALUES, BINS, CLUSTERS = 8, 24, 24, 15
#: A field with more different values than this share of the records is a text or an id, not a category.
_DIFFERENT, _MOST_DIFFERENT = 0.2, 60


def source_shift(selection: Selection, shown: Shown) -> list[FieldShift]:
    """Composition by the field of the sources, exact for the pool; empty where records name none."""
    census, counts = selection.inputs.candidates.census, selection.drawn.counts
    names = census.group_names
    if len(names) < 2:
        return []
    group = census.group
    pool = np.bincount(group[group >= 0], minlength=len(names)) / len(census)
    own = group[selection.answer.rows]
    chosen = np.bincount(own[own >= 0], weights=counts[own >= 0], minlength=len(names)) / max(counts.sum(), 1)
    field = selection.settings.group_field or _found_group(shown)
    told = Counter(raw[field] for raw in shown.target_raw if field in raw)
    total = sum(told.values())
    order = np.lexsort((-pool, -chosen))
    values = [
        Share(
            name=str(name(names[i])),
            pool=float(pool[i]),
            target=told[names[i]] / total if total else None,
            chosen=float(chosen[i]),
        )
        for i in order[:VALUES]
    ]
    return [_shift(field, values, len(names) - len(values), len(census), len(census), int(counts.sum()))]


def field_shifts(selection: Selection, shown: Shown, pool: Rows, chosen: Rows) -> list[FieldShift]:
    """Composition by every other field that has few values, from samples.

    Args:
      pool, chosen: positions of the sampled candidates, which `shown` has read.
    """
    named = selection.settings.id_field
    skip = {selection.settings.group_field or _found_group(shown), "id" if named in (None, NO_ID) else named}
    pool_raw = [shown.raw[i] for i in np.searchsorted(shown.candidates, pool).tolist()]
    chosen_raw = [shown.raw[i] for i in np.searchsorted(shown.candidates, chosen).tolist()]
    found = []
    for field in sorted({key for raw in pool_raw for key in raw} - skip):
        parts = [[raw[field] for raw in part if field in raw] for part in (pool_raw, chosen_raw)]
        told = [raw[field] for raw in shown.target_raw if field in raw]
        in_pool, in_chosen, in_target = Counter(parts[0]), Counter(parts[1]), Counter(told)
        most = min(_MOST_DIFFERENT, max(2, int(_DIFFERENT * len(pool_raw))))
        if len(parts[0]) < len(pool_raw) / 2 or not 2 <= len(in_pool) <= most:
            continue
        names = sorted({*in_pool, *in_chosen, *in_target}, key=lambda v: (-in_chosen[v], -in_pool[v], v))
        values = [
            Share(
                name=v,
                pool=in_pool[v] / len(parts[0]),
                target=in_target[v] / len(told) if told else None,
                chosen=in_chosen[v] / max(len(parts[1]), 1),
            )
            for v in names[:VALUES]
        ]
        total = len(selection.inputs.candidates.census)
        found.append(_shift(field, values, len(names) - len(values), len(pool_raw), total, len(chosen_raw)))
    return found[:FIELDS]


def lengths(selection: Selection, shown: Shown) -> Lengths | None:
    """Histograms of the lengths on a logarithmic scale; None for a pool of vectors."""
    census, rows = selection.inputs.candidates.census, selection.answer.rows
    if selection.inputs.candidates.records is None:
        return None
    low, high = np.quantile(census.tokens, [0.001, 0.999])
    edges = np.geomspace(max(low, 1), max(high, low + 1, 2), BINS + 1)

    def share(tokens: Any, weights: Any = None) -> list[float]:
        inside = np.clip(tokens, edges[0], edges[-1])
        counts = np.histogram(inside, edges, weights=weights)[0]
        return [float(x) for x in counts / max(counts.sum(), 1e-300)]

    same_measure = selection.settings.tokens_field is None and len(shown.targets) > 0
    return Lengths(
        edges=edges.tolist(),
        pool=share(census.tokens),
        target=share(shown.target_tokens) if same_measure else None,
        chosen=share(census.tokens[rows], selection.drawn.counts),
    )


def nearest_histogram(selection: Selection) -> Histogram:
    """How far the targets' nearest candidates are, all targets."""
    counts, edges = np.histogram(selection.answer.nearest, BINS)
    return Histogram(edges=edges.tolist(), counts=counts.tolist())


def mass_alone(selection: Selection) -> tuple[Rows, Any] | None:
    """What each candidate would have at the same lambda if near-duplicates did not share a weight (KNN-Uniform).

    None where the method has no path or penalty, or the lists are too short to say.
    """
    answer = selection.answer
    if answer.path is None or answer.penalty is None or answer.note is None:
        return None
    path = answer.path
    alone = RegularizationPath(
        path.distances,
        (path.weights > 0).astype(np.float64),
        path.indices,
        target_weights=path.mu,
        pool_weight=float(len(selection.inputs.candidates.census)),
        complete=path.complete,
        scale=path.scale,
    )
    s = alone.curve.neighbors(answer.penalty)
    return None if s is None or s > alone.longest else alone.probabilities(s)


def largest_clusters(selection: Selection) -> tuple[Rows, Rows]:
    """The largest clusters of near-duplicates: which of the seeds, and how many records each has, copies counted."""
    near, census = selection.surroundings, selection.inputs.candidates.census
    size = np.bincount(near.member_seed, weights=census.copies[near.members], minlength=len(near.seeds)).astype(
        np.int64
    )
    order = np.lexsort((near.seeds, -size))
    order = order[size[order] > 1][:CLUSTERS]
    return order, size[order]


def clusters(selection: Selection, shown: Shown) -> list[Cluster]:
    """The largest clusters, with their mass and the mass that they would have."""
    near, answer = selection.surroundings, selection.answer
    which, size = largest_clusters(selection)
    if not len(which):
        return []
    alone = mass_alone(selection)
    n = len(selection.inputs.candidates.census)

    def summed(rows: Rows, values: Any) -> Any:
        dense = np.zeros(n)
        dense[rows] = values
        return np.bincount(near.member_seed, weights=dense[near.members], minlength=len(near.seeds))

    mass = summed(answer.rows, answer.probability)
    chosen = summed(answer.rows, selection.drawn.counts)
    without = None if alone is None else summed(*alone)
    return [
        Cluster(
            record=shown.record(int(near.seeds[i])),
            records=int(size[at]),
            chosen=int(chosen[i]),
            mass=float(mass[i]),
            mass_alone=None if without is None else float(without[i]),
        )
        for at, i in enumerate(which.tolist())
    ]


def _shift(field: str, values: list[Share], more: int, pool: int, total: int, chosen: int) -> FieldShift:
    return FieldShift(
        field=str(name(field)), values=values, more=more, pool_records=pool, pool_total=total, chosen_records=chosen
    )


def _found_group(shown: Shown) -> str:
    return next((key for key in GROUP_FIELDS if any(key in raw for raw in shown.raw)), "source")
