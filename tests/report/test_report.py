"""The page and the summary: safe against hostile text, and complete. test_browser.py opens the page."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import orjson
import pytest
from rich.console import Console

import tsds
from tests.command.run import texts
from tsds.report.data import facts_of
from tsds.report.explorer import explorer
from tsds.report.facts import Facts
from tsds.report.page import kept_facts, page_html
from tsds.report.plain import plain
from tsds.report.saved import facts_in
from tsds.report.summary import print_summary
from tsds.selection import Selection

HOSTILE = [
    "</script><script>document.title='owned'</script>",
    "<!-- <script> --> <img src=x onerror=\"document.title='owned'\">",
    "line\u2028separators\u2029 and \x1b[31mred\x1b[0m \u202eturned \x07bell [bold]markup[/bold] {braces} @@FACTS@@",
    "'\"`\\ ${document.title='owned'}",
]


@pytest.fixture(scope="module")
def chosen() -> Selection:
    pool = [{"text": f"{h} {t}", "source": h} for h in HOSTILE for t in texts(40)]
    target = [{"text": f"{h} {t}"} for h in HOSTILE for t in texts(3, seed=1)]
    return tsds.select(pool, target, size=30)


@pytest.fixture(scope="module")
def facts(chosen: Selection) -> Facts:
    return facts_of(chosen, "tsds select '<b>'")


@pytest.fixture(scope="module")
def page(chosen: Selection, facts: Facts) -> str:
    return page_html(facts, explorer(chosen))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inside: dict[str, str] = {}
        self._last = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._last = dict(attrs).get("id") or tag
        if dict(attrs).get("http-equiv"):
            self.inside["policy"] = dict(attrs)["content"] or ""

    def handle_data(self, data: str) -> None:
        self.inside[self._last] = self.inside.get(self._last, "") + data


def test_facts_come_back_and_no_tag_of_the_data_does(chosen: Selection, facts: Facts, page: str) -> None:
    parsed = _Tags()
    parsed.feed(page)
    assert orjson.loads(parsed.inside["facts"]) == orjson.loads(orjson.dumps(kept_facts(facts)))
    assert orjson.loads(parsed.inside["explorer"]) == orjson.loads(orjson.dumps(explorer(chosen)))
    assert parsed.tags.count("script") == 3 and "img" not in parsed.tags
    assert not re.search(
        r"(src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page.split('id="facts"')[0]
    )
    for tag, name in (("style", "style-src"), ("script", "script-src")):
        content = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[-1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in parsed.inside["policy"]
    assert "innerHTML" not in page and "default-src 'none'" in parsed.inside["policy"]


def test_half_a_surrogate_pair_does_not_stop_the_page(chosen: Selection, facts: Facts) -> None:
    page_html({**facts, "command": "\ud800"}, explorer(chosen)).encode()  # type: ignore[typeddict-item]


def test_facts_are_read_back_from_a_saved_run(tmp_path: Path) -> None:
    chosen = tsds.select(texts(100), texts(3, seed=1), size=5)
    chosen.save(tmp_path / "run")
    assert facts_in(tmp_path / "run")["size"] == 5


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_summary_fits_and_acts_on_nothing(facts: Facts, width: int) -> None:
    out = StringIO()
    print_summary(Console(file=out, width=width, color_system=None), facts)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "30 of 160 records" in text
    assert width < 80 or "[bold]markup[/bold]" in text  # as it is, not as markup
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text)


def test_plain() -> None:
    assert plain("a\x1b[31m\n  b\u202e c", 80) == "a[31m b c"
    assert plain("x" * 100, 10) == "x" * 9 + "…"


def test_nothing_to_show_is_no_failure() -> None:
    chosen = tsds.select(texts(30), texts(2, seed=1), size=3, method="tv")
    facts = facts_of(chosen)
    assert facts["path"] == [] and facts["composition"] == []
    page_html(facts, explorer(chosen))
    print_summary(Console(file=StringIO()), facts)
