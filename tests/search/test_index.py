"""Searches by an index: what they find is measured as it is, and said; an index is found again by its vectors."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import tsds
from tests.command.run import texts, write_jsonl
from tests.command.run import tsds as command
from tests.search.data import clustered
from tests.truth.brute_force import nearest
from tsds import approximate
from tsds.approximate import IndexedSearch
from tsds.embeddings.encoders import Setting, make_encoder
from tsds.embeddings.space import Space
from tsds.embeddings.store import Store
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.index import Kind, build_index, find_index, index_of_space
from tsds.neighbors import NeighborSearch
from tsds.searching import worth_it


def indexed(pool: Any, targets: Any, folder: Path, kind: Kind, metric: Any = "l2") -> IndexedSearch:
    vectors = Vectors.of(pool)
    index = build_index(folder, vectors, metric, kind, "a digest")
    return IndexedSearch(vectors, targets, metric, index, largest_norm=1.01)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_most_are_found_and_their_distances_are_exact(kind: Kind, metric: Any, tmp_path: Path) -> None:
    pool, targets = clustered(8000, 32), clustered(60, 32, seed=1)
    search = indexed(pool, targets, tmp_path, kind, metric)
    indices, distances = search.fetch(50)
    order, d = nearest(pool, targets, metric)
    found = np.mean([np.isin(order[i, :50], indices[i]).mean() for i in range(60)])
    assert found > 0.95
    assert not search.exact
    for i in range(60):
        listed = indices[i][indices[i] >= 0]
        np.testing.assert_allclose(distances[i][: len(listed)], np.sort(d[i][np.argsort(order[i])][listed]), atol=1e-12)


def test_the_recall_that_is_said_is_the_recall_that_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all targets in the sample, and a search that may not widen."""
    monkeypatch.setattr(approximate, "SAMPLED", 80)
    monkeypatch.setattr(approximate, "WANTED_RECALL", 0.0)
    pool, targets = clustered(8000, 32), clustered(80, 32, seed=1)
    search = indexed(pool, targets, tmp_path, "ivf")
    k = 200
    found = search.rough(k)[0]
    order = nearest(pool, targets, "l2")[0]
    share = np.mean([np.isin(order[i, : approximate.LENGTH], found[i]).mean() for i in range(80)])
    assert search.recall == pytest.approx(share, abs=1e-3)
    assert 0 < search.recall < 1  # or the test would show nothing
    assert f"{search.recall:.2%}" in search.line


def test_a_search_widens_until_it_finds_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, targets = clustered(8000, 32), clustered(40, 32, seed=1)
    monkeypatch.setattr(approximate, "WANTED_RECALL", 1.0)
    search = indexed(pool, targets, tmp_path, "ivf")
    search.rough(100)
    assert search.width > search.index.lists * approximate._FIRST_SHARE
    assert search.recall > 0.99


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_what_is_proposed_is_looked_at_in_blocks_and_the_same_is_found(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, targets = clustered(3000, 16), clustered(90, 16, seed=1)
    whole = indexed(pool, targets, tmp_path, kind)
    whole.fetch(40)
    sizes: list[int] = []
    exact = approximate.NeighborSearch._exact_squares

    def measured(self: Any, indices: Any) -> Any:
        sizes.append(indices.size)
        return exact(self, indices)

    block = 200_000
    monkeypatch.setattr(approximate, "BLOCK_BYTES", block)
    monkeypatch.setattr(approximate.NeighborSearch, "_exact_squares", measured)
    parts = indexed(pool, targets, tmp_path, kind)
    found = parts._propose(np.arange(90), 40, whole.width)
    assert len(sizes) > 3 and max(sizes) * 60 <= block
    monkeypatch.undo()
    for some, all_of_them in zip(found, whole._propose(np.arange(90), 40, whole.width), strict=True):
        np.testing.assert_array_equal(some, all_of_them)


def test_parts_of_the_targets_measure_their_own_recall(tmp_path: Path) -> None:
    pool, targets = clustered(4000, 16), clustered(40, 16, seed=1)
    search = indexed(pool, targets, tmp_path, "ivf")
    search.fetch(20)
    part = search.only(np.array([3, 5, 8]))
    indices, _ = part.fetch(1500)
    assert indices.shape[0] == 3
    assert part.recall > 0.9


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_asked_for_all_it_lists_all(kind: Kind, tmp_path: Path) -> None:
    """Whatever the index would leave out: clusters that it does not look into, nodes that nothing links to."""
    pool, targets = clustered(2000, 16), clustered(6, 16, seed=1)
    indices, distances = indexed(pool, targets, tmp_path, kind).fetch(2000)
    order, d = nearest(pool, targets, "l2")
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances, d, rtol=1e-12)


@pytest.mark.parametrize(
    "asked",
    [
        {"size": 2000},
        {"size": 60, "method": "tv", "alpha": 0.01},
        {"size": 2000, "method": "nearest"},
        {"size": 60, "method": "kde"},
        {"size": 1000, "method": "uniform"},
        {"size": 60, "method": "kde", "alpha": 0.3},
    ],
)
def test_lists_that_an_index_leaves_short_come_to_an_end(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clusters so far apart that a list of the index holds hardly more than one of them."""
    rng = np.random.default_rng(0)
    centre = 5 * rng.standard_normal((20, 8))
    pool, targets = ((centre[rng.integers(20, size=n)] + 0.3 * rng.standard_normal((n, 8))) for n in (3000, 10))
    fetch, calls = NeighborSearch.fetch, itertools.count()

    def counted(self: NeighborSearch, k: int) -> Any:
        assert next(calls) < 500
        return fetch(self, k)

    monkeypatch.setattr(NeighborSearch, "fetch", counted)
    found = tsds.select(pool.astype(np.float32), targets, search="ivf", index=tmp_path, **asked)
    assert len(found) == asked["size"] and not found.answer.exact
    if "alpha" in asked:
        plain = tsds.select(pool.astype(np.float32), targets, **asked)
        np.testing.assert_allclose(found.weights, plain.weights, atol=1e-12)


def test_other_vectors_have_another_index(tmp_path: Path) -> None:
    pool = Vectors.of(clustered(2000, 16))
    built = build_index(tmp_path, pool, "l2", "ivf", "one")
    assert find_index(tmp_path, pool, "l2", "ivf", "one") == built
    assert find_index(tmp_path, pool, "l2", "ivf", "another") is None
    assert find_index(tmp_path, pool, "cosine", "ivf", "one") is None
    assert find_index(tmp_path, pool, "l2", "hnsw", "one") is None


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    pool, targets = clustered(2000, 16), clustered(5, 16, seed=1)
    vectors = Vectors.of(pool)
    index = build_index(tmp_path, vectors, "l2", "ivf", "a digest")
    index.path.write_bytes(index.path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"is no whole index.*remove it: it is built again"):
        IndexedSearch(vectors, targets, "l2", index, largest_norm=1.01)
    index.path.unlink()
    assert find_index(tmp_path, vectors, "l2", "ivf", "a digest") is None  # what is left counts for none
    with pytest.raises(InputError, match="is gone"):
        index.open()
    assert build_index(tmp_path, vectors, "l2", "ivf", "a digest") == index
    assert find_index(tmp_path, vectors, "l2", "ivf", "a digest") == index


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_a_file_of_other_rows_counts_for_none(kind: Kind, tmp_path: Path) -> None:
    few, many = Vectors.of(clustered(1000, 16)), Vectors.of(clustered(1500, 16))
    index, other = (build_index(tmp_path, vectors, "l2", kind, "a digest") for vectors in (few, many))
    assert find_index(tmp_path, few, "l2", kind, "a digest") == index
    shutil.copyfile(other.path, index.path)
    assert find_index(tmp_path, few, "l2", kind, "a digest") is None
    assert find_index(tmp_path, many, "l2", kind, "a digest") == other


def test_too_little_memory_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="while it is built"):
        build_index(tmp_path, Vectors.of(clustered(2000, 16)), "l2", "ivf", "d", memory=100_000_000)


@pytest.mark.parametrize("method", ["auto", "kde"])
def test_a_selection_says_that_it_is_approximate(method: str, tmp_path: Path) -> None:
    pool, targets = clustered(6000, 24), clustered(50, 24, seed=1)
    exact = tsds.select(pool, targets, size=100, method=method)
    chosen = tsds.select(pool, targets, size=100, method=method, search="ivf", index=tmp_path)
    assert exact.answer.exact and not chosen.answer.exact
    assert "approximate, by ivf" in chosen.answer.certificate
    assert np.abs(exact.weights - chosen.weights).sum() / 2 < 0.1  # the plans; what is drawn may differ more
    chosen.save(tmp_path / "out")
    run = orjson.loads((tmp_path / "out" / "run.json").read_bytes())
    assert run["certificate"]["recall"] == chosen.recall > 0.98
    assert not run["certificate"]["exact"]


def test_the_command_builds_an_index_and_finds_it_again(tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": text} for text in texts(3000)])
    target = write_jsonl(tmp_path / "target.jsonl", [{"text": text} for text in texts(30, seed=1)])
    built = command("index", pool, "--out", tmp_path / "index", "--json")
    assert built.returncode == 0, built.stderr
    facts = orjson.loads(built.stdout)
    assert Path(facts["index"]).exists() and facts["kind"] == "ivf"
    before = [(path, path.stat().st_mtime_ns) for path in sorted((tmp_path / "index").iterdir())]
    done = command(
        "select", "--pool", pool, "--target", target, "--size", "5%", "--out", tmp_path / "out", "--json",
        "--search", "ivf", "--index", tmp_path / "index",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [(path, path.stat().st_mtime_ns) for path in sorted((tmp_path / "index").iterdir())] == before
    wrong = command("index", pool, "--kind", "ivff")
    assert wrong.returncode == 2 and "did you mean ivf" in wrong.stderr


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 50, 200, 767, 768])
@pytest.mark.parametrize("dim", [7, 8])
def test_small_pools_have_an_index_too_and_nothing_is_said(rows: int, dim: int, tmp_path: Path, capfd: Any) -> None:
    pool = clustered(rows, dim)
    search = indexed(pool, pool[:1], tmp_path, "ivf")
    assert search.fetch(1)[0][0, 0] == nearest(pool, pool[:1], "l2")[0][0, 0]
    said = capfd.readouterr()
    assert said.out + said.err == ""


def test_auto_takes_an_index_only_where_it_is_there_and_saves_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, targets = clustered(3000, 16), clustered(20, 16, seed=1)

    def neighbors_of(**settings: Any) -> str:
        return tsds.select(pool, targets, size=50, index=tmp_path, **settings).neighbors

    monkeypatch.setattr("tsds.searching.worth_it", lambda candidates, targets, dim: True)
    assert neighbors_of(search="auto") == "exact"  # there is none
    assert neighbors_of(search="ivf").startswith("approximate")
    assert neighbors_of(search="auto").startswith("approximate")
    monkeypatch.undo()
    assert neighbors_of(search="auto") == "exact"  # it saves nothing on so small a pool
    monkeypatch.setattr("tsds.searching.flops", lambda dim: 4e10)
    assert [worth_it(10**6, m, 384) for m in (100, 1000, 10_000)] == [False, False, True]
    assert [worth_it(10**7, m, 384) for m in (100, 2000, 10_000)] == [False, True, True]


@pytest.fixture
def store(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A store with a pool and a target, and the files of these."""
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": text} for text in texts(3000)])
    target = write_jsonl(tmp_path / "target.jsonl", [{"text": text} for text in texts(30, seed=1)])
    done = command("embed", pool, "--target", target, "--encoder", "hash", "--out", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    return tmp_path / "store", pool, target


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_index_of_a_store_serves_the_pools_in_it(store: tuple[Path, Path, Path], tmp_path: Path) -> None:
    folder, pool, target = store
    built = command("index", folder, "--out", tmp_path / "index", "--json")
    assert built.returncode == 0, built.stderr
    (facts,) = orjson.loads(built.stdout)["indexes"]
    assert facts["rows"] > 3000 and facts["encoder"] == "hash"  # the target's rows are there too
    before = names(tmp_path / "index")

    def selected(search: str) -> dict[str, Any]:
        out = tmp_path / search
        of_index = [] if search == "exact" else ["--index", tmp_path / "index"]
        done = command(
            "select", "--pool", pool, "--target", target, "--size", "5%", "--out", out, "--store", folder,
            "--search", search, *of_index, "--overwrite",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return {"run": orjson.loads((out / "run.json").read_bytes()), "rows": (out / "selected.jsonl").read_bytes()}

    found, exact = selected("ivf"), selected("exact")
    assert names(tmp_path / "index") == before  # found, not built
    shutil.rmtree(tmp_path / "index")
    inside = command("index", folder, "--json")
    assert inside.returncode == 0, inside.stderr
    assert Path(orjson.loads(inside.stdout)["indexes"][0]["index"]).parent == folder / "index"
    again = selected("ivf")
    assert not (tmp_path / "index").exists() and again["rows"] == found["rows"]  # found in the store
    listed = command("store", "ls", folder, "--json")
    assert len(orjson.loads(listed.stdout)["spaces"]) == 1 and command("store", "gc", folder).returncode == 0
    assert len(names(folder / "index")) == 2
    assert found["run"]["certificate"]["recall"] > 0.98
    same = set(found["rows"].splitlines()) & set(exact["rows"].splitlines())
    assert len(same) > 0.9 * 150


Stored = Callable[[Any], Vectors]


def space_of(every: Any, folder: Path) -> tuple[Space, Stored]:
    """A space in a new store, and what stores some of these rows in it."""
    encoder = make_encoder(lambda texts: every[[int(text) if text.isdigit() else 0 for text in texts]], Setting())
    space = Store(folder / "store", "float32").space("rows", encoder, "candidate")

    def stored(rows: Any) -> Vectors:
        numbers = [str(row) for row in rows]
        return space.embed(encoder, "candidate", lambda: [numbers], folder / f"{len(numbers)}.npy").vectors

    return space, stored


def test_what_the_index_of_a_store_finds_are_rows_of_the_pool(tmp_path: Path) -> None:
    """Shards in another order than the pool's, with rows between that are not the pool's; then the store grows."""
    every, targets = clustered(9000, 16), clustered(40, 16, seed=1)
    space, stored = space_of(every, tmp_path)
    stored(range(6000))
    mine = np.sort(np.random.default_rng(0).choice(6000, 4500, replace=False))
    pool = stored(mine).only(np.arange(0, 4500, 2))
    index = index_of_space(tmp_path / "index", space, "l2", "ivf")
    assert len(index.shards) > 1
    assert find_index(tmp_path / "index", pool, "l2", "ivf", "whatever") == index
    centred = pool.around(np.ones(pool.dim))
    assert find_index(tmp_path / "index", centred, "l2", "ivf", "whatever") is None  # it is of other distances
    search = IndexedSearch(pool, targets, "l2", index, largest_norm=1.01)
    indices, distances = search.fetch(50)
    order, d = nearest(every[mine[::2]], targets, "l2")
    assert np.mean([np.isin(order[i, :50], indices[i]).mean() for i in range(40)]) > 0.95
    for i in range(40):
        listed = indices[i][indices[i] >= 0]
        np.testing.assert_allclose(distances[i][: len(listed)], np.sort(d[i][np.argsort(order[i])][listed]), atol=1e-12)
    more = stored(range(9000))
    assert find_index(tmp_path / "index", more, "l2", "ivf", "whatever") is None
    assert find_index(tmp_path / "index", pool, "l2", "ivf", "whatever") == index
    assert index_of_space(tmp_path / "index", space, "l2", "ivf").rows == 9000
    assert find_index(tmp_path / "index", more, "l2", "ivf", "whatever") is not None


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_index_that_is_being_built_anew_is_the_old_one_or_the_new(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that dies between its two files, a search that goes on during one, and a file of the former layout."""
    every, targets = clustered(3000, 16), clustered(20, 16, seed=1)
    space, stored = space_of(every, tmp_path)
    folder, pool = tmp_path / "index", stored(range(2000))
    order = nearest(every[:2000], targets, "l2")[0]

    def found() -> IndexedSearch:
        index = find_index(folder, pool, "l2", kind, "whatever")
        assert index is not None
        return IndexedSearch(pool, targets, "l2", index, largest_norm=1.01)

    def right(search: IndexedSearch) -> bool:
        indices = search.fetch(30)[0]
        return bool(np.mean([np.isin(order[i, :30], indices[i]).mean() for i in range(20)]) > 0.95)

    old = index_of_space(folder, space, "l2", kind)
    stored(range(3000))

    class Killed(Exception):
        pass

    def dies(*_: Any, **__: Any) -> bytes:
        raise Killed

    with monkeypatch.context() as at:
        at.setattr("tsds.index.asdict", dies)  # the index is written, what it is of is not
        with pytest.raises(Killed):
            index_of_space(folder, space, "l2", kind)
    assert len(list(folder.glob("*.faiss"))) == 2
    during = found()
    assert during.index == old and right(found())
    new = index_of_space(folder, space, "l2", kind)
    assert right(during)  # opened before the new one came
    assert new.rows == 3000 and found().index == new and right(found())
    assert names(folder) == sorted([new.path.name, f"{new.name}.json"])
    new.path.rename(folder / f"{new.name}.faiss")  # as it was called once: facts and file may not belong together
    assert find_index(folder, pool, "l2", kind, "whatever") is None
    assert index_of_space(folder, space, "l2", kind) == new
    assert names(folder) == sorted([new.path.name, f"{new.name}.json"])


def test_wrong_uses_of_a_stores_index_are_one_line(store: tuple[Path, Path, Path], tmp_path: Path) -> None:
    folder, pool, _ = store
    for arguments, line in (
        ((folder, pool), "is a store, and more is named"),
        ((folder, "--transform", "normalize"), "--transform is for a pool"),
        ((folder, "--encoder", "sentence"), "holds no vectors of encoder sentence"),
    ):
        done = command("index", *arguments, "--out", tmp_path / "index")
        assert done.returncode == 2 and line in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "index").exists()


def test_the_index_of_a_pool_reads_texts_as_a_selection_does(tmp_path: Path) -> None:
    """Its text field or template, what it skips; a first text that looks like a file is a text; ids don't matter."""
    (tmp_path / "first.txt").write_text("a file of that name\n")
    bodies = ["first.txt", *texts(400)]
    plain = write_jsonl(tmp_path / "plain.jsonl", [{"text": text} for text in bodies])
    named = write_jsonl(tmp_path / "named.jsonl", [{"body": text, "text": 5} for text in bodies])
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{oops}\n{"id": 5}\n' + plain.read_text())
    index = tmp_path / "index"
    twins = write_jsonl(tmp_path / "twins.jsonl", [{"text": text, "id": 7} for text in bodies])
    fields = ((named, "--text-field", "body"), (named, "--template", "{body}"))
    ways = ((plain,), (twins,), *fields, (broken, "--on-error", "skip"))
    for arguments in ways:
        done = command("index", *arguments, "--out", index, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(names(index)) == 2  # the same texts: the first index serves the others
    done = command("index", "-", "--out", index, cwd=tmp_path, stdin=plain.read_bytes())
    assert done.returncode == 0 and len(names(index)) == 2
