"""The sample data: complete, credited, reproducible; and the demo on it."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.shared import SHARED
from tools.make_demo_data import SOURCES, build
from tsds.demo import pool_path, target_path

PERMISSIVE = {"MIT", "Apache-2.0", "CC-BY-4.0"}


def test_every_source_is_credited_with_a_permissive_licence() -> None:
    with gzip.open(pool_path(), "rt", encoding="utf-8") as lines:
        pool = [json.loads(line) for line in lines]
    readme = (pool_path().parent / "README.md").read_text(encoding="utf-8")
    credited = {row[0]: row[3] for row in re.findall(r"^\| (\w+) \| (\d+) \| (.+) \| (.+) \|$", readme, re.MULTILINE)}
    counts = Counter(record["source"] for record in pool)
    assert counts == {source: count for source, (count, _, _) in SOURCES.items()}
    assert credited.keys() == counts.keys()
    assert {licence for entry in credited.values() for licence in entry.split(", ")} <= PERMISSIVE
    assert len({record["id"] for record in pool}) == len(pool) == 4000


def test_it_is_small() -> None:
    assert pool_path().stat().st_size < 1_200_000
    assert len(target_path().read_text(encoding="utf-8").splitlines()) == 60


@pytest.mark.skipif(SHARED is None, reason="the shared benchmark data is not here (TSDS_SHARED_DATA)")
def test_the_tool_gives_the_same_bytes(tmp_path: Path) -> None:
    assert SHARED is not None
    build(SHARED, tmp_path)
    for name in ("pool.jsonl.gz", "target.jsonl", "README.md"):
        assert (tmp_path / name).read_bytes() == (pool_path().parent / name).read_bytes()
