"""The engine of one machine: parts one after another, each on all the threads it may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tsds.engines.base import Advance, Item, Merge, Part, Span, Tree, Work
from tsds.parallel import cores, threads


class LocalEngine:
    """One process and its threads. A part is read by memory map when its turn comes, so one is in memory at a time.

    Args:
      workers: threads; all cores of this process if None.
      memory: bytes that may be used; as many as there are if None.
    """

    here = True

    def __init__(self, workers: int | None = None, memory: int | None = None) -> None:
        self.name, self.workers, self.memory = "local", workers or cores(), memory

    def fold(
        self, name: str, work: Work[Part], merge: Merge[Part], context: Any, spans: Sequence[Span], advance: Advance
    ) -> Part:
        """See Engine."""
        tree = Tree(merge)
        with threads(self.workers):
            for span in spans:
                tree.add(work(context, span))
                advance(span[1] - span[0])
        root: Part = tree.root()
        return root

    def each(self, name: str, work: Callable[[Any, Item], Part], context: Any, items: Iterable[Item]) -> Iterator[Part]:
        """See Engine."""
        for item in items:
            with threads(self.workers):  # not around the yield: what is done with a part is not this engine's
                part = work(context, item)
            yield part

    def close(self) -> None:
        """Nothing was started."""
