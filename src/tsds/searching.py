"""Which search a selection uses: exact, or an index that is there or is built; and what each would cost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from tsds.approximate import IndexedSearch
from tsds.checkpoint import Checkpoint
from tsds.engines import engine_named, running
from tsds.index import KINDS, Index, Kind, build_index, default_folder, find_index
from tsds.inputs import Inputs
from tsds.memory import bytes_of, check_room
from tsds.neighbors import NeighborSearch, roomy
from tsds.on_device import search_device
from tsds.settings import Settings
from tsds.stages import Listener, Stages

#: What an index takes (benchmarks/index.py --model): seconds a number of the pool, to read it once and find the exact
#: lists by which recall is measured; and a number of the lists that it proposes, to look them up and measure them.
_READ_SECONDS, _LISTED_SECONDS = 1.0e-8, 1.05e-8
#: How much quicker an index must be for `auto` to give up exactness.
_WORTH = 2.0
#: Exact searches of so few seconds are never replaced.
_SHORT = 20.0


def neighbor_search(inputs: Inputs, settings: Settings, stages: Stages, room: int = 0) -> NeighborSearch:
    """The search of the targets in the pool, as the settings ask for it; a first pass brings `room` a target at least.

    Raises:
      InputError: if the memory allowed can't hold the lists.
    """
    found, wanted = inputs.candidates, inputs.targets
    check_room(stages.engine.memory, len(found.vectors), len(wanted.mu), room)
    index = _index(inputs, settings, stages)
    if index is None:
        return NeighborSearch(
            found.vectors, wanted.vectors, settings.metric,
            largest_norm=found.largest_norm, room=room, engine=stages.engine, device=stages.device,
            progress=stages.advance,
        )  # fmt: skip
    return IndexedSearch(
        found.vectors, wanted.vectors, settings.metric, index,
        largest_norm=found.largest_norm, room=room, seed=settings.seed, engine=stages.engine, progress=stages.advance,
    )  # fmt: skip


def _index(inputs: Inputs, settings: Settings, stages: Stages) -> Index | None:
    """The index to use, built if it is asked for and not there; None for an exact search."""
    if settings.search == "exact":
        return None
    found = inputs.candidates
    folder = settings.index or default_folder()
    if settings.search == "auto":
        there = [find_index(folder, found.vectors, settings.metric, kind, found.digest) for kind in KINDS]
        index = next((one for one in there if one is not None), None)
        if index is None or not worth_it(len(found.vectors), len(inputs.targets.mu), found.vectors.dim):
            return None
        return index
    return index_of(inputs, settings, settings.search, folder, stages)


def index_of(inputs: Inputs, settings: Settings, kind: Kind, folder: Path, stages: Stages) -> Index:
    """The index of the candidates, built if it is not there."""
    found = inputs.candidates
    index = find_index(folder, found.vectors, settings.metric, kind, found.digest)
    if index is None:
        with stages.stage("build the index", len(found.vectors)) as advance:
            index = build_index(
                folder, found.vectors, settings.metric, kind, found.digest,
                memory=stages.engine.memory, seed=settings.seed, advance=advance,
            )  # fmt: skip
    return index


def worth_it(candidates: int, targets: int, dim: int) -> bool:
    """Whether an index that is there saves enough to give up exactness."""
    exact, indexed = expected_seconds(candidates, targets, dim)
    return exact > _SHORT and exact > _WORTH * indexed


def expected_seconds(candidates: int, targets: int, dim: int) -> tuple[float, float]:
    """What an exact search takes on this machine, and one by an index that is there, its recall measured."""
    exact = candidates * targets * dim * 2 / flops(dim)
    listed = min(candidates, roomy(targets)) * targets
    return exact, dim * (candidates * _READ_SECONDS + listed * _LISTED_SECONDS)


@contextlib.contextmanager
def working(
    settings: Settings, listener: Listener | None = None, checkpoint: Checkpoint | None = None
) -> Iterator[Stages]:
    """Stages on the engine and device that the settings ask for; the engine is let go of at the end."""
    gpus = settings.device.startswith("cuda")
    engine = engine_named(settings.engine, settings.workers, bytes_of(settings.memory), gpus=gpus)
    with running(engine):
        yield Stages(listener, engine, checkpoint, search_device(settings.device, settings.engine))


@cache
def flops(dim: int) -> float:
    """Floating-point operations a second of an exact search on this machine, from one product like those of it."""
    a, b = np.ones((1024, dim), np.float32), np.ones((4096, dim), np.float32)
    a @ b.T
    began = time.perf_counter()
    a @ b.T
    return 2 * 1024 * 4096 * dim / (time.perf_counter() - began) * 0.75  # the rest goes into keeping the nearest
