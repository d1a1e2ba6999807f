"""What a run keeps of an answer is the answer, for every method, and a run that goes on solves nothing again."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.search.data import clustered
from tsds import selecting
from tsds.checkpoint import Checkpoint
from tsds.methods import METHODS, method_named
from tsds.methods.kept import answer_of, columns_of
from tsds.selecting import run
from tsds.selection import Selection
from tsds.settings import Settings


def same(a: Any, b: Any, where: str = "answer") -> None:
    """Every array, number and word of two objects, whatever is inside what."""
    assert type(a) is type(b) or isinstance(a, (float, int)), where
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), where
    elif is_dataclass(a):
        for one in fields(a):
            same(getattr(a, one.name), getattr(b, one.name), f"{where}.{one.name}")
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}[{i}]")
    else:
        assert a == b, where


def selected(method: str, **given: Any) -> Selection:
    pool, targets = clustered(1500, 16), clustered(30, 16, seed=1)
    return run(pool, targets, Settings(size=60, method=method), **given)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("dsir", "random-stratified")])
def test_an_answer_is_the_same_when_it_was_kept(method: str, tmp_path: Path) -> None:
    answer = selected(method).answer
    Checkpoint(tmp_path).keep("answer", columns_of(answer))
    held = Checkpoint(tmp_path).load("answer")
    assert held is not None
    back = answer_of(held)
    same(answer, back)
    if answer.path is not None and back.path is not None:
        s = answer.path.longest / 2
        same(answer.path.at(neighbors=s), back.path.at(neighbors=s), "plan")


@pytest.mark.parametrize("method", ["auto", "kde"])
def test_a_run_that_was_stopped_after_its_plan_does_not_solve_it_again(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tsds.stages.LEAST_ROWS", 1)
    whole = selected(method)

    def stop(*given: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(selecting, "drawn_from", stop)
        with pytest.raises(KeyboardInterrupt):
            selected(method, checkpoint=Checkpoint(tmp_path))
    chosen = method_named(method)
    monkeypatch.setitem(METHODS, method, type(chosen)(**{**vars(chosen), "select": stop}))
    again = selected(method, checkpoint=Checkpoint(tmp_path))
    same(whole.drawn, again.drawn)
    same(whole.answer, again.answer)
    assert whole.weights.tobytes() == again.weights.tobytes()
