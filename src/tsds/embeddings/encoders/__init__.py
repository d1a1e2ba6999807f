"""Encoders: texts to vectors. A new one is one file here and one line in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tsds.embeddings.encoders.hashing import HashEncoder
from tsds.embeddings.encoders.protocol import (
    Advance,
    Encoder,
    Gathers,
    Recalls,
    Report,
    Restores,
    Role,
    Say,
    Setting,
    ignore,
)
from tsds.embeddings.encoders.spec import split_model
from tsds.errors import InputError
from tsds.suggestions import nearest_name

__all__ = [
    "ENCODERS",
    "Advance",
    "Encoder",
    "EncoderEntry",
    "Gathers",
    "Recalls",
    "Report",
    "Restores",
    "Role",
    "Say",
    "Setting",
    "ignore",
    "make_encoder",
]


@dataclass(frozen=True)
class EncoderEntry:
    """An encoder on offer.

    Attributes:
      line: what it is, in one line.
      make: the argument after the colon of its name, and the setting, to the encoder.
    """

    line: str
    make: Callable[[str | None, Setting], Encoder]


def _hash(argument: str | None, setting: Setting) -> Encoder:
    if argument is None:
        return HashEncoder(seed=setting.seed)
    if not (argument.isdecimal() and 2 <= int(argument) <= 4096):
        raise InputError(
            f"the width {argument!r} of encoder hash is no number from 2 to 4096", remedy="for example hash:256"
        )
    return HashEncoder(dim=int(argument), seed=setting.seed)


def _sentence(argument: str | None, setting: Setting) -> Encoder:
    from tsds.embeddings.encoders.sentence import SentenceEncoder

    return SentenceEncoder(*split_model(argument, "sentence"), setting)


def _hidden(argument: str | None, setting: Setting) -> Encoder:
    from tsds.embeddings.encoders.hidden import HiddenEncoder

    return HiddenEncoder(*split_model(argument, "hidden"), setting)


def _gradient(argument: str | None, setting: Setting) -> Encoder:
    from tsds.embeddings.encoders.gradient import GradientEncoder

    return GradientEncoder(*split_model(argument, "gradient"), setting)


def _function(argument: str | None, setting: Setting) -> Encoder:
    from tsds.embeddings.encoders.function import FunctionEncoder

    return FunctionEncoder.named(argument, setting)


ENCODERS: dict[str, EncoderEntry] = {
    "hash": EncoderEntry(
        "hashed words and word pairs on 256 directions of the pool, no download; hash:DIM for another width",
        _hash,
    ),
    "sentence": EncoderEntry(
        "a model of sentence-transformers, sentence:NAME_OR_PATH; pip install '.[sentence]'",
        _sentence,
    ),
    "hidden": EncoderEntry(
        "states of a language model, hidden:NAME_OR_PATH@LAYER,POOLING; pip install '.[sentence]'",
        _hidden,
    ),
    "gradient": EncoderEntry(
        "LESS: projected gradients of a model warmed up on the pool; pip install '.[gradient]'",
        _gradient,
    ),
    "python": EncoderEntry(
        "a function of yours from texts to an array, python:MODULE:FUNCTION",
        _function,
    ),
}


def make_encoder(spec: str | Callable[..., Any], setting: Setting) -> Encoder:
    """The encoder of a name as users write it, "hash" or "hash:128", or that of a function.

    Raises:
      InputError: if there is none of that name, or its argument makes no sense.
      MissingExtra: if it needs a package that is not installed.
    """
    if not isinstance(spec, str):
        from tsds.embeddings.encoders.function import FunctionEncoder

        return FunctionEncoder(spec, getattr(spec, "__qualname__", type(spec).__name__), setting)
    name, _, argument = spec.partition(":")
    if name not in ENCODERS:
        raise InputError(f"unknown encoder {name!r}", remedy=nearest_name(name, ENCODERS))
    return ENCODERS[name].make(argument or None, setting)
