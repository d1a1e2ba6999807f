"""The modules of the page's script: their own tests, run by Node, and that they can be joined into one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from tsds.report.page import MODULES, page_script

NODE = shutil.which("node")
HERE = Path(__file__).parent
_TOP = re.compile(r"^(?:export )?(?:const|let|function|class) ([A-Za-z_$][\w$]*)", re.MULTILINE)
_IMPORTED = re.compile(r'^import \{ ([^}]*) \} from "\./(\w+)\.mjs";$', re.MULTILINE)


def _module(name: str) -> str:
    return (files("tsds.report") / "assets" / "modules" / f"{name}.mjs").read_text(encoding="utf-8")


@pytest.mark.skipif(NODE is None and not os.environ.get("TSDS_ALL_TESTS"), reason="no node (apt-get install nodejs)")
def test_modules_by_their_own_tests() -> None:
    tests = sorted(str(path) for path in (HERE / "script").glob("*.test.mjs"))
    done = subprocess.run(
        [NODE or "node", "--test", "--test-reporter=tap", *tests], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert len(tests) == 4 and re.search(r"^# pass 1[0-9]$", done.stdout, re.MULTILINE), done.stdout[-600:]


def test_no_two_modules_use_a_name_and_none_needs_a_later_one() -> None:
    folder = files("tsds.report") / "assets" / "modules"
    assert sorted(MODULES) == sorted(path.name.removesuffix(".mjs") for path in folder.iterdir())
    names = [name for module in MODULES for name in _TOP.findall(_module(module))]
    assert len(names) > 50 and sorted(names) == sorted(set(names))
    for place, module in enumerate(MODULES):
        for imported, source in _IMPORTED.findall(_module(module)):
            assert source in MODULES[:place], f"{module} needs {source}"
            assert set(re.split(r",\s*", imported)) <= set(_TOP.findall(_module(source)))


def test_the_joined_script_holds_no_way_to_run_a_text() -> None:
    script = page_script()
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)
    for dangerous in (
        "innerHTML outerHTML insertAdjacentHTML document.write eval( Function( DOMParser srcdoc fetch( XMLHttpRequest "
        "import( setHTML createContextualFragment"
    ).split():
        assert dangerous not in script
    assert "</script" not in script.lower() and "<!--" not in script
