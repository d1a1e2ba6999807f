"""The documentation builds, strictly, and opens from disk without a network."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tsds

ROOT = Path(__file__).parents[1]
needs_docs = pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="needs the extra docs (make docs)")


@needs_docs
def test_it_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "tools" / "make_figures.py"], check=True, timeout=300)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    pages = {path.relative_to(tmp_path / "site").as_posix(): path.read_text() for path in tmp_path.rglob("*.html")}
    assert {"index.html", "reading-the-report.html", "reference/python.html", "reference/command.html"} <= set(pages)
    assert "tsds.select" in pages["reference/python.html"] and "--effective-size" in pages["reference/command.html"]
    for name, page in pages.items():
        loaded = re.findall(r'<(?:script|img|link|iframe)[^>]*?(?:src|href)="(https?:[^"]+)"', page)
        assert [one for one in loaded if "github.com" not in one] == [], name


def test_links_between_documents_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
            made = (path.parent / target).resolve()
            assert made.exists() or made.parent.name == "figures", f"{path.name}: {target}"


@pytest.mark.parametrize(
    "module", [path for path in (ROOT / "src").rglob("*.py") if ">>>" in path.read_text()], ids=lambda path: path.stem
)
def test_examples_in_docstrings_give_what_they_say(module: Path) -> None:
    name = ".".join(module.relative_to(ROOT / "src").with_suffix("").parts)
    found = doctest.testmod(importlib.import_module(name), extraglobs={"tsds": tsds})
    assert found.attempted > 0 and found.failed == 0
