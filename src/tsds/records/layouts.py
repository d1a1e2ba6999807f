"""The usual layouts of training data: the fields that the text of a record is joined from, and who speaks in each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tsds.records.chats import chat_in, is_chat, role_of

Layout = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]

_SYSTEM = ("system_prompt", "system")
#: Layouts in order, tried on each record by itself: the fields that must be there, and those joined to them if there,
#: of each group one.
LAYOUTS: tuple[Layout, ...] = (
    (("text",), ()),
    (("messages",), ()),  # chats: [{"role": ..., "content": ...}]
    (("conversations",), ()),  # ShareGPT: [{"from": ..., "value": ...}]
    (("chosen",), (_SYSTEM, ("prompt", "question", "instruction"))),  # of two answers the better
    (("instruction",), (("input", "context"), ("output", "response"))),  # Alpaca, Dolly
    (("prompt",), (("completion",), ("response",))),
    (("question",), (_SYSTEM, ("answer", "response"))),  # the latter of OpenOrca
    (("input", "output"), ()),
)
#: Who speaks in a field that is one side of an exchange.
SPEAKERS = (
    dict.fromkeys(_SYSTEM, "system")
    | dict.fromkeys(("instruction", "input", "context", "prompt", "question"), "user")
    | dict.fromkeys(("output", "completion", "response", "answer", "chosen"), "assistant")
)
_ORDER = ("system", "user", "assistant")


def fields_of_layouts() -> list[str]:
    """All fields that a text may be found in."""
    return [name for needed, more in LAYOUTS for group in (needed, *more) for name in group]


def null_field(record: dict[str, Any]) -> str | None:
    """A field that is null and would be text; None if there is none."""
    needed = (name for needed, _ in LAYOUTS for name in needed)
    return next((name for name in needed if record.get(name, "") is None), None)


def says(value: object) -> bool:
    """Whether a field holds something: no null, no blank text, no empty list."""
    if isinstance(value, str):
        return bool(value) and not value.isspace()
    return bool(value) if isinstance(value, list) else value is not None


def fields_found(record: dict[str, Any]) -> dict[str, bool]:
    """The fields that text is found in, in order, each with whether it may be a number; none if no layout fits.

    Tables have empty cells for what the layout of other rows needs: the first layout counts whose needed fields all say
    something; else the first of which any field does, and else the first that fits.
    """
    blank: dict[str, bool] = {}
    some: dict[str, bool] = {}
    for needed, more in LAYOUTS:
        if not _fits(record, needed) or (blank and not _readable(record, needed)):
            continue
        fields = _joined(record, needed, more)
        if all(says(record[name]) for name in needed):
            return fields
        if not some and any(says(record[name]) for name in fields):
            some = fields
        blank = blank or fields
    return some or blank


def _fits(record: dict[str, Any], needed: tuple[str, ...]) -> bool:
    if any(record.get(name) is None for name in needed):
        return False
    return needed != ("chosen",) or _readable(record, needed)  # a flag is no answer


def _readable(record: dict[str, Any], needed: tuple[str, ...]) -> bool:
    """Whether these are text: what is not, is an error of the first layout that fits, but no reason to leave it."""
    return all(isinstance(chat_in(record[name], name), (str, list)) for name in needed)


def _joined(record: dict[str, Any], needed: tuple[str, ...], more: Iterable[tuple[str, ...]]) -> dict[str, bool]:
    """The fields of a layout that fits, in the order they are spoken in."""
    if needed == ("chosen",) and _whole(record):
        return {"chosen": False}
    there = ([name for name in group if record.get(name) is not None] for group in more)
    chosen = [
        max(group, key=lambda name: says(record[name])) for group in there if group
    ]  # the first that says something
    ordered = [*needed, *chosen]
    if len(ordered) > 1:
        ordered.sort(key=lambda name: _ORDER.index(SPEAKERS[name]))
    return {name: name in chosen for name in ordered}


def _whole(record: dict[str, Any]) -> bool:
    """Whether the better of two answers comes with its prompt, as it does where both are whole conversations."""
    better, prompt = chat_in(record["chosen"], "chosen"), record.get("prompt")
    if is_chat(better):
        return any(role_of(message, 1) != "assistant" for message in better)
    return isinstance(better, str) and isinstance(prompt, str) and better.startswith(prompt)
