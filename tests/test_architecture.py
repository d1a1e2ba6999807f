"""The house is as its page says: every file has a place there, and imports run one way."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tsds"
BESIDE = ("settings.py", "checkpoint.py", "on_device.py")  # of the table: the page says what they know
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROWS = [line.split("|")[2] for line in PAGE.splitlines() if re.match(r"\| \w+ \| `", line)]


def row_of(path: Path) -> int | None:
    """The row that names a file, or else the folder it is in; None for what lies beneath all."""
    name = path.relative_to(PACKAGE).as_posix()
    for wanted in (name, f"{name.partition('/')[0]}/"):
        found = [i for i, row in enumerate(ROWS) if f"`{wanted}`" in row]
        if found:
            return found[0]
    return None


def test_every_file_has_its_place_on_the_page() -> None:
    there = [path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]
    there += [f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")]
    assert len(ROWS) > 10 and [name for name in there if f"`{name}`" not in PAGE] == []
    named = {name for row in ROWS for name in re.findall(r"`([\w/]+(?:\.py|/))`", row)}
    assert [name for name in named if not (PACKAGE / name).exists() and not list(PACKAGE.glob(f"*/{name}"))] == []


def test_imports_run_along_the_table() -> None:
    """Those of a module, not those that a function makes when it is called; nor those for types alone."""
    back = []
    for path in PACKAGE.rglob("*.py"):
        here = row_of(path)
        if path.name in BESIDE or path.name == "__init__.py":
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("tsds."):
                continue
            place = PACKAGE.joinpath(*str(node.module).split(".")[1:])
            there = row_of(place.with_suffix(".py") if place.with_suffix(".py").exists() else place / "__init__.py")
            if there is not None and (here is None or there > here):
                back.append(f"{path.relative_to(PACKAGE)}, line {node.lineno}: {node.module}")
    assert back == []
