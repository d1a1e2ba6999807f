"""A text that knows the turns of the conversation it was joined from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: What the data sets call the speakers, as chat templates call them.
ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "chatgpt": "assistant", "model": "assistant"}


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
