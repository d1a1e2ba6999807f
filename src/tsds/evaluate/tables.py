"""The tables of an evaluation: methods side by side, and against those that selection has to beat."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tsds.comparing.measures import Measure
from tsds.evaluate.arms import references_of
from tsds.evaluate.cells import Cell, Place
from tsds.evaluate.statistics import Interval, Paired, by_seed, record_of

#: Facts about training and selection that have a column of their own.
FACTS = {
    "tokens": Measure("tokens", "tokens trained on", None),
    "steps": Measure("steps", "updates of the weights", None),
    "passes": Measure("passes", "how often the selection went by", None),
    "trained_tokens": Measure("answer tokens trained", "tokens of answers, which alone have the loss", None),
    "text_tokens": Measure("tokens a text", "mean length of the selected texts, as far as the model reads them", None),
    "reply_tokens": Measure("tokens an answer", "mean length of the answers in the selected chats", None),
    "test_reply_tokens": Measure("tokens a test answer", "mean length of the test answers", None),
    "distinct": Measure("distinct", "different texts among those trained on", None),
    "leaks": Measure("leaks", "selected texts that share thirteen words in a row with a test text", True),
    "select_seconds": Measure("s to select", "seconds to select, the shared search included, encoding not", True),
    "train_seconds": Measure("s to train", "seconds of training on the selection", None),
}


@dataclass(frozen=True)
class Table:
    """Methods on one target, size, condition and equality.

    Attributes:
      target, condition, size, equal: which.
      values: by method, by measure, by seed.
    """

    target: str
    condition: str
    size: str
    equal: str
    values: dict[str, dict[str, dict[int, float]]]

    @property
    def title(self) -> str:
        """In words."""
        parts = [self.target, self.size, f"equal {self.equal}"]
        return ", ".join([*parts, self.condition] if self.condition != "plain" else parts)

    def of(self, method: str, measure: str) -> dict[int, float]:
        """A measure by seed; empty where it was not measured."""
        return self.values.get(method, {}).get(measure, {})

    def has(self, measure: str) -> bool:
        """Whether it was measured for any method."""
        return any(measured.get(measure) for measured in self.values.values())

    def interval(self, method: str, measure: str) -> Interval | None:
        """Mean and interval over the seeds."""
        found = self.of(method, measure)
        return Interval.of(np.array(list(found.values()))) if found else None


@dataclass(frozen=True)
class Outcome:
    """All tables, and what they say.

    Attributes:
      kind: of the experiment.
      measures: by name, the primary one first.
      methods: in the order of the grid.
      tables: one a target, size, condition and equality.
      facts: of the grid: model, base, settings.
    """

    kind: str
    measures: Mapping[str, Measure]
    methods: list[str]
    tables: list[Table]
    facts: dict[str, Any]

    @property
    def primary(self) -> str:
        """The measure that was named before the run."""
        return next(iter(self.measures))

    @property
    def references(self) -> list[str]:
        """The methods that the others are held against."""
        return references_of(self.methods)

    @property
    def lower(self) -> bool:
        """Whether less of the primary measure is better."""
        return self.less(self.primary)

    def less(self, measure: str) -> bool:
        """Whether less of a measure is better."""
        return bool(self.measures[measure].lower)

    def paired(self, table: Table, method: str, reference: str, measure: str | None = None) -> Paired | None:
        """A method less a reference, on the same seeds; of the primary measure if none is named."""
        name = measure or self.primary
        return Paired.of(table.of(method, name), table.of(reference, name), lower=self.less(name))

    def records(self, measure: str | None = None) -> list[dict[str, Any]]:
        """Every method against every reference over all targets and sizes, by condition and equality.

        Args:
          measure: the primary one if None.
        """
        name, rows = measure or self.primary, []
        for condition, equal in sorted(
            {(t.condition, t.equal) for t in self.tables}, key=lambda x: (x[0] != "plain", x)
        ):
            some = [t for t in self.tables if (t.condition, t.equal) == (condition, equal)]
            for reference in self.references:
                for method in self.methods:
                    pairs = [
                        (t, p) for t in some if method != reference and (p := self.paired(t, method, reference, name))
                    ]
                    if not pairs:
                        continue
                    targets: dict[str, list[dict[int, float]]] = {}
                    for t, _ in pairs:
                        mine, theirs = t.of(method, name), t.of(reference, name)
                        gaps = {seed: mine[seed] - theirs[seed] for seed in mine.keys() & theirs.keys()}
                        targets.setdefault(t.target, []).append(gaps)
                    verdicts = [p.verdict(lower=self.less(name)) for _, p in pairs]
                    groups = [values for sizes in targets.values() if (values := by_seed(sizes))]
                    if not groups:
                        continue
                    found = asdict(record_of(groups, verdicts))
                    rows.append(
                        {"method": method, "against": reference, "condition": condition, "equal": equal, **found}
                    )
        return rows

    def costs(self) -> dict[str, float]:
        """Mean seconds of a selection (the shared search included), of the training on it, and of encoding the pool."""
        found: dict[str, float] = {}
        for name in ("select_seconds", "train_seconds", "encode_seconds"):
            values = [
                value
                for table in self.tables
                for measured in table.values.values()
                if "select_seconds" in measured
                for value in measured.get(name, {}).values()
            ]
            if values:
                found[name] = float(np.mean(values))
        return found

    def to_json(self) -> dict[str, Any]:
        """All of it, in the layout of `tsds compare`, so that the page of a run can show it."""
        heads: dict[str, dict[str, Any]] = {}
        methods: dict[str, dict[str, Any]] = {name: {} for name in self.methods}
        for table in self.tables:
            for name, measure in self.measures.items():
                key = f"{table.title}: {measure.head}"
                for method in self.methods:
                    found = table.interval(method, name)
                    if found is not None:
                        methods[method][key] = asdict(found)
                        heads[key] = {**asdict(measure), "head": key}
        return {
            "experiment": self.kind,
            "primary": self.primary,
            **self.facts,
            "measures": heads,
            "methods": [{"method": name, "metrics": found} for name, found in methods.items()],
            "tables": [self._table(table) for table in self.tables],
            "records": self.records(),
            "costs": self.costs(),
        }

    def _table(self, table: Table) -> dict[str, Any]:
        rows = []
        for method in self.methods:
            names = [*self.measures, *FACTS]
            found = {name: asdict(one) for name in names if (one := table.interval(method, name)) is not None}
            against = {
                reference: {**asdict(pair), "verdict": pair.verdict(lower=self.lower)}
                for reference in self.references
                if reference != method and (pair := self.paired(table, method, reference)) is not None
            }
            if found:
                rows.append({"method": method, "metrics": found, "against": against})
        which = {name: getattr(table, name) for name in ("target", "condition", "size", "equal")}
        return {**which, "title": table.title, "methods": rows}


def tables_of(cells: Mapping[Place, Cell]) -> list[Table]:
    """Cells by target, size, condition and equality, in the order they come; values that are no numbers left out."""
    found: dict[tuple[str, str, str, str], dict[str, dict[str, dict[int, float]]]] = {}
    for place, cell in cells.items():
        group = found.setdefault((place.target, place.condition, place.size, place.equal), {})
        for name, value in (_answer_tokens(cell.values) | cell.values).items():
            if math.isfinite(value):
                group.setdefault(place.method, {}).setdefault(name, {})[place.seed] = value
    return [Table(*key, values) for key, values in found.items()]


def _answer_tokens(values: Mapping[str, float]) -> dict[str, float]:
    """How many tokens of answers were trained on, about: cells of before did not count them."""
    if not values.get("text_tokens") or "reply_tokens" not in values:
        return {}
    return {"trained_tokens": values["tokens"] * values["reply_tokens"] / values["text_tokens"]}


def names_of(places: Iterable[Place]) -> list[str]:
    """The methods of places, in the order they come."""
    return list(dict.fromkeys(place.method for place in places))
