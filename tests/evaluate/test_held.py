"""What a folder of cells is claimed for: nothing that other data or settings made is added to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tests.evaluate import small
from tsds.encoding import marks_of
from tsds.errors import InputError
from tsds.evaluate.asked import asked_for
from tsds.evaluate.bases import base_of, kept_base
from tsds.evaluate.data import Data
from tsds.evaluate.grid import Evaluation, look_at
from tsds.evaluate.held import check_base
from tsds.evaluate.presets import preset_of
from tsds.evaluate.running import evaluate
from tsds.evaluate.selecting import read_selected
from tsds.settings import Settings
from tsds.stages import Stages


def prepared(tmp_path: Path, **given: Any) -> Evaluation:
    """A grid on the small chats before anything is claimed, with a look at few of the pool's texts."""
    folder, model = tmp_path / "d", tmp_path / "m"
    if not folder.exists():
        small.causal(model)
        small.chats(folder)
    preset = preset_of("instruction", True, {"methods": ("random", "auto"), "sizes": ("10%",), **given})
    data = Data.of_folder(folder)
    asked = asked_for("instruction", str(model), preset, "full", "cpu", data, look_at(data.pool, 10), tmp_path / "out")
    return asked.evaluation(Stages())


def begun(evaluation: Evaluation) -> Evaluation:
    """It, claimed and with a selection."""
    evaluation.claim()
    small.lines(evaluation.out / "selections" / "one.json", [{}])
    return evaluation


@pytest.mark.parametrize("what", ["sources", "answers"])
def test_another_pool_of_the_same_length_is_refused(tmp_path: Path, what: str) -> None:
    begun(prepared(tmp_path))
    prepared(tmp_path).claim()
    pool = tmp_path / "d" / "pool.jsonl"
    before, words = pool.read_bytes(), {"sources": (b'"sea"', b'"sky"'), "answers": (b"answer is", b"answer as")}[what]
    *kept, last = before.rpartition(words[0])  # hardly one of the few texts that are looked at
    pool.write_bytes(kept[0] + words[1] + last)
    assert pool.stat().st_size == len(before) and pool.read_bytes() != before
    with pytest.raises(InputError, match=r"holds an evaluation with another pool \(choose another --out\)$"):
        prepared(tmp_path).claim()
    assert json.loads((tmp_path / "out" / "grid.json").read_text())["pool"][0] == "pool.jsonl"


def test_an_encoder_that_gives_other_vectors_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = tmp_path / "own_encoder.py"
    code.write_text("import numpy as np\ndef f(texts):\n    return np.ones((len(texts), 4))\n")
    begun(prepared(tmp_path, encoder="python:own_encoder:f"))
    prepared(tmp_path, encoder="python:own_encoder:f").claim()
    code.write_text(code.read_text().replace("4", "9"))
    with pytest.raises(InputError, match=r"holds an evaluation with another state of the encoder \(choose"):
        prepared(tmp_path, encoder="python:own_encoder:f").claim()
    with pytest.raises(InputError, match="with another encoder: python:own_encoder:f, not hash "):
        prepared(tmp_path).claim()
    marks = [marks_of(Settings(size=1, encoder=f"gradient:{tmp_path / 'm'}@dim={dim}")) for dim in (8, 8, 16)]
    assert marks[0] == marks[1] != marks[2] and marks[0]["candidate"] != marks[0]["target"]  # before it sees a pool


def test_what_was_claimed_in_vain_is_claimed_anew(tmp_path: Path) -> None:
    """As long as there is no cell and no selection; who claimed it before is told as soon as it has made one."""
    first, out = prepared(tmp_path), tmp_path / "out"
    first.claim()
    check_base(out, "a")
    small.lines(out / "pools" / "1x1.jsonl", [{}])
    prepared(tmp_path).claim()  # a part of the same: what is there stays
    with pytest.raises(InputError, match="start from another base"):
        check_base(out, "b")
    prepared(tmp_path, examples=7).claim()
    check_base(out, "b")
    assert not list((out / "pools").glob("*"))
    with pytest.raises(InputError, match=r"another examples: 7, not 100 \(choose"):
        first.run()
    assert not list(out.rglob("selections/**/*.json"))
    begun(prepared(tmp_path, examples=8))
    with pytest.raises(InputError, match=r"another examples: 8, not 7 \(choose"):
        prepared(tmp_path, examples=7).claim()


def test_a_wrong_encoder_and_a_size_beyond_the_pool_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    prepared(tmp_path)
    given: dict[str, Any] = {"model": str(tmp_path / "m"), "quick": True, "device": "cpu", "methods": ("random",)}
    pool = tmp_path / "d" / "pool.jsonl"
    distinct = len({json.dumps(json.loads(line)["messages"]) for line in pool.read_text().splitlines()})
    for wrong, message in (
        ({"encoder": "nosuch"}, "unknown encoder 'nosuch'"),
        ({"sizes": ("1", f"{distinct + 1}")}, rf"exceeds the {distinct} distinct records .*--sizes {distinct} at most"),
    ):
        for dry_run in (True, False):
            with pytest.raises(InputError, match=message):
                evaluate(
                    "instruction", Data.of_folder(tmp_path / "d"), tmp_path / "out", dry_run=dry_run, **(given | wrong)
                )
    assert not (tmp_path / "out").exists()
    prepared(tmp_path, sizes=(f"{distinct}",))
    prepared(tmp_path, sizes=(f"{distinct + 1}",), methods=("none", "full"))  # which don't select


@pytest.mark.parametrize("damaged", [b"{", b"", b"[1]", b"\xff"])
def test_damaged_files_are_named(tmp_path: Path, damaged: bytes) -> None:
    begun(prepared(tmp_path))
    for path, read in (
        (tmp_path / "out" / "grid.json", lambda _: prepared(tmp_path).claim()),
        (tmp_path / "out" / "base.json", lambda path: check_base(path.parent, "a")),
        (tmp_path / "out" / "selections" / "one.json", read_selected),
        (base_of(("a",)) / "base.json", lambda _: kept_base(("a",), lambda out, state: {})),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damaged)
        with pytest.raises(
            InputError, match=r"base.json is of no base: |\.json: is no (record of an|selection)"
        ) as told:
            read(path)
        assert "\n" not in str(told.value)
