"""Runs that are killed go on: a real process, kill -9, the same bytes, and nothing that was done is done again."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command.run import texts, write_jsonl
from tests.command.run import tsds as command
from tsds.begun import begun_with
from tsds.census import take_census
from tsds.checkpoint import Checkpoint, resumable
from tsds.corpus import Corpus
from tsds.encoding import Embedder
from tsds.errors import InputError
from tsds.records import Pool
from tsds.settings import Settings
from tsds.stages import Stages

#: More for a longer look: TSDS_KILLS=30.
KILLS = int(os.environ.get("TSDS_KILLS", "5"))


@pytest.fixture
def files(tmp_path: Path) -> list[object]:
    """The arguments of a selection with many parts, all but --out."""
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": text} for text in texts(2000)])
    target = write_jsonl(tmp_path / "target.jsonl", [{"text": text} for text in texts(40, seed=1)])
    return ["select", "--pool", pool, "--target", target, "--size", "5%"]


def start(arguments: list[object], done: Path, slow: float) -> subprocess.Popen[bytes]:
    """The command in a process, with small slow parts; what it says goes to a file beside `done`.

    No pipe: what Ray has started inherits it, may outlive a driver that is killed, and would keep it open.
    """
    environment = {**os.environ, "TSDS_DONE": str(done), "TSDS_SLOW": str(slow), "RAY_ADDRESS": "local"}
    with done.with_suffix(".said").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.selection.slow_parts", *map(str, arguments)],
            env=environment, stdout=said, stderr=said,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored below a shell's `&`
        )  # fmt: skip


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(timeout=60)


def bytes_of(out: Path) -> tuple[bytes, bytes]:
    return (out / "selection.parquet").read_bytes(), (out / "selected.jsonl").read_bytes()


def in_files(files: list[object], folder: Path, count: int = 5) -> list[object]:
    """The same with the pool in so many files, which workers read one by one."""
    folder.mkdir()
    lines = Path(str(files[2])).read_text().splitlines(keepends=True)
    for k in range(count):
        (folder / f"{k}.jsonl").write_text("".join(lines[k * len(lines) // count : (k + 1) * len(lines) // count]))
    return [*files[:2], folder, *files[3:]]


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_run_killed_at_random_moments_goes_on(engine: str, files: list[object], tmp_path: Path) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
        files = in_files(files, tmp_path / "pool")
    done, out, whole = tmp_path / "done", tmp_path / "out", tmp_path / "whole"
    process = start([*files, "--out", whole], tmp_path / "unused", 0)
    assert process.wait(timeout=300) == 0, (tmp_path / "unused.said").read_text()
    rng, kills, most = random.Random(0), 0, KILLS if engine == "local" else max(1, KILLS // 5)
    while True:
        process = start([*files, "--out", out, "--resume", "--engine", engine], done, 0.05)
        try:
            wait = rng.uniform(2, 8 if engine == "ray" else 4) if kills < most else 300
            process.wait(timeout=wait)
        except subprocess.TimeoutExpired:
            kill(process)
            kills += 1
            if out.exists():  # killed in the moment between the end and the tidying up
                assert command(*files, "--out", out, "--resume").returncode == 2
                break
            continue
        assert process.returncode == 0, done.with_suffix(".said").read_text()
        break
    assert kills > 0
    assert bytes_of(out) == bytes_of(whole)
    names = done.read_text().split()
    if engine == "local":  # the workers of Ray tell nothing
        assert len(names) == len(set(names)), "a part that was done was done again"
    assert len(names) > (10 if engine == "local" else 3)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []  # nothing is left


def leave_a_killed_run(files: list[object], out: Path, tmp_path: Path) -> Path:
    """Kill a run once it has kept a few things."""
    done = tmp_path / "done"
    process = start([*files, "--out", out], done, 0.3)
    while not done.exists() or len(done.read_text().split()) < 4:
        assert process.poll() is None, done.with_suffix(".said").read_text()
    kill(process)
    kept = out.parent / f".{out.name}.tsds-resume"
    assert kept.is_dir()
    return kept


def test_what_has_changed_is_named(files: list[object], tmp_path: Path) -> None:
    out = tmp_path / "out"
    leave_a_killed_run(files, out, tmp_path)
    pool = Path(str(files[2]))
    cases: list[tuple[list[object], str]] = [
        ([*files, "--size", "6%"], "--size is 6% and was 5%"),
        ([*files, "--seed", "3"], "--seed is 3 and was 0"),
        ([*files, "--pool", files[4]], "was not in the run to be resumed"),
    ]
    for arguments, why in cases:
        said = command(*arguments, "--out", out, "--resume")
        assert (said.returncode, said.stderr.count("\n")) == (2, 1)
        assert why in said.stderr
        assert "--overwrite without --resume" in said.stderr
    pool.write_text(pool.read_text() + json.dumps({"text": "one more"}) + "\n")
    said = command(*files, "--out", out, "--resume")
    assert said.returncode == 2
    assert f"{pool}: has changed since the run to be resumed began" in said.stderr
    assert not out.exists()


def test_a_function_that_has_changed_is_refused_and_the_same_goes_on(
    files: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is in a module beside the one that is named, which only hands it on."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    source = tmp_path / "written.py"
    code = (
        "import numpy as np\n"
        "def letters(texts):\n"
        "    counts = [[text.count(c) + len(text) / 100 for c in 'abcdefghijklmnop'] for text in texts]\n"
        "    return np.array(counts, np.float32)\n"
    )
    source.write_text(code)
    (tmp_path / "named.py").write_text("from written import letters\n")
    files = [*files, "--encoder", "python:named:letters"]
    done, out, whole = tmp_path / "done", tmp_path / "out", tmp_path / "whole"
    assert start([*files, "--out", whole], tmp_path / "unused", 0).wait(timeout=300) == 0
    leave_a_killed_run(files, out, tmp_path)

    source.write_text(code.replace("text.count(c)", "2 * text.count(c)"))
    process = start([*files, "--out", out, "--resume"], tmp_path / "refused", 0)
    assert process.wait(timeout=300) == 2
    (line,) = (tmp_path / "refused.said").read_text().splitlines()
    assert line.startswith("tsds: encoder python:named:letters gives other vectors than in the run to be resumed")
    assert not out.exists()

    source.write_text(code)
    process = start([*files, "--out", out, "--resume"], done, 0)
    assert process.wait(timeout=300) == 0, done.with_suffix(".said").read_text()
    names = done.read_text().split()
    assert len(names) == len(set(names)), "a part that was done was done again"
    assert bytes_of(out) == bytes_of(whole)


def test_vectors_that_a_store_rounds_are_not_mixed_with_others(files: list[object], tmp_path: Path) -> None:
    out = tmp_path / "out"
    leave_a_killed_run(files, out, tmp_path)
    said = command(*files, "--out", out, "--resume", "--store", tmp_path / "store")
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert "encoder hash gives other vectors than in the run to be resumed" in said.stderr


def test_a_model_that_was_replaced_is_refused(tmp_path: Path) -> None:
    tiny = pytest.importorskip("tests.embeddings.tiny")
    pool = Pool.open(["two and two are four", "the cat sat", "a dog barked three times"])
    corpus = Corpus(pool, take_census(pool, collapse=True))
    checkpoint = Checkpoint(tmp_path)

    def fit() -> None:
        stages = Stages(checkpoint=checkpoint)
        Embedder(f"hidden:{tmp_path / 'model'}", 0, "cpu", tmp_path / "store", "float16", tmp_path, stages).fit(corpus)

    tiny.causal(tmp_path / "model")
    fit()
    tiny.causal(tmp_path / "model")  # the same weights, written again
    fit()
    tiny.causal(tmp_path / "model", seed=1)
    with pytest.raises(InputError, match=r"encoder hidden:.*model gives other vectors"):
        fit()


def test_a_file_may_have_two_roles(files: list[object], tmp_path: Path) -> None:
    out = tmp_path / "out"
    both = [*files, "--exclude", files[4]]
    kept = leave_a_killed_run(both, out, tmp_path)
    said = command(*files, "--out", out, "--resume")
    assert said.returncode == 2 and "--exclude is None and was" in said.stderr
    said = command(*both, "--out", out, "--resume")
    assert said.returncode == 0, said.stderr
    assert not kept.exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_tells_how_to_go_on(how: signal.Signals, files: list[object], tmp_path: Path) -> None:
    out, done = tmp_path / "out", tmp_path / "done"
    process = start([*files, "--out", out], done, 0.3)
    while not done.exists() or len(done.read_text().split()) < 4:
        assert process.poll() is None, done.with_suffix(".said").read_text()
    process.send_signal(how)
    assert process.wait(timeout=60) == 130
    told = f"tsds: interrupted; nothing was written to {out}; --resume goes on with what was done"
    assert done.with_suffix(".said").read_text().splitlines()[-1] == told
    assert not out.exists()
    before = len(done.read_text().split())
    process = start([*files, "--out", out, "--resume"], done, 0)
    assert process.wait(timeout=300) == 0, done.with_suffix(".said").read_text()
    names = done.read_text().split()
    assert 4 <= before < len(names) == len(set(names))


def test_of_standard_input_nothing_is_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = begun_with([Path("-")], [write_jsonl(tmp_path / "t.jsonl", [{"text": "one"}])], Settings(size=1))
    with (
        pytest.raises(KeyboardInterrupt) as stopped,
        resumable(tmp_path / "out", begun, resume=False, overwrite=False) as checkpoint,
    ):
        checkpoint.keep("something", {})
        raise KeyboardInterrupt
    assert stopped.value.args == ()


def test_what_a_finished_run_kept_goes_and_what_another_kept_stays(files: list[object], tmp_path: Path) -> None:
    """The first was killed after its end; the second was to replace it, and was killed on the way."""
    out = tmp_path / "out"
    kept = leave_a_killed_run(files, out, tmp_path)
    shutil.copytree(kept, tmp_path / "copy")
    assert command(*files, "--out", out, "--resume").returncode == 0
    shutil.copytree(tmp_path / "copy", kept)
    said = command(*files, "--out", out)
    assert "holds a run already" in said.stderr and not kept.exists()
    shutil.copytree(tmp_path / "copy", kept)
    (kept / "begun.json").touch()
    said = command(*files, "--out", out)
    assert "holds a run already" in said.stderr and kept.exists()


def test_roles_and_order_of_files_count(tmp_path: Path) -> None:
    one, two = (write_jsonl(tmp_path / f"{name}.jsonl", [{"text": name}]) for name in ("one", "two"))

    def go_on(pool: Any, target: Any) -> None:
        begun = begun_with(pool, target, Settings(size=1))
        with resumable(tmp_path / "out", begun, resume=True, overwrite=False) as checkpoint:
            checkpoint.keep("something", {})
            raise RuntimeError("stopped")

    first: tuple[Any, ...] = ([one, two], {"a": [one], "b": [two]})
    other: list[tuple[tuple[Any, ...], str]] = [
        (([two, one], first[1]), "another order"),
        ((first[0], {"a": [two], "b": [one]}), "was not in the run to be resumed as target [ab]"),
        ((first[0], {"a": [one], "b": [two, one]}), "was not in the run to be resumed as target b"),
        (([one], first[1]), "was in the run to be resumed as pool and is not now"),
    ]
    for arguments, why in other:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="stopped"):
                go_on(*first)
        with pytest.raises(InputError, match=why):
            go_on(*arguments)


def test_what_was_done_is_thrown_away_only_if_that_is_said(files: list[object], tmp_path: Path) -> None:
    out = tmp_path / "out"
    kept = leave_a_killed_run(files, out, tmp_path)
    said = command(*files, "--out", out, "--seed", "1")
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert "--resume goes on with it" in said.stderr
    assert (kept / "census.npz").exists()
    said = command(*files, "--out", out, "--seed", "1", "--overwrite")
    assert said.returncode == 0, said.stderr
    assert not kept.exists()


def test_with_nothing_to_go_on_with_a_run_begins(files: list[object], tmp_path: Path) -> None:
    said = command(*files, "--out", tmp_path / "out", "--resume")
    assert said.returncode == 0, said.stderr
    again = command(*files, "--out", tmp_path / "out", "--resume")
    assert again.returncode == 2
    assert "holds a run already" in again.stderr


def test_two_runs_at_once_do_not_share_a_folder(files: list[object], tmp_path: Path) -> None:
    out, done = tmp_path / "out", tmp_path / "done"
    first = start([*files, "--out", out], done, 0.3)
    while not done.exists():
        assert first.poll() is None, done.with_suffix(".said").read_text()
    said = command(*files, "--out", out)
    kill(first)
    assert said.returncode == 2
    assert "another run is writing to it" in said.stderr


def test_an_unknown_format_is_said_before_any_work(files: list[object], tmp_path: Path) -> None:
    done = tmp_path / "done"
    process = start([*files, "--out", tmp_path / "out", "--format", "jsnl"], done, 0)
    assert process.wait(timeout=300) == 2
    said = done.with_suffix(".said").read_text()
    assert said.startswith("tsds: can't write the format 'jsnl' (did you mean jsonl?") and said.count("\n") == 1
    assert not done.exists(), "something was done first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["done.said", "pool.jsonl", "target.jsonl"]


def test_an_error_late_in_a_run_leaves_what_was_done(files: list[object], tmp_path: Path) -> None:
    """The chosen records do not fit the format, which the first ones do: it is known when all else is done."""
    pool = Path(str(files[2]))
    broken = [{"text": text.replace(" number", "\nnumber")} for text in texts(2000)]
    write_jsonl(pool, [*({"text": text} for text in texts(100, seed=2)), *broken])
    done, out, whole = tmp_path / "done", tmp_path / "out", tmp_path / "whole"
    process = start([*files, "--out", out, "--format", "txt"], done, 0)
    assert process.wait(timeout=300) == 2
    said = done.with_suffix(".said").read_text()
    assert "line break" in said and said.count("\n") == 1
    assert said.rstrip().endswith("; --resume goes on with what was done, --overwrite begins anew")
    before = done.read_text().split()
    assert "answer" in before and not out.exists()
    process = start([*files, "--out", out, "--resume"], done, 0)
    assert process.wait(timeout=300) == 0, done.with_suffix(".said").read_text()
    assert done.read_text().split() == before, "something was done again"
    assert start([*files, "--out", whole], tmp_path / "unused", 0).wait(timeout=300) == 0
    assert bytes_of(out) == bytes_of(whole)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_bad_input_leaves_nothing(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": text} for text in texts(200)]
    pool = write_jsonl(tmp_path / "pool.jsonl", [*rows, {"text": 3}])
    target = write_jsonl(tmp_path / "target.jsonl", rows[:20])
    said = command("select", "--pool", pool, "--target", target, "--size", "10", "--out", tmp_path / "out")
    assert said.returncode == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pool.jsonl", "target.jsonl"]
