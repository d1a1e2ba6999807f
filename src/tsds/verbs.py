"""All verbs as one group, which tells how a stopped one has left things."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from tsds.interrupts import Interrupted


class Verbs(TyperGroup):
    """All verbs; a KeyboardInterrupt leaves them as Interrupted, because typer exits at one without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise Interrupted(*stop.args) from stop
