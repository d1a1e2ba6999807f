"""Selections on a real Ray cluster of several nodes: the same bytes as on one machine, whoever works, fails or dies."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import tsds
from tests.command.run import texts
from tests.command.run import tsds as command
from tests.search.data import clustered, cut
from tsds import census, corpus, encoding, proposals
from tsds.checkpoint import Checkpoint
from tsds.density import search as density_search
from tsds.embeddings import scan, space
from tsds.engines import Span
from tsds.errors import InputError
from tsds.selecting import run
from tsds.settings import Settings

ray = pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")
from ray.cluster_utils import Cluster

from tsds.engines.ray import RayEngine

SMALL = {"object_store_memory": 80 << 20, "include_dashboard": False}
ROWS, DIM = 6000, 24


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A head of two cores and a node of one, with as little room for objects as Ray allows."""
    os.environ["TSDS_TOLD"] = str(tmp_path_factory.mktemp("told"))  # workers have the environment of the cluster
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **SMALL})
    found.add_node(num_cpus=1, object_store_memory=80 << 20)
    found.wait_for_nodes()
    yield found
    ray.shutdown()
    found.shutdown()


@pytest.fixture
def connected(cluster: Any) -> Iterator[Any]:
    """A process that is connected to the cluster already, as a notebook on one is."""
    if not ray.is_initialized():
        ray.init(address=cluster.address, log_to_driver=False)
    return cluster


@pytest.fixture(autouse=True)
def many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few hundred rows."""
    monkeypatch.setattr(proposals, "BLOCK_BYTES", 400 * 4 * DIM)
    monkeypatch.setattr(density_search, "BLOCK_BYTES", 300 * 4 * DIM)
    monkeypatch.setattr(density_search, "PART_ROWS", 600)
    monkeypatch.setattr(scan, "BLOCK_BYTES", 250 * 4 * DIM)
    monkeypatch.setattr(scan, "_SPAN_ROWS", 500)


def files(shards: int, folder: Path) -> list[str]:
    """The pool in so many files."""
    folder.mkdir()
    return [str(path) for path in cut(clustered(ROWS, DIM), shards, folder)]


def selected(pool: list[str], folder: Path, **settings: Any) -> bytes:
    """The bytes of selection.parquet, but for the names of the shards."""
    chosen = tsds.select(pool, clustered(40, DIM, seed=3), size=120, bandwidth=0.2, **settings)
    chosen.save(folder)
    table = pq.read_table(folder / "selection.parquet").drop(["shard"])
    return b"".join(column.to_numpy().tobytes() for column in table.columns)


def test_engines_workers_and_shards_give_the_same_bytes(connected: Any, tmp_path: Path) -> None:
    ways: dict[str, bytes] = {}
    for shards, workers in ((1, 1), (7, 2), (64, 2)):
        pool = files(shards, tmp_path / f"pool-{shards}-{workers}")
        ways[f"local {shards} {workers}"] = selected(pool, tmp_path / f"local-{shards}-{workers}", workers=workers)
    for shards, workers in ((1, 1), (7, 2), (64, 4)):
        pool = files(shards, tmp_path / f"ray-pool-{shards}-{workers}")
        out = tmp_path / f"ray-{shards}-{workers}"
        ways[f"ray {shards} {workers}"] = selected(pool, out, engine="ray", workers=workers)
    assert ray.is_initialized()  # the connection was there before, and stays
    assert len(set(ways.values())) == 1, {name: hash(found) for name, found in ways.items()}


def slow_text(context: Any, span: Span) -> str:
    """Parts that come back in another order than they were sent out in."""
    time.sleep(float(np.random.default_rng(span[0]).uniform(0, 0.3)))
    return str(context[span[0] : span[1]])


def joined(a: str, b: str) -> str:
    return a + b


LETTERS = "abcdefghijklmnopqrstuvwxyz" * 2
SPANS = [(at, at + 2) for at in range(0, 52, 2)]


def test_parts_that_come_in_another_order_are_merged_in_theirs(connected: Any) -> None:
    rows: list[int] = []
    assert RayEngine(workers=3).fold("letters", slow_text, joined, LETTERS, SPANS, rows.append) == LETTERS
    assert sum(rows) == 52


def test_killed_workers_are_replaced(connected: Any) -> None:
    killed: list[int] = []

    def kill(rows: int) -> None:
        if len(killed) < 4:
            at_work = [
                p for p in psutil.process_iter(["cmdline"]) if "ray::letters" in " ".join(p.info["cmdline"] or [])
            ]
            for process in at_work:
                process.kill()
                killed.append(process.pid)

    assert RayEngine(workers=3).fold("letters", slow_text, joined, LETTERS, SPANS, kill) == LETTERS
    assert killed


def wide(context: Any, span: Span) -> NDArray[np.float64]:
    """Eight megabytes: a few dozen of them are more than the room for objects."""
    return np.full((1 << 20,), float(span[0]))


def appended(a: Any, b: Any) -> Any:
    return np.concatenate([a, b])


def test_a_node_that_is_lost_takes_no_result_with_it(connected: Any) -> None:
    node = connected.add_node(num_cpus=2, object_store_memory=80 << 20)
    connected.wait_for_nodes()
    lost: list[int] = []

    def lose(rows: int) -> None:
        lost.append(rows)
        if len(lost) == 6:
            connected.remove_node(node, allow_graceful=False)

    spans = [(at, at + 1) for at in range(24)]
    found = RayEngine(workers=5).fold("wide", wide, appended, None, spans, lose)
    np.testing.assert_array_equal(found, np.repeat(np.arange(24.0), 1 << 20))
    assert len(lost) >= 24


@pytest.mark.parametrize("stored", [True, False])
def test_texts_are_encoded_by_the_workers(stored: bool, connected: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(space, "_SHARD_ROWS", 300)
    monkeypatch.setattr(corpus, "PART_ROWS", 300)
    for module in (census, encoding):
        monkeypatch.setattr(module, "LEAST_ROWS", 1)
    pool, target = texts(2000), texts(30, seed=1)
    found: dict[str, bytes] = {}
    told: dict[str, set[str]] = {}
    for engine in ("local", "ray"):
        folder = tmp_path / engine
        folder.mkdir()
        settings = Settings(
            50, engine=engine, workers=2, store=folder / "store" if stored else None,
            encoder="python:tests.engines.told:vectors" if stored else "hash",
        )  # fmt: skip
        chosen = run(pool, target, settings, checkpoint=None if stored else Checkpoint(folder))
        told[engine] = {path.name for path in Path(os.environ["TSDS_TOLD"]).iterdir()}
        found[engine] = chosen.indices.tobytes() + chosen.probabilities.tobytes()
        parts = list((folder / "store").glob("*/*.keys.npy")) if stored else list((folder / "0").iterdir())
        assert len(parts) >= 6
    assert found["local"] == found["ray"]
    if stored:
        assert told["local"] == {f"pid-{os.getpid()}"}
        assert told["ray"] - told["local"]


def failing(context: Any, span: Span) -> int:
    raise InputError("holds NaN", path="pool.npy", row=span[0], remedy="embed that record again")


def test_bad_input_is_the_same_line_as_on_one_machine(connected: Any) -> None:
    told: list[int] = []
    with pytest.raises(InputError, match=r"^pool.npy, row 0: holds NaN \(embed that record again\)$"):
        RayEngine(workers=1).fold("check", failing, joined, None, [(0, 1), (1, 2), (2, 3), (3, 4)], told.append)
    assert not told  # at the first of them, not after all


def test_the_command_joins_a_cluster(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, target = files(3, tmp_path / "pool"), tmp_path / "target.npy"
    np.save(target, clustered(40, DIM, seed=3))
    common = ["select", "--pool", *pool, "--target", target, "--size", "60"]
    here = command(*common, "--out", tmp_path / "local")
    assert here.returncode == 0, here.stderr
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)  # the cluster that this machine belongs to
    for name, engine in (("by address", [f"ray:{cluster.address}"]), ("there", ["ray", "--workers", 2])):
        there = command(*common, "--out", tmp_path / name, "--engine", *engine)
        assert there.returncode == 0, there.stderr
        one, other = (pq.read_table(tmp_path / which / "selection.parquet") for which in (name, "local"))
        assert one.equals(other)


def test_an_address_where_none_answers_is_one_line(tmp_path: Path) -> None:
    target = tmp_path / "target.npy"
    np.save(target, clustered(40, DIM, seed=3))
    said = command(
        "select", "--pool", *files(1, tmp_path / "pool"), "--target", target, "--size", "60", "--out", tmp_path / "out",
        "--engine", "ray:127.0.0.1:1",
    )  # fmt: skip
    assert said.returncode == 2
    assert said.stderr.count("\n") == 1
    assert "127.0.0.1:1" in said.stderr
    assert not (tmp_path / "out").exists()


STOPPED = """
import os, signal, time
def stop(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
from tsds.engines import engine_named
engine = engine_named("ray", 1)
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
except KeyboardInterrupt:
    print("tidied up")
finally:
    engine.close()
"""


def test_a_scheduler_stops_a_run_on_ray_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's own answer to SIGTERM is to abort with a trace of its machine code, and nothing is tidied up."""
    monkeypatch.setenv("RAY_ADDRESS", "local")
    done = subprocess.run([sys.executable, "-c", STOPPED], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "tidied up\n"), done.stderr
