"""The text of a record: a field that was named, a template, or what the known layouts of training data hold."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, TypeGuard

import orjson

from tsds.errors import InputError
from tsds.records.blocks import Record
from tsds.records.dialogue import ROLES, Dialogue, Turn, calls_of, turns_of, unpacked

#: Layouts tried in this order, on each record by itself: the fields that must be there, and those joined to them if
#: there, of each group one.
LAYOUTS: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...] = (
    (("text",), ()),
    (("messages",), ()),  # chats: [{"role": ..., "content": ...}]
    (("conversations",), ()),  # ShareGPT: [{"from": ..., "value": ...}]
    (("chosen",), (("system_prompt", "system"), ("prompt", "question", "instruction"))),  # of two answers the better
    (("instruction",), (("input", "context"), ("output", "response"))),  # Alpaca, Dolly
    (("prompt",), (("completion",), ("response",))),
    (("question",), (("system_prompt", "system"), ("answer", "response"))),  # the latter of OpenOrca
    (("input", "output"), ()),
)
#: Who speaks in a field that is one side of an exchange.
_SPEAKERS = (
    dict.fromkeys(("system_prompt", "system"), "system")
    | dict.fromkeys(("instruction", "input", "context", "prompt", "question"), "user")
    | dict.fromkeys(("output", "completion", "response", "answer", "chosen"), "assistant")
)
_ORDER = ("system", "user", "assistant")
#: Fields that hold a chat, also where it is stored as JSON text.
_CHATS = ("messages", "conversations", "chosen")
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
      InputError: if both are given, or the template is malformed or names no field.
    """

    field: str | None = None
    template: str | None = None
    or_found: bool = False

    def __post_init__(self) -> None:
        if self.field is not None and self.template is not None:
            raise InputError("a text field and a template are both given", remedy="keep one of them")
        if self.template is not None and not any(name for _, name in self._parts):
            remedy = "name fields in braces: '{instruction}\\n{input}'"
            raise InputError(f"the template {self.template!r} names no field", remedy=remedy)

    def text_of(self, record: Record) -> str:
        """The text of a record; raises InputError (without the place, which the caller knows) if it has none."""
        if isinstance(record, str):
            return record
        if self.or_found and any(lookup(record, name) is _ABSENT for name in self._names):
            return _found(record)
        if self.template is not None:
            return "".join(literal + (_filled(record, name) if name else "") for literal, name in self._parts)
        if self.field is None:
            return _found(record)
        value = record.get(self.field)
        return value if isinstance(value, str) and self.field not in _CHATS else _named(record, self.field)

    @cached_property
    def columns(self) -> frozenset[str]:
        """The top-level fields that may hold text, so that formats with columns need not build the others."""
        names = self._names
        if not names or self.or_found:
            names += [name for needed, more in LAYOUTS for name in chain(needed, *more)]
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
    if isinstance(text, str):
        return text
    joined = _joined(record)
    if joined:
        return _exchange({name: _rendered(record[name], name, numbers) for name, numbers in joined.items()})
    null = next((name for needed, _ in LAYOUTS for name in needed if record.get(name, "") is None), None)
    why = "" if null is None else f"field {null!r} is null; "
    raise InputError(f"no text found; {why}the record has {_fields(record)}", remedy=_REMEDY)


def _joined(record: dict[str, Any]) -> dict[str, bool]:
    """The fields that text is found in, in order, each with whether it may be a number; none if no layout fits."""
    for needed, more in LAYOUTS:
        if all(record.get(name) is not None for name in needed):
            if needed == ("chosen",):
                if not isinstance(record["chosen"], (str, list)):
                    continue  # a flag, not an answer
                if _whole(record):
                    return {"chosen": False}
            there = ([name for name in group if record.get(name) is not None] for group in more)
            # Of a group the first that says something: tables have empty cells for what another layout's rows lack.
            chosen = [max(group, key=lambda name: record[name] != "") for group in there if group]
            ordered = [*needed, *chosen]
            if len(ordered) > 1:
                ordered.sort(key=lambda name: _ORDER.index(_SPEAKERS[name]))
            return {name: name in chosen for name in ordered}
    return {}


def _whole(record: dict[str, Any]) -> bool:
    """Whether the better of two answers comes with its prompt, as it does where both are whole conversations."""
    better, prompt = _chat_in(record["chosen"], "chosen"), record.get("prompt")
    if _is_chat(better):
        return any(_role(message, 1) != "assistant" for message in better)
    return isinstance(better, str) and isinstance(prompt, str) and better.startswith(prompt)


def _exchange(parts: dict[str, str]) -> str:
    """Fields joined line by line: as a dialogue where it is known who speaks in each."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    turns: list[Turn] = []
    for name, part in parts.items():
        for turn in turns_of(part) or (Turn(_SPEAKERS[name], part),):
            before = turns[-1] if turns and not turns_of(part) else None
            if before and before.role == turn.role and before.content and turn.content:
                turns[-1] = Turn(turn.role, f"{before.content}\n{turn.content}")
            else:
                turns.append(turn)
    return Dialogue(turns)


def parts_of(record: Record, spec: TextSpec = FOUND) -> list[tuple[str, str]] | None:
    """The text of a record as the parts it is joined from: (role, text) of a chat, (field, text) of other layouts.

    None where the text is one piece, or is made by a template.
    """
    if isinstance(record, str) or spec.template is not None:
        return None
    if spec.field is not None:
        value = _chat_in(lookup(record, spec.field), spec.field)
        return _turns(value, spec.field) if _is_chat(value) else None
    if isinstance(record.get("text"), str):
        return None
    found: list[tuple[str, str]] = []
    for name, numbers in _joined(record).items():
        value = _chat_in(record[name], name)
        if _is_chat(value):
            found += _turns(value, name)
        elif text := _rendered(value, name, numbers):
            found.append((name, text))
    return found if len(found) > 1 else None


def _turns(messages: Any, name: str) -> list[tuple[str, str]]:
    """The messages of a chat that hold text, each with the name of its role."""
    turns = []
    for message in messages:
        content = _content(message, name)
        role = (message.get("role") or message.get("from")) if isinstance(message, dict) else None
        if content:
            turns.append((role if isinstance(role, str) else "message", content))
    return turns


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
    value = _chat_in(value, name)
    if isinstance(value, str):
        return value
    return _chat(value, name) if _is_chat(value) else orjson.dumps(value, default=str).decode()


def _rendered(value: object, name: str, numbers: bool = False) -> str:
    """A field's text, if it is text or a list of it (a chat); numbers count only beside text, as answers do."""
    value = _chat_in(value, name)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _chat(value, name)
    if numbers and isinstance(value, (int, float)):
        return str(value)
    kind = "null" if value is None else type(value).__name__
    raise InputError(f"field {name!r} holds {kind}, not text", remedy=_REMEDY)


def _chat_in(value: object, name: str) -> object:
    return unpacked(value) if name in _CHATS else value


def _is_chat(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and any(isinstance(message, dict) for message in value)


def _chat(messages: Any, name: str) -> str:
    """The contents of messages, each on its own lines, without the names of the roles."""
    return Dialogue(Turn(_role(message, i), _content(message, name)) for i, message in enumerate(messages))


def _role(message: object, i: int) -> str:
    """Who speaks; in a list of bare texts, the two sides take turns."""
    role = (message.get("role") or message.get("from")) if isinstance(message, dict) else None
    if not isinstance(role, str):
        return ("user", "assistant")[i % 2]
    return ROLES.get(role.lower(), role.lower())


def _content(message: object, name: str) -> str:
    if isinstance(message, str):
        return message
    if isinstance(message, dict):
        # An image is a message without text; so is a call of a tool, but for what it calls (calls_of).
        content = next((message[key] for key in ("content", "value", "text") if message.get(key) is not None), "")
        if isinstance(content, Sequence) and not isinstance(content, str):
            content = "\n".join(text for part in content if part is not None and (text := _content(part, name)))
        if isinstance(content, str):
            return "\n".join(part for part in (content, calls_of(message)) if part)
    problem = f"field {name!r} holds a {type(message).__name__} where a message is expected"
    raise InputError(problem, remedy='a chat is a list of {"role": ..., "content": ...}')


def _fields(record: dict[str, Any]) -> str:
    names = list(record)
    if not names:
        return "no fields"
    shown = ", ".join(names[:_FIELDS_SHOWN])
    return f"{shown}, ... ({len(names)} fields)" if len(names) > _FIELDS_SHOWN else shown
