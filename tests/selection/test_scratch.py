"""What a run writes only for itself: where, and that a later run removes what a killed one left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command.run import COMMAND, texts, write_jsonl
from tests.command.run import tsds as command
from tsds.places import reserved
from tsds.scratch import PREFIX, machine, scratch_in

MAKES_ONE = """
import sys, time
from pathlib import Path
from tsds.scratch import scratch_in
made = scratch_in(Path(sys.argv[1]))
(Path(made.name) / "0.npy").write_bytes(b"vectors")
print(Path(made.name).name, flush=True)
time.sleep(300)
"""


def wait_for(there: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not there():
        assert process.poll() is None and time.monotonic() < deadline, "it never came so far"
        time.sleep(0.005)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_what_a_killed_process_left_goes_and_nothing_else(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", MAKES_ONE, str(tmp_path)], stdout=subprocess.PIPE) for _ in range(2)
    ]
    try:
        dead, living = (str(one.stdout and one.stdout.readline().decode().strip()) for one in processes)
        kill(processes[0])
        elsewhere = f"{PREFIX}another-machine-{processes[0].pid}-abcdefgh"
        for name in (elsewhere, f"{PREFIX}notes", ".other"):
            (tmp_path / name).mkdir()
        assert {dead, living} <= {path.name for path in tmp_path.iterdir()}
        with scratch_in(tmp_path) as mine:
            there = {path.name for path in tmp_path.iterdir()}
        assert there == {Path(mine).name, living, elsewhere, f"{PREFIX}notes", ".other"}
        assert str(os.getpid()) in Path(mine).name and not Path(mine).exists()
    finally:
        for one in processes:
            kill(one)
            assert one.stdout is not None
            one.stdout.close()


def test_runs_of_other_machines_that_share_the_folder_keep_what_they_write(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    partial = ".o[u]t.tsds-partial-"
    container = f"{socket.gethostname()}.1"  # with the name of its host, and numbers of its own for processes
    mine, other, inside, namesake = (
        f"{partial}{host}-{gone.pid}-1a" for host in (machine(), "node-7", container, machine())
    )
    namesake = namesake.replace("o[u]t", "out")
    for name in (mine, other, inside, namesake):
        (tmp_path / name).mkdir()
    with reserved(tmp_path / "o[u]t") as scratch:
        (scratch / "run.json").write_text("{}")
    assert {path.name for path in tmp_path.iterdir()} == {"o[u]t", other, inside, namesake}
    assert (tmp_path / "o[u]t").stat().st_mode == (tmp_path / other).stat().st_mode  # others may read it, as any folder


@pytest.mark.parametrize("given", [(), ("--transform", "normalize")])
def test_a_killed_selection_leaves_its_vectors_beside_its_place_and_the_next_removes_them(
    given: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": t} for t in texts(20_000)])
    target = write_jsonl(tmp_path / "target.jsonl", [{"text": t} for t in texts(50, seed=1)])
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    arguments = ["select", "--pool", pool, "--target", target, "--size", "5%", "--out", tmp_path / "out"]
    arguments += ["--method", "kde", *given]
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stderr=subprocess.DEVNULL)
    wait_for(lambda: list(tmp_path.glob(f".out*/{PREFIX}*/*")), process)
    kill(process)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert list(tmp_path.glob(f".out*/{PREFIX}*-{process.pid}-*"))
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob(".*")) and list((tmp_path / "temporary").iterdir()) == []


def test_a_killed_embed_leaves_its_vectors_in_the_store_and_the_next_removes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": t} for t in texts(20_000)])
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    arguments = ["embed", pool, "--encoder", "hash", "--out", tmp_path / "store"]
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(lambda: list(tmp_path.glob(f"store/{PREFIX}*")), process)
    kill(process)
    assert list((tmp_path / "temporary").iterdir()) == []
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob(f"store/{PREFIX}*")) and list((tmp_path / "temporary").iterdir()) == []
