"""An engine that records the parts it has done, and takes those that were done before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from tsds.checkpoint import Checkpoint
from tsds.engines.base import Advance, Engine, Item, Merge, Part, Span, Work


class RecordedEngine:
    """Another engine, with the results of parts kept in a checkpoint.

    Results must be dataclasses of arrays and numbers, and contexts must have an `identity` that tells what is asked
    for, given that the run's settings and input are the same. A pass of one part only is quick and not recorded.

    Args:
      engine: that does the work; on a cluster its workers must see the checkpoint's folder.
      checkpoint: where to.
    """

    def __init__(self, engine: Engine, checkpoint: Checkpoint) -> None:
        self._engine, self._checkpoint = engine, checkpoint
        self.name, self.workers, self.memory, self.here = engine.name, engine.workers, engine.memory, engine.here

    def fold(
        self, name: str, work: Work[Part], merge: Merge[Part], context: Any, spans: Sequence[Span], advance: Advance
    ) -> Part:
        """See Engine."""
        if len(spans) == 1:
            return self._engine.fold(name, work, merge, context, spans, advance)
        digest = hashlib.blake2b(repr((context.identity, list(spans))).encode(), digest_size=8).hexdigest()
        key = f"{name.replace(' ', '-')}-{digest}"
        whole = self._checkpoint.load(f"{key}-whole")
        if whole is not None:
            advance(spans[-1][1] - spans[0][0])
            part: Part = _made(work, whole)
            return part
        asked = _Recorded(work, context, self._checkpoint.folder, key)
        found: Part = self._engine.fold(name, _recorded, merge, asked, spans, advance)
        self._checkpoint.keep(f"{key}-whole", _arrays(found))
        self._checkpoint.drop(f"{key}-[0-9]*")
        return found

    def each(self, name: str, work: Callable[[Any, Item], Part], context: Any, items: Iterable[Item]) -> Iterator[Part]:
        """Of the engine beneath; whoever asks knows what was done before."""
        return self._engine.each(name, work, context, items)

    def close(self) -> None:
        """Close the engine beneath."""
        self._engine.close()


@dataclass(frozen=True)
class _Recorded:
    work: Work[Any]
    context: Any
    folder: Path
    key: str


def _recorded(asked: _Recorded, span: Span) -> Any:
    """The part as it was done before, or done now and kept."""
    checkpoint, name = Checkpoint(asked.folder), f"{asked.key}-{span[0]}"
    held = checkpoint.load(name)
    if held is not None:
        return _made(asked.work, held)
    found = asked.work(asked.context, span)
    checkpoint.keep(name, _arrays(found))
    return found


def _arrays(part: Any) -> dict[str, Any]:
    return {one.name: np.asarray(getattr(part, one.name)) for one in fields(part)}


def _made(work: Work[Any], arrays: dict[str, Any]) -> Any:
    """A result from its arrays; those without dimensions are numbers."""
    kind = get_type_hints(work)["return"]
    return kind(**{name: array.item() if array.ndim == 0 else array for name, array in arrays.items()})
