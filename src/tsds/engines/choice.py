"""The table of engines, and how one is asked for: local, ray, ray:ADDRESS."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tsds.engines.base import Engine
from tsds.engines.local import LocalEngine
from tsds.errors import InputError
from tsds.parallel import threads
from tsds.suggestions import nearest_name

ENGINES = ("local", "ray")


def check_engine(asked: str) -> None:
    """Raise InputError unless this names an engine."""
    name, colon, address = asked.partition(":")
    if name not in ENGINES:
        raise InputError(f"unknown engine {asked!r}", remedy=nearest_name(name, ENGINES))
    if colon and (name != "ray" or not address):
        raise InputError(f"--engine is {asked!r}", remedy="local, ray, or ray:ADDRESS of a cluster")


def engine_named(asked: str, workers: int | None = None, memory: int | None = None, *, gpus: bool = False) -> Engine:
    """The engine asked for, started.

    Raises:
      InputError: if there is none of that name, or no cluster at the address.
      MissingExtra: without ray.
    """
    check_engine(asked)
    name, _, address = asked.partition(":")
    if name == "local":
        return LocalEngine(workers, memory)
    from tsds.engines.ray import RayEngine

    return RayEngine(address or None, workers, memory, gpus=gpus)


@contextlib.contextmanager
def running(engine: Engine) -> Iterator[None]:
    """A run on this engine, let go of at the end; one of this machine bounds what is done beside folds too."""
    with contextlib.closing(engine), threads(engine.workers) if engine.here else contextlib.nullcontext():
        yield
