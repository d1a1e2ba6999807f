"""The messages of a chat as it is stored: who speaks in each, and what is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from tsds.errors import InputError
from tsds.records.dialogue import ROLES, Dialogue, Turn, calls_of, unpacked

#: Fields that hold a chat, also where it is stored as JSON text.
CHATS = ("messages", "conversations", "chosen")


def chat_in(value: object, name: str) -> object:
    """The chat that a field holds as JSON text, as a struct of lists or in a request; any other value as it is."""
    if isinstance(value, dict):
        asked = value.get("messages") if name == "input" else None  # OpenAI's preferences: what the model was sent
        return _messages_of(value) if asked is None else asked
    return unpacked(value) if name in CHATS else value


def is_chat(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and any(isinstance(message, dict) for message in value)


def chat_text(messages: Any, name: str) -> str:
    """The contents of messages, each on its own lines, without the names of the roles."""
    return Dialogue(Turn(role_of(message, i), _content(message, name)) for i, message in enumerate(messages))


def role_of(message: object, i: int) -> str:
    """Who speaks; in a list of bare texts, the two sides take turns."""
    role = (message.get("role") or message.get("from")) if isinstance(message, dict) else None
    if not isinstance(role, str):
        return ("user", "assistant")[i % 2]
    return ROLES.get(role.lower(), role.lower())


def named_turns(messages: Any, name: str) -> list[tuple[str, str]]:
    """The messages of a chat that hold text, each with the name of its role."""
    turns = []
    for message in messages:
        content = _content(message, name)
        role = (message.get("role") or message.get("from")) if isinstance(message, dict) else None
        if content:
            turns.append((role if isinstance(role, str) else "message", content))
    return turns


def _messages_of(struct: dict[str, Any]) -> object:
    """The messages of a struct of lists, {"role": [...], "content": [...]}, as `datasets` had them up to its third."""
    roles = struct.get("role", struct.get("from"))
    if not isinstance(roles, list):
        return struct
    if any(not isinstance(values, list) or len(values) != len(roles) for values in struct.values()):
        return struct
    return [dict(zip(struct, message, strict=True)) for message in zip(*struct.values(), strict=True)]


def _content(message: object, name: str) -> str:
    if isinstance(message, str):
        return message
    if isinstance(message, dict):
        # An image is a message without text; so is a call of a tool, but for what it calls (calls_of).
        content = next((message[key] for key in ("content", "value", "text") if message.get(key) is not None), "")
        if isinstance(content, Sequence) and not isinstance(content, str):
            content = "\n".join(text for part in content if part is not None and (text := _content(part, name)))
        if isinstance(content, str):
            thought = message.get("reasoning_content") or message.get("thinking")  # the latter is a part of Anthropic's
            said = (thought if isinstance(thought, str) else "", content, calls_of(message))
            return "\n".join(part for part in said if part)
    problem = f"field {name!r} holds a {type(message).__name__} where a message is expected"
    raise InputError(problem, remedy='a chat is a list of {"role": ..., "content": ...}')
