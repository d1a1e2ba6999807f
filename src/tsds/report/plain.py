"""Text from anywhere made safe and short for a screen."""

from __future__ import annotations

import unicodedata

#: Characters that act on a terminal or turn the direction of text: controls, surrogates, bidirectional marks.
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn"}


def plain(text: str, width: int) -> str:
    """One line of at most `width` characters: white space collapsed, nothing that acts on the terminal."""
    line = " ".join(text[: 8 * width].split())
    line = "".join(c for c in line if unicodedata.category(c) not in _DROPPED)
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
