"""The text of a record: a field that was named, a template, or what the known layouts of training data hold."""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from tsds.errors import InputError
from tsds.records.blocks import Record
from tsds.records.chats import CHATS, chat_in, chat_text, is_chat, named_turns
from tsds.records.dialogue import Dialogue, Turn, turns_of
from tsds.records.layouts import SPEAKERS, fields_found, fields_of_layouts, null_field, says

_ABSENT = object()
_FIELDS_SHOWN = 12
_REMEDY = "choose one with --text-field or several with --template"


@dataclass(frozen=True)
class TextSpec:
    """Where the text of a record is; found by the record's layout (LAYOUTS) if neither argument is given.

    A record that is bare text is its own text, whatever was asked for.

    Args:
      field: the name of a field; "a.b" and "a.0" reach into objects and lists. A chat is joined, message by message.
      template: text with fields in braces, '{instruction}\\n{input}'; a typed backslash-n is a line break, {{ a brace.
      or_found: whether records that lack the field, or one of the template, have their text found by their layout.

    Raises:
      InputError: if both are given, one is no text, or the template is malformed or names no field.
    """

    field: str | None = None
    template: str | None = None
    or_found: bool = False

    def __post_init__(self) -> None:
        if self.field is not None and self.template is not None:
            raise InputError("a text field and a template are both given", remedy="keep one of them")
        for what, given in (("text field", self.field), ("template", self.template)):
            if not isinstance(given, str | None):
                raise InputError(
                    f"the {what} is {given!r}", remedy="one text is wanted; a template names several fields"
                )
        if self.template is not None and not any(name for _, name in self._parts):
            remedy = "name fields in braces: '{instruction}\\n{input}'"
            raise InputError(f"the template {self.template!r} names no field", remedy=remedy)

    def text_of(self, record: Record) -> str:
        """The text of a record; raises InputError (without the place, which the caller knows) if it has none."""
        if isinstance(record, str):
            return record
        if self.or_found and self.lacking(record) is not None:
            return _found(record)
        if self.template is not None:
            return "".join(literal + (_filled(record, name) if name else "") for literal, name in self._parts)
        if self.field is None:
            return _found(record)
        value = record.get(self.field)
        return value if isinstance(value, str) and self.field not in CHATS else _named(record, self.field)

    def lacking(self, record: dict[str, Any]) -> str | None:
        """A field asked for that the record lacks, so that its text is found by its layout; None where it is not."""
        return next((name for name in self._names if lookup(record, name) is _ABSENT), None) if self.or_found else None

    @cached_property
    def columns(self) -> frozenset[str]:
        """The top-level fields that may hold text, so that formats with columns need not build the others."""
        names = self._names
        if not names or self.or_found:
            names += fields_of_layouts()
        return top_level(names)

    @property
    def _names(self) -> list[str]:
        """The fields asked for, by name or path; none where the text is to be found."""
        if self.template is not None:
            return [name for _, name in self._parts if name]
        return [] if self.field is None else [self.field]

    @cached_property
    def _parts(self) -> list[tuple[str, str | None]]:
        """The template as literal text, each piece followed by a field (or, at the end, by none)."""
        template = (self.template or "").replace("\\n", "\n").replace("\\t", "\t")
        parts: list[tuple[str, str | None]] = []
        try:
            for literal, name, form, conversion in string.Formatter().parse(template):
                if name == "" or form or conversion:
                    raise ValueError("braces hold the name of a field and nothing else")
                parts.append((literal, name and name.replace("[", ".").replace("]", "")))
        except ValueError as error:
            remedy = "write {{ and }} for braces that are text"
            raise InputError(f"malformed template {self.template!r}: {error}", remedy=remedy) from error
        return parts


#: Text is found by each record's layout.
FOUND = TextSpec()


def lookup(record: dict[str, Any], name: str) -> object:
    """A field by its name or by its path ("a.b", "a.0"); `absent(value)` tells that there is none."""
    if name in record:
        return record[name]
    value: object = record
    for step in name.split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _ABSENT
    return value


def absent(value: object) -> bool:
    return value is _ABSENT


def top_level(names: Iterable[str]) -> frozenset[str]:
    """The fields a table must supply for `lookup` to find these names."""
    return frozenset(part for name in names for part in (name, name.partition(".")[0]))


def missing(record: dict[str, Any], name: str, remedy: str) -> InputError:
    """The error of a record without the field `name`: which fields it does have."""
    return InputError(f"field {name!r} is missing; the record has {_fields(record)}", remedy=remedy)


def _found(record: dict[str, Any]) -> str:
    text = record.get("text")
    if isinstance(text, str) and says(text):
        return text
    joined = fields_found(record)
    if joined:
        return _exchange({name: _rendered(record[name], name, numbers) for name, numbers in joined.items()})
    null = null_field(record)
    why = "" if null is None else f"field {null!r} is null; "
    raise InputError(f"no text found; {why}the record has {_fields(record)}", remedy=_REMEDY)


def _exchange(parts: dict[str, str]) -> str:
    """Fields joined line by line: as a dialogue where it is known who speaks in each."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    turns: list[Turn] = []
    for name, part in parts.items():
        inside = () if SPEAKERS[name] == "system" else turns_of(part)
        for turn in inside or (Turn(SPEAKERS[name], str(part)),):
            before = turns[-1] if turns and not inside else None
            if before and before.role == turn.role and before.content and turn.content:
                turns[-1] = Turn(turn.role, f"{before.content}\n{turn.content}")
            else:
                turns.append(turn)
    return Dialogue(turns)


def parts_of(record: Record, spec: TextSpec = FOUND) -> list[tuple[str, str]] | None:
    """The text of a record as the parts it is joined from: (role, text) of a chat, (field, text) of other layouts.

    None where the text is one piece, or is made by a template.
    """
    if isinstance(record, str):
        return None
    spec = spec if spec.lacking(record) is None else FOUND
    if spec.template is not None:
        return None
    if spec.field is not None:
        value = chat_in(lookup(record, spec.field), spec.field)
        return named_turns(value, spec.field) if is_chat(value) else None
    found: list[tuple[str, str]] = []
    for name, numbers in fields_found(record).items():
        value = chat_in(record[name], name)
        if is_chat(value) and SPEAKERS.get(name) != "system":
            found += named_turns(value, name)
        elif text := _rendered(value, name, numbers):
            found.append((name, text))
    return found if len(found) > 1 else None


def fields_read(record: Record, spec: TextSpec = FOUND) -> tuple[str, ...]:
    """The top-level fields whose text is in the text of this record, which has one; none where it is bare text."""
    if isinstance(record, str):
        return ()
    names = spec._names
    if not names or (spec.or_found and any(lookup(record, name) is _ABSENT for name in names)):
        names = list(fields_found(record))
    said = (name for name in names if says(lookup(record, name)))
    return tuple(dict.fromkeys(name if name in record else name.partition(".")[0] for name in said))


def _named(record: dict[str, Any], name: str) -> str:
    value = lookup(record, name)
    if value is _ABSENT:
        raise missing(record, name, _REMEDY)
    return _rendered(value, name)


def _filled(record: dict[str, Any], name: str) -> str:
    value = lookup(record, name)
    if value is _ABSENT:
        raise missing(record, name, "name another in --template, or leave such records out with --on-error skip")
    if value is None:
        raise InputError(f"field {name!r} of the template is null", remedy="--on-error skip leaves such records out")
    value = chat_in(value, name)
    if isinstance(value, str):
        return value
    return chat_text(value, name) if is_chat(value) else orjson.dumps(value, default=str).decode()


def _rendered(value: object, name: str, numbers: bool = False) -> str:
    """A field's text, if it is text or a list of it (a chat); numbers count only beside text, as answers do."""
    value = chat_in(value, name)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return chat_text(value, name)
    if numbers and isinstance(value, (int, float)):
        return str(value)
    kind = "null" if value is None else type(value).__name__
    raise InputError(f"field {name!r} holds {kind}, not text", remedy=_REMEDY)


def _fields(record: dict[str, Any]) -> str:
    names = list(record)
    if not names:
        return "no fields"
    shown = ", ".join(names[:_FIELDS_SHOWN])
    return f"{shown}, ... ({len(names)} fields)" if len(names) > _FIELDS_SHOWN else shown
