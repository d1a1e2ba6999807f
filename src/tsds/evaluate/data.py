"""The files of an evaluation: a pool, and targets each with examples to select by and a test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tsds.errors import InputError
from tsds.records import FORMATS, Pool
from tsds.records.files import COMPRESSIONS
from tsds.suggestions import nearest_name

#: What the examples of a target may be called, in this order.
_EXAMPLES = ("train", "query")


@dataclass(frozen=True)
class Example:
    """A record of a target.

    Attributes:
      text: what it says; a chat knows its turns.
      label: its class, where it has one.
      answers: the bare answer, where it has one; where it has several, any of them is right.
      row: of its file.
    """

    text: str
    label: str | None
    answers: tuple[str, ...]
    row: int


@dataclass(frozen=True)
class TargetFiles:
    """Where a target is.

    Attributes:
      name: of the target.
      examples: to select by, and labelled ones to finetune on.
      test: to measure on.
    """

    name: str
    examples: Path
    test: Path


@dataclass(frozen=True)
class Data:
    """The pool and the targets by name.

    Attributes:
      pool: the file of the pool.
      targets: those that take part.
      every: all that there are: a skewed target is mixed with the next of them, whichever take part.
    """

    pool: Path
    targets: dict[str, TargetFiles]
    every: dict[str, TargetFiles]

    @classmethod
    def of_folder(cls, folder: Path) -> Data:
        """Read the layout: pool.*, and targets/NAME/ with train.* or query.*, and test.*.

        Raises:
          InputError: if a file is missing, or there are two of a name.
        """
        if not folder.is_dir():
            raise InputError("no such folder", path=folder, remedy="--data names a folder with pool.* and targets/")
        pool = _only(folder, ("pool",))
        places = sorted(path for path in (folder / "targets").glob("[!.]*") if path.is_dir())
        if not places:
            raise InputError("holds no targets", path=folder / "targets", remedy="one folder for each target")
        named = [TargetFiles(place.name, _only(place, _EXAMPLES), _only(place, ("test",))) for place in places]
        every = {one.name: one for one in named}
        return cls(pool, every, every)

    @classmethod
    def of_files(cls, pool: Path, targets: Mapping[str, Path], tests: Mapping[str, Path]) -> Data:
        """From files named one by one; every target needs a test set of the same name."""
        for name in {*targets} ^ {*tests}:
            kind = "test" if name in targets else "target"
            raise InputError(f"{name!r} has no --{kind}", remedy=f"--{kind} {name}=FILE")
        for name in targets:
            if name in (".", ".."):  # its cells lie in a folder of that name
                raise InputError(f"the target's name {name!r} is a way to a folder", remedy="give it a name of letters")
        for path in (pool, *targets.values(), *tests.values()):
            if not path.exists():
                raise InputError("no such file", path=path)
        every = {name: TargetFiles(name, targets[name], tests[name]) for name in sorted(targets)}
        return cls(pool, every, every)

    def only(self, names: Sequence[str]) -> Data:
        """These of the targets, all if none is named."""
        for name in names:
            if name not in self.targets:
                raise InputError(f"there is no target {name!r}", remedy=nearest_name(name, self.targets))
        return Data(self.pool, {name: self.targets[name] for name in names or self.targets}, self.every)

    def beside(self, name: str) -> TargetFiles:
        """The next of all targets: what a skewed draw of this one is mixed with."""
        names = list(self.every)
        return self.every[names[(names.index(name) + 1) % len(names)]]

    def absolute(self) -> Data:
        """The same for a process that stands in another folder."""
        every = {
            name: TargetFiles(name, one.examples.absolute(), one.test.absolute()) for name, one in self.every.items()
        }
        return Data(self.pool.absolute(), {name: every[name] for name in self.targets}, every)


def read(path: Path, role: str) -> list[Example]:
    """The examples of a file; their ids may be anything.

    Raises:
      InputError: if it can't be read, or holds none.
    """
    pool = Pool.open(path, ids="unread", role=role)
    texts: list[str] = []
    places: list[int] = []
    for batch in pool.batches():
        texts += batch.texts
        places += batch.rows.tolist()
    return [
        Example(text, _plain(_field(record, "label")), _answers(_field(record, "answer")), row)
        for text, record, row in zip(texts, pool.records(places), places, strict=True)
    ]


def read_tests(path: Path, role: str, rows: int | None = None) -> list[Example]:
    """The rows of a test set in random order, always the same; the first so many of them.

    Such files are often sorted, by task or label: their first rows are not like the whole.

    Raises:
      InputError: if it can't be read, or holds none.
    """
    every = read(path, role)
    return [every[i] for i in np.random.default_rng(43).permutation(len(every))[:rows]]


def labelled(path: Path, rows: list[Example]) -> list[str]:
    """The label of each example.

    Raises:
      InputError: if one has none.
    """
    labels = []
    for row in rows:
        if row.label is None:
            raise InputError(
                "the record has no label", path=path, row=row.row, remedy='pretraining needs a field "label"'
            )
        labels.append(row.label)
    return labels


def _field(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, dict) else None


def _answers(value: Any) -> tuple[str, ...]:
    every = value if isinstance(value, list) else [value]
    return tuple(text for one in every if (text := _plain(one)) is not None)


def _plain(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():  # of a column with a gap somewhere: the class 1, not 1.0
        value = int(value)
    return str(value) if isinstance(value, (str, int, float)) else None


def _only(folder: Path, stems: tuple[str, ...]) -> Path:
    suffixes = [suffix for entry in FORMATS.values() for suffix in entry.suffixes]
    endings = [suffix + packed for suffix in suffixes for packed in ("", *COMPRESSIONS)]
    for stem in stems:
        found = [folder / (stem + ending) for ending in endings if (folder / (stem + ending)).exists()]
        if len(found) > 1:
            raise InputError(f"is there twice, and as {found[1].name}", path=found[0], remedy="keep one of them")
        if found:
            return found[0]
    raise InputError(
        f"holds no {' or '.join(stems)}", path=folder, remedy=f"{stems[0]}.jsonl, .jsonl.gz, .parquet, ..."
    )
