"""Vectors that users bring themselves: checked against the records they belong to, transformed if that is asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.census import Census
from tsds.embeddings.scan import scan
from tsds.embeddings.transforms import Transform
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.records import array_files
from tsds.scratch import scratch_in
from tsds.settings import Settings
from tsds.stages import Stages


def check_no_texts(settings: Settings) -> None:
    """Raise InputError at a setting that means nothing where the pool is embeddings."""
    if settings.embeddings is not None:
        raise InputError("the pool is embeddings already", remedy="leave out --embeddings")
    if settings.names_encoder:
        raise InputError("--encoder means nothing to a pool of embeddings", remedy="leave out --encoder")
    if settings.exclude is not None:
        raise InputError("--exclude compares texts, and the pool has none", remedy="give the pool as records")


def pool_vectors(source: Any, census: Census) -> Vectors:
    """The vectors of the candidates, out of one for each record of the pool.

    Raises:
      InputError: if there are more or fewer.
    """
    return _one_each(source, "pool", census)


def target_vectors(source: Any, tasks: list[str], chosen: list[Census]) -> list[NDArray[Any]]:
    """The vectors of each task's examples, out of one for each of its records.

    Raises:
      InputError: if there are more or fewer, or one file for several tasks.
    """
    if isinstance(source, Mapping):
        parts = [_one_each(source.get(name), f"target {name}", one) for name, one in zip(tasks, chosen, strict=True)]
    elif len(tasks) == 1:
        parts = [_one_each(source, "target", chosen[0])]
    else:
        raise InputError("several tasks need embeddings for each", remedy="--target-embeddings NAME=FILE")
    return [part.take(np.arange(len(part))) for part in parts]


def transformed(
    vectors: Vectors, targets: list[NDArray[Any]], settings: Settings, stages: Stages
) -> tuple[Vectors, list[NDArray[Any]], tempfile.TemporaryDirectory[str] | None]:
    """Given vectors with --transform on top, and the folder they are in; as they are without one."""
    transform = Transform.parse(settings.transform)
    if not transform:
        return vectors, targets, None
    scratch = scratch_in(stages.folder)
    with stages.stage("transform", len(vectors)):
        scan(vectors, "l2", "pool", bounded=False)
        learned = transform.learn(vectors, np.concatenate(targets))
        return learned.write(vectors, Path(scratch.name) / "pool.npy"), [learned(one) for one in targets], scratch


def given_name(settings: Settings) -> str:
    """What stands for an encoder where vectors are given."""
    return f"given embeddings {settings.transform or ''}".rstrip()


def as_given(source: Any) -> Any:
    """The files of a source that is files of vectors, else the source: what `Vectors.of` takes."""
    files = array_files(source)
    return source if files is None else files


def names_of(source: Any, role: str) -> list[str]:
    """What to call given vectors: their files, or the role of an array."""
    if isinstance(source, (str, Path)):
        return [str(source)]
    if isinstance(source, (list, tuple)):
        return [name for one in source for name in names_of(one, role)]
    return [f"{role} array"]


def check_one_each(vectors: Vectors, records: int, what: str) -> None:
    """Raise InputError unless there is a vector for each of so many records of the pool or a target."""
    if len(vectors) != records:
        raise InputError(
            f"{len(vectors):,} embeddings for {records:,} records of the {what}", remedy="one row for each record"
        )


def _one_each(source: Any, what: str, census: Census) -> Vectors:
    vectors = Vectors.of(as_given(source), f"{what} embeddings")
    check_one_each(vectors, census.read, what)
    return vectors if len(census) == len(vectors) else vectors.only(census.rows)
