"""The usual layouts of training data: the fields that the text of a record is joined from, and who speaks in each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tsds.records.chats import CHATS, chat_in, is_chat, role_of

Layout = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]

_SYSTEM = ("system_prompt", "system")
#: Layouts in order, tried on each record by itself: the fields that must be there, and those joined to them if there,
#: of each group one.
LAYOUTS: tuple[Layout, ...] = (
    (("text",), ()),
    (("messages",), (_SYSTEM,)),  # chats: [{"role": ..., "content": ...}]
    (("conversations",), (_SYSTEM,)),  # ShareGPT: [{"from": ..., "value": ...}]
    (("chosen",), (_SYSTEM, ("prompt", "question", "instruction"))),  # of two answers the better
    (("input", "preferred_output"), ()),  # the same of OpenAI: {"messages": chat}, chat
    # Alpaca, Dolly
    (("instruction",), (_SYSTEM, ("input", "context"), ("output", "response", "answer", "completion", "solution"))),
    (("prompt", "completion"), (_SYSTEM, ("response",))),
    (("prompt",), (_SYSTEM, ("completion", "response", "answer", "output", "solution"))),
    (("question",), (_SYSTEM, ("answer", "response", "solution", "output", "completion"))),  # OpenOrca: response
    (("input", "output"), (_SYSTEM,)),
    (("problem",), (_SYSTEM, ("solution", "answer", "response", "output", "completion"))),  # mathematics
    (("query",), (_SYSTEM, ("response", "answer", "output", "completion", "solution"))),
)
#: Texts for pretraining that are not called so; they must be text, and what fits a layout above is not read as one.
PLAIN: tuple[Layout, ...] = ((("content",), ()), (("raw_content",), ()), (("document",), ()), (("code",), ()))
#: Who speaks in a field that is one side of an exchange. A whole chat names its speakers itself.
SPEAKERS = (
    dict.fromkeys(_SYSTEM, "system")
    | dict.fromkeys(("messages", "conversations"), "user")
    | dict.fromkeys(("instruction", "input", "context", "prompt", "question", "problem", "query"), "user")
    | dict.fromkeys(("output", "completion", "response", "answer", "solution"), "assistant")
    | dict.fromkeys(("chosen", "preferred_output"), "assistant")
)
_ORDER = ("system", "user", "assistant")


def fields_of_layouts() -> list[str]:
    """All fields that a text may be found in."""
    return [name for needed, more in (*LAYOUTS, *PLAIN) for group in (needed, *more) for name in group]


def null_field(record: dict[str, Any]) -> str | None:
    """A field that is null and would be text; None if there is none."""
    needed = (name for needed, _ in (*LAYOUTS, *PLAIN) for name in needed)
    return next((name for name in needed if record.get(name, "") is None), None)


def says(value: object) -> bool:
    """Whether a field holds something: no null, no blank text, no empty list or struct of lists."""
    if isinstance(value, str):
        return bool(value) and not value.isspace()
    if isinstance(value, dict):
        return any(not isinstance(one, list) or one for one in value.values())
    return bool(value) if isinstance(value, list) else value is not None


def fields_found(record: dict[str, Any]) -> dict[str, bool]:
    """The fields that text is found in, in order, each with whether it may be a number; none if no layout fits.

    Tables have empty cells for what the layout of other rows needs: the first layout counts whose needed fields all say
    something; else the first of which any field does, and else the first that fits.
    """
    blank: dict[str, bool] = {}
    for layouts in (LAYOUTS, PLAIN):
        some: dict[str, bool] = {}
        for needed, more in layouts:
            if not _fits(record, needed) or (blank and not _readable(record, needed)):
                continue
            fields = _joined(record, needed, more)
            if all(says(record[name]) for name in needed):
                return fields
            if not some and any(says(record[name]) for name in fields):
                some = fields
            blank = blank or fields
        if some:
            return some
    return blank


def _fits(record: dict[str, Any], needed: tuple[str, ...]) -> bool:
    if any(record.get(name) is None for name in needed):
        return False
    if needed == ("chosen",):
        return _readable(record, needed)  # a flag is no answer
    return (needed, ()) not in PLAIN or isinstance(record[needed[0]], str)


def _readable(record: dict[str, Any], needed: tuple[str, ...]) -> bool:
    """Whether these are text: what is not, is an error of the first layout that fits, but no reason to leave it."""
    return all(isinstance(chat_in(record[name], name), (str, list)) for name in needed)


def _joined(record: dict[str, Any], needed: tuple[str, ...], more: Iterable[tuple[str, ...]]) -> dict[str, bool]:
    """The fields of a layout that fits, in the order they are spoken in."""
    whole = needed[0] in CHATS and (needed != ("chosen",) or _whole(record))
    chosen = []
    for group in more:
        if whole and group is not _SYSTEM:
            continue
        there = [name for name in group if record.get(name) is not None]
        if group is _SYSTEM:
            there = [name for name in there if isinstance(record[name], (str, list)) and says(record[name])]
        if there:
            chosen.append(max(there, key=lambda name: says(record[name])))  # the first that says something
    if chosen and chosen[0] in _SYSTEM and not _lacks_system(record, [*needed, *chosen[1:]], whole):
        del chosen[0]
    ordered = [*needed, *chosen]
    if len(ordered) > 1:
        ordered.sort(key=lambda name: _ORDER.index(SPEAKERS[name]))
    return {name: name != needed[0] for name in ordered}  # a number is an answer, or another text beside the first


def _lacks_system(record: dict[str, Any], others: list[str], whole: bool) -> bool:
    """Whether what the system says is to be joined to these fields: a chat that begins with it has it already."""
    chats = [chat_in(record[name], name) for name in others]
    if whole and not isinstance(chats[0], list):  # a transcript has no turns to put it before
        return False
    return not any(is_chat(chat) and role_of(chat[0], 0) in ("system", "developer") for chat in chats)


def _whole(record: dict[str, Any]) -> bool:
    """Whether the better of two answers comes with its prompt, as it does where both are whole conversations."""
    better, prompt = chat_in(record["chosen"], "chosen"), record.get("prompt")
    if is_chat(better):
        return any(role_of(message, 1) != "assistant" for message in better)
    return isinstance(better, str) and isinstance(prompt, str) and better.startswith(prompt)
