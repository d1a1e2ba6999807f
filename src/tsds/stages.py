"""The stages of a run: how long each took, how much memory the process had used by then, and how far it is."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tsds.checkpoint import LEAST_ROWS, Checkpoint
from tsds.engines import Engine, LocalEngine
from tsds.engines.recorded import RecordedEngine

Advance = Callable[[int], None]


class Listener(Protocol):
    """Who is told of progress: a bar on the screen, or nobody."""

    def start(self, name: str, total: int | None) -> None:
        """A stage begins, of so many rows if that is known."""

    def advance(self, rows: int) -> None:
        """So many more rows are done."""

    def end(self) -> None:
        """The stage is over."""

    def say(self, line: str) -> None:
        """Something a person should know while it goes on."""


@dataclass
class Stage:
    """One stage: seconds of its own, without those of stages inside it, and the peak memory of the process so far."""

    name: str
    seconds: float = 0.0
    peak_mb: float = 0.0


def peak_mb() -> float:
    """The largest resident memory of this process so far, in MB (1e6 bytes); mapped files count while they are read."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike ru_maxrss it does not start from the memory of the process that started this one
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


class Stages:
    """Records stages; the time of a stage within another counts for the inner one only.

    Args:
      listener: told of progress.
      engine: what runs the passes over the pool in these stages; this machine's threads if None.
      device: the torch device that they run on; the processor, without torch, if None.
      checkpoint: where what was done is kept for a run that goes on after this one; nowhere if None.
    """

    def __init__(
        self,
        listener: Listener | None = None,
        engine: Engine | None = None,
        checkpoint: Checkpoint | None = None,
        device: str | None = None,
    ) -> None:
        self.device = device
        self.engine = engine or LocalEngine()
        self.checkpoint = checkpoint
        if checkpoint is not None:
            self.engine = RecordedEngine(self.engine, checkpoint)
        self.records: dict[str, Stage] = {}
        self.began = time.perf_counter()
        self._listener = listener
        self._open: list[str] = []
        self._since = self.began

    @property
    def folder(self) -> Path | None:
        """Where what is needed only while the run goes on may be written; None if no place is the run's own."""
        return None if self.checkpoint is None else self.checkpoint.folder

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.perf_counter() - self.began

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """Time what happens inside; gives what to call with the number of rows done."""
        self._charge()
        self.records.setdefault(name, Stage(name))
        self._open.append(name)
        listener = self._listener
        if listener is not None:
            listener.start(name, total)
        try:
            yield self.advance
        finally:
            self._charge()
            self._open.pop()
            if listener is not None:
                listener.end()

    def advance(self, rows: int) -> None:
        """So many more rows of the stage at hand are done."""
        if self._listener is not None:
            self._listener.advance(rows)

    def kept(self, name: str, rows: int, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Arrays as an earlier run made them, or made now, and kept if they come from many rows."""
        held = None if self.checkpoint is None else self.checkpoint.load(name)
        if held is not None:
            return held
        made = make()
        if self.checkpoint is not None and rows >= LEAST_ROWS:
            self.checkpoint.keep(name, made)
        return made

    def say(self, line: str) -> None:
        """Tell a person something while the run goes on."""
        if self._listener is not None:
            self._listener.say(line)

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            current = self.records[self._open[-1]]
            current.seconds += now - self._since
            current.peak_mb = peak_mb()
        self._since = now
