"""Progress where nobody watches: nothing for short work, a line now and then with rate and time left for long work."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tsds import screen
from tsds.screen import Lines, Screen


def test_lines_tell_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(screen.time, "monotonic", lambda: now)
    out = io.StringIO()
    lines = Lines(Console(file=out, width=200))
    lines.start("encode", 1000)
    for seconds, rows in ((30, 100), (31, 100), (5, 10), (60, 90)):
        now += seconds
        lines.advance(rows)
    lines.start("without usable records", 100)
    now += 90
    lines.advance(0)
    lines.end()
    lines.start("inner", None)
    now += 120
    lines.advance(240)
    lines.end()
    lines.end()
    lines.say("done")
    assert out.getvalue().splitlines() == [
        "encode: 200 of 1,000, 3 a second, 4 min left",
        "encode: 300 of 1,000, 2 a second, 5 min left",
        "inner: 240, 2 a second",
        "done",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_long_line_of_a_list_goes_on_in_its_column(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = Console(file=out, width=40, force_terminal=terminal, color_system=None)
    monkeypatch.setattr(screen, "Console", lambda **options: console)
    Screen().listing({"a": "short", "longer": "word " * 12 + "end"})
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[0] == "a       short" and lines[1].startswith("longer  word word")
    assert len(lines) == (4 if terminal else 2) and all(line.startswith("        ") for line in lines[2:])
