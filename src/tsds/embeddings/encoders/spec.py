"""How an encoder with a model is written: NAME:MODEL@WORD,KEY=VALUE,..."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tsds.errors import InputError
from tsds.suggestions import nearest_name

_TAIL = re.compile(r"-?\d+|[a-z]+|[a-z]+=[^,=]*")


@dataclass(frozen=True)
class Options:
    """What follows the last @ of an encoder's name.

    Attributes:
      words: those without a value, as "mean" or "-1".
      values: those with one, by key.
    """

    words: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)

    def known(self, *keys: str, words: tuple[str, ...] = ()) -> None:
        """Raise InputError if there is another key or word; whole numbers are up to the encoder."""
        for key in self.values:
            if key not in keys:
                raise InputError(f"unknown setting {key!r} of the encoder", remedy=nearest_name(key, keys))
        for word in self.words:
            if word not in words and not (words and word.lstrip("-").isdecimal()):
                remedy = nearest_name(word, words) if words else f"settings are {', '.join(k + '=...' for k in keys)}"
                raise InputError(f"unknown setting {word!r} of the encoder", remedy=remedy)

    def number(self, key: str, default: int | None) -> int | None:
        """A whole number, at least 1."""
        value = self.values.get(key)
        if value is None:
            return default
        if not (value.isdecimal() and int(value) >= 1):
            raise InputError(f"{key}={value} of the encoder", remedy="a whole number, at least 1")
        return int(value)

    def real(self, key: str, default: float) -> float:
        """A positive number."""
        try:
            value = float(self.values.get(key, default))
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise InputError(f"{key}={self.values[key]} of the encoder", remedy="a positive number")
        return value


def split_model(argument: str | None, encoder: str) -> tuple[str, Options]:
    """The model's name or folder, and the options after the last @; a folder's own name may hold an @ too.

    Raises:
      InputError: if no model is named.
    """
    name, at, tail = (argument or "").rpartition("@")
    parts = tail.split(",")
    if not at or ("/" in tail and "=" not in tail) or not all(_TAIL.fullmatch(part) for part in parts):
        name, parts = argument or "", []
    if not name:
        raise InputError(f"encoder {encoder} names no model", remedy=f"{encoder}:FOLDER or {encoder}:NAME")
    pairs = dict(part.split("=", 1) for part in parts if "=" in part)
    return name, Options(tuple(part for part in parts if "=" not in part), pairs)
