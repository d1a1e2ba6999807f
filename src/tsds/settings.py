"""Every setting of a selection, checked before any work is done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np

from tsds.budget import Size
from tsds.embeddings.transforms import Transform
from tsds.engines.choice import check_engine
from tsds.errors import InputError
from tsds.memory import bytes_of
from tsds.records import TextSpec, target_text
from tsds.sampling import Sampling
from tsds.suggestions import nearest_name
from tsds.transport.penalty import DEFAULT_SCALE

_CHOICES = {
    "metric": ("l2", "cosine"),
    "sampling": (None, "systematic", "top", "multinomial", "shares"),
    "copies": ("collapse", "keep"),
    "on_error": ("fail", "skip"),
    "store_precision": ("float16", "float32", "int8"),
    "target_weights": ("uniform", "density"),
    "search": ("exact", "ivf", "hnsw", "auto"),
}
#: Settings that may be numbers of NumPy.
_NUMBERS = (
    "size", "alpha", "scale", "neighbors", "effective_size", "capacity", "bandwidth", "workers", "memory", "seed",
)  # fmt: skip
#: Settings of which one at most says how strong diversity is.
STRENGTHS = ("alpha", "neighbors", "effective_size")
#: A seed is below this: generators and JSON hold signed numbers of 64 bits.
MOST_SEEDS = 2**63


#: Methods that look at a capacity, if only to refuse it.
_WITH_CAPACITY = ("balanced", "auto", "auto-repeats")


@dataclass(frozen=True)
class Settings:
    """The settings of `select`; their meaning is documented there.

    Raises:
      InputError: if one is out of its range, or two exclude each other.
    """

    size: str | int | float
    method: str = "auto"
    alpha: float | None = None
    scale: float | None = None
    neighbors: float | None = None
    effective_size: float | None = None
    capacity: float | None = None
    bandwidth: float | Literal["auto"] = "auto"
    metric: Literal["l2", "cosine"] = "l2"
    encoder: Any = "hash"
    transform: str | None = None
    device: str = "auto"
    engine: str = "local"
    workers: int | None = None
    memory: str | int | None = None
    search: Literal["exact", "ivf", "hnsw", "auto"] = "exact"
    index: Path | None = None
    store: Path | None = None
    store_precision: Literal["float16", "float32", "int8"] = "float16"
    sampling: Sampling | None = None
    seed: int = 0
    copies: Literal["collapse", "keep"] = "collapse"
    on_error: Literal["fail", "skip"] = "fail"
    text_field: str | None = None
    template: str | None = None
    target_text_field: str | None = None
    target_template: str | None = None
    id_field: str | None = None
    group_field: str | None = None
    tokens_field: str | None = None
    weight_field: str | None = None
    target_weights: Literal["uniform", "density"] = "uniform"
    task_weights: dict[str, float] = field(default_factory=dict)
    exclude: Any = None
    embeddings: Any = None
    target_embeddings: Any = None
    method_why: str | None = None  # of a method that is not the one asked for; set here

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            object.__setattr__(self, name, plain_number(getattr(self, name)))
        if not isinstance(self.task_weights, Mapping):
            raise InputError(f"the weights of the tasks are {self.task_weights!r}", remedy="a dict of name to number")
        weights = {name: plain_number(weight) for name, weight in self.task_weights.items()}
        object.__setattr__(self, "task_weights", weights)
        Size.parse(self.size)
        Transform.parse(self.transform)
        check_engine(self.engine)
        bytes_of(self.memory)
        whole = isinstance(self.workers, int) and not isinstance(self.workers, bool)
        self._in_range("workers", self.workers is None or (whole and self.workers >= 1), "a whole number, 1 and up")
        for name in _CHOICES:
            check_choice(name, getattr(self, name))
        asked = [name for name in STRENGTHS if getattr(self, name) is not None]
        if len(asked) > 1:
            flags = " and ".join("--" + name.replace("_", "-") for name in asked)
            raise InputError(f"{flags} exclude each other", remedy="give one of them, or none for auto")
        if self.scale is not None and self.alpha is None:
            raise InputError("--scale means nothing without --alpha", remedy="give --alpha too")
        if self.method == "auto" and (asked or self.capacity is not None):
            # A strength is the paper's, a capacity the balanced plan's: with one given nothing is left to choose.
            given, method = ("strength", "kde") if self.capacity is None else ("capacity", "balanced")
            object.__setattr__(self, "method", method)
            object.__setattr__(self, "method_why", f"a {given} was given, so the method is {method}, not auto")
        if self.capacity is not None and self.method not in _WITH_CAPACITY:
            raise InputError(f"--capacity means nothing to method {self.method}", remedy="--method balanced")
        alpha = self.alpha
        fine = alpha is None or (_is_number(alpha) and 0 <= alpha <= 1)
        self._in_range("alpha", fine, "a number from 0 (diverse) to 1 (aligned)")
        for name in ("scale", "neighbors", "effective_size", "capacity"):
            value = getattr(self, name)
            self._in_range(name, value is None or (_is_number(value) and 0 < value < math.inf), "a positive number")
        h = self.bandwidth
        self._in_range("bandwidth", h == "auto" or (_is_number(h) and 0 <= h < math.inf), "auto, or 0 and up")
        check_seed(self.seed)
        if self.budget.kind == "tokens" and self.sampling == "multinomial":
            raise InputError(
                "multinomial sampling and a size in tokens exclude each other", remedy="--sampling systematic"
            )
        for name, weight in self.task_weights.items():
            if not (_is_number(weight) and 0 <= weight < math.inf):
                raise InputError(f"the weight of task {name!r} is {weight!r}", remedy="a number, not negative")
        if (self.embeddings is None) != (self.target_embeddings is None):
            raise InputError("embeddings are given for one of pool and target only", remedy="give both")
        if self.embeddings is not None and self.names_encoder:
            raise InputError("--encoder means nothing beside --embeddings", remedy="leave out one of them")
        if self.index is not None and self.search == "exact":
            raise InputError("--index means nothing to an exact search", remedy="--search ivf, hnsw or auto")

    def with_fixed(self, fixed: Mapping[str, Any]) -> Settings:
        """These settings with those that are part of the method.

        Raises:
          InputError: if one of them was asked for with another value.
        """
        for name, value in fixed.items():
            if getattr(self, name) not in (value, _DEFAULTS[name]):
                flag = "--" + name.replace("_", "-")
                what = f"finds {flag} itself" if value is None else f"has {flag} {value}"
                raise InputError(f"method {self.method} {what}", remedy=f"leave out {flag}")
        return replace(self, **fixed)

    def _in_range(self, name: str, fine: bool, wanted: str) -> None:
        if not fine:
            flag = "--" + name.replace("_", "-")
            raise InputError(f"{flag} is {getattr(self, name)!r}", remedy=f"{wanted} is wanted")

    @property
    def budget(self) -> Size:
        """The size, read."""
        return Size.parse(self.size)

    @property
    def scale_or_default(self) -> float:
        """C."""
        return DEFAULT_SCALE if self.scale is None else self.scale

    @property
    def names_encoder(self) -> bool:
        """Whether an encoder other than the default is asked for."""
        return bool(self.encoder != _DEFAULTS["encoder"])

    @property
    def text(self) -> TextSpec:
        """Where the text of a record is."""
        return TextSpec(self.text_field, self.template)

    @property
    def target_text(self) -> TextSpec:
        """Where the text of a target is."""
        return target_text(self.text, self.target_text_field, self.target_template)


def plain_number(value: Any) -> Any:
    """A NumPy number as Python's, one of 32 bits by the digits that it shows: 0.1; anything else as it is."""
    if isinstance(value, np.floating):
        return float(str(value))
    return value.item() if isinstance(value, (np.integer, np.bool_)) else value


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_choice(name: str, value: object) -> None:
    """Raise InputError if a setting that has few values has another."""
    if value not in _CHOICES[name]:
        raise InputError(
            f"unknown {name} {value!r}",
            remedy=nearest_name(str(value), [one for one in _CHOICES[name] if one]),
        )


def check_seed(seed: object) -> None:
    """Raise InputError unless it is a whole number that all who draw, and run.json, can hold."""
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < MOST_SEEDS:
        return
    raise InputError(f"--seed is {seed!r}", remedy="a whole number from 0 to 2^63 - 1 is wanted")


_DEFAULTS = {one.name: one.default for one in fields(Settings)}
