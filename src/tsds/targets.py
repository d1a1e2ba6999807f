"""The targets of a selection: vectors, and the mass that each has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array, Rows
from tsds.errors import InputError
from tsds.records import Pool
from tsds.records.text import absent, lookup
from tsds.settings import Settings


@dataclass(frozen=True)
class Targets:
    """The targets: vectors and masses.

    Attributes:
      vectors: [m, d].
      mu: [m], masses, summing to one.
      task: [m], index into `tasks`.
      tasks: their names; one empty name if there is but one task without a name.
      sources: one for each task: its records (None for an array) and the positions in it of its rows.
      census: counts over all tasks.
      tokens: [m], their lengths; ones for arrays.
    """

    vectors: Array
    mu: Array
    task: NDArray[np.int64]
    tasks: list[str]
    sources: list[tuple[Pool | None, NDArray[np.int64]]]
    census: dict[str, int]
    names: list[str]
    tokens: NDArray[np.int64]

    def by_task(self, which: Rows) -> Iterator[tuple[Rows, Pool | None, Rows]]:
        """Where targets are, for each task that has any of them.

        Args:
          which: [k], positions among all targets.

        Yields:
          Positions in `which`, the task's records (None for an array), and the positions in those.
        """
        for task, (records, rows) in enumerate(self.sources):
            at = np.flatnonzero(self.task[which] == task)
            if len(at):
                yield at, records, rows[which[at] - int(np.searchsorted(self.task, task))]


def task_sources(target: Any, settings: Settings) -> dict[str, Any]:
    """The target as tasks by name; a single task without a name has the empty one."""
    tasks = dict(target) if isinstance(target, Mapping) else {"": target}
    for name in settings.task_weights:
        if name not in tasks:
            raise InputError(f"--task-weights names {name!r}, which is no task", remedy="tasks: " + ", ".join(tasks))
    missing = [name for name in tasks if settings.task_weights and name not in settings.task_weights]
    if missing:
        whole = ",".join(f"{name}={settings.task_weights.get(name, 1.0):g}" for name in tasks)
        raise InputError(f"task {missing[0]} has no weight", remedy=f"--task-weights {whole}")
    given = settings.target_embeddings
    if isinstance(given, Mapping):
        for name in given:
            if name not in tasks:
                remedy = "tasks: " + ", ".join(tasks) if any(tasks) else "the target is one task without a name"
                raise InputError(f"--target-embeddings names {name!r}, which is no task", remedy=remedy)
        for name in tasks:
            if name not in given:
                raise InputError(f"--target-embeddings has none for task {name!r}", remedy="every task needs its own")
    if not tasks:
        raise InputError("no target is given", remedy="give some examples of the task")
    return tasks


def weights_given(task: Pool, rows: Rows, settings: Settings) -> Array:
    """The weight of each of these rows of a task, in any scale: its --weight-field, or ones, [m].

    Raises:
      InputError: if a weight is none, negative or not finite, naming its place.
    """
    if settings.weight_field is None:
        return np.ones(len(rows))
    weights = np.empty(len(rows))
    for i, record in enumerate(task.records(rows)):
        value = lookup(record, settings.weight_field) if isinstance(record, dict) else None
        try:
            weights[i] = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            weights[i] = np.nan
        if not 0 <= weights[i] < np.inf:
            what = "is missing" if absent(value) else "is null" if value is None else f"is {value!r}"
            what = what if isinstance(record, dict) else "is missing: the record is a bare text"
            raise task.error_at(
                int(rows[i]), f"field {settings.weight_field!r} {what}", "a weight is a number, not negative"
            )
    return weights


def targets_of(
    tasks: list[str],
    vectors: list[NDArray[Any]],
    weights: list[Array],
    sources: list[tuple[Pool | None, NDArray[np.int64]]],
    counts: dict[str, int],
    names: list[str],
    tokens: NDArray[np.int64],
    settings: Settings,
) -> Targets:
    """Weights within a task, times the task's share: equal shares unless --task-weights says otherwise."""
    share = np.array([settings.task_weights.get(name, 1.0) for name in tasks])
    if not share.sum() > 0:
        raise InputError("the tasks' weights sum to zero", remedy="give at least one task a positive weight")
    for name, one in zip(tasks, weights, strict=True):
        if not one.sum() > 0:
            raise InputError(f"the weights of {name or 'the target'} sum to zero", remedy="see --weight-field")
    mu = np.concatenate([one / one.sum() * part for one, part in zip(weights, share / share.sum(), strict=True)])
    task = np.repeat(np.arange(len(tasks)), [len(one) for one in weights])
    return Targets(np.concatenate(vectors), mu, task, tasks, sources, counts, names, tokens)
