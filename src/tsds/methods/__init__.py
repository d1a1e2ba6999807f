"""The methods: each turns a problem into probabilities. A new one is one file and one line in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tsds.errors import InputError
from tsds.methods import auto, balanced, kde, tv, uniform
from tsds.methods.baselines import (
    dsir,
    lengths,
    mmd,
    nearest,
    round_robin,
    semdedup,
    stratified,
    topk,
    uniformly,
)
from tsds.methods.problem import Answer, DensityNote, Problem, Trial, answer
from tsds.sampling import Sampling
from tsds.settings import STRENGTHS, Settings
from tsds.suggestions import nearest_name

__all__ = ["METHODS", "Answer", "DensityNote", "Method", "Problem", "Trial", "answer", "method_named"]


@dataclass(frozen=True)
class Method:
    """A method on offer.

    Attributes:
      line: what it does, in one line.
      select: the method.
      weighs: whether it uses the density, and with it a bandwidth.
      sampling: where the user asks for none.
      room: from the size and the number of targets, how many candidates a target it will list; 0 if it can't tell.
      tried: selections it makes at least to choose its settings, where the targets are enough to hold some out.
      fixed: settings that are part of the method, None for those it finds itself; to ask for another value is an error.
      strong: whether it has a strength of diversity; to ask for one is an error else, as for a bandwidth it is where
        nothing weighs.
    """

    line: str
    select: Callable[[Problem], Answer]
    weighs: bool = False
    sampling: Sampling = "systematic"
    room: Callable[[int, int], int] = lambda size, targets: 0
    tried: int = 0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    strong: bool = False

    def line_of(self, answer: Answer, sampling: Sampling) -> str:
        """What it did, in one line: a method that tries settings may have had too few targets for it."""
        if not self.tried:
            return self.line
        if not answer.trials:
            return f"balanced at its defaults, as no targets were held out to choose others (sampling {sampling})"
        return f"{self.line} (sampling {sampling})"

    def settings_of(self, asked: Settings) -> Settings:
        """These settings with those that are part of the method.

        Raises:
          InputError: if one was asked for that the method has not, or has with another value.
        """
        settings = asked.with_fixed(self.fixed)
        for name in () if self.strong else STRENGTHS:
            if getattr(settings, name) is not None:
                flag = "--" + name.replace("_", "-")
                raise InputError(f"{flag} means nothing to method {asked.method}", remedy="--method kde has it")
        if settings.bandwidth not in ("auto", 0) and not self.weighs and settings.target_weights != "density":
            remedy = "--method kde has one, or --target-weights density"
            raise InputError(f"--bandwidth means nothing to method {asked.method}", remedy=remedy)
        return settings


METHODS: dict[str, Method] = {
    "auto": Method(
        "balanced, with the settings that serve held-out targets best",
        auto.select,
        True,
        "shares",
        auto.room,
        auto.TRIED,
        strong=True,
    ),
    "auto-repeats": Method(
        "auto that lets good candidates count up to eight times, where that is nearer to held-out targets",
        auto.select_repeating,
        True,
        "shares",
        auto.room,
        auto.TRIED + auto.FOLDS,
        fixed=dict.fromkeys(("alpha", "neighbors", "effective_size", "capacity")),
    ),
    "balanced": Method(
        "optimal transport in which no candidate counts for more than one example, so that hubs collect nothing",
        balanced.select,
        True,
        "shares",
        strong=True,
    ),
    "kde": Method(
        "optimal transport in which near-duplicates share one example's weight (KNN-KDE)", kde.select, True, strong=True
    ),
    "uniform": Method(
        "optimal transport in which every distinct candidate weighs the same (KNN-Uniform)", uniform.select, strong=True
    ),
    "kde-published": Method(
        "kde as published for continued pretraining: alpha 0.6, C 5, h 0.1, drawn with replacement",
        kde.select,
        True,
        fixed={"alpha": 0.6, "scale": 5.0, "bandwidth": 0.1, "sampling": "multinomial"},
        strong=True,
    ),
    "tv": Method(
        "each target's nearest candidate, plus a floor for all hardly farther (KNN-TV)", tv.select, strong=True
    ),
    "round-robin": Method("targets take turns, each its nearest candidate that is still there", round_robin.select),
    "semdedup+round-robin": Method(
        "round-robin that leaves out near-duplicates of what was taken", semdedup.select, True
    ),
    "nearest": Method("the candidates nearest to any target", nearest.select),
    "topk": Method("the candidates of largest mean similarity to the targets", topk.select),
    "mmd": Method("greedy matching of the kernel mean of the targets", mmd.select),
    "dsir": Method("importance resampling on hashed n-grams of the texts", dsir.select),
    "random": Method("every candidate with the same chance", uniformly.select),
    "random-stratified": Method("at random, the same number from every source", stratified.select),
    "random-length": Method("at random, with the lengths of the targets", lengths.select),
}


def method_named(name: str) -> Method:
    """The method of that name.

    Raises:
      InputError: if there is none.
    """
    if name not in METHODS:
        raise InputError(f"unknown method {name!r}", remedy=nearest_name(name, METHODS))
    return METHODS[name]
