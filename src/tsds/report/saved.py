"""The facts of a run that a folder holds: they lie in its page."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import cast

import orjson

from tsds.errors import InputError
from tsds.report.facts import Facts


class _Island(HTMLParser):
    """Collects the text of `<script id="facts">`."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and ("id", "facts") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.text.append(data)


def facts_in(folder: Path) -> Facts:
    """The facts of the run in this folder.

    Raises:
      InputError: if it holds none.
    """
    page = folder / "report.html"
    if not (folder / "run.json").is_file() or not page.is_file():
        raise InputError("holds no run", path=folder, remedy="name the folder that --out named")
    island = _Island()
    island.feed(page.read_text(encoding="utf-8"))
    try:
        return cast(Facts, orjson.loads("".join(island.text)))
    except orjson.JSONDecodeError:
        raise InputError("is not the page of a run", path=page, remedy="run the selection again") from None
