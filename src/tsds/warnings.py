"""What a user must know about a selection, each with what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tsds.census import SOURCES
from tsds.methods import METHODS

if TYPE_CHECKING:
    from tsds.selection import Selection

#: A target counts as far from everything if its nearest candidate is so many times farther than is typical ...
_FAR = 1.5
#: ... and a candidate as a hub if it is among the nearest ten of more than this share of the targets.
_HUB_SHARE, _HUB_LIST, _HUB_LEAST = 0.2, 10, 5
#: The pool has nothing like the target if its nearest candidates are, in Euclidean terms, so far beside random ones. In
#: benchmarks/far_targets.py (hash:256, hash:768) that is 0.57 to 0.84 for English tasks on English pools, their own or
#: not, and 0.87 to 0.93 for Russian and for made-up words. Pools of few candidates, and greater widths, are left alone.
_UNLIKE, _LEAST, _WIDEST = 0.85, 100, 768
#: A task is short of records below this part of its share, by more than so many.
_SHORT, _FEW = 0.8, 2


def warnings_of(selection: Selection) -> list[tuple[str, str | None]]:
    """Warnings and remedies, the weightiest first."""
    of_plan = [
        *_size(selection),
        *_tasks(selection),
        *_strength(selection),
        *_unlike(selection),
        *_targets(selection),
        *_hubs(selection),
    ]
    return [*of_plan, *_records(selection), *selection.inputs.notes]


def _size(selection: Selection) -> list[tuple[str, str | None]]:
    if not selection.drawn.short:
        return []
    answer, size, path = selection.answer, selection.size, selection.answer.path
    budget, tokens = selection.settings.budget, selection.inputs.candidates.census.tokens
    what = f"only {len(answer.rows):,} candidates have mass, "
    if budget.kind == "tokens":
        held = int(tokens[answer.rows] @ selection.drawn.counts)
        what += f"and hold {held:,} of the {budget.amount:,.0f} tokens asked for"
    else:
        what += f"{len(selection):,} were chosen of {size:,} asked for"

    def enough(s: float) -> bool:
        assert path is not None
        if budget.kind == "tokens":
            return int(tokens[path.probabilities(s)[0]].sum()) >= budget.amount
        return path.support(s) >= size

    remedy = "--alpha 0 gives every candidate mass"
    if path is not None:
        s = path.smallest(enough)
        if s is not None:
            remedy = f"--neighbors {s:.3g} (alpha {path.point(s).alpha:.3g}) reaches it"
        elif selection.settings.alpha is not None or selection.settings.neighbors is not None:
            remedy = "leave the strength to auto, which spreads as far as the size needs"
    return [(what, remedy)]


def _tasks(selection: Selection) -> list[tuple[str, str | None]]:
    """Of several tasks the one that is shortest of its share; a record that serves two counts for each in part."""
    answer, targets, counts = selection.answer, selection.inputs.targets, selection.drawn.counts
    if len(targets.tasks) < 2:
        return []
    if answer.edges is None:
        held = np.bincount(targets.task[answer.target], weights=counts, minlength=len(targets.tasks))
    else:
        edges = answer.edges
        mass = np.bincount(edges.candidate, weights=edges.mass, minlength=len(counts))
        part = edges.mass * (counts / mass)[edges.candidate]
        held = np.bincount(targets.task[edges.target], weights=part, minlength=len(targets.tasks))
    share = np.bincount(targets.task, weights=targets.mu) * len(selection)
    short = np.flatnonzero((held < _SHORT * share) & (held < share - _FEW))
    if not len(short):
        return []
    worst = short[np.argmin(held[short] / share[short])]
    what = f"task {targets.tasks[worst]} gets {held[worst]:.0f} of the {len(selection):,} chosen records, "
    what += f"by its weight {share[worst]:.0f}" + (f"; {len(short) - 1} more are short too" if len(short) > 1 else "")
    fair = METHODS[selection.settings.method].sampling == selection.drawn.sampling == "shares"  # keeps every share
    better = "a smaller size, or more such data in the pool" if fair else "--method auto keeps every share"
    return [(what, better)]


def _strength(selection: Selection) -> list[tuple[str, str | None]]:
    answer = selection.answer
    found: list[tuple[str, str | None]] = []
    if answer.capped:
        found.append((f"the strength is capped: {answer.why}", "a smaller size, or more targets"))
    if not answer.exact:
        found.append((f"the plan is not proven optimal: {answer.certificate}", None))
    return found


def _unlike(selection: Selection) -> list[tuple[str, str | None]]:
    """The pool as a whole is beside the point."""
    nearest = float(np.median(selection.answer.nearest[selection.inputs.targets.mu > 0]))
    squared = selection.settings.metric == "cosine"  # half of the squared distance
    ratio = (nearest / selection.at_random) ** (0.5 if squared else 1.0) if selection.at_random > 0 else 0.0
    small = len(selection.inputs.candidates.census) < _LEAST
    if ratio < _UNLIKE or small or selection.inputs.targets.vectors.shape[1] > _WIDEST:
        return []
    what = "the pool has hardly anything like the target: the nearest candidates are "
    what += f"{ratio:.2f} times as far as random ones"
    remedy = "is it the right pool? encoder hash knows no other words than the pool's: try --encoder sentence:MODEL"
    return [(what, remedy)]


def _targets(selection: Selection) -> list[tuple[str, str | None]]:
    nearest = selection.answer.nearest
    typical = float(np.median(nearest))
    far = np.flatnonzero(nearest > _FAR * typical) if typical > 0 else np.empty(0, np.int64)
    if not len(far):
        return []
    worst = far[np.argmax(nearest[far])]
    plural = "target is" if len(far) == 1 else "targets are"
    what = (
        f"{len(far):,} {plural} far from everything in the pool: row {worst} has its nearest at {nearest[worst]:.3g}, "
        f"a typical target at {typical:.3g}"
    )
    return [(what, "look at them in the report; drop them, or add such data to the pool")]


def _hubs(selection: Selection) -> list[tuple[str, str | None]]:
    path = selection.answer.path
    if path is None or len(path.indices) < 2 * _HUB_LEAST:
        return []
    near = path.indices[:, :_HUB_LIST]
    rows, times = np.unique(near[near >= 0], return_counts=True)
    limit = max(_HUB_LEAST, _HUB_SHARE * len(near))
    if times.max() <= limit:
        return []
    hub = selection.inputs.candidates.census.rows[rows[np.argmax(times)]]
    what = f"row {hub} is among the {_HUB_LIST} nearest of {times.max():,} of {len(near):,} targets"
    more = int((times > limit).sum()) - 1
    return [
        (what + (f", and {more} more are near as many" if more else ""), "look at it: boilerplate is near everything")
    ]


def _records(selection: Selection) -> list[tuple[str, str | None]]:
    census = selection.inputs.candidates.census
    found: list[tuple[str, str | None]] = []
    if census.bad:
        found.append((f"{census.bad:,} records of the pool were left out as unusable: {census.problems[0]}", None))
    if census.many_groups:
        what = f"the pool names more than {SOURCES:,} different sources, and is taken as one without"
        found.append((what, "name the field that tells where a record is from: --group-field NAME"))
    equal = census.equal_to_target
    chosen = equal[selection.answer.rows[selection.drawn.counts > 0]]
    if equal.any():
        what = f"{int(equal.sum()):,} candidates equal a target, {int(chosen.sum()):,} of them chosen"
        found.append((what, "harmless for a training target; with an evaluation set, give it to --exclude"))
    return found
