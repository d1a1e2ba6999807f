"""The other verbs: path, methods, encoders, demo, report, embed, and how arguments are read."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.command.run import texts, tsds, write_jsonl
from tsds.arguments import settings_of, spread
from tsds.cli import app, main
from tsds.errors import InputError


def test_listings() -> None:
    for verb, names in (
        ("methods", {"kde", "uniform", "tv"}),
        ("encoders", {"hash", "sentence", "hidden", "gradient", "python"}),
    ):
        lines = tsds(verb).stdout.splitlines()
        assert names <= {line.split()[0] for line in lines}
        told = json.loads(tsds(verb, "--json").stdout)
        assert names <= told.keys() and "tsds[" not in "".join(told.values())  # which PyPI has of another project
        assert len(lines) == len(told)  # a line each, where it is no terminal


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "interrupted; the same command goes on with the cells that are kept"),
        (["--dry-run"], "interrupted; nothing was written"),
        (["--debug"], "interrupted; the same command goes on with the cells that are kept"),
    ],
)
def test_a_stopped_evaluation_tells_how_to_go_on(options: list[str], told: str, tmp_path: Path) -> None:
    """Stopped where the work would begin: the real one takes minutes."""
    code = (
        "import sys, types, tsds.evaluate.command as command\n"
        "def evaluate(*given, **more): raise KeyboardInterrupt\n"
        "sys.modules['tsds.evaluate.running'] = types.SimpleNamespace(evaluate=evaluate)\n"
        "command._data = lambda given: None\n"
        "from tsds.cli import main; main()"
    )
    arguments = ["evaluate", "instruction", "--out", str(tmp_path / "out"), *options]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, f"tsds: {told}\n")


def test_version() -> None:
    import tsds as package

    assert tsds("--version").stdout.strip() == f"tsds {package.__version__}"


def test_help_names_every_option_of_the_interface() -> None:
    text = tsds("select", "--help").stdout
    for option in (
        "--pool --target --size --out --method --alpha --scale --neighbors --effective-size --bandwidth --metric "
        "--encoder --sampling --seed --on-error --overwrite --dry-run --exclude --json --quiet --text-field --template "
        "--target-text-field --target-template "
        "--task-weights"
    ).split():
        assert option in text


def test_demo_and_report(tmp_path: Path) -> None:
    done = tsds("demo", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    assert "200 of 4,000 records chosen for 60 targets" in done.stdout
    again = tsds("report", tmp_path / "demo")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[:20] == done.stdout.splitlines()[:20]
    missing = tsds("report", tmp_path)
    assert missing.returncode == 2 and "holds no run" in missing.stderr


def test_path_is_a_table_that_agrees_with_select(tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "p.jsonl", [{"text": t, "source": f"s{i % 4}"} for i, t in enumerate(texts(400))])
    target = write_jsonl(tmp_path / "t.jsonl", [{"text": t} for t in texts(32, seed=1)[::4]])
    done = tsds("path", "--pool", pool, "--target", target, "--size", 20, "--points", 9, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["path"]
    assert len(rows) == 9
    for name, direction in (("neighbors", 1), ("penalty", 1), ("alpha", -1), ("transport_cost", 1), ("support", 1)):
        assert (np.diff([row[name] for row in rows]) * direction >= -1e-12).all(), name
    (here,) = [row for row in rows if row["here"]]
    assert here["sources"][0][0] == "s0"
    options = ["--size", 20, "--neighbors", here["neighbors"], "--out", tmp_path / "out", "--json"]
    facts = json.loads(tsds("select", "--pool", pool, "--target", target, *options).stdout)
    assert facts["support"] == here["support"]
    assert facts["effective_size"] == pytest.approx(here["effective_size"], rel=1e-9)
    assert rows[-1]["neighbors"] > 2 * here["neighbors"]
    assert "what it would select" in tsds("path", "--pool", pool, "--target", target, "--size", 20).stdout


def test_the_path_of_balanced_plans_is_not_passed_off_as_theirs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = write_jsonl(tmp_path / "p.jsonl", [{"text": text} for text in texts(60)])
    asked = ["path", "--pool", str(pool), "--target", str(pool), "--size", "5", "--points", "3", "--json", "--method"]
    with pytest.raises(InputError, match=r"method balanced has no closed path \(--method kde has one\)"):
        app([*asked, "balanced"], standalone_mode=False)
    app([*asked, "auto"], standalone_mode=False)
    out, err = capsys.readouterr()
    assert len(json.loads(out)["path"]) > 0 and err.startswith("method auto has no path of its own: this is kde's")
    app([*asked, "kde"], standalone_mode=False)
    assert capsys.readouterr().err == ""


def test_several_values_after_one_flag() -> None:
    given = ["select", "--pool", "a", "b", "-", "--size", "5", "--target", "t", "--json"]
    assert spread(given) == "select --pool a --pool b --pool - --size 5 --target t --json".split()
    given = ["--pool=a", "b", "--size=5", "c", "--target=x=t", "y=u"]
    assert spread(given) == "--pool=a --pool b --size=5 c --target=x=t --target y=u".split()


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["select", "--pool", "p", "--size", "5", "--out", "o"], 2, "Missing option '--target' (tsds select --help)"),
        (["selct"], 2, "No such command 'selct'"),
        (["select", "--seed", "abc"], 2, "Invalid value for '--seed'"),
        (["select", "--methd", "kde"], 2, "No such option: --methd"),
        (["methods"], 0, ""),
        (["select", "--help"], 0, ""),
    ],
)
def test_wrong_usage_is_one_line(
    given: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tsds", *given])
    monkeypatch.setattr(signal, "signal", lambda *handler: None)
    with pytest.raises(SystemExit) as stopped:
        main()
    out, err = capsys.readouterr()
    assert stopped.value.code == code and bool(out) == (code == 0)
    assert err.count("\n") == bool(said) and said in err and err.startswith("tsds: " if said else "")


def test_without_a_verb_help_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tsds"])
    monkeypatch.setattr(signal, "signal", lambda *handler: None)
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "select" in "".join(capsys.readouterr())


def test_import_is_quick_and_light() -> None:
    """`import tsds` loads neither faiss nor pyarrow, and the core never loads torch, ray or scikit-learn."""
    code = (
        "import sys, tsds; print(*[m for m in ('faiss', 'pyarrow', 'torch', 'sklearn', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
    code = (
        "import sys, tsds; tsds.select(['a b', 'c d', 'e f'], ['a'], size=1); "
        "print(*[m for m in ('torch', 'ray', 'sklearn', 'scipy', 'datasets') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_a_task_is_weighed_once() -> None:
    with pytest.raises(InputError, match="--task-weights has 'a' twice"):
        settings_of({"size": "5", "bandwidth": "auto", "task_weights": "a=1,a=3"})
