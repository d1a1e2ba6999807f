"""The ids of targets are for a reader: repeated or odd ones refuse nothing and leave nothing out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tsds
from tests.command.run import texts, write_jsonl
from tests.command.run import tsds as command
from tsds.embedding import embed
from tsds.report.explorer import explorer

POOL = texts(120)
TARGET = texts(6, seed=1)


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("ids", [["a"] * 6, [7] * 6, [[1], 1.5, True, {}, None, "b"]])
def test_any_ids_select_the_same(ids: list[Any], on_error: Any) -> None:
    plain = tsds.select(POOL, TARGET, size=10)
    named = [{"text": text, "id": one} for text, one in zip(TARGET, ids, strict=True)]
    chosen = tsds.select(POOL, named, size=10, on_error=on_error)
    assert chosen.inputs.targets.census == {"read": 6, "used": 6, "empty": 0, "bad": 0}
    assert chosen.weights.tobytes() == plain.weights.tobytes()
    fine = [one if isinstance(one, (str, int)) and one is not True else row for row, one in enumerate(ids)]
    shown = explorer(chosen)["targets"]
    assert shown and [one["id"] for one in shown] == [fine[one["row"]] for one in shown]


def test_the_pools_ids_still_must_differ() -> None:
    with pytest.raises(tsds.InputError, match="the id 7 occurs twice"):
        tsds.select([{"text": text, "id": 7} for text in POOL], TARGET, size=10)


def test_no_other_verb_refuses_them(tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": text, "id": 7, "key": i} for i, text in enumerate(POOL)])
    target = write_jsonl(tmp_path / "target.jsonl", [{"text": text, "id": [7]} for text in TARGET])
    found = embed(pool, target, tmp_path / "store", "hash")
    assert {name: source["texts"] for name, source in found["sources"].items()} == {"pool": 120, "target": 6}
    options = ("--size", 5, "--id-field", "key", "--out", tmp_path / "out", "--json")
    for more in (("--dry-run",), ()):
        done = command("select", "--pool", pool, "--target", target, *options, *more)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
