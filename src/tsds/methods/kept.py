"""Answers and trials as columns, and back: so that a run that was killed after its plan need not solve it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import orjson

from tsds.methods.problem import Answer, DensityNote, Trial
from tsds.shares import Edges
from tsds.transport import RegularizationPath

_FACTS = "facts"
#: Parts of an answer that are columns themselves.
_PARTS: dict[str, Any] = {"path": RegularizationPath, "edges": Edges}


def columns_of(answer: Answer) -> dict[str, Any]:
    """The arrays of an answer by name, those of its parts as PART.NAME, and all else as JSON in `facts`."""
    found: dict[str, Any] = {f"trials.{name}": column for name, column in trial_columns(answer.trials).items()}
    facts: dict[str, Any] = {}
    for one in fields(Answer):
        value = getattr(answer, one.name)
        if isinstance(value, np.ndarray):
            found[one.name] = value
        elif one.name in _PARTS and value is not None:
            columns, others = _part(value)
            found |= {f"{one.name}.{name}": column for name, column in columns.items()}
            facts[one.name] = others
        elif one.name != "trials":
            facts[one.name] = value
    return {**found, _FACTS: np.frombuffer(orjson.dumps(facts), np.uint8)}


def answer_of(columns: Mapping[str, Any]) -> Answer:
    """The answer that these are the columns of."""
    facts = orjson.loads(columns[_FACTS].tobytes())
    names = {one.name for one in fields(Answer)}
    found = {name: column for name, column in columns.items() if name in names}
    for name, kind in _PARTS.items():
        if facts[name] is not None:
            facts[name] = kind(**_under(name, columns), **facts[name])
    if facts["note"] is not None:
        facts["note"] = DensityNote(**facts["note"])
    return Answer(**found, **facts, trials=tuple(trials_of(_under("trials", columns))))


def trial_columns(trials: Sequence[Trial]) -> dict[str, Any]:
    """Trials as columns; no capacity is NaN."""
    columns = {one.name: [getattr(trial, one.name) for trial in trials] for one in fields(Trial)}
    return {name: np.array(column, float if name == "capacity" else None) for name, column in columns.items()}


def trials_of(columns: Mapping[str, Any]) -> list[Trial]:
    """The trials that these are the columns of."""
    rows = zip(*(columns[one.name].tolist() for one in fields(Trial)), strict=True)
    made = [Trial(*row) for row in rows]
    return [replace(trial, capacity=None) if np.isnan(trial.capacity or 0) else trial for trial in made]


def _part(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays that a part is made of, and its other values."""
    given = {one.name: getattr(value, one.name) for one in fields(value) if one.init}
    arrays = {name: one for name, one in given.items() if isinstance(one, np.ndarray)}
    return arrays, {name: one for name, one in given.items() if name not in arrays}


def _under(part: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name.partition(".")[2]: column for name, column in columns.items() if name.startswith(f"{part}.")}
