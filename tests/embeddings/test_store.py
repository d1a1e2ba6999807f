"""The store: found again by content, appended, resumed after kill -9, shared by two runs, mended where damaged."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsds
from tests.command.run import COMMAND, write_jsonl
from tests.command.run import tsds as command
from tests.embeddings import slow
from tsds.embeddings import space as module
from tsds.embeddings.encoders import Setting, make_encoder
from tsds.embeddings.shards import quantized
from tsds.embeddings.space import Stored
from tsds.embeddings.store import Store
from tsds.errors import InputError, RunError
from tsds.records import Dialogue, Turn

SPEC = "python:tests.embeddings.slow:encode"
ROOT = Path(__file__).parents[2]


def texts(count: int, first: int = 0) -> list[str]:
    return [f"text number {i}" for i in range(first, first + count)]


def put(store: Store, given: Sequence[str], tmp_path: Path, function: Any = slow.encode) -> Stored:
    encoder = make_encoder(function, Setting())
    space = store.space(SPEC, encoder, "candidate")
    half = len(given) // 2
    return space.embed(encoder, "candidate", lambda: [given[:half], given[half:]], tmp_path / f"{random.random()}.npy")


def whole(stored: Stored) -> np.ndarray[Any, Any]:
    return np.asarray(stored.vectors.take(np.arange(len(stored.vectors))))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHARD_ROWS", 10)


@pytest.mark.usefixtures("small_shards")
def test_vectors_are_found_in_any_order_and_only_new_texts_are_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store", "float32")
    first = put(store, texts(35), tmp_path)
    np.testing.assert_array_equal(whole(first), slow.vectors(texts(35)))
    assert (first.found, first.made) == (0, 35)
    grown = texts(50, first=-5)
    second = put(store, grown, tmp_path)
    np.testing.assert_array_equal(whole(second), slow.vectors(grown))
    assert (second.found, second.made) == (35, 15)
    mixed = [*reversed(texts(20)), *texts(20), "text number 3"]
    third = put(store, mixed, tmp_path)
    np.testing.assert_array_equal(whole(third), slow.vectors(mixed))
    assert third.made == 0
    read: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(module, "damage", lambda folder, entry: read.append(entry.name))
        put(store, [*grown, "one more"], tmp_path)
    assert len(read) == len(set(read)) > 1  # each shard once, though they are looked up again after the addition
    some = put(store, texts(30)[::3], tmp_path)  # ascending: a view, no copy
    np.testing.assert_array_equal(whole(some), slow.vectors(texts(30)[::3]))


@pytest.mark.parametrize(("precision", "error"), [("float16", 2**-11), ("float32", 0), ("int8", 0.5 / 127 + 1e-6)])
def test_precisions(tmp_path: Path, precision: Any, error: float) -> None:
    store = Store(tmp_path / "store", precision)
    for _ in range(2):
        found = whole(put(store, texts(20), tmp_path)).astype(np.float64)
        assert np.abs(found - slow.vectors(texts(20))).max() <= error
    assert {space.dtype for space in store.spaces()} == {precision}


def test_quantized_rows_of_zeros_stay_zero() -> None:
    whole_numbers, scales = quantized(np.zeros((2, 3), np.float32))
    assert not whole_numbers.any() and not scales.any()


def test_a_number_beyond_float16_is_refused(tmp_path: Path) -> None:
    def large(given: Sequence[str]) -> Any:
        return np.full((len(given), 2), 1e6)

    large.fingerprint = "large"  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="float32"):
        put(Store(tmp_path / "store"), texts(3), tmp_path, large)
    assert put(Store(tmp_path / "store", "float32"), texts(3), tmp_path, large).made == 3


def test_turns_count_where_the_encoder_reads_them(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", "float32")
    one = Dialogue([Turn("user", "a"), Turn("assistant", "b")])
    other = Dialogue([Turn("assistant", "a"), Turn("user", "b")])
    assert one == other == "a\nb"
    assert put(store, [one, other, "a\nb"], tmp_path).made == 3


@pytest.mark.usefixtures("small_shards")
def test_a_damaged_shard_is_noticed_and_encoded_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", "float32")
    put(store, texts(35), tmp_path)
    (space,) = store.spaces()
    before = {path.name: path.read_bytes() for path in space.folder.glob("*.npy")}
    for damage in ("flip", "cut", "missing", "keys", "entry"):
        victim = sorted(space.folder.glob("*[0-9a-f].npy"))[1]
        if damage == "flip":
            content = bytearray(victim.read_bytes())
            content[-3] ^= 1
            victim.write_bytes(content)
        elif damage == "cut":
            victim.write_bytes(victim.read_bytes()[:-8])
        elif damage == "missing":
            victim.unlink()
        elif damage == "keys":
            victim.with_suffix(".keys.npy").write_bytes(b"nothing")
        else:
            victim.with_suffix(".json").write_bytes(b"{")
        with pytest.raises(RunError, match=r"\.npy|entry"):
            from tsds.embedding import verify

            verify(store.folder)
        again = put(store, texts(35), tmp_path)
        assert again.made in (5, 10), damage
        np.testing.assert_array_equal(whole(again), slow.vectors(texts(35)))
        assert {path.name: path.read_bytes() for path in space.folder.glob("*.npy")} == before, damage
        assert verify(store.folder) == 4


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="no embedding store"):
        Store(tmp_path)
    with pytest.raises(InputError, match="no embedding store"):
        Store.existing(tmp_path)


def environment(pace: float, count: Path | None = None) -> dict[str, str]:
    more = {} if count is None else {"TSDS_TEST_COUNT": str(count)}
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]]),
        "TSDS_TEST_PACE": str(pace),
        **more,
    }


def embed(pool: Path, store: Path) -> list[str]:
    return [*COMMAND, "embed", str(pool), "--encoder", SPEC, "--out", str(store), "--json"]


def content(store: Path) -> dict[str, bytes]:
    """Every vector and key of a store by file."""
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*.npy")}


def test_killed_at_random_moments_and_resumed_the_store_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    count = 5 * 4096 + 100
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": text} for text in texts(count)])
    calm = tmp_path / "calm"
    subprocess.run(embed(pool, calm), env=environment(0), check=True, capture_output=True)
    killed = tmp_path / "killed"
    tally = tmp_path / "tally"
    rng = random.Random(0)
    for _ in range(10):
        tally.write_text("")
        run = subprocess.Popen(
            embed(pool, killed), env=environment(3e-5, tally), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        batches = rng.randint(1, 24)  # a shard has sixteen
        while tally.read_bytes().count(b"\n") < batches and run.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert killed.exists() and content(killed) != content(calm)
    last = subprocess.run(embed(pool, killed), env=environment(0), check=True, capture_output=True)
    counts = json.loads(last.stdout)["sources"]["pool"]
    assert counts["found"] + counts["made"] == count and counts["made"] > 0
    assert content(killed) == content(calm)
    gone = command("store", "gc", killed, "--json")
    assert gone.returncode == 0 and json.loads(gone.stdout)["damaged"] == 0
    assert not list(killed.rglob("*.part"))
    assert json.loads(command("store", "verify", killed, "--json").stdout)["shards"] == 6


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_one_tells_how_to_go_on(how: signal.Signals, tmp_path: Path) -> None:
    count, tally, store = 3 * 4096, tmp_path / "tally", tmp_path / "store"
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": text} for text in texts(count)])
    run = subprocess.Popen(
        embed(pool, store), env=environment(3e-4, tally), stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored below a shell's `&`
    )  # fmt: skip
    while not tally.exists() or tally.read_bytes().count(b"\n") < 20:  # a shard has sixteen batches
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(how)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    told = "tsds: interrupted; the same command goes on with the vectors that are kept"
    assert said.decode().splitlines()[-1] == told
    last = subprocess.run(embed(pool, store), env=environment(0), check=True, capture_output=True)
    assert json.loads(last.stdout)["sources"]["pool"]["found"] >= 4096


def test_two_runs_at_once_share_the_work(tmp_path: Path) -> None:
    count = 6 * 4096
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": text} for text in texts(count)])
    tally = tmp_path / "tally"
    both = [
        subprocess.Popen(embed(pool, tmp_path / "store"), env=environment(5e-5, tally), stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for run in both:
        run.communicate(timeout=120)
        assert run.returncode == 0
    (space,) = Store(tmp_path / "store").spaces()
    assert sum(entry.rows for entry in space.entries()) == count
    encoded = sum(int(line) for line in tally.read_text().split())
    assert encoded <= count + 2 * (1 + 208)  # all but the probes of the forecasts once


def test_store_verbs(tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": text} for text in texts(30)])
    store = tmp_path / "store"
    done = command("embed", pool, "--target", pool, "--encoder", "hash:16", "--out", store)
    assert done.returncode == 0 and "30 encoded, 0 were there" in done.stdout, done.stderr
    assert "target: 30 texts x 16 (0 encoded, 30 were there)" in done.stdout
    done = command("embed", pool, "--target", f"pool={pool}", "--encoder", "hash:16", "--out", store)
    assert done.returncode == 2 and "a task can't be called 'pool'" in done.stderr
    (row,) = json.loads(command("store", "ls", store, "--json").stdout)["spaces"]
    assert (row["rows"], row["dimensions"], row["precision"]) == (30, 16, "float16")
    assert "hash:16" in command("store", "ls", store).stdout
    next(store.rglob("*.keys.npy")).unlink()
    bad = command("store", "verify", store)
    assert bad.returncode == 1 and "is missing" in bad.stderr
    assert json.loads(command("store", "gc", store, "--json").stdout)["damaged"] == 1
    gone = json.loads(command("store", "gc", store, "--unused-days", "0", "--json").stdout)
    assert len(gone["spaces"]) == 1 and not json.loads(command("store", "ls", store, "--json").stdout)["spaces"]
    for arguments in (("ls", tmp_path), ("verify", tmp_path / "none"), ("gc", tmp_path)):
        refused = command("store", *arguments)
        assert refused.returncode == 2 and "no embedding store" in refused.stderr


def test_select_takes_vectors_from_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = tmp_path / "tally"
    monkeypatch.setenv("TSDS_STORE", str(tmp_path / "default"))
    monkeypatch.setenv("TSDS_TEST_COUNT", str(tally))
    options: dict[str, Any] = {"size": 5, "encoder": SPEC, "bandwidth": 0.1, "method": "kde"}
    pool, target = texts(60), texts(3, first=100)
    first = tsds.select(pool, target, **options)
    tally.unlink()
    again = tsds.select(pool, target, **options)
    assert not tally.exists()
    assert (again.indices == first.indices).all()
    explicit = tsds.select(pool, target, store=tmp_path / "own", **options)
    assert (explicit.indices == first.indices).all() and (tmp_path / "own").exists()


def test_a_function_without_a_fingerprint(tmp_path: Path) -> None:
    def plain(given: Sequence[str]) -> Any:
        return slow.vectors(given)

    chosen = tsds.select(texts(20), texts(2), size=3, method="kde", encoder=plain)
    assert len(chosen) == 3 and "plain" in chosen.inputs.encoder
    with pytest.raises(InputError, match="fingerprint"):
        tsds.select(texts(20), texts(2), size=3, method="kde", encoder=plain, store=tmp_path / "s")
    with pytest.raises(InputError, match="wanted: an array of"):
        tsds.select(texts(20), texts(2), size=3, method="kde", encoder=lambda given: np.zeros(3))
    for spec, why in (("python:no.such:f", "can't be imported"), ("python:json:nothing", "no function")):
        with pytest.raises(InputError, match=why):
            tsds.select(texts(20), texts(2), size=3, method="kde", encoder=spec)


def test_gc_visits_all_of_the_store(tmp_path: Path) -> None:
    """Leftovers in its root, of indexes and of warm-ups; and an index goes with its space."""
    for name, encoder in (("a", "hash"), ("b", SPEC)):
        pool = write_jsonl(tmp_path / f"{name}.jsonl", [{"text": text} for text in texts(300)])
        done = command("embed", pool, "--encoder", encoder, "--out", tmp_path / "store")
        assert done.returncode == 0, done.stderr
    store = tmp_path / "store"
    assert command("index", store).returncode == 0
    (store / "warm-ups" / "mark" / "epoch-1").mkdir(parents=True)
    (store / "warm-ups" / "mark" / "epoch-1" / "checkpoint.json").write_bytes(b"{}")
    whole = {path for path in store.rglob("*") if path.is_file()}
    (one, other) = sorted((store / "index").glob("*.faiss"))
    (store / ".tsds-scratch-machine-1-abcdefgh").mkdir()
    left = [
        store / ".tsds-store.json.1-00000000.part",
        store / ".tsds-scratch-machine-1-abcdefgh" / "0.npy",
        store / "index" / f".{one.name}.1-00000000.part",
        store / "index" / f"{one.stem[:-24]}{'0' * 24}.faiss",  # of shards that are the store's no more
        store / "warm-ups" / "mark" / "epoch-1" / ".checkpoint.safetensors.1-00000000.part",
    ]
    for path in left:
        path.write_bytes(b"left")
    gone = json.loads(command("store", "gc", store, "--json").stdout)
    assert {path for path in store.rglob("*") if path.is_file()} == whole
    assert not (store / ".tsds-scratch-machine-1-abcdefgh").exists()
    assert (gone["leftovers"], gone["bytes"], gone["damaged"]) == (5, 20, 0)
    spaces = sorted(path.parent.name for path in store.glob("*/space.json"))
    stale = next(name for name in spaces if name in one.name)
    os.utime(store / stale / "space.json", (0, 0))
    gone = json.loads(command("store", "gc", store, "--unused-days", "1", "--json").stdout)
    assert len(gone["spaces"]) == 1
    assert not (store / stale).exists()
    assert sorted((store / "index").iterdir()) == sorted(
        path for path in whole if path.name.startswith(other.stem[:-25])
    )
