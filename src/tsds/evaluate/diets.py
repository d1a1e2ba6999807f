"""What each cell of a grid is trained on: what its method selected, or what an arm that selects nothing takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsds.evaluate.cells import Place
from tsds.evaluate.data import Data, read
from tsds.evaluate.experiment import Diet
from tsds.evaluate.selecting import Selected, copies_of, drawn_examples, write_copies
from tsds.evaluate.settings import Condition, Training
from tsds.records import Pool


class Diets:
    """Texts and tokens of every cell.

    Args:
      data: pool and targets.
      rows: [n], usable records of the pool.
      sizes: in examples, by their names.
      conditions: by their names.
      training: how long.
      folder: where pools with copies are kept.
    """

    def __init__(
        self, data: Data, rows: NDArray[np.int64], sizes: Mapping[str, int], conditions: Mapping[str, Condition],
        training: Training, folder: Path,
    ) -> None:  # fmt: skip
        self._data, self._rows, self._sizes, self._conditions = data, rows, sizes, conditions
        self._training, self._folder = training, folder
        self._opened: dict[tuple[Path, ...], Pool] = {}

    def pool(self, condition: str) -> list[Path]:
        """The files of the pool under a condition; copies are made where they are not there yet."""
        asked = self._conditions.get(condition)  # none: of an arm that is the same whatever the condition
        if asked is None or asked.kind != "near-duplicates":
            return [self._data.pool]
        copies = self._folder / f"{asked.share:g}x{asked.times}.jsonl.gz"
        write_copies(Pool.open(self._data.pool, ids="unread"), asked, copies)
        return [self._data.pool, copies]

    def of_selection(self, place: Place, found: Selected, mean: float) -> Diet:
        """What a method selected.

        Args:
          mean: tokens of a text of the pool.
        """
        texts = self._records(place.condition).texts_at(found.rows)
        return Diet(texts, np.array(found.counts, np.int64), self._budget(place, mean), self._passes)

    def unselected(self, place: Place, mean: float) -> Diet | None:
        """What an arm without a selection takes; None where nothing is trained."""
        if place.method == "none":
            return None
        whole: float | None = None
        if place.method == "in-domain":
            texts = self._own(place)
        else:
            texts, count = self._whole(place, mean)
            whole = count * mean if len(texts) < count else None
        passes = 1 if place.method == "full" else self._passes
        return Diet(texts, np.ones(len(texts), np.int64), self._budget(place, mean), passes, whole)

    def tokens(self, place: Place, mean: float) -> int:
        """Tokens that a cell is trained on, exactly where tokens are equal, else about."""
        if place.method == "none":
            return 0
        if place.method == "full-epoch":
            condition = self._conditions.get(place.condition)
            copies = 0 if condition is None else copies_of(len(self._rows), condition)
            return round((len(self._rows) + copies) * mean)
        return round(self._sizes[place.size] * mean * self._training.epochs)

    def _budget(self, place: Place, mean: float) -> int | None:
        return self.tokens(place, mean) if place.equal == "tokens" else None

    def _own(self, place: Place) -> list[str]:
        """The target's examples: as many as the others select where examples are equal."""
        target = self._data.targets[place.target]
        texts = [one.text for one in read(target.examples, target.name)]
        few = self._sizes[place.size] if place.equal == "examples" else len(texts)
        return [texts[i] for i in drawn_examples(len(texts), few, place.seed)]

    def _whole(self, place: Place, mean: float) -> tuple[list[str], int]:
        """Texts of the pool, drawn at random, as far as it will be read; and how many it has."""
        pool = self._records(place.condition)
        rows = np.concatenate([batch.rows for batch in pool.batches()]) if place.condition else self._rows
        order = np.random.default_rng([place.seed, 37]).permutation(rows)
        if place.method == "full" and place.equal == "tokens":
            # As many as the tokens can reach, and some to spare: reading the others would be for nothing.
            order = order[: 256 + 2 * round(self.tokens(place, mean) / mean)]
        elif place.method == "full":
            order = order[: self._sizes[place.size] * self._passes]
        return pool.texts_at(np.sort(order)), len(rows)

    def _records(self, condition: str) -> Pool:
        """The pool under a condition; opened once, so that it keeps what was learned of where its files end."""
        files = tuple(self.pool(condition))
        if files not in self._opened:
            self._opened[files] = Pool.open(list(files), ids="unread")
        return self._opened[files]

    @property
    def _passes(self) -> int:
        return max(1, round(self._training.epochs))
