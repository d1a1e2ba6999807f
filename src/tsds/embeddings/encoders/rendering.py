"""Texts and chats as the tokens a language model reads, with the tokens of the completion marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.records.dialogue import Turn, turns_of

#: Tokens read of a text unless the model reads fewer: as in LESS and RDS+.
LONGEST = 2048
_CHUNK = 1024


@dataclass(frozen=True)
class Rendered:
    """A text as a model reads it.

    Attributes:
      ids: [t], tokens.
      completion: [t], whether a token is part of what the model is to learn to write: the turns of the assistant, or
        all of a text that has no such turn.
      truncated: whether the text was longer and was cut.
      unfit: whether the chat template refused it.
    """

    ids: NDArray[np.int64]
    completion: NDArray[np.bool_]
    truncated: bool
    unfit: bool


class Renderer:
    """Renders texts for one model.

    A chat is written with the model's chat template; where it has none, with plain role marks, the format that LESS and
    RDS+ were published with. A model that reads no chats (a masked one) gets the bare text.

    Args:
      tokenizer: of transformers, a fast one.
      limit: tokens kept of a text, from its start.
      chats: whether turns are marked at all.
      last: whether the last completion of a chat is marked alone.
    """

    def __init__(self, tokenizer: Any, limit: int, *, chats: bool, last: bool = False) -> None:
        self._tokenizer, self._limit, self._chats, self._last = tokenizer, limit, chats, last
        self._template = chats and bool(getattr(tokenizer, "chat_template", None))

    def render(self, texts: Sequence[str]) -> list[Rendered]:
        """Each text as tokens."""
        done: list[Rendered] = []
        for start in range(0, len(texts), _CHUNK):
            written = [self._written(text) for text in texts[start : start + _CHUNK]]
            by_template = [special for _, _, special, _ in written]
            parts: list[Any] = [None] * len(written)
            for special in (False, True):  # a template writes the special tokens itself
                at = [i for i, one in enumerate(by_template) if one == special]
                if not at:
                    continue
                tokens = self._tokenizer(
                    [written[i][0] for i in at], add_special_tokens=special, truncation=False,
                    return_offsets_mapping=True, return_attention_mask=False, return_token_type_ids=False,
                )  # fmt: skip
                for i, ids, offsets in zip(at, tokens["input_ids"], tokens["offset_mapping"], strict=True):
                    spans = written[i][1][-1:] if self._last else written[i][1]
                    parts[i] = self._marked(ids, offsets, spans, written[i][3])
            done += parts
        return done

    def _marked(self, ids: list[int], offsets: Any, spans: list[tuple[int, int]], unfit: bool) -> Rendered:
        place = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
        completion = np.zeros(len(ids), bool)
        for first, last in spans:
            completion |= (place[:, 0] >= first) & (place[:, 0] < last) & (place[:, 1] > place[:, 0])
        cut = slice(0, self._limit)
        return Rendered(np.asarray(ids, np.int64)[cut], completion[cut], len(ids) > self._limit, unfit)

    def _written(self, text: str) -> tuple[str, list[tuple[int, int]], bool, bool]:
        """The text as written, where its completions are, whether special tokens are missing, whether it is unfit."""
        turns = turns_of(text) if self._chats else ()
        if not turns:
            return str(text), [(0, len(text))], True, False
        if self._template:
            for chat in (turns, _system_in_user(turns)):
                found = self._by_template(chat)
                if found is not None:
                    return *found, False, False
        end = self._tokenizer.eos_token or ""
        return *with_role_marks(turns, end), True, self._template

    def _by_template(self, turns: Sequence[Turn]) -> tuple[str, list[tuple[int, int]]] | None:
        """A chat by the model's template, or None if the template refuses it."""
        from jinja2 import TemplateError

        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            whole = self._apply(messages)
            spans = [self._span(messages, i, whole) for i, turn in enumerate(turns) if turn.role == "assistant"]
        except (TemplateError, ValueError, KeyError, IndexError, TypeError):
            return None
        return whole, spans or [(0, len(whole))]

    def _span(self, messages: list[dict[str, str]], i: int, whole: str) -> tuple[int, int]:
        """Where the i-th message is in the whole chat: from the end of the generation prompt to that of its turn."""
        content = messages[i]["content"].strip()
        before = self._apply(messages[:i], ask=True) if i else ""
        upto = self._apply(messages[: i + 1])
        if whole.startswith(upto) and upto.startswith(before) and content in upto[len(before) :]:
            return len(before), len(upto)
        first = whole.find(content, whole.find(messages[i - 1]["content"].strip()) if i else 0)
        if first < 0:
            raise ValueError("the template rewrites the answer")
        return first, first + len(content)

    def _apply(self, messages: list[dict[str, str]], ask: bool = False) -> str:
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))


def with_role_marks(turns: Sequence[Turn], end: str) -> tuple[str, list[tuple[int, int]]]:
    """A chat with plain role marks, and where its completions are, the end-of-text token of each included."""
    out, spans = "", []
    for turn in turns:
        out += f"<|{turn.role}|>\n"
        first = len(out)
        out += turn.content.strip() + (end if turn.role == "assistant" else "")
        if turn.role == "assistant":
            spans.append((first, len(out)))
        out += "\n"
    return out, spans or [(0, len(out))]


def _system_in_user(turns: Sequence[Turn]) -> list[Turn]:
    """The same chat with what the system says at the head of the first turn of the user, and equal roles joined."""
    out: list[Turn] = []
    for turn in turns:
        one = Turn("user", turn.content) if turn.role == "system" else turn
        if out and out[-1].role == one.role:
            out[-1] = Turn(one.role, f"{out[-1].content}\n\n{one.content}")
        else:
            out.append(one)
    return out
