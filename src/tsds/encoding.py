"""Texts of pool and targets to vectors: with an encoder, straight or through a store, and transforms on top."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.bandwidth import Bandwidth, from_texts
from tsds.census import Census
from tsds.checkpoint import LEAST_ROWS
from tsds.corpus import Corpus, encoded_by_file, encoded_in_parts, gathered_by, part_rows, texts_of, write_vectors
from tsds.embeddings.encoders import Encoder, Gathers, Recalls, Report, Restores, Role, Setting, make_encoder
from tsds.embeddings.encoders.recipe import Recipe
from tsds.embeddings.store import Store, default_store
from tsds.embeddings.transforms import Learned, Transform
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.records import Pool
from tsds.settings import Settings
from tsds.stages import Stages

#: Texts of the pool that are edited to see how near near-duplicates are (benchmarks/bandwidth.py).
_EDITED = 512
#: Texts that are encoded to foretell how long the others take, where there are many more of them.
_PROBE, _MANY = 200, 2000
Texts = Callable[[], Iterable[Sequence[str]]]


@dataclass
class Encoded:
    """Pool and targets as vectors.

    Attributes:
      pool: [n, d].
      targets: [m, d] of each task.
      encoder: its fingerprint.
      bandwidth: from edited texts of the pool; None if another was asked for.
      notes: what a user must know, each with what to do about it.
    """

    pool: Vectors
    targets: list[NDArray[Any]]
    encoder: str
    bandwidth: Bandwidth | None
    notes: list[tuple[str, str | None]] = field(default_factory=list)


class Embedder:
    """An encoder with the store that its vectors come from and go to, if there is one.

    Args:
      spec: the encoder's name, or a function from texts to vectors.
      seed: of what it draws.
      device: to compute on.
      store: a folder; the default one for encoders that are slow, if None.
      precision: of stored vectors.
      scratch: a folder for this run; None if it is to lie in the store, which is made here: then set it.
      stages: told of progress.
    """

    def __init__(
        self,
        spec: Any,
        seed: int,
        device: str,
        store: Path | None,
        precision: Any,
        scratch: Path | None,
        stages: Stages,
    ) -> None:
        self.stages, self.scratch, self._files = stages, scratch, 0
        self.spec = spec if isinstance(spec, str) else "python"
        setting = Setting(seed, device, store or default_store(), stages.say)
        self._setting, self._asked = setting, spec
        self.encoder: Encoder = make_encoder(spec, setting)
        if store is not None and not self.encoder.lasting:
            raise InputError(
                f"encoder {self.spec} does not say when its vectors change, so they can't be kept",
                remedy="give the function an attribute `fingerprint`, or leave out --store",
            )
        wanted = store is not None or self.encoder.kept
        self.store = Store(store or default_store(), precision) if wanted else None
        self.report = Report()
        self.latest = {"found": 0, "made": 0}  # texts of the latest call that were stored, and that were encoded

    def fit(self, corpus: Corpus) -> None:
        """Let the encoder learn from the pool, or take what an earlier run has learned from it.

        Raises:
          InputError: if the run is resumed and this encoder is not the one that it began with.
        """
        with self.stages.stage("fit the encoder", len(corpus)) as advance:
            self._fit(corpus, len(corpus), advance)
        if self.stages.checkpoint is not None:
            stored = "float32" if self.store is None else self.store.precision
            self.stages.checkpoint.same_encoder(self.spec, _marks(self.encoder, stored))

    def _fit(self, corpus: Corpus, count: int, advance: Callable[[int], None]) -> None:
        kept = self.stages.checkpoint if count >= LEAST_ROWS and isinstance(self.encoder, Restores) else None
        if kept is not None and isinstance(self.encoder, Restores):
            state = kept.load("encoder")
            if state is not None:
                self.encoder.restore(state)
                advance(count)
                return
        if isinstance(self.encoder, Recalls):
            self.encoder.remember = self.store is None and kept is None
        files = corpus.files(self.stages.engine) if isinstance(self.encoder, Gathers) else None
        if isinstance(self.encoder, Gathers) and files is not None:
            engine, seed = self.stages.engine, self._setting.seed
            self.encoder.learn(gathered_by(engine, self._asked, seed, files, advance))
        else:
            self.encoder.fit(corpus(advance))
        if kept is not None and isinstance(self.encoder, Restores):
            kept.keep("encoder", self.encoder.state())

    def vectors(self, texts: Corpus | Texts, count: int, role: Role, name: str, *, fitted: bool = False) -> Vectors:
        """The vectors of texts, [count, d], which may be a file of the scratch folder.

        `fitted` says that these are the very texts that the encoder was fitted on last.
        """
        assert self.scratch is not None, "vectors of an Embedder without a scratch folder"
        path = self.scratch / f"{self._files}.npy"
        self._files += 1
        if self.store is None:
            with self.stages.stage(name, count) as advance:
                checkpoint, blocks = self.stages.checkpoint, None
                if checkpoint is not None and count >= LEAST_ROWS:
                    self.latest = {"found": 0, "made": count}
                    folder = checkpoint.folder / path.stem
                    recipe = self._recipe()
                    encode, context = (_encode_by, (recipe, role)) if recipe else (_encode_here, (self.encoder, role))
                    rows = part_rows(texts.census if isinstance(texts, Corpus) else None)
                    files = texts.files(self.stages.engine) if recipe and isinstance(texts, Corpus) else None
                    if files is not None:
                        by_file = folder.with_name(f"{folder.name}-by-file")
                        return encoded_by_file(self.stages.engine, by_file, files, encode, context, advance, rows)
                    return encoded_in_parts(self.stages.engine, folder, texts(), count, encode, context, advance, rows)
                if fitted and isinstance(self.encoder, Recalls):
                    blocks = self.encoder.recall(advance)
                if blocks is None:
                    blocks = (self.encoder.encode(batch, role, advance) for batch in texts())
                found = write_vectors(path, blocks, count, self.encoder.dim)
                self.report = self.encoder.report
                self.latest = {"found": 0, "made": count}
                return found
        space = self.store.space(self.spec, self.encoder, role)
        with self.stages.stage(name, count) as advance:

            def begin(missing: int) -> None:
                if missing < count:
                    self.stages.say(f"{count - missing:,} of {count:,} texts are in the store already")
                    advance(count - missing)
                if missing >= _MANY:
                    self.stages.say(self._forecast(texts, missing, role))

            stored = space.embed(
                self.encoder, role, texts, path, engine=self.stages.engine, recipe=self._recipe(),
                advance=advance, begin=begin, say=self.stages.say,
            )  # fmt: skip
            if not stored.made:
                advance(count)
        self.report = self.report.plus(stored.report)
        self.latest = {"found": stored.found, "made": stored.made}
        return stored.vectors

    def _recipe(self) -> Recipe | None:
        return None if self.stages.engine.here else Recipe.of(self._asked, self._setting, self.encoder)

    def array(self, texts: Sequence[str], role: Role, name: str) -> NDArray[Any]:
        """The vectors of a few texts, in memory."""
        if not len(texts):
            return np.empty((0, self.encoder.dim), np.float32)
        found = self.vectors(lambda: [texts], len(texts), role, name)
        return found.take(np.arange(len(found)))

    def notes(self) -> list[tuple[str, str | None]]:
        """What happened to the texts, where a user must know it."""
        found: list[tuple[str, str | None]] = []
        report = self.report
        if report.truncated:
            cut = f"{report.truncated:,} of {report.texts:,} texts were longer than the model reads and were cut"
            found.append((cut, "a model with a longer context, or @max=... where that is the limit"))
        if report.unfit:
            unfit = f"{report.unfit:,} chats do not fit the model's chat template: plain role marks were used"
            found.append((unfit, None))
        return found

    def _forecast(self, texts: Texts, missing: int, role: Role) -> str:
        """How long the missing texts will take, from a few of the stream."""
        some: list[str] = []
        for batch in texts():
            some += batch
            if len(some) >= 16 * _PROBE:
                break
        probe = some[:: max(1, len(some) // _PROBE)][:_PROBE]
        report, self.encoder.report = self.encoder.report, Report()
        self.encoder.encode(probe[:8], role)  # loads the model, and warms it
        began = time.perf_counter()
        self.encoder.encode(probe, role)
        rate = len(probe) / (time.perf_counter() - began)
        self.encoder.report = report
        return f"{missing:,} texts to encode at about {rate:,.0f} a second: {duration(missing / rate)}"


def marks_of(settings: Settings) -> dict[str, str]:
    """What tells the encoder's vectors from those of another, as a run to be resumed does, but before a pool is read.

    The pool is to be told from others by itself. So nothing is learned from it where that makes arrays, whose last bits
    are those of a machine; an encoder that takes texts of the pool takes one here, as it has no fingerprint before.

    Raises:
      InputError: if there is no such encoder.
      MissingExtra: if it needs a package that is not installed.
    """
    encoder = make_encoder(settings.encoder, Setting(settings.seed, settings.device))
    if not isinstance(encoder, Restores):
        encoder.fit([["a text"]])
    stored = settings.store is not None or encoder.kept
    return _marks(encoder, settings.store_precision if stored else "float32")


def encode_records(
    records: Pool, census: Census, wanted: Sequence[tuple[Pool, Census]], settings: Settings, scratch: Path,
    stages: Stages,
) -> Encoded:  # fmt: skip
    """Encode the candidates and the targets of each task."""
    embedder = Embedder(
        settings.encoder, settings.seed, settings.device, settings.store, settings.store_precision, scratch, stages
    )
    corpus = Corpus(records, census)
    embedder.fit(corpus)
    pool = embedder.vectors(corpus, len(corpus), "candidate", "encode", fitted=True)
    targets = [
        embedder.array([text for texts in texts_of(*one) for text in texts], "target", "encode the targets")
        for one in wanted
    ]
    notes = embedder.notes()  # of these texts alone, not of those that are edited below
    name = embedder.encoder.fingerprint()
    learned = Learned()
    if settings.transform:
        name += f" {settings.transform}"
        with stages.stage("transform", len(pool)):
            learned = Transform.parse(settings.transform).learn(pool, np.concatenate(targets))
            pool, targets = learned.write(pool, scratch / "transformed.npy"), [learned(one) for one in targets]
    bandwidth = None
    if settings.bandwidth == "auto":
        rng = np.random.default_rng(settings.seed)
        some = np.sort(rng.choice(len(census), min(len(census), _EDITED), replace=False))
        edited = records.texts_at(census.rows[some])
        if not embedder.encoder.chats:
            edited = [str(text) for text in edited]
        bandwidth = from_texts(
            edited,
            lambda texts: learned(embedder.array(texts, "candidate", "bandwidth")),
            settings.metric,
            settings.seed,
        )
    return Encoded(pool, targets, name, bandwidth, notes)


def _marks(encoder: Encoder, stored: str) -> dict[str, str]:
    """What tells the vectors that it gives from those of another; a store rounds them."""
    roles: tuple[Role, ...] = ("candidate", "target")
    return {**{role: encoder.fingerprint(role) for role in roles}, "numbers": stored}


def _encode_here(context: tuple[Encoder, Role], texts: Sequence[str]) -> NDArray[np.float32]:
    encoder, role = context
    return encoder.encode(texts, role)


def _encode_by(context: tuple[Recipe, Role], texts: Sequence[str]) -> NDArray[np.float32]:
    recipe, role = context
    return recipe.make().encode(texts, role)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{max(seconds, 0.1):.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
