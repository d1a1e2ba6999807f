"""The methods: each turns a problem into probabilities. A new one is one file and one line in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tsds.errors import InputError
from tsds.methods import kde, tv, uniform
from tsds.methods.problem import Answer, DensityNote, Problem, answer
from tsds.suggestions import nearest_name

__all__ = ["METHODS", "Answer", "DensityNote", "Method", "Problem", "answer", "method_named"]


@dataclass(frozen=True)
class Method:
    """A method on offer.

    Attributes:
      line: what it does, in one line.
      select: the method.
      weighs: whether it uses the density, and with it a bandwidth.
    """

    line: str
    select: Callable[[Problem], Answer]
    weighs: bool = False


METHODS: dict[str, Method] = {
    "kde": Method("optimal transport in which near-duplicates share one example's weight (KNN-KDE)", kde.select, True),
    "uniform": Method(
        "optimal transport in which every distinct candidate weighs the same (KNN-Uniform)", uniform.select
    ),
    "tv": Method("each target's nearest candidate, plus a floor for all hardly farther (KNN-TV)", tv.select),
}


def method_named(name: str) -> Method:
    """The method of that name.

    Raises:
      InputError: if there is none.
    """
    if name not in METHODS:
        raise InputError(f"unknown method {name!r}", remedy=nearest_name(name, METHODS))
    return METHODS[name]
