"""Bad input: one clear line, exit code 2, nothing left behind."""

from __future__ import annotations

import gzip
import json
import pickle
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command.run import texts, tsds, write_jsonl
from tsds import select
from tsds.cli import main
from tsds.errors import InputError

Case = Callable[[Path], list[object]]


def _pool(folder: Path, count: int = 40) -> Path:
    return write_jsonl(folder / "pool.jsonl", [{"id": i, "text": t} for i, t in enumerate(texts(count))])


def _target(folder: Path) -> Path:
    return write_jsonl(folder / "target.jsonl", [{"text": t} for t in texts(5, seed=1)])


def _args(folder: Path, *more: object, pool: object = None, target: object = None, size: object = 5) -> list[object]:
    return ["--pool", pool or _pool(folder), "--target", target or _target(folder), "--size", size, *more]


def _raw(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def _npy(folder: Path, name: str, array: np.ndarray) -> Path:
    np.save(folder / name, array)
    return folder / name


def _vectors(folder: Path, change: Callable[[np.ndarray], None] | None = None, **args: object) -> list[object]:
    x = np.random.default_rng(0).standard_normal((30, 6)).astype(np.float32)
    if change:
        change(x)
    pool = _npy(folder, "pool.npy", x)
    target = _npy(folder, "target.npy", np.random.default_rng(1).standard_normal((3, 6)).astype(np.float32))
    return _args(folder, *args.get("more", []), pool=pool, target=args.get("target", target))  # type: ignore[misc]


def _set(row: int, value: float) -> Callable[[np.ndarray], None]:
    def change(x: np.ndarray) -> None:
        x[row] = value

    return change


def _objects(folder: Path) -> list[object]:
    trap = folder / "trap"
    array = np.array([[_Trap(str(trap))] * 2], dtype=object)
    return _vectors(folder, target=_npy(folder, "objects.npy", array))


class _Trap:
    """Writes a file if it is ever unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (self.path, "w"))


def _odd(folder: Path) -> Path:
    """A folder of a good name that has one in it of a name that is not UTF-8."""
    (folder / "fine" / "\udcff").mkdir(parents=True)
    return folder / "fine" / "\udcff"


def _truncated(folder: Path) -> Path:
    packed = gzip.compress(b"".join(json.dumps({"text": t}).encode() + b"\n" for t in texts(2000)))
    return _raw(folder, "cut.jsonl.gz", packed[: len(packed) // 2])


GOOD = b'{"text": "one two"}\n{"text": "three"}\n'
CASES: dict[str, tuple[Case, str]] = {
    "missing file": (lambda d: _args(d, pool=d / "none.jsonl"), r"none\.jsonl: no such file"),
    "empty pool": (lambda d: _args(d, pool=_raw(d, "e.jsonl", b"")), r"e\.jsonl: the pool holds no usable record"),
    "empty target": (lambda d: _args(d, target=_raw(d, "e.jsonl", b"\n")), r"e\.jsonl: the target holds no usable"),
    "empty target of a dry run": (
        lambda d: [*_args(d, target=_raw(d, "e.jsonl", b"\n")), "--dry-run"], r"e\.jsonl: the target holds no usable"
    ),
    "malformed JSON": (lambda d: _args(d, pool=_raw(d, "m.jsonl", GOOD + b"{oops}\n")), r"m\.jsonl, line 3: "),
    "missing field": (lambda d: _args(d, "--text-field", "body"), r"(pool|target)\.jsonl, line 1: .*body"),
    "no text found": (lambda d: _args(d, pool=_raw(d, "u.jsonl", b'{"x": 1}\n')), r"u\.jsonl, line 1: .*text"),
    "wrong dimensions": (
        lambda d: _vectors(d, target=_npy(d, "w.npy", np.ones((2, 5), np.float32))),
        r"the pool has 6 dimensions and the targets have 5",
    ),
    "one-dimensional": (lambda d: _vectors(d, target=_npy(d, "o.npy", np.ones(5))), r"o\.npy: has shape \(5,\)"),
    "integers": (lambda d: _vectors(d, target=_npy(d, "i.npy", np.ones((2, 6), int))), r"i\.npy: has type int64"),
    "NaN": (lambda d: _vectors(d, _set(7, np.nan)), r"pool\.npy, row 7: holds NaN"),
    "infinity": (lambda d: _vectors(d, _set(9, np.inf)), r"pool\.npy, row 9: holds infinity"),
    "zero under cosine": (
        lambda d: _vectors(d, _set(4, 0.0), more=["--metric", "cosine"]),
        r"pool\.npy, row 4: is a zero vector",
    ),
    "objects are not unpickled": (_objects, r"objects\.npy: holds Python objects"),
    "npy cut short": (lambda d: _args(d, pool=_raw(d, "c.npy", b"\x93NUMPY\x01\x00v"), target=_npy(d, "t.npy", np.ones((1, 6)))), r"c\.npy: is not a whole"),
    "text as npy": (lambda d: _vectors(d, target=_raw(d, "x.npy", b"1.0 2.0\n")), r"x\.npy: is not a \.npy array"),
    "vectors against texts": (lambda d: _args(d, pool=_npy(d, "v.npy", np.ones((9, 6)))), r"the pool is embeddings and"),
    "larger than the pool": (lambda d: _args(d, size=41), r"size 41 exceeds the 40 records"),
    "size 0": (lambda d: _args(d, size=0), r"the size is 0"),
    "size 0%": (lambda d: _args(d, size="0%"), r"the size is 0%"),
    "size 101%": (lambda d: _args(d, size="101%"), r"101% is more than the whole pool"),
    "size of nothing": (lambda d: _args(d, size="1%"), r"1% of 40 records is less than one"),
    "size in words": (lambda d: _args(d, size="many"), r"the size 'many' can't be read"),
    "too many tokens": (lambda d: _args(d, size="10m-tokens"), r"10m-tokens is more than the pool's"),
    "duplicate ids": (
        lambda d: _args(d, pool=write_jsonl(d / "d.jsonl", [{"id": 7, "text": t} for t in texts(3)])),
        r"d\.jsonl, line 2: the id 7 occurs twice",
    ),
    "truncated gzip": (lambda d: _args(d, pool=_truncated(d)), r"cut\.jsonl\.gz.*: .*(truncated|ends|cut|whole)"),
    "not UTF-8": (lambda d: _args(d, pool=_raw(d, "l.jsonl", GOOD + b'{"text": "caf\xe9"}\n')), r"l\.jsonl, line 3: .*UTF-8"),
    "unknown method": (lambda d: _args(d, "--method", "kd"), r"unknown method 'kd' \(did you mean kde\?\)"),
    "unknown encoder": (lambda d: _args(d, "--encoder", "hsah"), r"unknown encoder 'hsah' \(did you mean hash\?\)"),
    "unknown metric": (lambda d: _args(d, "--metric", "cosin"), r"unknown metric 'cosin' \(did you mean cosine\?\)"),
    "unknown sampling": (lambda d: _args(d, "--sampling", "topp"), r"unknown sampling 'topp' \(did you mean top\?\)"),
    "two strengths": (lambda d: _args(d, "--alpha", 0.5, "--neighbors", 3), r"--alpha and --neighbors exclude each other"),
    "scale alone": (lambda d: _args(d, "--scale", 2), r"--scale means nothing without --alpha"),
    "alpha out of range": (lambda d: _args(d, "--alpha", 1.5), r"--alpha is 1\.5"),
    "bandwidth": (lambda d: _args(d, "--bandwidth", "wide"), r"--bandwidth is 'wide'"),
    "negative bandwidth": (lambda d: _args(d, "--bandwidth", "-1"), r"--bandwidth is -1"),
    "template and field": (lambda d: _args(d, "--text-field", "text", "--template", "{text}"), r"both given"),
    "too many neighbours": (lambda d: _args(d, "--neighbors", 39), r"39 neighbours a target exceed half"),
    "a store as the pool": (lambda d: _args(d, pool=_raw(d, "tsds-store.json", b"{}").parent), r"a store: .*--store"),
    "unknown format": (lambda d: _args(d, "--format", "parqet"), r"can't write the format 'parqet' \(did you mean parquet\?"),
    "unknown format of a dry run": (lambda d: [*_args(d, "--format", "xml"), "--dry-run"], r"can't write the format 'xml'"),
    "records of an array": (lambda d: _vectors(d, more=["--format", "csv"]), r"a pool of embeddings can't be written as csv"),
    "task without a name": (lambda d: _args(d, "--target", f"math={_target(d)}"), r"has no name and others have"),
    "unknown task weight": (lambda d: _args(d, "--task-weights", "math=2"), r"--task-weights names 'math'"),
    "embeddings for one side": (lambda d: _args(d, "--embeddings", _npy(d, "v.npy", np.ones((40, 4)))), r"one of pool and target only"),
    "embeddings of other length": (
        lambda d: _args(d, "--embeddings", _npy(d, "v.npy", np.ones((39, 4))), "--target-embeddings", _npy(d, "w.npy", np.ones((5, 4)))),
        r"39 embeddings for 40 records",
    ),
    "a file as the folder": (lambda d: [*_args(d), "--out", _raw(d, "file", b"x")], r"file: is a file, not a folder"),
    "tv has no neighbours": (lambda d: _args(d, "--method", "tv", "--neighbors", 3), r"tv has no neighbours"),
    "a seed beyond 64 bits": (lambda d: _args(d, "--seed", 2**63), r"--seed is 9223372036854775808 \(a whole number from 0 to"),
    "a negative seed": (lambda d: _args(d, "--seed", -1), r"--seed is -1"),
    "a name that is not UTF-8": (lambda d: _args(d, pool=_pool(d).rename(d / "p\udcff.jsonl")), r"p\\udcff\.jsonl: the name is not UTF-8"),
    "such a name in a folder": (lambda d: _args(d, pool=_pool(_odd(d)).parents[1]), r"\\udcff/pool\.jsonl: the name is not UTF-8"),
    "missing option": (lambda d: ["--pool", _pool(d)], r"Missing option"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_line_exit_2_nothing_left(name: str, tmp_path: Path) -> None:
    make, message = CASES[name]
    arguments = make(tmp_path)
    if "--out" not in arguments:
        arguments += ["--out", tmp_path / "out"]
    before = {path.name for path in tmp_path.iterdir()}
    done = tsds("select", *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("tsds: ")
    assert re.search(message, done.stderr), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "change",
    [
        {"--pool": ""},
        {"--target": ""},
        {"--out": ""},
        {"--exclude": ""},
        {"--store": ""},
        {"--exclude=": None},
        {"--": ""},
    ],
)
def test_an_empty_variable_is_not_the_current_folder(
    change: dict[str, str | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: dict[str, str | None] = {"--pool": str(_pool(tmp_path)), "--target": str(_target(tmp_path)), "--size": "5"}
    options = {**given, "--out": "out", **change}
    arguments = [one for pair in options.items() for one in pair if one is not None]
    if "--" in change:
        arguments = ["embed", "--out", "store", "--", ""]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tsds", *([] if "--" in change else ["select"]), *arguments])
    monkeypatch.setattr(signal, "signal", lambda *handler: None)
    with pytest.raises(SystemExit) as stop:
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert line.endswith("no path is given (is a shell variable empty?)")
    assert {path.name for path in tmp_path.iterdir()} == {"pool.jsonl", "target.jsonl"}


def test_an_empty_path_is_none_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, target = _pool(tmp_path), _target(tmp_path)
    monkeypatch.chdir(tmp_path)
    empty: list[dict[str, Any]] = [
        *({"target": one} for one in ("", [""], {"a": ""}, ["", "pool.jsonl"])),
        {"pool": ""},
        {"exclude": ""},
        {"index": ""},
    ]
    for change in empty:
        with pytest.raises(InputError, match="no path is given"):
            select(**{"pool": pool, "target": target, "size": 5, **change})
    chosen = select(pool, ["", "alpha beta"], size=5)  # an empty text among texts is one
    with pytest.raises(InputError, match="no path is given"):
        chosen.save("")
    assert {path.name for path in tmp_path.iterdir()} == {"pool.jsonl", "target.jsonl"}


def test_the_trap_would_have_sprung(tmp_path: Path) -> None:
    """The object array of the case above does write a file when it is unpickled: nothing has loaded it."""
    pickle.loads(pickle.dumps(_Trap(str(tmp_path / "sprung"))))
    assert (tmp_path / "sprung").exists()


def test_a_folder_that_holds_a_run_is_refused_and_unchanged(tmp_path: Path) -> None:
    arguments = [*_args(tmp_path), "--out", tmp_path / "out"]
    assert tsds("select", *arguments).returncode == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    done = tsds("select", *arguments, "--seed", 3)
    assert done.returncode == 2 and "holds a run already" in done.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert tsds("select", *arguments, "--seed", 3, "--overwrite", "--format", "csv").returncode == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"selected.csv", "selection.parquet", "run.json", "report.html"}


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("selected.jsonl", "--quiet"),
        ("selected.txt", "--overwrite"),
        ("selected.npy", "--dry-run"),
        ("selection.parquet", "--resume"),
        ("report.html", "--quiet"),
    ],
)
def test_files_of_no_run_are_refused_and_unchanged(name: str, more: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    done = tsds("select", *_args(tmp_path, more), "--out", tmp_path / "out")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"out: holds {name}, which is of no run (" in done.stderr
    assert _content(tmp_path / "out") == {name: b"mine"}


def test_the_pool_in_the_folder_of_the_run_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    pool = _pool(tmp_path).rename(tmp_path / "out" / "selected.jsonl")
    before = _content(tmp_path / "out")
    done = tsds("select", *_args(tmp_path, pool=pool), "--out", tmp_path / "out")
    assert done.returncode == 2, done.stderr
    assert _content(tmp_path / "out") == before


def test_other_files_in_the_folder_of_a_run_stay(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    mine = {"notes.txt": b"a", "selected.txt.gz": b"b", "selected.md": b"c", "pool.jsonl": b"d"}
    for name, content in mine.items():
        (tmp_path / "out" / name).write_bytes(content)
    for more in ([], ["--overwrite", "--format", "csv"]):
        done = tsds("select", *_args(tmp_path, *more), "--out", tmp_path / "out")
        assert done.returncode == 0, done.stderr
        assert mine.items() <= _content(tmp_path / "out").items()
    written = {"selected.csv", "selection.parquet", "run.json", "report.html"}
    assert set(_content(tmp_path / "out")) == written | set(mine)
    (tmp_path / "out" / "selected.jsonl").write_text("converted by me")  # beside the run, and not its
    done = tsds("select", *_args(tmp_path, "--overwrite"), "--out", tmp_path / "out")
    assert done.returncode == 2 and "holds selected.jsonl, which is of no run" in done.stderr


def test_what_a_run_reads_is_not_replaced_by_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert tsds("select", *_args(tmp_path), "--out", out).returncode == 0
    before = _content(out)
    (tmp_path / "link.jsonl").symlink_to(out / "selected.jsonl")
    cases: list[list[object]] = [
        [*_args(tmp_path, pool=tmp_path / "link.jsonl", size=2), "--out", out],
        [*_args(tmp_path, pool=out / "select*.jsonl", size=2), "--out", out],
        [*_args(tmp_path, target=out / "selected.jsonl"), "--out", f"file://{out}"],
        [*_args(tmp_path, "--exclude", f"file://{out}/selected.jsonl"), "--out", out],
        [*_args(tmp_path, "--embeddings", f"{out / 'selection.parquet'}:x", "--target-embeddings", _npy(tmp_path, "t.npy", np.ones((5, 1)))), "--out", out],
    ]  # fmt: skip
    for arguments in cases:
        done = tsds("select", *arguments, "--overwrite")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "is read by the run and would be replaced (choose another --out)" in done.stderr
        assert _content(out) == before
    done = tsds("select", *_args(tmp_path, pool=out / "selected.jsonl", size=2), "--out", tmp_path / "other")
    assert done.returncode == 0, done.stderr


def test_a_selection_is_not_saved_over_what_it_was_made_from(tmp_path: Path) -> None:
    out = tmp_path / "out"
    select(_pool(tmp_path), _target(tmp_path), size=9).save(out)
    before = _content(out)
    chosen = out / "selected.jsonl"
    for again in (
        select(chosen, _target(tmp_path), size=2),
        select(_pool(tmp_path), {"one": [chosen], "two": _target(tmp_path)}, size=2),
        select(_pool(tmp_path), _target(tmp_path), size=2, exclude=[chosen]),
    ):
        with pytest.raises(InputError, match="is read by the run"):
            again.save(out, overwrite=True)
        assert _content(out) == before
    one = select(texts(40), texts(5, seed=1), size=2, embeddings=np.eye(40), target_embeddings=np.eye(5, 40))
    one.save(out, overwrite=True)
    assert len(chosen.read_bytes().splitlines()) == 2


def test_a_run_killed_while_it_is_moved_into_place_may_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it leaves is of a run, and so is the file in another format that it was to replace."""
    out = tmp_path / "out"
    one = select(_pool(tmp_path), _target(tmp_path), size=9)
    one.save(out, format="csv")
    replace, moved = Path.replace, []

    def killed(self: Path, to: Path) -> Path:
        if to.parent == out and not self.name.startswith("."):
            moved.append(to)
        if len(moved) == 3:
            raise KeyboardInterrupt
        return replace(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            one.save(out, overwrite=True)
    left = set(_content(out))
    assert "run.json" not in left and len(left) == 3  # two files, and what tells that they are of a run
    one.save(out)
    assert set(_content(out)) == {"selected.jsonl", "selection.parquet", "run.json", "report.html"}


def test_a_folder_that_cannot_be_written_is_said_before_any_work(tmp_path: Path) -> None:
    # Root may write anywhere but where there is no place to write to.
    done = tsds("select", *_args(tmp_path), "--out", "/proc/no/such")
    assert done.returncode == 2
    assert "can't be written" in done.stderr and len(done.stderr.splitlines()) == 1


def test_bad_records_can_be_skipped_and_are_counted(tmp_path: Path) -> None:
    lines = [json.dumps({"text": t}).encode() for t in texts(30)]
    lines[4], lines[9], lines[11] = b"{oops}", b'{"text": "caf\xe9"}', b'{"text": "  "}'
    pool = _raw(tmp_path, "p.jsonl", b"\n".join(lines))
    target = _raw(tmp_path, "t.jsonl", GOOD + b'{"text": null}\n{"txt": "beta"}\n')
    asked = _args(tmp_path, pool=pool, target=target)
    done = tsds("select", *asked, "--out", tmp_path / "out", "--on-error", "skip", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    counted = {name: facts["pool"][name] for name in ("read", "used", "empty", "bad")}
    assert counted == {"read": 30, "used": 27, "empty": 1, "bad": 2}
    for role, place in (("pool", "p.jsonl, line 5: "), ("target", "t.jsonl, line 3: ")):
        said = [w["what"] for w in facts["warnings"] if f"2 records of the {role} were left out" in w["what"]]
        assert len(said) == 1 and place in said[0]


def test_debug_shows_where(tmp_path: Path) -> None:
    done = tsds("select", *_args(tmp_path, pool=tmp_path / "none.jsonl"), "--out", tmp_path / "o", "--debug")
    assert "Traceback" in done.stderr
