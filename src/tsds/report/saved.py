"""The facts of a run that a folder holds: they lie in its page, and the page can be written anew from them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import orjson

from tsds.comparing.same import check_same
from tsds.errors import InputError
from tsds.places import PAGE, RUN, run_in
from tsds.report.facts import Facts
from tsds.report.page import write_page
from tsds.report.page_facts import ComparedFact, Explorer

COMPARISON = "compare.json"
#: What a folder of scores may hold: those of `tsds compare`, or of `tsds evaluate`.
_SCORES = (COMPARISON, "evaluate.json")


class _Islands(HTMLParser):
    """Collects the texts of `<script id=...>`."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = (dict(attrs).get("id") or "") if tag == "script" else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts.setdefault(self._inside, []).append(data)


def renew(folder: Path, compared: Path | None = None) -> Facts:
    """Write the page of the run in this folder anew, with the comparison if there is one; returns its facts.

    Args:
      folder: of a run.
      compared: what `tsds compare` or `tsds evaluate` wrote; `compare.json` in the folder, if it is there, if None.

    Raises:
      InputError: if the folder holds no run, or the comparison can't be read or is of another pool, target or size.
    """
    facts, explorer = page_of(folder)
    path = compared or folder / COMPARISON
    if compared is not None or path.is_file():
        explorer["comparison"] = comparison_in(path, run_in(folder))
    write_page(facts, explorer, folder / PAGE)
    return facts


def comparison_in(path: Path, run: dict[str, Any]) -> list[ComparedFact]:
    """The scores that `tsds compare` or `tsds evaluate` wrote: methods, their metrics, each with mean, low and high.

    `measures`, where it is there, has a heading, a line and the better direction of each metric.

    Args:
      path: of the file, or its folder.
      run: what run.json holds of the run that it is to stand beside.

    Raises:
      InputError: if the file is missing, holds something else, or is of another pool, target or size than the run.
    """
    try:
        whole = orjson.loads(_scores(path).read_bytes())
        whole = whole if isinstance(whole, dict) else {"methods": whole}
        check_same(run, whole, path, "compare on the pool, target and size of the run")
        methods, measures = whole["methods"], whole.get("measures", {})
        return [
            ComparedFact(
                method=str(method.get("method") or method["name"]),
                metric=str(measures.get(metric, {}).get("head", metric)),
                about=_about(measures.get(metric, {})),
                mean=float(score["mean"]),
                low=float(score["low"]),
                high=float(score["high"]),
            )
            for method in methods
            for metric, score in method["metrics"].items()
            if score["mean"] is not None  # a measure that a method has not
        ]
    except OSError as error:
        raise InputError(
            f"can't be read: {error.strerror}", path=path, remedy="name what tsds compare or evaluate wrote"
        ) from None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            "is no comparison of methods", path=path, remedy="name what tsds compare or evaluate wrote"
        ) from None


def _scores(path: Path) -> Path:
    """The file itself, or the one of a folder."""
    if not path.is_dir():
        return path
    return next((path / name for name in _SCORES if (path / name).is_file()), path / COMPARISON)


def _about(measure: dict[str, Any]) -> str:
    better = {True: "; less is better", False: "; more is better"}.get(measure.get("lower"), "")  # type: ignore[arg-type]
    return f"{measure.get('line', '')}{better}".strip("; ")


def page_of(folder: Path) -> tuple[Facts, Explorer]:
    """What lies in the page of the run in this folder.

    Raises:
      InputError: if the folder holds no run, or something else under its names.
    """
    page = folder / PAGE
    if not (folder / RUN).is_file() or not page.is_file():
        raise InputError("holds no run", path=folder, remedy="name the folder that --out named")
    islands = _Islands()
    islands.feed(page.read_text(encoding="utf-8"))
    try:
        facts, explorer = (orjson.loads("".join(islands.texts[name])) for name in ("facts", "explorer"))
    except (orjson.JSONDecodeError, KeyError):
        raise InputError("is not the page of a run", path=page, remedy="run the selection again") from None
    return cast(Any, facts), cast(Any, explorer)
