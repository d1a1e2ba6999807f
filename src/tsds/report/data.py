"""The numbers of a selection as the facts that are shown: the one place where both meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import tsds
from tsds.methods import METHODS
from tsds.records import Pool, TextSpec, fields_read
from tsds.report.facts import Counted, Example, Facts, Group, PathRow, Strength, TargetFact, TaskFact
from tsds.selection import Selection
from tsds.solving import asked_strength
from tsds.transport.penalty import alpha_from_penalty

#: Chosen records on the screen and on the page, targets on the page, points of the path, and characters of a text.
SHOWN, EXAMPLES, TARGETS, POINTS, CHARACTERS = 10, 200, 200, 40, 1200
#: Records that are asked for the fields of their text: more than one, as a field may be empty in some.
_ASKED = 100


def facts_of(selection: Selection, command: str | None = None) -> Facts:
    """Everything that the screen and the page show of a selection."""
    settings, answer, inputs = selection.settings, selection.answer, selection.inputs
    census, drawn = inputs.candidates.census, selection.drawn
    chosen = drawn.counts > 0
    tokens = census.tokens[answer.rows]
    note = answer.note
    return Facts(
        version=tsds.__version__,
        command=command,
        method=settings.method,
        method_line=METHODS[settings.method].line_of(answer, drawn.sampling),
        method_why=settings.method_why,
        encoder=inputs.encoder,
        metric=settings.metric,
        seed=settings.seed,
        sampling=drawn.sampling,
        size_asked=selection.settings.budget.asked,
        size=len(selection),
        tokens=None if inputs.texts is None else int((tokens * drawn.counts).sum()),
        distinct=int(chosen.sum()),
        support=len(answer.rows),
        effective_size=selection.effective_size,
        pool=_pool_counts(selection),
        target=Counted(
            read=inputs.targets.census["read"],
            used=inputs.targets.census["used"],
            empty=inputs.targets.census["empty"],
            bad=inputs.targets.census["bad"],
            excluded=0,
            copies=0,
            shards=inputs.targets.names,
            text_fields=_text_fields(inputs.targets.sources, settings.target_text),
        ),
        strength=_strength(selection),
        bandwidth=selection.bandwidth.value if selection.bandwidth else None,
        bandwidth_why=selection.bandwidth.why if selection.bandwidth else None,
        near_duplicates=note.near_duplicates if note else None,
        rule=answer.turn is not None,
        exact=answer.exact,
        certificate=answer.certificate,
        density_note=note.line if note else None,
        transport_cost=answer.cost,
        stages=[{"name": s.name, "seconds": s.seconds, "peak_mb": s.peak_mb} for s in selection.stages],
        seconds=selection.seconds,
        warnings=[{"what": what, "remedy": remedy} for what, remedy in selection.warnings],
        tasks=_tasks(selection),
        composition=composition(selection),
        examples=_examples(selection),
        targets=_targets(selection),
        targets_total=len(inputs.targets.mu),
        path=_path(selection),
    )


def _pool_counts(selection: Selection) -> Counted:
    census = selection.inputs.candidates.census
    copies = census.used - census.excluded - len(census)
    return Counted(
        read=census.read,
        used=census.used,
        empty=census.empty,
        bad=census.bad,
        excluded=census.excluded,
        copies=copies,
        shards=selection.inputs.candidates.names,
        text_fields=_text_fields([(selection.inputs.candidates.records, census.rows)], selection.settings.text),
    )


def _text_fields(sources: list[tuple[Pool | None, NDArray[np.int64]]], spec: TextSpec) -> list[str]:
    """The fields that the texts of the first records at these positions are from, in the order met."""
    found: dict[str, None] = {}
    for records, rows in sources:
        for record in () if records is None else records.records(rows[:_ASKED]):
            found |= dict.fromkeys(fields_read(record, spec))
    return list(found)


def _strength(selection: Selection) -> Strength:
    settings, answer = selection.settings, selection.answer
    scale = settings.scale_or_default
    asked = asked_strength(settings, selection.size).asked
    alpha = None if answer.penalty is None else alpha_from_penalty(answer.penalty, scale)
    return Strength(
        asked=asked,
        neighbors=answer.neighbors,
        penalty=answer.penalty,
        alpha=alpha,
        scale=scale,
        why=answer.why,
        capped=answer.capped,
    )


def composition(selection: Selection) -> list[Group]:
    """What was chosen from where; empty where records name no source."""
    census, answer = selection.inputs.candidates.census, selection.answer
    names = census.group_names
    if len(names) < 2:
        return []
    group = census.group[answer.rows]
    known = group >= 0
    pool = np.bincount(census.group[census.group >= 0], minlength=len(names))
    mass = np.bincount(group[known], weights=answer.probability[known], minlength=len(names))
    chosen = np.bincount(group[known], weights=selection.drawn.counts[known], minlength=len(names))
    total = max(len(selection), 1)
    rows = [
        Group(
            name=name,
            pool=int(pool[i]),
            pool_share=float(pool[i] / len(census)),
            mass=float(mass[i]),
            chosen=int(chosen[i]),
            chosen_share=float(chosen[i] / total),
            lift=float(chosen[i] / total / (pool[i] / len(census))) if pool[i] else None,
        )
        for i, name in enumerate(names)
    ]
    return sorted(rows, key=lambda g: (-g["chosen"], -g["mass"], g["name"]))


def spread_over_targets(selection: Selection, count: int) -> NDArray[np.int64]:
    """Places, among the candidates with mass, of the chosen nearest to so many targets, the best served first."""
    answer = selection.answer
    chosen = np.flatnonzero(selection.drawn.counts > 0)
    near = chosen[np.lexsort((answer.rows[chosen], answer.distance[chosen]))]
    near = near[np.sort(np.unique(answer.target[near], return_index=True)[1])]
    return near[np.unique(np.linspace(0, len(near) - 1, count).round().astype(np.int64))]


def _examples(selection: Selection) -> list[Example]:
    """Chosen records: the nearest of ten targets, from the best served to the worst, then the most probable others."""
    answer, counts = selection.answer, selection.drawn.counts
    census = selection.inputs.candidates.census
    chosen = np.flatnonzero(counts > 0)
    spread = spread_over_targets(selection, SHOWN)
    rest = np.setdiff1d(chosen, spread)
    rest = rest[np.lexsort((rest, -answer.probability[rest]))]
    picked = np.concatenate([spread, rest])[:EXAMPLES]
    rows = census.rows[answer.rows[picked]]
    texts, ids = _read(selection.inputs.candidates.records, rows)
    target_texts, _ = _target_texts(selection, answer.target[picked])
    names = census.group_names
    group = census.group[answer.rows[picked]]
    return [
        Example(
            row=int(rows[i]),
            id=ids[i],
            group=names[group[i]] if group[i] >= 0 else None,
            probability=float(answer.probability[j]),
            count=int(counts[j]),
            density=float(answer.density[j]) if np.isfinite(answer.density[j]) else 1.0,
            distance=float(answer.distance[j]),
            rank=int(answer.rank[j]),
            text=texts[i],
            target=int(_target_row(selection, int(answer.target[j]))),
            target_text=target_texts[i],
        )
        for i, j in enumerate(picked)
    ]


def _targets(selection: Selection) -> list[TargetFact]:
    """The targets, those that the pool serves worst first."""
    answer, targets = selection.answer, selection.inputs.targets
    worst = np.lexsort((np.arange(len(answer.nearest)), -answer.nearest))[:TARGETS]
    served = np.bincount(answer.target, weights=selection.drawn.counts > 0, minlength=len(answer.nearest))
    texts, ids = _target_texts(selection, worst)
    return [
        TargetFact(
            row=_target_row(selection, int(i)),
            id=ids[at],
            task=targets.tasks[targets.task[i]] or None,
            weight=float(targets.mu[i]),
            nearest=float(answer.nearest[i]),
            reach=float(answer.reach[i]),
            candidates=int(answer.width[i]),
            chosen=int(served[i]),
            text=texts[at],
        )
        for at, i in enumerate(worst)
    ]


def _tasks(selection: Selection) -> list[TaskFact]:
    """How well the pool serves each task; empty where there is but one."""
    answer, targets = selection.answer, selection.inputs.targets
    if len(targets.tasks) < 2:
        return []
    count = len(targets.tasks)
    weight = np.bincount(targets.task, weights=targets.mu, minlength=count)
    nearest = np.bincount(targets.task, weights=targets.mu * answer.nearest, minlength=count)
    chosen = np.bincount(targets.task[answer.target], weights=selection.drawn.counts, minlength=count)
    size = np.bincount(targets.task, minlength=count)
    return [
        TaskFact(
            name=targets.tasks[i],
            targets=int(size[i]),
            weight=float(weight[i]),
            nearest=float(nearest[i] / weight[i]) if weight[i] > 0 else float(answer.nearest[targets.task == i].mean()),
            chosen=int(chosen[i]),
        )
        for i in range(count)
    ]


def _path(selection: Selection) -> list[PathRow]:
    path = selection.answer.path
    if path is None:
        return []
    return [
        PathRow(
            neighbors=p.neighbors,
            penalty=p.penalty,
            alpha=p.alpha,
            transport_cost=p.transport_cost,
            support=p.support,
            effective_size=p.effective_size,
            largest=p.largest,
        )
        for p in path.table(POINTS)
    ]


def _target_row(selection: Selection, i: int) -> int:
    """The position of a target in its task's records."""
    ((_, _, rows),) = selection.inputs.targets.by_task(np.array([i]))
    return int(rows[0])


def _target_texts(selection: Selection, which: NDArray[np.int64]) -> tuple[list[str], list[str | int]]:
    texts, ids = [""] * len(which), [0] * len(which)  # type: tuple[list[str], list[str | int]]
    for at, records, rows in selection.inputs.targets.by_task(which):
        some, names = _read(records, rows)
        for place, text, name in zip(at, some, names, strict=True):
            texts[place], ids[place] = text, name
    return texts, ids


def _read(records: Pool | None, rows: NDArray[np.int64]) -> tuple[list[str], list[str | int]]:
    """Shortened texts, and ids, of records at these positions in any order."""
    if records is None:
        return [f"vector {row}" for row in rows], [int(row) for row in rows]
    unique, at = np.unique(rows, return_inverse=True)
    found = records.candidates_at(unique)
    texts = [one.text if len(one.text) <= CHARACTERS else one.text[:CHARACTERS] + " …" for one in found]
    ids = [int(row) if one.id is None else one.id for row, one in zip(unique, found, strict=True)]
    return [texts[i] for i in at], [ids[i] for i in at]
