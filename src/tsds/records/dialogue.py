"""A text that knows the turns of the conversation it was joined from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

#: What the data sets call the speakers, as chat templates call them.
ROLES = {
    "human": "user",
    **dict.fromkeys(("gpt", "bot", "chatgpt", "model", "function_call"), "assistant"),
    "observation": "tool",
}


class Turn(NamedTuple):
    """What one speaker says: "system", "user", "assistant" or "tool", and the text."""

    role: str
    content: str


class Dialogue(str):
    """A text like any other, joined line by line from turns; encoders that render chats or mask prompts ask for them.

    Attributes:
      turns: in order, each with text.

    Example:
      >>> chat = Dialogue([Turn("user", "2 + 2?"), Turn("assistant", "4")])
      >>> chat == "2 + 2?\\n4", chat.turns[1].content
      (True, '4')
    """

    __slots__ = ("turns",)
    turns: tuple[Turn, ...]

    def __new__(cls, turns: Iterable[Turn]) -> Dialogue:
        kept = tuple(turn for turn in turns if turn.content)
        self = super().__new__(cls, "\n".join(turn.content for turn in kept))
        self.turns = kept
        return self

    def __getnewargs__(self) -> tuple[tuple[Turn, ...]]:  # type: ignore[override]
        return (self.turns,)


def turns_of(text: str) -> tuple[Turn, ...]:
    """The turns of a dialogue; none for a plain text."""
    return text.turns if isinstance(text, Dialogue) else ()


def calls_of(message: dict[str, Any]) -> str:
    """The calls of tools in a message or a part of one, as text: a line each, the name and the arguments."""
    calls = message.get("tool_calls") or message.get("function_call")
    if message.get("type") == "tool_use":  # Anthropic's are parts of the content, of a name and an input
        calls = {"name": message.get("name"), "arguments": message.get("input")}
    if isinstance(calls, str):
        calls = _parsed(calls)
    return "\n".join(text for call in (calls if isinstance(calls, list) else [calls]) if (text := _call(call)))


def unpacked(value: Any) -> Any:
    """The turns that text holds as JSON; any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    turns = _parsed(value)
    return turns if isinstance(turns, list) and turns and all(map(is_turn, turns)) else value


def is_turn(value: Any) -> bool:
    """Whether it is a message that says who speaks."""
    return isinstance(value, dict) and isinstance(value.get("role") or value.get("from"), str)


def _parsed(text: str) -> Any:
    """What JSON text holds; other text as it is."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _call(call: Any) -> str:
    if isinstance(call, str):
        return call
    if not isinstance(call, dict):
        return ""
    function = call["function"] if isinstance(call.get("function"), dict) else call
    parts = (function[key] for key in ("name", "arguments") if function.get(key) is not None)
    # Arguments are JSON already (what APIs give) or objects (what chat templates take), which are written the same way.
    return " ".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False, default=str) for one in parts)
