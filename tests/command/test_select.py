"""`tsds select` as a user runs it: what it writes, in what form, and that the same seed gives the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.command.run import COMMAND, texts, tsds, write_jsonl
from tests.shared import needs_shared, shared
from tsds.embeddings.encoders.hashing import HashEncoder

FILES = {"selected.jsonl", "selection.parquet", "run.json", "report.html"}


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """A pool of 400 records of two sources, and a target of eight, all on the first topic."""
    pool = write_jsonl(
        tmp_path / "pool.jsonl",
        [{"id": f"r{i}", "text": t, "source": "even" if i % 2 == 0 else "odd"} for i, t in enumerate(texts(400))],
    )
    target = write_jsonl(tmp_path / "target.jsonl", [{"text": t} for t in texts(32, seed=1)[::4]])
    return pool, target


def test_what_it_writes(data: tuple[Path, Path], tmp_path: Path) -> None:
    pool, target = data
    out = tmp_path / "out"
    done = tsds("select", "--pool", pool, "--target", target, "--size", "10%", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "40 of 400 records chosen for 8 targets" in done.stdout
    assert {path.name for path in out.iterdir()} == FILES

    lines, chosen = pool.read_bytes().splitlines(), (out / "selected.jsonl").read_bytes().splitlines()
    assert len(chosen) == 40
    places = [lines.index(line) for line in chosen]  # byte for byte ...
    assert places == sorted(places)  # ... and in the order of the pool
    assert np.mean([place % 4 == 0 for place in places]) > 0.9  # the target's topic

    table = pq.read_table(out / "selection.parquet").to_pydict()
    fixed = ["row", "id", "shard", "probability", "count", "density", "target", "distance", "rank"]
    assert list(table)[: len(fixed)] == fixed
    assert [row for row, count in zip(table["row"], table["count"], strict=True) if count] == places
    assert sum(table["probability"]) == pytest.approx(1, abs=1e-12)
    assert [f"r{row}" for row in table["row"]] == table["id"]
    assert min(table["density"]) >= 1 and set(table["shard"]) == {str(pool)}

    run = json.loads((out / "run.json").read_bytes())
    assert run["size"] == {**run["size"], "asked": "10%", "wanted": 40, "chosen": 40}
    assert run["certificate"]["exact"] is True
    assert run["settings"]["method"] == "auto" and run["seed"] == 0
    assert run["inputs"]["pool"][0]["sha256"] == hashlib.sha256(pool.read_bytes()).hexdigest()
    assert run["selected"]["sha256"] == hashlib.sha256((out / "selected.jsonl").read_bytes()).hexdigest()
    assert {"search", "density", "encode"} <= {stage["name"] for stage in run["stages"]}
    assert all(stage["peak_mb"] > 10 for stage in run["stages"])


def test_the_same_seed_gives_the_same_bytes(data: tuple[Path, Path], tmp_path: Path) -> None:
    pool, target = data
    for name in ("one", "two", "other"):
        seed = 5 if name == "other" else 0
        options = ["--size", 40, "--alpha", 0.3, "--scale", 0.2, "--seed", seed, "--out", tmp_path / name]
        assert tsds("select", "--pool", pool, "--target", target, *options).returncode == 0
    for name in ("selected.jsonl", "selection.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (tmp_path / "one" / "selected.jsonl").read_bytes() != (tmp_path / "other" / "selected.jsonl").read_bytes()


@pytest.mark.parametrize("shards", [2, 7])
def test_shards_select_what_one_file_selects(data: tuple[Path, Path], tmp_path: Path, shards: int) -> None:
    pool, target = data
    lines = pool.read_bytes().splitlines(keepends=True)
    edges = [len(lines) * i // shards for i in range(shards + 1)]
    paths = []
    for i in range(shards):
        paths.append(tmp_path / f"shard-{i}.jsonl{'.gz' if i % 2 else ''}")
        part = b"".join(lines[edges[i] : edges[i + 1]])
        paths[-1].write_bytes(gzip.compress(part) if i % 2 else part)
    assert tsds("select", "--pool", pool, "--target", target, "--size", 30, "--out", tmp_path / "a").returncode == 0
    assert tsds("select", "--pool", *paths, "--target", target, "--size", 30, "--out", tmp_path / "b").returncode == 0
    assert (tmp_path / "a" / "selected.jsonl").read_bytes() == (tmp_path / "b" / "selected.jsonl").read_bytes()
    one, many = (pq.read_table(tmp_path / x / "selection.parquet").drop(["shard"]) for x in "ab")
    assert one.equals(many)


def test_standard_input_and_json(data: tuple[Path, Path], tmp_path: Path) -> None:
    pool, target = data
    command = ["select", "--pool", "-", "--target", target, "--size", 12, "--out", tmp_path / "out", "--json"]
    done = tsds(*command, stdin=pool.read_bytes())
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["size"] == 12 and set(facts["files"]) == FILES
    assert done.stderr == ""


def test_quiet_says_nothing(data: tuple[Path, Path], tmp_path: Path) -> None:
    done = tsds("select", "--pool", data[0], "--target", data[1], "--size", 12, "--out", tmp_path / "o", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_several_tasks_share_the_size(data: tuple[Path, Path], tmp_path: Path) -> None:
    pool, target = data
    other = write_jsonl(
        tmp_path / "other.jsonl", [{"id": f"o{i}", "text": t} for i, t in enumerate(texts(400, seed=2)[1::4])]
    )
    shares = {}
    for name, weights in (("equal", []), ("three", ["--task-weights", "a=3,b=1"])):
        out = tmp_path / name
        done = tsds(
            "select", "--pool", pool, "--target", f"a={target}", f"b={other}", "--size", 40, "--out", out, *weights
        )
        assert done.returncode == 0, done.stderr
        table = pq.read_table(out / "selection.parquet").to_pydict()
        mine = np.array(table["row"]) % 4 == 0
        shares[name] = np.array(table["probability"])[mine].sum()
        run = json.loads((out / "run.json").read_bytes())
        assert run["target"]["tasks"] == ["a", "b"]
        first = len(target.read_bytes().splitlines())
        for at, task, name in zip(table["target"], table["task"], table["target_id"], strict=True):
            assert (task, name) == (("a", str(at)) if at < first else ("b", f"o{at - first}"))
        chosen = sum(n for n, task in zip(table["count"], table["task"], strict=True) if task == "a")
        assert [one["name"] for one in run["tasks"]] == ["a", "b"] and run["tasks"][0]["chosen"] == chosen
    assert shares["equal"] == pytest.approx(0.5, abs=0.1)
    assert shares["three"] == pytest.approx(0.75, abs=0.1)


def test_a_folder_that_hive_named_is_no_task(tmp_path: Path) -> None:
    (tmp_path / "date=1").mkdir()
    for name in ("a", "b"):
        write_jsonl(tmp_path / "date=1" / f"{name}.jsonl", [{"text": text} for text in texts(3, seed=ord(name))])
    write_jsonl(tmp_path / "one=two.jsonl", [{"text": text} for text in texts(3, seed=1)])
    write_jsonl(tmp_path / "pool.jsonl", [{"text": text} for text in texts(30)])
    shared = ("--pool", "pool.jsonl", "--size", 5, "--out", "out", "--overwrite", "--json")
    for given, tasks, read in (
        ("date=1/*.jsonl", [], 6),
        ("date=1", [], 6),
        ("one=tw?.jsonl", [], 3),
        ("mine=date=1/*.jsonl", ["mine"], 6),
        ("mine=one=two.jsonl", ["mine"], 3),
    ):
        done = tsds("select", *shared, "--target", given, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        run = json.loads((tmp_path / "out" / "run.json").read_text())
        assert (run["target"]["tasks"], run["target"]["read"]) == (tasks, read), given


def test_the_guard_drops_what_overlaps_with_a_test_set(data: tuple[Path, Path], tmp_path: Path) -> None:
    pool, target = data
    records = [json.loads(line) for line in pool.read_text().splitlines()]
    # One candidate holds thirteen words of the test set in other case and punctuation, another only twelve.
    words = [f"w{i}" for i in range(13)]
    records[0]["text"] += " " + ", ".join(words).upper() + "."
    records[4]["text"] += " " + " ".join(words[:12])
    write_jsonl(pool, records)
    unseen = tmp_path / "test.txt"
    unseen.write_text("so " + " ".join(words) + " end\n" + records[8]["text"] + "\n")
    options = ["--size", 99, "--neighbors", 190, "--sampling", "top", "--exclude", unseen, "--json"]
    done = tsds("select", "--pool", pool, "--target", target, *options, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pool"]["excluded"] == 2
    rows = set(pq.read_table(tmp_path / "out" / "selection.parquet")["row"].to_pylist())
    assert 4 in rows and not rows & {0, 8}


def test_candidates_that_equal_a_target_are_reported(data: tuple[Path, Path], tmp_path: Path) -> None:
    pool, _ = data
    target = write_jsonl(tmp_path / "t.jsonl", [json.loads(pool.read_text().splitlines()[4])])
    done = tsds("select", "--pool", pool, "--target", target, "--size", 3, "--out", tmp_path / "out")
    assert "1 candidates equal a target, 1 of them chosen" in done.stdout


def _texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


def test_own_embeddings_beside_records(data: tuple[Path, Path], tmp_path: Path) -> None:
    pool, target = data
    store = tmp_path / "vectors"
    store.mkdir()
    encoder = HashEncoder().fit([_texts(pool)])
    np.save(store / "pool.npy", encoder.encode(_texts(pool)))
    np.save(store / "target.npy", encoder.encode(_texts(target)))
    vectors = ["--embeddings", store / "pool.npy", "--target-embeddings", store / "target.npy"]
    options = ["--size", 20, "--bandwidth", 0.3, "--out"]
    assert tsds("select", "--pool", pool, "--target", target, *options, tmp_path / "a").returncode == 0
    assert tsds("select", "--pool", pool, "--target", target, *vectors, *options, tmp_path / "b").returncode == 0
    assert (tmp_path / "a" / "selected.jsonl").read_bytes() == (tmp_path / "b" / "selected.jsonl").read_bytes()
    arrays = ["--pool", store / "pool.npy", "--target", store / "target.npy"]
    assert tsds("select", *arrays, *options, tmp_path / "c").returncode == 0
    places = pq.read_table(tmp_path / "c" / "selection.parquet")
    chosen = np.array(places["row"])[np.array(places["count"]) > 0]
    np.testing.assert_array_equal(np.load(tmp_path / "c" / "selected.npy"), np.load(store / "pool.npy")[chosen])


def test_dry_run_writes_nothing(data: tuple[Path, Path], tmp_path: Path) -> None:
    done = tsds(
        "select", "--pool", data[0], "--target", data[1], "--size", 9, "--out", tmp_path / "o", "--dry-run", "--json"
    )
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["records"], plan["targets"], plan["dimensions"]) == (400, 8, 256)
    assert plan["peak_bytes"] > 1e8 and set(plan["seconds"]) >= {"encode", "search", "density"}
    assert not (tmp_path / "o").exists()


def test_dry_run_knows_what_is_stored(data: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nimport time\n"
        "def f(texts):\n    time.sleep(len(texts) / 1000)\n    return np.ones((len(texts), 3), np.float32)\n"
        "f.fingerprint = 'one'\n"
    )
    command = ["select", "--pool", data[0], "--target", data[1], "--size", 9, "--out", tmp_path / "o", "--dry-run"]
    command += ["--encoder", "python:mine:f", "--store", tmp_path / "store", "--json"]

    def encoding() -> float:
        done = tsds(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return float(json.loads(done.stdout)["seconds"]["encode"])

    assert encoding() > 0.35  # 400 texts, a millisecond each
    assert not (tmp_path / "store").exists()
    stored = tsds("embed", data[0], "--encoder", "python:mine:f", "--out", tmp_path / "store", cwd=tmp_path)
    assert stored.returncode == 0, stored.stderr
    assert encoding() < 0.1  # they are read, to be found


@needs_shared
def test_dry_run_guesses_the_number_of_records_of_a_packed_file() -> None:
    pool, target = shared("domain/pool.jsonl.gz"), shared("domain/targets/chemprot/dev.jsonl.gz")
    done = tsds("select", "--pool", pool, "--target", target, "--size", "1%", "--out", "never", "--dry-run", "--json")
    plan = json.loads(done.stdout)
    assert 0.7 < plan["records"] / 75_112 < 1.4


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_run_leaves_no_run_behind(how: signal.Signals, tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": t} for t in texts(20_000)])
    target = write_jsonl(tmp_path / "target.jsonl", [{"text": t} for t in texts(50, seed=1)])
    command = ["select", "--pool", str(pool), "--target", str(target), "--size", "5%", "--out", str(tmp_path / "out")]
    command += ["--method", "kde"]  # these texts are so alike that a balanced plan takes its time
    process = subprocess.Popen(
        [*COMMAND, *command], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored below a shell's `&`
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".out.tsds-partial-*")):
        assert process.poll() is None and time.monotonic() < deadline, "it never began to write"
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (tmp_path / "out").exists()
    if how != signal.SIGKILL:  # nobody can tidy up after a kill; the next run does
        assert errors.decode() == f"tsds: interrupted; nothing was written to {tmp_path / 'out'}\n"
        assert process.returncode == 130
        assert not list(tmp_path.glob(".out*"))
    assert tsds(*command).returncode == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert not list(tmp_path.glob(".out*"))


@needs_shared
@pytest.mark.parametrize("target", ["gsm8k", "bbh", "strategyqa"])
def test_real_targets(target: str, tmp_path: Path) -> None:
    pool, query = shared("instruct/pool.jsonl.gz"), shared(f"instruct/targets/{target}/query.jsonl.gz")
    done = tsds("select", "--pool", pool, "--target", query, "--size", "1%", "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["size"] == 765 and facts["exact"]
    with gzip.open(pool) as lines:
        records = set(lines)
    chosen = (tmp_path / "out" / "selected.jsonl").read_bytes().splitlines(keepends=True)
    assert len(chosen) == 765 and set(chosen) <= records
    first = facts["composition"][0]
    wanted = {"gsm8k": "flan_cot_gsm8k", "strategyqa": "flan_cot_strategyqa"}.get(target, first["name"])
    assert first["name"] == wanted and first["lift"] > 2
