"""Engines run a fold over the parts of a pool: here on threads, or on a Ray cluster, with the same bits.

A fold is a function from a part to a partial result, and a function that merges two results. Parts are merged as a
binary tree whose shape depends on their number alone, so that even sums of floats do not depend on who computed what,
or when.
"""

from __future__ import annotations

from tsds.engines.base import Advance, Engine, Merge, Span, Work
from tsds.engines.choice import check_engine, engine_named, running
from tsds.engines.local import LocalEngine

__all__ = ["Advance", "Engine", "LocalEngine", "Merge", "Span", "Work", "check_engine", "engine_named", "running"]
