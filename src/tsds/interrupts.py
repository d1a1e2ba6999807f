"""Ctrl-C and SIGTERM: a KeyboardInterrupt gathers on its way out what is true of the work that was stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tsds.errors import TsdsError


class Interrupted(TsdsError):
    """The user, or a scheduler, has stopped the command (exit code 130).

    Args:
      told: what is left, and how to go on with it.
    """

    exit_code = 130

    def __init__(self, *told: object) -> None:
        super().__init__("; ".join(["interrupted", *map(str, told)]))


@contextmanager
def if_interrupted(what: str) -> Iterator[None]:
    """A KeyboardInterrupt that leaves the block tells this too."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(*stop.args, what) from None
