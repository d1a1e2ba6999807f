"""`tsds compare`: folds, pairs, intervals, tables, and a run that is stopped."""

from __future__ import annotations

import inspect
import io
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from scipy import stats

import tsds as tsds_package
from tests.command.run import COMMAND, texts, tsds, write_jsonl
from tests.search.data import clustered
from tsds import select as tsds_select
from tsds.bandwidth import Bandwidth
from tsds.begun import begun_with
from tsds.comparing.cells import Bench, Cell, Contender
from tsds.comparing.comparison import Comparison, compare
from tsds.comparing.measures import MEASURES, near_duplicate_share
from tsds.comparing.saved import _fingerprint, compare_to
from tsds.comparing.statistics import Interval, t95
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.report.comparison import print_comparison
from tsds.report.saved import renew
from tsds.settings import Settings

POOL, TARGETS = clustered(1500, 24), clustered(40, 24, seed=9)


def test_intervals_by_hand() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])
    found = Interval.of(values)
    low, high = stats.t.interval(0.95, 3, loc=3.0, scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=2e-3)
    for freedom in (1, 7, 30, 31, 59, 104, 1000):
        assert t95(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=2e-4)


def test_dealing_the_same_targets_again_is_no_new_evidence() -> None:
    one = np.array([1.0, 2.0, 3.0, 6.0])
    assert Interval.of(np.array([one])) == Interval.of(one)
    again = Interval.of(np.array([one, one[::-1], one]))
    assert (again.mean, again.error, again.count) == pytest.approx((3, Interval.of(one).error, 12))
    assert (again.low, again.high) == pytest.approx((Interval.of(one).low, Interval.of(one).high))
    # 150 targets dealt ten times into five folds: the error is that of their mean, and the interval holds the truth.
    rng, found = np.random.default_rng(0), []
    for targets in rng.normal(size=(300, 150)):
        deals = [targets[rng.permutation(150)].reshape(5, 30).mean(axis=1) for _ in range(10)]
        found.append(Interval.of(np.array(deals)))
    assert np.mean([x.error for x in found]) == pytest.approx(150**-0.5, rel=0.1)
    assert np.mean([x.low <= 0 <= x.high for x in found]) > 0.95


def test_methods_are_paired_on_the_same_folds_and_auto_beats_random() -> None:
    found = compare(POOL, TARGETS, Settings(size=50), ["auto", "round-robin", "random"], folds=4, draws=2)
    assert len(found.cells) == 3 * 4 * 2
    assert found.best == "auto" and found.interval("random", "cost").mean > found.interval("auto", "cost").high
    behind = found.behind("random", "auto")
    pairs = [
        found.values("random", "cost")[at] - found.values("auto", "cost")[at] for at in found.values("auto", "cost")
    ]
    assert behind.mean == pytest.approx(np.mean(pairs)) and behind.mean > 2 * behind.error
    assert behind == Interval.of(np.array(pairs).reshape(2, 4))  # by draw
    again = compare(POOL, TARGETS, Settings(size=50), ["random"], folds=4, draws=2)
    assert again.values("random", "cost") == found.values("random", "cost")  # whoever else is compared
    other = found.to_json()["overlap"]
    assert other[0][0] == 1 and 0 <= other[0][2] < 0.3


def test_held_out_targets_are_not_seen() -> None:
    """A target that alone lies in a far corner is served only by selections for folds that have it."""
    corner = np.zeros((30, 24), np.float32)
    corner[:, 0] = 50 + np.arange(30)
    pool = np.concatenate([POOL, corner])
    targets = np.concatenate([TARGETS, corner[:1] + 0.5])
    found = compare(pool, targets, Settings(size=50, bandwidth=0), ["balanced"], folds=4)
    took = [bool((cell.rows >= len(POOL)).any()) for cell in found.cells]
    assert took.count(False) == 1
    assert max(found.cells, key=lambda cell: cell.values["cost"]).rows.max() < len(POOL)


def test_every_fold_of_every_draw_and_seed_draws_anew() -> None:
    found = [
        compare(POOL, TARGETS[:8], Settings(size=20, bandwidth=0, seed=seed), ["random"], folds=2, draws=2).cells
        for seed in (0, 1)
    ]
    assert len({tuple(cell.rows.tolist()) for cells in found for cell in cells}) == 8


def test_equal_targets_are_held_out_together() -> None:
    found = compare(POOL, TARGETS[:8].repeat(3, axis=0), Settings(size=20, bandwidth=0), ["nearest"], folds=4)
    once = compare(POOL, TARGETS[:8], Settings(size=20, bandwidth=0), ["nearest"], folds=4)
    assert found.values("nearest", "cost") == pytest.approx(once.values("nearest", "cost"))
    with pytest.raises(InputError, match="8 distinct targets can't be split into 9 folds"):
        compare(POOL, TARGETS[:8].repeat(3, axis=0), Settings(size=20, bandwidth=0), ["nearest"], folds=9)


def test_near_duplicate_share() -> None:
    x = np.array([[0.0, 0], [0.01, 0], [1, 0], [2, 0]], np.float32)
    rows, ones = np.arange(4), np.ones(4, np.int64)
    assert near_duplicate_share(Vectors.of(x), rows, ones, 0.1, "l2") == 0.5
    assert near_duplicate_share(Vectors.of(x), rows, np.array([1, 1, 1, 2]), 0.1, "l2") == pytest.approx(4 / 5)


def test_contenders_have_settings_of_their_own() -> None:
    common = Settings(size=10)
    assert Contender.parse("random", Settings(size=10, method="kde", alpha=0.5)).settings.alpha == 0.5  # for the others
    tuned = Contender.parse("balanced:neighbors=30,sampling=top", common).settings
    assert (tuned.method, tuned.neighbors, tuned.sampling) == ("balanced", 30, "top")
    assert Contender.parse("kde-published", Settings(size=10, bandwidth=0.3)).settings.bandwidth == 0.1
    for name in ("auto", "kde:bandwidth=0.2"):  # one of its own, or that of all
        settings = Contender.parse(name, Settings(size=10, bandwidth=0.3)).settings
        assert settings.bandwidth == (0.3 if name == "auto" else 0.2)
    for wrong, message in (
        ("topk:bandwidth=0.2", "--bandwidth means nothing to method topk"),
        ("kde-published:bandwidth=0.2", "method kde-published has --bandwidth 0.1"),
        ("kde:bandwidth=-1", "--bandwidth is -1"),
        ("kdee", "did you mean"),
        ("kde:alfa=1", "did you mean alpha"),
        ("kde:alpha=x", "is a number"),
        ("topk:neighbors=3", "--neighbors means nothing to method topk"),
        ("kde-published:alpha=0.5", "method kde-published has --alpha 0.6"),
    ):
        with pytest.raises(InputError, match=message):
            Contender.parse(wrong, common)


def test_published_settings_may_be_spelt_out() -> None:
    spelt = [f"kde:alpha=0.6,scale=5,bandwidth={h},sampling=multinomial" for h in (0.1, 4)]
    found = compare(POOL, TARGETS, Settings(size=50, bandwidth=0), ["kde-published", *spelt], folds=2)
    published, same, wide = (found.values(name, "effective_size") for name in found.names)
    assert published == same != wide


def test_the_command(tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "p.jsonl", [{"text": t, "source": "ab"[i % 2]} for i, t in enumerate(texts(400))])
    target = write_jsonl(tmp_path / "t.jsonl", [{"text": t} for t in texts(30, seed=2)])
    asked = ["compare", "--pool", pool, "--target", target, "--size", 20, "--out", tmp_path / "c"]
    done = tsds(*asked, "--methods", "auto", "kde:neighbors=5", "dsir", "random", "random-stratified")
    assert done.returncode == 0, done.stderr
    assert "behind the best" in done.stdout and "kde:neighbors=5" in done.stdout
    written = json.loads((tmp_path / "c" / "compare.json").read_text())
    assert written["size"] == 20 and len(written["methods"]) == 5
    assert all(row["metrics"]["cost"]["low"] <= row["metrics"]["cost"]["mean"] for row in written["methods"])
    table = pq.read_table(tmp_path / "c" / "compare.parquet").to_pydict()
    assert len(table["method"]) == 25 and set(table["fold"]) == set(range(5))
    refused = tsds(*asked)
    assert refused.returncode == 2 and "--overwrite" in refused.stderr
    few = tsds(*asked[:-1], tmp_path / "d", "--folds", 31)
    assert few.returncode == 2 and "31 folds" in few.stderr
    assert not (tmp_path / "d").exists()


def test_a_stopped_comparison_goes_on(tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "p.jsonl", [{"text": t} for t in texts(600)])
    target = write_jsonl(tmp_path / "t.jsonl", [{"text": t} for t in texts(60, seed=2)])
    asked = ["compare", "--pool", pool, "--target", target, "--size", 30, "--methods", "auto", "kde", "random",
             "--draws", 3, "--json"]  # fmt: skip
    whole = tsds(*asked, "--out", tmp_path / "whole")
    process = subprocess.Popen([*COMMAND, *map(str, asked), "--out", str(tmp_path / "cut")], stdout=subprocess.DEVNULL)
    cells = tmp_path / "cut" / "cells.jsonl"
    while process.poll() is None and (not cells.exists() or cells.read_bytes().count(b"\n") < 6):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not cells.exists():
        pytest.skip("it was done before it could be killed")
    before = cells.read_bytes().count(b"\n")
    rest = tsds(*asked, "--out", tmp_path / "cut")
    assert rest.returncode == 0 and before >= 6

    def costs(out: str) -> list[float]:
        return [row["metrics"]["cost"]["mean"] for row in json.loads(out)["methods"]]

    assert costs(rest.stdout) == costs(whole.stdout)
    assert not cells.exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_comparison_tells_how_to_go_on(how: signal.Signals, tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "p.jsonl", [{"text": t} for t in texts(600)])
    target = write_jsonl(tmp_path / "t.jsonl", [{"text": t} for t in texts(60, seed=2)])
    asked = ["compare", "--pool", pool, "--target", target, "--size", 30, "--methods", "auto", "--draws", 40,
             "--out", tmp_path / "c"]  # fmt: skip
    process = subprocess.Popen(
        [*COMMAND, *map(str, asked)], stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored below a shell's `&`
    )  # fmt: skip
    cells = tmp_path / "c" / "cells.jsonl"
    while not cells.exists() or cells.read_bytes().count(b"\n") < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    kept = cells.read_bytes().count(b"\n") - 1
    told = f"tsds: interrupted; {kept} cells are kept, and the same command goes on with them"
    assert said.decode().splitlines()[-1] == told


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """A pool and a target, as files."""
    pool = write_jsonl(tmp_path / "p.jsonl", [{"text": t} for t in texts(120)])
    return pool, write_jsonl(tmp_path / "t.jsonl", [{"text": t} for t in texts(20, seed=2)])


def run(small: tuple[Path, Path], out: Path, *methods: str, stop: int | None = None, **more: Any) -> None:
    """Compare to a folder; stopped when so many cells are to be kept."""
    options = {"overwrite": more.pop("overwrite", False), "folds": more.pop("folds", 2), "draws": 1}
    settings = Settings(size=9, bandwidth=0.3, **more)
    with pytest.MonkeyPatch.context() as patch:
        if stop is not None:
            cell, made = Bench.cell, []

            def stops(self: Bench, *asked: Any) -> Cell:
                made.append(asked)
                if len(made) > stop:
                    raise KeyboardInterrupt
                return cell(self, *asked)

            patch.setattr(Bench, "cell", stops)
        compare_to(out, [small[0]], [small[1]], settings, methods or ["kde", "random"], **options)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_earlier_comparison_stays_until_another_is_made(small: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "c"
    run(small, out, seed=1)
    before = content(out)
    assert set(before) == {"compare.json", "compare.parquet"}
    with pytest.raises(InputError, match="did you mean kde"):
        run(small, out, "kdee", overwrite=True)
    assert content(out) == before
    for stop in (0, 3):
        with pytest.raises(KeyboardInterrupt, match="3 cells are kept" if stop else "nothing was written"):
            run(small, out, overwrite=True, stop=stop)
        assert content(out).items() >= before.items()
        assert ("cells.jsonl" in content(out)) == (stop > 0)
    run(small, out, overwrite=True)
    assert set(content(out)) == set(before) and content(out)["compare.json"] != before["compare.json"]


def test_the_cells_of_a_stopped_comparison_stay_until_others_are_made(small: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "c"
    with pytest.raises(KeyboardInterrupt):
        run(small, out, stop=3)
    before = content(out)
    assert set(before) == {"cells.jsonl"} and before["cells.jsonl"].count(b"\n") == 4
    with pytest.raises(InputError, match="did you mean kde"):
        run(small, out, "kdee")
    with pytest.raises(InputError, match="holds a stopped comparison of other data or settings"):
        run(small, out, seed=1)
    with pytest.raises(InputError, match="did you mean kde"):
        run(small, out, "kdee", seed=1, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        run(small, out, seed=1, overwrite=True, stop=0)
    assert content(out) == before
    with pytest.raises(KeyboardInterrupt):  # it goes on: one cell is left to be made
        run(small, out, stop=0)
    run(small, out, stop=1)
    assert set(content(out)) == {"compare.json", "compare.parquet"}


@pytest.mark.parametrize("name", ["cells.jsonl", "compare.parquet"])
def test_files_of_no_comparison_are_refused(name: str, small: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "c"
    out.mkdir()
    for line in (b'{"text": "mine"}\n', b"[1]\n", b"mine\n"):
        (out / name).write_bytes(line)
        for overwrite in (False, True):
            with pytest.raises(InputError, match=f"holds {name}, which is of no comparison"):
                run(small, out, overwrite=overwrite)
        assert content(out) == {name: line}


def test_a_stopped_comparison_does_not_go_on_with_other_data(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever of it has changed: a file of a glob or a folder, what is excluded, the vectors, the program."""
    pool, target = small
    (tmp_path / "held").mkdir()
    excluded = write_jsonl(tmp_path / "held" / "x.jsonl", [{"text": "one"}])
    vectors = {"embeddings": tmp_path / "v.npy", "target_embeddings": tmp_path / "w.npy"}
    for path, like in zip(vectors.values(), (POOL[:120], TARGETS[:20]), strict=True):
        np.save(path, like)

    def asked(folds: int = 2, **more: Any) -> str:
        settings = Settings(size=9, exclude=tmp_path / "held", **{**vectors, **more})
        return _fingerprint(begun_with([Path(f"{pool.parent}/p*.jsonl")], {"task": [target]}, settings), folds)

    changes: list[Callable[[], object]] = [
        lambda: write_jsonl(pool, [{"text": t} for t in texts(120, seed=3)]),
        lambda: write_jsonl(tmp_path / "p2.jsonl", [{"text": "one more"}]),
        lambda: write_jsonl(target, [{"text": t} for t in texts(20, seed=4)]),
        lambda: write_jsonl(excluded, [{"text": "two"}]),
        lambda: write_jsonl(excluded.with_name("y.jsonl"), [{"text": "one"}]),
        lambda: np.save(vectors["embeddings"], -POOL[:120]),
        lambda: np.save(vectors["target_embeddings"], -TARGETS[:20]),
        lambda: monkeypatch.setattr("tsds.__version__", "0"),
    ]
    found = [asked()]
    for change in changes:
        change()
        found.append(asked())
        assert asked(workers=2) == asked()  # which is not of the data
    assert len({*found, asked(folds=3), asked(seed=1)}) == len(changes) + 3


def test_scores_are_shown_beside_a_run_of_the_same_only(small: tuple[Path, Path], tmp_path: Path) -> None:
    """By --out in the folder of a run, and by `tsds report --compare`."""
    pool, target = small
    other = write_jsonl(tmp_path / "p2.jsonl", [{"text": t} for t in texts(120, seed=5)])
    mine = tmp_path / "run"
    tsds_select(str(pool), str(target), size=9).save(mine)
    run(small, mine)
    renew(mine)
    assert b'"comparison":[{"method"' in (mine / "report.html").read_bytes()
    for name, files, size, differs in (
        ("size", (pool, target), 5, "size 9 instead of 5$"),
        ("pool", (other, target), 9, "another pool$"),
        ("both", (target, pool), "7.5%", "another pool, other targets, size 9 instead of 2$"),
    ):
        out = tmp_path / name
        tsds_select(*map(str, files), size=size).save(out)
        page = (out / "report.html").read_bytes()
        told = "is not of what the run selected: " + differs.replace("$", r" \(")
        with pytest.raises(InputError, match=told):
            run(small, out, stop=0)
        with pytest.raises(InputError, match=told):
            renew(out, mine)
        assert (out / "report.html").read_bytes() == page and not (out / "compare.json").exists()
    evaluated = {"methods": [], "pool": {"used": 121}, "sizes": {"5": 5, "1%": 1}}
    (tmp_path / "evaluate.json").write_text(json.dumps(evaluated))
    with pytest.raises(InputError, match="selected: another pool \\("):
        renew(mine, tmp_path / "evaluate.json")


def test_what_is_level_with_the_best_is_marked_without_colour() -> None:
    cells = [
        Cell(name, 0, fold, np.arange(3), dict.fromkeys(MEASURES, 1.0) | {"cost": cost + fold}, {})
        for name, costs in (("one", (1.0, 1.2)), ("level", (1.3, 1.0)), ("worse", (2.0, 2.1)))
        for fold, cost in enumerate(costs)
    ]
    found = Comparison(["one", "level", "worse"], cells, 3, 2, 1, Bandwidth(0.1, ""))
    out = io.StringIO()
    print_comparison(Console(file=out, width=100), found)
    rows = {line.split()[0]: line.split()[1] for line in out.getvalue().splitlines()[2:5]}
    assert rows == {"one": "best", "level": "=", "worse": "+0.9500"} and "=: within one" in out.getvalue()


def test_changed_data_is_said(small: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    part = small[0].rename(tmp_path / "pool" / "p.jsonl")
    with pytest.raises(KeyboardInterrupt):
        run((part.parent, small[1]), tmp_path / "c", stop=1)
    write_jsonl(part, [{"text": t} for t in texts(120, seed=3)])
    with pytest.raises(InputError, match="holds a stopped comparison of other data or settings"):
        run((part.parent, small[1]), tmp_path / "c")


def test_from_python_it_takes_what_select_takes(tmp_path: Path) -> None:
    own = {"methods", "folds", "draws"}
    of_methods = {"method", "alpha", "scale", "neighbors", "effective_size", "capacity", "sampling"}
    select, here = (inspect.signature(one).parameters for one in (tsds_package.select, tsds_package.compare))
    assert set(select) - of_methods == set(here) - own
    assert all(here[name] == select[name] for name in set(here) - own)
    pool, target = texts(60), texts(20, seed=1)
    records = write_jsonl(tmp_path / "p.jsonl", [{"text": text} for text in pool])
    asked: dict[str, Any] = {"size": 5, "folds": 2, "draws": 2, "seed": 3}
    found = tsds_package.compare(pool, {"a": target[::2], "b": target[1::2]}, methods=["kde", "random"], **asked)
    again = tsds_package.compare(records, {"a": target[::2], "b": target[1::2]}, methods=["kde", "random"], **asked)
    assert len(found.cells) == 2 * 2 * 2 and set(found.names) == {"kde", "random"}
    assert [cell.rows.tolist() for cell in found.cells] == [cell.rows.tolist() for cell in again.cells]
    assert found.table()[0]["method"] == found.best and found.behind(found.best).mean == 0
    assert tsds_package.compare(POOL, TARGETS, size=5, methods="random").names == ["random"]
    with pytest.raises(InputError, match="unknown method"):
        tsds_package.compare(pool, target, methods=["kd"], **asked)


def test_a_stopped_comparison_does_not_go_on_with_an_encoder_that_has_changed(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = tmp_path / "compared_encoder.py"
    code.write_text("import numpy as np\ndef f(texts):\n    return np.array([[len(t), t.count('a')] for t in texts])\n")
    with pytest.raises(KeyboardInterrupt):
        run(small, tmp_path / "c", stop=1, encoder="python:compared_encoder:f")
    with pytest.raises(KeyboardInterrupt):
        run(small, tmp_path / "c", stop=0, encoder="python:compared_encoder:f")
    code.write_text(code.read_text().replace("'a'", "'b'"))
    with pytest.raises(InputError, match="holds a stopped comparison of other data or settings"):
        run(small, tmp_path / "c", encoder="python:compared_encoder:f")
