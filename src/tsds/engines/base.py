"""What an engine does, and the tree that it merges by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

#: Rows start..stop of a pool as it is stored.
Span = tuple[int, int]
Part = TypeVar("Part")
Item = TypeVar("Item")
#: From what all parts share and a span to a part's result; a function of a module, so that it can be sent elsewhere.
Work = Callable[[Any, Span], Part]
Merge = Callable[[Part, Part], Part]
Advance = Callable[[int], None]


class Engine(Protocol):
    """Runs folds.

    Attributes:
      name: as run.json tells it.
      workers: how many cores work at once.
      memory: bytes that each process may use; as many as there are if None.
      here: whether all work is done in this process.
    """

    name: str
    workers: int
    memory: int | None
    here: bool

    def fold(
        self, name: str, work: Work[Part], merge: Merge[Part], context: Any, spans: Sequence[Span], advance: Advance
    ) -> Part:
        """Work on every span and merge the results, `merge(earlier, later)`, as Tree does.

        Args:
          name: of the fold, for records of what was done.
          work, merge: pure functions of a module.
          context: what every part needs, sent once; its `identity` tells it from others in records of what was done.
          spans: one or more, in order.
          advance: told the rows of each span that is done.
        """
        ...

    def each(self, name: str, work: Callable[[Any, Item], Part], context: Any, items: Iterable[Item]) -> Iterator[Part]:
        """work(context, item) for every item of a stream, in order; few items are in flight at once."""
        ...

    def close(self) -> None:
        """Let go of what the engine has started."""
        ...


class Tree:
    """Merges results as they are added in order: neighbours first, then pairs of pairs, like the carries of a counter.

    Holds as many results as the count of parts has binary digits.
    """

    def __init__(self, merge: Callable[[Any, Any], Any]) -> None:
        self._merge = merge
        self._held: list[tuple[int, Any]] = []  # how many parts each holds, a power of two, and the result

    def add(self, part: Any) -> None:
        """The next part in order."""
        count = 1
        while self._held and self._held[-1][0] == count:
            part = self._merge(self._held.pop()[1], part)
            count *= 2
        self._held.append((count, part))

    def root(self) -> Any:
        """All parts merged; there must be one at least."""
        _, part = self._held.pop()
        while self._held:
            part = self._merge(self._held.pop()[1], part)
        return part
