"""What a selection starts from: the candidates and the targets, as vectors and as records where there are any."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Array
from tsds.bandwidth import Bandwidth
from tsds.census import Census, kept_census, take_census
from tsds.centring import centre_of
from tsds.corpus import texts_of
from tsds.embeddings.scan import scan
from tsds.embeddings.vectors import Vectors
from tsds.encoding import encode_records
from tsds.errors import InputError
from tsds.given import as_given, check_no_texts, given_name, names_of, pool_vectors, target_vectors, transformed
from tsds.leakage import Guard, guard_of_excluded
from tsds.memory import check_room
from tsds.neighbors import check_widths
from tsds.records import Pool, Texts, is_vectors, not_here
from tsds.records.fields import Ids
from tsds.scratch import scratch_in
from tsds.settings import Settings
from tsds.stages import Stages
from tsds.targets import Targets, targets_of, task_sources, weights_given


@dataclass(frozen=True)
class Candidates:
    """The pool: its distinct records and their vectors.

    Attributes:
      vectors: [n, d], each exact copy once; centred, as the targets are, where they lie far from the origin.
      census: which records they are.
      largest_norm: of the vectors.
      records: the records; None for an array.
      names: of the files or arrays.
      digest: of the vectors, copies included.
      given: a pool of vectors as it is, one for each record and without what was done to them; None for records.
    """

    vectors: Vectors
    census: Census
    largest_norm: float
    records: Pool | None
    names: list[str]
    digest: str = ""
    given: Vectors | None = None


@dataclass
class Inputs:
    """Candidates, targets, and what encoding them brought to light."""

    candidates: Candidates
    targets: Targets
    encoder: str
    bandwidth: Bandwidth | None = None
    scratch: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)
    notes: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def texts(self) -> InputTexts | None:
        """The texts of pool and targets; None where they are arrays."""
        records = self.candidates.records
        return None if records is None else InputTexts(records, self.candidates.census, self.targets)

    def close(self) -> None:
        """Remove the vectors written for this run."""
        if self.scratch is not None:
            self.scratch.cleanup()


@dataclass(frozen=True)
class InputTexts:
    """Texts read again when a method asks for them."""

    records: Pool
    census: Census
    wanted: Targets

    def pool(self) -> Iterator[list[str]]:
        """The candidates' texts, in batches."""
        return texts_of(self.records, self.census)

    def targets(self) -> list[str]:
        """The targets' texts."""
        return [t for task, rows in self.wanted.sources if task is not None for t in task.texts_at(rows)]


def prepare(pool: Any, target: Any, settings: Settings, stages: Stages, *, ids: Ids = "unique") -> Inputs:
    """Read pool and target, choose the records that take part, and encode them where they are not vectors yet.

    Args:
      ids: of the pool, as in `Fields`; "unread" where what is selected is told by its position.

    Raises:
      InputError: on any unusable input.
    """
    return _prepared(pool, task_sources(target, settings), settings, stages, ids)


def prepare_pool(pool: Any, settings: Settings, stages: Stages) -> Inputs:
    """The candidates as `prepare` makes them, where no target matters: the first record stands in for one.

    Ids may be anything: nothing is selected, so none is shown or told from another.
    """
    return _prepared(pool, {}, settings, stages, "unread")


def _prepared(pool: Any, tasks: dict[str, Any], settings: Settings, stages: Stages, ids: Ids) -> Inputs:
    given = settings.target_embeddings
    for source in (
        pool,
        *tasks.values(),
        settings.embeddings,
        *(given.values() if isinstance(given, dict) else [given]),
    ):
        _fetch(source, stages)
    vectors = is_vectors(pool)
    for name, source in tasks.items():
        if is_vectors(source) != vectors:
            one, other = ("embeddings", "records") if vectors else ("records", "embeddings")
            where = f"target {name!r}" if name else "the target"
            raise InputError(
                f"the pool is {one} and {where} is {other}", remedy="give both as records or both as arrays"
            )
    if vectors:
        check_no_texts(settings)
        return _from_arrays(pool, tasks, settings, stages)
    return _from_records(pool, tasks, settings, stages, ids)


def _fetch(source: Any, stages: Stages) -> None:
    """Copy here what is elsewhere, so that a person sees how it goes."""
    missing = not_here(source)
    if missing:
        with stages.stage("fetch bytes", sum(file.size or 0 for file in missing) or None) as advance:
            for file in missing:
                file.fetch(advance)


def _from_arrays(pool: Any, tasks: dict[str, Any], settings: Settings, stages: Stages) -> Inputs:
    whole = Vectors.of(as_given(pool), "pool")
    tasks = tasks or {"": whole.take(np.arange(1))}
    wanted = {name: Vectors.of(as_given(source), name or "target") for name, source in tasks.items()}
    n = len(whole)
    check_room(stages.engine.memory, n, sum(map(len, wanted.values())))
    nothing = np.zeros(n, np.int32)
    census = Census(
        np.arange(n), np.ones(n, np.int64), np.ones(n, np.int64), nothing, nothing - 1, [], n, n,
        equal_to_target=np.zeros(n, bool),
    )  # fmt: skip
    if settings.budget.kind == "tokens":
        raise InputError("a size in tokens needs texts, and the pool is embeddings", remedy="give a number of examples")
    for name, source in wanted.items():
        check_widths(whole, source)
        scan(source, settings.metric, name or "target", bounded=not settings.transform)
    given: list[NDArray[Any]] = [source.take(np.arange(len(source))) for source in wanted.values()]
    vectors, given, scratch = transformed(whole, given, settings, stages)
    if settings.transform:
        for name, rows in zip(tasks, given, strict=True):
            scan(Vectors.of(rows), settings.metric, name or "target")
    candidates = _distinct(vectors, census, None, names_of(pool, "pool"), settings, stages)
    candidates = replace(candidates, given=whole)
    found = [_placed(rows, candidates) for rows in given]
    sources: list[tuple[Pool | None, NDArray[np.int64]]] = [(None, np.arange(len(x))) for x in found]
    weights = [np.ones(len(x)) for x in found]
    counts = {"read": sum(map(len, found)), "used": sum(map(len, found)), "empty": 0, "bad": 0}
    names, ones = names_of(list(tasks.values()), "target"), np.ones(sum(map(len, found)), np.int64)
    targets = targets_of(list(tasks), found, weights, sources, counts, names, ones, settings)
    return Inputs(candidates, targets, given_name(settings), scratch=scratch)


def _from_records(pool: Any, tasks: dict[str, Any], settings: Settings, stages: Stages, ids: Ids) -> Inputs:
    records = opened(pool, "pool", settings, ids=ids)
    if not tasks:
        tasks = {"": Texts(next(iter(records.batches(1))).texts)}  # a bare text, whatever field is asked for
    wanted = [opened(source, name or "target", settings, tuned=False) for name, source in tasks.items()]
    with stages.stage("read the targets"):
        chosen = [take_census(task, collapse=False) for task in wanted]
        guard = Guard(
            (texts for task, one in zip(wanted, chosen, strict=True) for texts in texts_of(task, one)),
            overlapping=False,
        )
        weights = [weights_given(task, one.rows, settings) for task, one in zip(wanted, chosen, strict=True)]
        exclude, read, skipped = None, [records, *wanted], list[tuple[str, str | None]]()
        for name, one in zip(tasks, chosen, strict=True):
            if one.bad:
                where = f"target {name!r}" if name else "the target"
                skipped.append((f"{one.bad:,} records of {where} were left out as unusable: {one.problems[0]}", None))
        if settings.exclude is not None:
            exclude, unseen = guard_of_excluded(settings)
            bad, read = unseen.tally.bad, [*read, unseen]
            if bad:
                what = f"{bad:,} records of --exclude were left out as unusable: {unseen.tally.problems[0]}"
                skipped.append((what, "mend them: candidates that leak them are not dropped"))
    with stages.stage("read the pool") as advance:
        collapse = settings.copies == "collapse"
        census = kept_census(
            stages.checkpoint,
            lambda: take_census(
                records, collapse=collapse, exclude=exclude, targets=guard, advance=advance, engine=stages.engine
            ),
            advance,
        )
    if census.ends:
        records.know_ends(census.ends)
    check_room(stages.engine.memory, len(census), sum(map(len, chosen)))  # before hours of encoding
    if settings.embeddings is not None:
        encoder_name, bandwidth, notes = given_name(settings), None, []
        vectors = pool_vectors(settings.embeddings, census)
        given = target_vectors(settings.target_embeddings, list(tasks), chosen)
        for name, rows in zip(tasks, given, strict=True):
            check_widths(vectors, Vectors.of(rows))
            scan(Vectors.of(rows), settings.metric, name or "target", bounded=not settings.transform)
        vectors, given, scratch = transformed(vectors, given, settings, stages)
    else:
        scratch = scratch_in(stages.folder)
        encoded = encode_records(
            records, census, list(zip(wanted, chosen, strict=True)), settings, Path(scratch.name), stages
        )
        vectors, given, bandwidth, notes = encoded.pool, encoded.targets, encoded.bandwidth, encoded.notes
        encoder_name = encoded.encoder
    names = [shard.name for shard in records.shards]
    candidates = _distinct(vectors, census, records, names, settings, stages)
    for name, rows in zip(tasks, given, strict=True):
        check_widths(vectors, Vectors.of(rows))
        scan(Vectors.of(rows), settings.metric, name or "target")
    counts = {key: sum(getattr(one, key) for one in chosen) for key in ("read", "used", "empty", "bad")}
    sources: list[tuple[Pool | None, NDArray[np.int64]]] = [
        (task, one.rows) for task, one in zip(wanted, chosen, strict=True)
    ]
    shards = [shard.name for task in wanted for shard in task.shards]
    tokens = np.concatenate([one.tokens for one in chosen])
    wide = [_placed(rows, candidates) for rows in given]
    targets = targets_of(list(tasks), wide, weights, sources, counts, shards, tokens, settings)
    notes = [*notes, *skipped, *_plain_lines(read)]
    return Inputs(candidates, targets, encoder_name, bandwidth, scratch, notes)


def opened(source: Any, role: str, settings: Settings, *, tuned: bool = True, ids: Ids = "unique") -> Pool:
    """Records; groups, token counts and ids that must differ are the pool's alone: a target's ids are but shown."""
    return Pool.open(
        source,
        text=settings.text if tuned else settings.target_text,
        id_field=settings.id_field if tuned else None,
        group_field=settings.group_field if tuned else None,
        tokens_field=settings.tokens_field if tuned else None,
        ids=ids if tuned else "shown",
        on_error=settings.on_error,
        role=role,
    )


def _plain_lines(pools: list[Pool]) -> list[tuple[str, str | None]]:
    """What to say where standard input is taken for plain text: it has no name to tell what it is."""
    remedy = "csv or another table has to be in a file, whose suffix tells what it is"
    plain = [one.role for one in pools for shard in one.shards if shard.temporary and shard.format_name == "txt"]
    return [(f"standard input ({role}) was read as plain lines, each a text", remedy) for role in plain]


def _distinct(
    vectors: Vectors, census: Census, records: Pool | None, names: list[str], settings: Settings, stages: Stages
) -> Candidates:
    """Check the vectors and collapse equal ones."""
    with stages.stage("check the vectors", len(vectors)) as advance:
        seen = scan(vectors, settings.metric, "pool", advance, stages.engine)
    if seen.first_copy is not None and settings.copies == "collapse":
        kept = np.flatnonzero(seen.first_copy == np.arange(len(vectors)))
        copies = np.bincount(seen.first_copy, weights=census.copies, minlength=len(vectors))[kept]
        vectors, census = vectors.only(kept), census.only(kept, copies.astype(np.int64))
    norm, digest = seen.largest_norm, hashlib.sha256(seen.keys.tobytes())
    centre = centre_of(vectors, settings.metric)
    if centre is not None:
        vectors = vectors.around(centre)
        digest.update(centre.tobytes())
        with stages.stage("centre the vectors", len(vectors)) as advance:
            norm = scan(vectors, settings.metric, "centred pool", advance, stages.engine).largest_norm
    return Candidates(vectors, census, norm, records, names, digest.hexdigest())


def _placed(targets: NDArray[Any], candidates: Candidates) -> Array:
    """Targets in float64, less what was subtracted from the candidates."""
    wide: Array = targets.astype(np.float64)
    return wide if candidates.vectors.centre is None else wide - candidates.vectors.centre
