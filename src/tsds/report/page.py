"""The page of a run: one self-contained file, no network, safe against hostile text.

The facts lie in the page as JSON, with everything escaped that HTML could read; the script builds the page from them
with text nodes only. A content security policy with the hashes of script and style forbids everything else.

The script is ES modules (assets/modules), each with its own tests; they are joined here, imports and exports taken
away, in the order in which they need each other. So their names must differ, which tests/report/test_script.py holds.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from tsds.records import atomic_file
from tsds.report.facts import Facts
from tsds.report.island import island
from tsds.report.page_facts import Explorer
from tsds.report.shown import name

#: In an order in which none needs a later one.
MODULES = (
    "format text state geometry select dom charts glance path chosen map coverage shift comparison settings main"
).split()
_IMPORT = re.compile(r"^import .*$\n?", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const |function )", re.MULTILINE)
#: Entries of a list and characters of a text among the facts of the screen that the page keeps.
_ENTRIES, _CHARACTERS, _EXAMPLES = 200, 2000, 10


def page_html(facts: Facts, explorer: Explorer) -> str:
    """The page as text."""
    style, script = _asset("page.css"), page_script()
    allowed = f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    targets = "1 target" if facts["target"]["used"] == 1 else f"{facts['target']['used']:,} targets"
    headline = f"{facts['size']:,} of {facts['pool']['used']:,} records chosen for {targets}"
    parts = {
        "POLICY": policy,
        "STYLE": style,
        "SCRIPT": script,
        "HEADLINE": headline,
        "FACTS": island(kept_facts(facts)),
        "EXPLORER": island(explorer),
    }
    pieces = _asset("page.html").split("@@")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def write_page(facts: Facts, explorer: Explorer, path: Path) -> None:
    """Write the page; the file is whole or absent."""
    with atomic_file(path) as file:
        file.write(page_html(facts, explorer).encode())


def kept_facts(facts: Facts) -> Facts:
    """What the page keeps of the facts of the screen: the first examples and targets, all else of bounded size."""
    sources = [{**group, "name": name(group["name"])} for group in facts["composition"]]  # as the explorer names them
    few = {**facts, "examples": facts["examples"][:_EXAMPLES], "targets": facts["targets"][:_EXAMPLES]}
    few["composition"] = sources
    few["tasks"] = [{**task, "name": name(task["name"])} for task in facts["tasks"]]
    return cast(Facts, _bounded(few))


@cache
def page_script() -> str:
    """All modules as one script."""
    parts = [_EXPORT.sub("", _IMPORT.sub("", _asset(f"modules/{name}.mjs"))) for name in MODULES]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _CHARACTERS else value[:_CHARACTERS] + " …"
    if isinstance(value, dict):
        return {key: _bounded(one) for key, one in value.items()}
    return [_bounded(one) for one in value[:_ENTRIES]] if isinstance(value, list) else value


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    return (files("tsds.report") / "assets" / name).read_text(encoding="utf-8")
