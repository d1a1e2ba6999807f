"""The page of a run: one self-contained file, no network, safe against hostile text.

The facts lie in the page as JSON, with everything escaped that HTML could read; the script builds the page from them
with text nodes only. A content security policy with the hashes of script and style forbids everything else.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

import orjson

from tsds.records import atomic_file
from tsds.report.facts import Facts

#: What could end the script element or a line of script: as JSON escapes it means the same.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def page_html(facts: Facts) -> str:
    """The page as text."""
    style, script = _asset("page.css"), _asset("page.js")
    allowed = f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    headline = f"{facts['size']:,} of {facts['pool']['used']:,} records chosen for {facts['target']['used']:,} targets"
    parts = {"POLICY": policy, "STYLE": style, "SCRIPT": script, "HEADLINE": headline, "FACTS": _island(facts)}
    page = _asset("page.html")
    pieces = page.split("@@")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def write_page(facts: Facts, path: Path) -> None:
    """Write the page; the file is whole or absent."""
    with atomic_file(path) as file:
        file.write(page_html(facts).encode())


def _island(facts: Facts) -> str:
    text = orjson.dumps(_sound(facts)).decode()
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _sound(value: object) -> object:
    """Half surrogate pairs, which no file can hold, as the replacement character."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _sound(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_sound(one) for one in value]
    return value


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    return (files("tsds.report") / "assets" / name).read_text(encoding="utf-8")
