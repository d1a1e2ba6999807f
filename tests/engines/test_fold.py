"""The tree of merges, and what an engine makes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tsds
from tests.command.run import texts, write_jsonl
from tsds import parallel
from tsds.embeddings.encoders.hashing import HashEncoder
from tsds.embeddings.transforms import Learned, Transform
from tsds.engines import LocalEngine, Span, engine_named
from tsds.engines.base import Tree
from tsds.errors import InputError, MissingExtra
from tsds.parallel import allowed, cores, map_ordered, threads
from tsds.store_command import embed


def text_of(context: str, span: Span) -> str:
    return context[span[0] : span[1]]


def joined(a: str, b: str) -> str:
    return a + b


@given(st.integers(1, 70))
def test_a_tree_keeps_the_order_and_holds_few(count: int) -> None:
    tree, most = Tree(joined), 0
    for at in range(count):
        tree.add(f"{at},")
        most = max(most, len(tree._held))
    assert tree.root() == "".join(f"{at}," for at in range(count))
    assert most <= count.bit_length()


def test_the_shape_depends_on_the_count_alone() -> None:
    tree = Tree(lambda a, b: f"({a}{b})")
    for letter in "abcdefg":
        tree.add(letter)
    assert tree.root() == "(((ab)(cd))((ef)g))"


def test_the_local_engine_folds_in_order_and_tells_how_far_it_is() -> None:
    rows: list[int] = []
    found = LocalEngine(1).fold("letters", text_of, joined, "abcdefgh", [(0, 3), (3, 6), (6, 8)], rows.append)
    assert found == "abcdefgh"
    assert rows == [3, 3, 2]


def test_workers_bound_the_threads() -> None:
    def threads_of(context: Any, span: Span) -> list[int]:
        return [allowed()]

    for workers in (1, 3):
        found = LocalEngine(workers).fold("count", threads_of, lambda a, b: a + b, None, [(0, 1)], lambda rows: None)
        assert found[-1] == workers
        assert list(LocalEngine(workers).each("count", lambda context, item: allowed(), None, "ab")) == [workers] * 2
    assert allowed() == cores()


def test_work_inside_of_work_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "cores", lambda: 64)
    for count in (1, 3):
        with threads(count):
            assert list(map_ordered(lambda _: allowed(), range(5))) == [1] * 5
            nested = map_ordered(lambda item: list(map_ordered(lambda _: allowed(), range(item))), range(4))
            assert list(nested) == [[], [1], [1, 1], [1, 1, 1]]
            assert allowed() == count


def test_between_the_parts_of_each_the_bound_is_not_there() -> None:
    parts = LocalEngine(1).each("count", lambda context, item: item, None, "ab")
    next(parts)
    assert allowed() == cores()


def _seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[int]]:
    """The threads that work may use where it is done, on a machine of many cores."""
    monkeypatch.setattr(parallel, "cores", lambda: 64)
    seen: dict[str, set[int]] = {}

    def tell(of: Any, name: str) -> None:
        work = getattr(of, name)

        def told(*args: Any, **given: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                seen.setdefault(name, set()).add(allowed())
            return work(*args, **given)

        monkeypatch.setattr(of, name, told)

    for of, name in ((HashEncoder, "fit"), (HashEncoder, "encode"), (HashEncoder, "_embed"), (Transform, "learn")):
        tell(of, name)
    tell(Learned, "write")
    return seen


def test_workers_bound_a_selection_beside_its_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _seen(monkeypatch)
    tsds.select(texts(300), texts(5, seed=1), size=20, transform="pca:8", workers=1)
    assert seen == {name: {1} for name in ("fit", "encode", "_embed", "learn", "write")}
    assert allowed() == 64


def test_workers_bound_embedding_into_a_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = _seen(monkeypatch)
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": text} for text in texts(300)])
    embed(tmp_path / "store", [str(pool)], workers=1, quiet=True)
    assert seen == {name: {1} for name in ("fit", "encode", "_embed")}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("lokal", "did you mean local"),
        ("ray:", "ray:ADDRESS"),
        ("local:3", "ray:ADDRESS"),
    ],
)
def test_an_engine_that_is_none_is_one_line(asked: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        engine_named(asked)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "tsds.engines.ray", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[ray\]' in a clone"):
        engine_named("ray")


def test_float_sums_do_not_depend_on_who_works(request: pytest.FixtureRequest) -> None:
    values = np.random.default_rng(0).standard_normal(1000) * 10.0 ** np.random.default_rng(1).integers(-8, 8, 1000)
    spans = [(at, min(at + 7, 1000)) for at in range(0, 1000, 7)]
    work: Callable[[Any, Span], float] = lambda context, span: float(context[span[0] : span[1]].sum())  # noqa: E731
    sums = {LocalEngine(w).fold("sum", work, lambda a, b: a + b, values, spans, lambda rows: None) for w in (1, 2)}
    assert len(sums) == 1
