"""A space of a store: the vectors of one encoder in one precision, shard by shard."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders import Advance, Encoder, Report, Role, Say, ignore
from tsds.embeddings.encoders.recipe import Recipe
from tsds.embeddings.lookup import Index, gathered, overlap, text_keys
from tsds.embeddings.shards import (
    Entry,
    Keys,
    Precision,
    damage,
    open_shard,
    read_entry,
    remove_shard,
    shard_name,
    write_shard,
)
from tsds.embeddings.vectors import Vectors
from tsds.engines import Engine
from tsds.errors import InputError, RunError

SPACE = "space.json"
_LOCK = ".lock"
#: A shard is as large as this, and no longer than that: what a killed run has to do again.
_SHARD_BYTES, _SHARD_ROWS = 32 << 20, 4096
Batches = Callable[[], Iterable[Sequence[str]]]  # starts a pass over the texts
_Cut = tuple[Keys, list[str], bool]  # keys, their texts, and whether to wait for a run that is at them
Made = Callable[[Iterable[_Cut]], Iterator[bool]]


@dataclass(frozen=True)
class Stored:
    """Vectors that a store holds for a sequence of texts.

    Attributes:
      vectors: [n, d], in the order of the texts.
      found: how many distinct texts were there already.
      made: how many were encoded now.
      report: what happened to the texts of the shards that were used, now or earlier.
    """

    vectors: Vectors
    found: int
    made: int
    report: Report


@dataclass(frozen=True)
class Space:
    """The vectors of one encoder in one precision."""

    folder: Path
    encoder: str
    fingerprint: str
    dtype: Precision

    def entries(self) -> list[Entry]:
        """The entries of all shards, by name."""
        found = (read_entry(path) for path in sorted(self.folder.glob("*.json")) if path.name != SPACE)
        return [entry for entry in found if entry is not None]

    def embed(
        self,
        encoder: Encoder,
        role: Role,
        batches: Batches,
        scratch: Path,
        *,
        engine: Engine | None = None,
        recipe: Recipe | None = None,
        advance: Advance = ignore,
        begin: Callable[[int], None] = ignore,
        say: Say = ignore,
    ) -> Stored:
        """The vectors of a stream of texts: those that are there are taken, the others encoded and added.

        Args:
          encoder: fitted.
          role: whose texts these are.
          batches: starts a pass over the texts, which must be the same each time.
          scratch: a .npy file to write, if the texts come in another order than they are stored in.
          engine: what encodes; its workers must see the store. This process if None.
          recipe: of the encoder, for the engine; this process encodes if it has none.
          advance: told the number of texts encoded.
          begin: told, before the first is encoded, how many are missing.
          say: told of damage that was found.

        Raises:
          InputError: if a vector does not fit the precision, or the store can't be written.
        """
        keys = np.concatenate([np.empty((0, 2), np.uint64), *(text_keys(b, encoder.chats) for b in batches())])
        checked: dict[str, Entry] = {}
        index = self._index(keys, say, checked)
        absent = keys[index.shard < 0]
        wanted = absent[np.sort(np.unique(absent[:, 0], return_index=True)[1])]
        found = len(np.unique(keys[index.shard >= 0, 0]))
        if len(wanted):
            begin(len(wanted))
            if engine is None or engine.here or recipe is None:
                made = partial(self._made_here, encoder, role, advance)
            else:
                made = partial(self._made_by, engine, recipe, role, advance)
            self._add(encoder, batches, wanted, made)
            index = self._index(keys, say, checked)
            if (index.shard < 0).any():
                raise RunError(f"{self.folder}: texts that were just stored are gone; does another run clean up?")
        with contextlib.suppress(OSError):  # a store that may only be read
            os.utime(self.folder / SPACE)
        shards = [open_shard(self.folder, entry) for entry in index.entries]
        vectors = Vectors(shards).arranged(index.positions(), scratch)
        return Stored(vectors, found, len(wanted), index.report)

    def whole(self) -> Vectors:
        """All vectors of the space, its shards by name.

        Raises:
          RunError: if a shard is damaged.
          InputError: if there are none.
        """
        bad = self.damaged()
        if bad:
            raise RunError(f"{self.folder}: damaged: {bad[0][1]} (tsds store gc removes it, select makes it again)")
        entries = self.entries()
        if not entries:
            raise InputError("holds no vector", path=self.folder, remedy="tsds embed adds some")
        return Vectors([open_shard(self.folder, entry) for entry in entries])

    def holds(self, keys: Keys) -> NDArray[np.bool_]:
        """Which of these texts seem to have a vector here, [n]: nothing is checked, and nothing is mended."""
        files = sorted(self.folder.glob("*.keys.npy"))
        held = [np.load(path, allow_pickle=False)[:, 0] for path in files if path.stat().st_size]
        return np.isin(keys[:, 0], np.concatenate([np.empty(0, np.uint64), *held]))

    def damaged(self) -> list[tuple[str, str]]:
        """The name of every shard whose files are not what was written, and what is wrong; reads all of the space."""
        found: list[tuple[str, str]] = []
        for path in sorted(self.folder.glob("*.json")):
            if path.name == SPACE:
                continue
            entry = read_entry(path)
            why = "its entry can't be read" if entry is None else damage(self.folder, entry)
            if why:
                found.append((path.stem, why))
        return found

    def leftovers(self) -> list[Path]:
        """Files of no shard: what killed runs have left."""
        names = {path.name.removesuffix(".json") for path in self.folder.glob("*.json")}
        return [
            path
            for path in sorted(self.folder.iterdir())
            if path.name not in (SPACE, _LOCK) and path.suffix != ".json" and path.name.partition(".")[0] not in names
        ]

    def days_unused(self) -> float:
        """Days since a run last took vectors from here."""
        return round(max(time.time() - (self.folder / SPACE).stat().st_mtime, 0) / 86400, 2)

    def remove(self) -> None:
        """Take the space away with all its vectors."""
        (self.folder / SPACE).unlink()
        shutil.rmtree(self.folder)

    def _index(self, keys: Keys, say: Say, checked: dict[str, Entry]) -> Index:
        """Where each key is: shards that hold one of them are checked, damaged ones removed.

        Args:
          checked: shards that this run has found whole, by name, which are not read again; added to.
        """
        entries = []
        parts: list[Keys] = []
        wanted = np.sort(keys[:, 0])
        for entry in self.entries():
            try:
                held = np.load(self.folder / f"{entry.name}.keys.npy", allow_pickle=False)
            except (OSError, ValueError, EOFError):
                held = None
            useful = held is None or overlap(wanted, held[:, 0])
            why = damage(self.folder, entry) if useful and checked.get(entry.name) != entry else None
            if why is not None:
                say(f"a shard of the store is damaged ({why}): its {entry.rows:,} texts are encoded again")
                remove_shard(self.folder, entry.name)
            elif useful and held is not None:
                checked[entry.name] = entry
                entries.append(entry)
                parts.append(held)
        return Index.of(keys, entries, parts)

    def _add(self, encoder: Encoder, batches: Batches, wanted: Keys, made: Made) -> None:
        """Encode the texts of these keys, shard by shard; shards that another run is at come last."""
        rows = max(1, min(_SHARD_ROWS, _SHARD_BYTES // (4 * encoder.dim)))
        cuts = [wanted[start : start + rows] for start in range(0, len(wanted), rows)]
        waits = False
        while cuts:
            items = ((cut, texts, waits) for cut, texts in gathered(batches(), cuts, encoder.chats))
            cuts = [cut for cut, done in zip(cuts, made(items), strict=False) if not done]
            waits = True

    def _made_here(self, encoder: Encoder, role: Role, advance: Advance, items: Iterable[_Cut]) -> Iterator[bool]:
        return (self.make_shard(encoder, role, item, advance) for item in items)

    def _made_by(
        self, engine: Engine, recipe: Recipe, role: Role, advance: Advance, items: Iterable[_Cut]
    ) -> Iterator[bool]:
        sizes: deque[int] = deque()

        def counted() -> Iterator[_Cut]:
            for item in items:
                sizes.append(len(item[0]))
                yield item

        for done in engine.each("encode", _make_shard, (self, recipe, role), counted()):
            size = sizes.popleft()
            if done:
                advance(size)
            yield done

    def make_shard(self, encoder: Encoder, role: Role, item: _Cut, advance: Advance = ignore) -> bool:
        """Encode and store the texts of some keys unless they are there; False if another run is at it."""
        cut, texts, waits = item
        name = shard_name(cut)
        with self._lock(name, waits) as mine:
            if not mine:
                return False
            if read_entry(self.folder / f"{name}.json") is not None:
                advance(len(cut))
                return True
            before, began = encoder.report, time.perf_counter()
            encoder.report = Report()
            vectors = encoder.encode(texts, role, advance)
            facts = encoder.report
            encoder.report = before.plus(facts)
            write_shard(
                self.folder, cut, vectors, self.dtype,
                truncated=facts.truncated, unfit=facts.unfit, seconds=round(time.perf_counter() - began, 3),
            )  # fmt: skip
            return True

    @contextmanager
    def _lock(self, name: str, waits: bool) -> Iterator[bool]:
        """Hold the right to make a shard: one byte of a file, which the system frees if this process dies."""
        place = int(name[:12], 16)
        try:
            file = (self.folder / _LOCK).open("ab")
        except OSError as error:
            raise InputError(
                f"can't be written: {error.strerror}", path=self.folder, remedy="choose another --store"
            ) from error
        with file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB), 1, place)
            except BlockingIOError:
                yield False
                return
            except OSError:  # a folder without locks: both runs do the work, and write the same
                pass
            yield True


def _make_shard(context: tuple[Space, Recipe, Role], item: _Cut) -> bool:
    """Encode and store the texts of some keys, wherever this runs."""
    space, recipe, role = context
    return space.make_shard(recipe.make(), role, item)
