"""A grid of cells: pairs, equal tokens, conditions, results; one that is killed goes on; bad input is one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")

from safetensors.torch import load_file, save_file

import tsds
from tests.command import run
from tests.evaluate import small
from tsds.errors import InputError, MissingExtra
from tsds.evaluate import decoder, instruction, presets, pretraining
from tsds.evaluate.asked import asked_for
from tsds.evaluate.bases import digest_of
from tsds.evaluate.causal import CausalModel
from tsds.evaluate.cells import Place
from tsds.evaluate.data import Data, read, read_tests
from tsds.evaluate.experiment import Diet, train_on
from tsds.evaluate.grid import look_at
from tsds.evaluate.presets import preset_of, rate_of, tuning_of
from tsds.evaluate.running import evaluate
from tsds.evaluate.settings import Condition, Grid, Training
from tsds.evaluate.training import precision_of
from tsds.records.dialogue import Dialogue, Turn
from tsds.report.evaluation import estimate_lines
from tsds.report.saved import renew
from tsds.stages import Stages


def test_tokens_are_equal_and_pairs_are_paired(tmp_path: Path) -> None:
    found = small.pretrained(tmp_path, "out", equal=("tokens", "examples"))
    tokens, examples = found.tables
    trained = {m: tokens.of(m, "tokens") for m in small.METHODS if m != "none"}
    assert len({value for by in trained.values() for value in by.values()}) == 1
    assert len({value for m in trained for value in tokens.of(m, "steps").values()}) == 1
    assert tokens.of("none", "tokens") == {0: 0.0, 1: 0.0}
    assert len(set(examples.of("random", "tokens").values())) == 2  # as long as the texts are
    assert all(set(tokens.of(m, "score")) == {0, 1} for m in small.METHODS)
    gap = found.paired(tokens, "auto", "random")
    scores = tokens.of("auto", "score"), tokens.of("random", "score")
    assert gap is not None and gap.pairs == 2
    assert gap.mean == pytest.approx(np.mean([scores[0][s] - scores[1][s] for s in (0, 1)]))
    assert tokens.of("none", "score") == examples.of("none", "score")  # one cell serves both tables

    written = json.loads((tmp_path / "out" / "evaluate.json").read_text())
    assert written["primary"] == "score" and len(written["tables"]) == 2
    assert written["records"][0]["against"] == "random"
    page = (tmp_path / "out" / "evaluate.md").read_text()
    assert "### near, 10%, equal tokens, 2 seeds" in page
    assert [line for line in page.splitlines() if "Over all" in line] == [
        "### Over all: F1", "### Over all: masked loss"
    ]  # fmt: skip
    assert f"| auto | {np.mean(list(scores[0].values())):.4f} [" in page
    assert f" {gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]" in page.replace("**", "")
    table = pq.read_table(tmp_path / "out" / "evaluate.parquet").to_pydict()
    assert len(table["method"]) == 2 * 2 * len(small.METHODS) and "leaks" in table
    assert (tmp_path / "out" / "evaluate.svg").stat().st_size > 1000
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").rglob("*.json")}
    more = small.pretrained(tmp_path, "out", equal=("tokens",), seeds=3)
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())  # a grid may grow
    assert set(more.tables[0].of("auto", "score")) == {0, 1, 2}
    few = small.pretrained(
        tmp_path, "out", equal=("tokens",), seeds=1, methods=("auto",)
    )  # the tables are of all cells
    assert few.methods[0] == "auto" and {*few.methods} == {*small.METHODS}
    for old, new in zip(more.tables, few.tables, strict=True):
        assert old.title == new.title and all(old.of(m, "score") == new.of(m, "score") for m in small.METHODS)
    assert len(pq.read_table(tmp_path / "out" / "evaluate.parquet")) == (3 + 2) * len(small.METHODS)
    own = precision_of("auto", "cpu")
    other = {"float32": "bfloat16", "bfloat16": "float32"}[own]
    for wrong, message in (
        ({"epochs": 3.0}, r"another training epochs: 20.0, not 3.0 \(choose another --out\)$"),
        ({"examples": 9}, r"another examples: 20, not 9 \(choose"),
        ({"precision": other}, rf"precision: {own}, not {other} \(--precision {own} goes on with it; else choose"),
    ):
        with pytest.raises(InputError, match=message):
            small.pretrained(tmp_path, "out", **wrong)


@pytest.mark.parametrize("classifier", ["probe", "finetuned"])
def test_a_cell_that_diverged_counts_as_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classifier: str
) -> None:
    """The grid goes on, its tables and its plot are written, and the cell says what was no number."""

    def diverging(model: Any, diet: Diet | None, *rest: Any) -> dict[str, float]:
        values = train_on(model, diet, *rest)
        for p in model.module.parameters() if diet is not None else ():
            p.data.fill_(np.nan)
        return values if diet is None else values | {"loss_last": np.nan}

    monkeypatch.setattr(pretraining, "train_on", diverging)
    methods = ("none", "random", "in-domain")
    given: dict[str, Any] = {"methods": methods, "seeds": 1, "epochs": 1.0, "classifier": classifier}
    found = small.pretrained(tmp_path, "out", **given)
    (table,) = found.tables
    for name in ("score", "macro_f1", "masked_loss", "loss_last"):
        assert table.of("random", name) == {}
    assert table.of("none", "score") and table.of("random", "tokens")
    (cell,) = (json.loads(path.read_text()) for path in (tmp_path / "out" / "cells").rglob("random/0.json"))
    assert cell["values"]["score"] is None and cell["values"]["masked_loss"] is None
    assert "| random | not measured |" in (tmp_path / "out" / "evaluate.md").read_text()
    assert (tmp_path / "out" / "evaluate.svg").stat().st_size > 1000
    assert small.pretrained(tmp_path, "out", **given).tables == found.tables  # and is not made again


def test_workers_of_ray_find_what_one_process_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.chdir(tmp_path)  # paths may be relative to where the command was given
    methods = ("none", "random", "auto")
    given: dict[str, Any] = {"methods": methods, "seeds": 1, "epochs": 2.0}
    here = small.pretrained(tmp_path, "here", **given)
    there = small.pretrained(Path(), "there", engine="ray", workers=2, **given)
    for method in methods:
        for name in ("score", "tokens", "steps", "distinct", *(() if method == "none" else ("loss_last",))):
            assert there.tables[0].of(method, name) == here.tables[0].of(method, name), (method, name)
    with pytest.raises(InputError, match="no Ray cluster answers"):
        small.pretrained(Path(), "nowhere", methods=methods, engine="ray:127.0.0.1:1")
    assert not (tmp_path / "nowhere").exists()


def test_a_look_at_the_pool_holds_no_more_than_two_sources(tmp_path: Path) -> None:
    pool = run.write_jsonl(tmp_path / "p.jsonl", [{"text": f"t {i}", "source": f"{i:0600}"} for i in range(30_000)])
    look_at(pool, 10)  # what is imported at the first time is not counted
    tracemalloc.start()
    try:
        assert look_at(pool, 10).grouped
        assert tracemalloc.get_traced_memory()[1] < 19e6  # the names of all are 18 MB, what is read at once 14 MB
    finally:
        tracemalloc.stop()


def test_an_estimate_divides_by_the_trainings_that_run_at_once(tmp_path: Path) -> None:
    data, model = Data.of_folder(small.domain(tmp_path / "d")), str(small.masked(tmp_path / "m"))
    preset = preset_of("pretraining", True, {"methods": ("full", "random"), "sizes": ("10%",), "seeds": 1})
    asked = asked_for("pretraining", model, preset, "auto", "cpu", data, look_at(data.pool, 50), tmp_path / "o")
    plan = asked.evaluation(Stages()).estimate(16)
    assert plan["cells"] == 4  # of two trainings
    assert plan["seconds"] == pytest.approx((plan["tokens"] + plan["beside"]) / 2 / plan["speed"])


def test_tokens_stay_equal_when_a_grid_of_a_decoder_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate reads with a tokenizer of a few texts, the cells with that of the base."""
    monkeypatch.setattr(instruction, "_FEW", 3)
    monkeypatch.setitem(
        decoder.SHAPES, "decoder-5m", decoder.Shape(vocabulary=300, width=16, inner=16, layers=1, heads=2)
    )
    data = Data.of_folder(small.chats(tmp_path / "d"))
    asked: dict[str, Any] = {
        "quick": True, "methods": ("random",), "sizes": ("50%",), "epochs": 20.0, "base_steps": 2, "device": "cpu"
    }  # fmt: skip
    out = tmp_path / "decoder-5m"  # called as the default model is, in the folder that the command is given in
    monkeypatch.chdir(tmp_path)
    evaluate("instruction", data, out, seeds=1, **asked)
    found = evaluate("instruction", data, out, seeds=2, **asked)
    assert found is not None and len(set(found.tables[0].of("random", "tokens").values())) == 1
    for path in (tmp_path / "bases").rglob("model.safetensors"):  # as if it had been made on another machine
        save_file({name: x + 1e-6 for name, x in load_file(path).items()}, path, {"format": "pt"})
    with pytest.raises(InputError, match=r"start from another base than the one here \(let all machines use the same"):
        evaluate("instruction", data, out, seeds=3, **asked)
    monkeypatch.setattr(tsds, "__version__", "0.0.1")
    with pytest.raises(InputError, match=r"another tsds version: \S+, not 0.0.1 \(choose another --out\)"):
        evaluate("instruction", data, out, seeds=3, **asked)


def test_a_chat_has_another_digest_than_its_text() -> None:
    chat = Dialogue([Turn("user", "wave ?"), Turn("assistant", "salt")])
    other = Dialogue([Turn("user", "wave ?"), Turn("tool", "salt")])
    assert len({digest_of(texts) for texts in ([chat], [str(chat)], [other], [chat, chat], [chat, str(chat)])}) == 5


def test_names_that_look_alike_are_cells_of_their_own() -> None:
    places = [Place(name, "plain", "1%", "tokens", "kde:alpha=0.5", 0) for name in ("a b", "a_b", "a/b", "a:b", "ä")]
    names = {place.name for place in places}
    assert len(names) == 5
    assert all(len(Path(name).parts) == 6 for name in names)


def test_a_test_set_is_not_taken_from_its_top(tmp_path: Path) -> None:
    small.lines(tmp_path / "t.jsonl", [{"text": f"{task} {i}", "label": task} for task in "abcd" for i in range(50)])
    small.lines(tmp_path / "n.jsonl", [{"text": "t", "label": label} for label in (1, 1.0, "1", 1.5, True)])
    assert [one.label for one in read(tmp_path / "n.jsonl", "n")] == ["1", "1", "1", "1.5", "True"]
    some = read_tests(tmp_path / "t.jsonl", "t", 40)
    assert some == read_tests(tmp_path / "t.jsonl", "t")[:40]
    assert {one.label for one in some} == set("abcd")
    assert [read(tmp_path / "t.jsonl", "t")[one.row] for one in some] == some


def test_a_killed_grid_goes_on(tmp_path: Path) -> None:
    small.causal(tmp_path / "m")
    small.chats(tmp_path / "d")
    out, methods = tmp_path / "cut", ["none", "random", "auto"]
    asked = [
        "evaluate", "instruction", "--data", tmp_path / "d", "--model", tmp_path / "m", "--quick", "--sizes", "10%",
        "--methods", *methods, "--seeds", "3", "--epochs", "30", "--rate", "0.005", "--examples", "20", "--out", out,
    ]  # fmt: skip
    process = subprocess.Popen(
        [*run.COMMAND, *map(str, asked)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    while process.poll() is None and len(list(out.glob("cells/**/*.json"))) < 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in out.glob("cells/**/*.json")}
    if len(before) == 9:
        pytest.skip("it was done before it could be killed")
    assert not (out / "evaluate.json").exists()
    rest = run.tsds(*asked)
    assert rest.returncode == 0, rest.stderr
    assert len(before) >= 2 and all(path.stat().st_mtime_ns == then for path, then in before.items())
    assert f"9 cells, {len(before)} done" in rest.stderr
    assert "answer loss" in rest.stdout and "Over all targets and sizes" in rest.stdout
    whole = evaluate(
        "instruction", Data.of_folder(tmp_path / "d"), tmp_path / "whole", model=str(tmp_path / "m"), quick=True,
        sizes=("10%",), methods=tuple(methods), seeds=3, epochs=30.0, rate=0.005, examples=20,
    )  # fmt: skip
    assert whole is not None
    for name in ("loss", "exact_match", "tokens"):
        values = [pq.read_table(p / "evaluate.parquet").to_pydict()[name] for p in (out, tmp_path / "whole")]
        assert values[0] == values[1]
    table = whole.tables[0]
    lengths = {name: table.of("auto", name)[0] for name in ("reply_tokens", "test_reply_tokens", "text_tokens")}
    assert lengths["reply_tokens"] == lengths["test_reply_tokens"] < lengths["text_tokens"]  # all answers are alike
    row = pq.read_table(out / "evaluate.parquet").to_pylist()[-1]
    assert row["method"] == "auto" and row["trained_tokens"] % 1 == 0  # counted as they were trained on
    share = row["trained_tokens"] / row["tokens"]
    assert share == pytest.approx(row["reply_tokens"] / row["text_tokens"], rel=0.1)
    loss = [table.interval(name, "loss") for name in ("auto", "none")]
    assert loss[0] is not None and loss[1] is not None and loss[0].mean < loss[1].mean


def test_parts_make_the_whole(tmp_path: Path) -> None:
    small.causal(tmp_path / "m")
    data = Data.of_folder(small.chats(tmp_path / "d"))
    for path in (tmp_path / "d").rglob("*.jsonl"):  # ids are not read: they may repeat
        small.lines(path, [{**json.loads(line), "id": 0} for line in path.read_text().splitlines()])
    given = {"model": str(tmp_path / "m"), "quick": True, "methods": ("none", "random"), "sizes": ("10%",),
             "device": "cpu", "epochs": 2.0}  # fmt: skip
    first = evaluate("instruction", data, tmp_path / "o", part=(1, 2), **given)
    assert first is not None and sum(len(t.of("random", "loss")) for t in first.tables) < 2
    second = evaluate("instruction", data, tmp_path / "o", part=(2, 2), **given)
    assert second is not None and set(second.tables[0].of("random", "loss")) == {0, 1}
    plans: list[dict[str, Any]] = []
    assert evaluate("instruction", data, tmp_path / "o", dry_run=True, told=plans.append, **given) is None
    assert plans[0]["cells"] == plans[0]["done"] == 4 and "nats" in plans[0]["primary"]
    given |= {"seeds": 3, "dry_run": True, "told": plans.append}
    for count in (15, 20):  # of thirty
        evaluate("instruction", data, tmp_path / f"{count}", examples=count, **given)
    assert plans[1]["notes"] == [] and "every seed draws 20 of 30 examples of sea" in estimate_lines(plans[2])[-1]


def test_a_report_shows_an_evaluation(tmp_path: Path) -> None:
    small.pretrained(tmp_path, "out", methods=("random", "auto"), epochs=1.0)
    pool, target = tmp_path / "d" / "pool.jsonl", tmp_path / "d" / "targets" / "near" / "train.jsonl"
    tsds.select(pool, target, size=10).save(tmp_path / "run")
    renew(tmp_path / "run", tmp_path / "out")
    assert "near, 10%, equal tokens: F1" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"conditions": ("skew",)}, "unknown condition"),
        ({"conditions": ("skewed:1%x2",)}, "unknown condition"),
        ({"conditions": ("near-duplicates:1.2.3%x5",)}, "unknown condition"),
        ({"conditions": ("near-duplicates:0%x5",)}, "adds no copies"),
        ({"conditions": ("near-duplicates:200%x5",)}, "adds no copies"),
        ({"conditions": ("near-duplicates:1%x0",)}, "adds no copies"),
        ({"sizes": ("200k-tokens",)}, "is in tokens"),
        ({"methods": ("random", "random")}, "twice"),
        ({"methods": ("randon",)}, "did you mean random"),
        ({"methods": ("random-source:as=randon",)}, "did you mean random"),
        ({"methods": ("random-length:as=none",)}, "unknown method"),
        ({"methods": ("random-source",)}, "unknown method"),
        ({"equal": ("steps",)}, "tokens, examples"),
        ({"seeds": 0}, "seeds is 0"),
        ({"test_rows": 0}, "test-rows is 0"),
    ],
)
def test_wrong_grids_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Grid("pretraining", **wrong)


def test_what_is_asked_for_replaces_the_preset() -> None:
    asked = {"base_steps": 500, "base_rate": 2e-4, "rate": 3e-4, "epochs": 2.0, "classifier": "finetuned", "seeds": 3}
    preset = preset_of("pretraining", True, dict(asked))
    assert (preset.settling.head_steps, preset.settling.steps, preset.settling.rate) == (150, 500, 2e-4)
    assert (preset.training.rate, preset.training.epochs, preset.grid.seeds) == (3e-4, 2.0, 3)
    assert preset.finetuning.classifier == "finetuned"
    quick = preset_of("pretraining", True, {})
    assert quick.finetuning.classifier == "probe" and quick.settling.steps == 75
    for wrong, message in (
        ({"base_steps": 0}, "base-steps is 0"),
        ({"base_rate": -1.0}, "base-rate is -1"),
        ({"classifier": "prob"}, "did you mean probe"),
    ):
        with pytest.raises(InputError, match=message):
            preset_of("pretraining", True, wrong)


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tsds.embeddings.encoders import models

    monkeypatch.setattr(models, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[evaluate\]' in a clone"):
        evaluate("instruction", Data.of_folder(small.chats(tmp_path / "d")), tmp_path / "o")


@pytest.mark.parametrize("wrong", [{"text": "no chat"}, {"messages": [{"role": "user", "content": "2 + 2 ?"}]}])
def test_a_question_without_an_answer_is_no_test(tmp_path: Path, wrong: dict[str, Any]) -> None:
    folder, given = small.chats(tmp_path / "d"), {"model": str(small.causal(tmp_path / "m")), "quick": True}
    path = folder / "targets" / "sea" / "test.jsonl"
    whole = path.read_text()
    path.write_text(whole + json.dumps({**wrong, "answer": "4"}) + "\n")
    with pytest.raises(InputError, match=r"test.jsonl, row 30: no chat that ends with an answer"):
        evaluate("instruction", Data.of_folder(folder), tmp_path / "o", methods=("none",), **given)
    assert not (tmp_path / "o").exists()
    path.write_text(whole)
    assert evaluate("instruction", Data.of_folder(folder), tmp_path / "o", methods=("none",), **given) is not None


def test_how_a_model_is_trained_follows_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(small.causal(tmp_path / "m"))
    assert presets.weights_of(Path(folder)) == CausalModel(Path(folder), "cpu", "full", 40).size
    assert tuning_of(folder, "auto") == "full" and rate_of(folder, "full") == 2e-5
    monkeypatch.setattr(presets, "FULL_UP_TO", 1000)
    assert tuning_of(folder, "auto") == "lora" and rate_of(folder, "lora") == 2e-4
    assert tuning_of("decoder-5m", "auto") == "full" and rate_of("decoder-5m", "full") == 5e-4
    for model, asked, message in (("decoder-5m", "lora", "is trained whole"), (folder, "some", "auto, full or lora")):
        with pytest.raises(InputError, match=message):
            tuning_of(model, asked)


def test_wrong_data_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rate is 0"):
        Training(epochs=1, rate=0, step_tokens=1, longest=1)
    assert Condition.parse("near-duplicates:0.1%x100").times == 100
    folder = small.domain(tmp_path / "d")
    small.masked(tmp_path / "m")
    with pytest.raises(InputError, match="did you mean near"):
        Data.of_folder(folder).only(["nere"])
    with pytest.raises(InputError, match="no such folder"):
        Data.of_folder(tmp_path / "nowhere")
    one = Data.of_folder(folder)
    with pytest.raises(InputError, match="second target"):
        evaluate(
            "pretraining", Data(one.pool, {"near": one.targets["near"]}, {"near": one.targets["near"]}),
            tmp_path / "o", model=str(tmp_path / "m"), conditions=("skewed",), quick=True,
        )  # fmt: skip
    train, test = folder / "targets" / "near" / "train.jsonl", folder / "targets" / "near" / "test.jsonl"
    before = test.read_text()
    test.write_text(before.replace('"label": "s', '"label": "S'))
    with pytest.raises(InputError, match=r"test.jsonl: its labels are Sea, Sky, those of the examples sea, sky \(name"):
        small.pretrained(tmp_path, "o", methods=("none",))
    test.write_text(before)
    train.write_text('{"text": "no label here"}\n')
    with pytest.raises(InputError, match=r"train.jsonl, row 0: the record has no label"):
        small.pretrained(tmp_path, "o", methods=("none",))
    assert not (tmp_path / "o").exists()  # and the mended file is no other evaluation
    (folder / "targets" / ".ipynb_checkpoints").mkdir()
    assert set(Data.of_folder(folder).every) == {"near", "far"}
    for name in (".", ".."):
        with pytest.raises(InputError, match=f"the target's name '{name}' is a way to a folder"):
            Data.of_files(one.pool, {name: one.pool}, {name: one.pool})
    (folder / "pool.csv").write_text("text\na\n")
    with pytest.raises(InputError, match="is there twice"):
        Data.of_folder(folder)
    (folder / "targets" / "far" / "test.jsonl").unlink()
    (folder / "pool.csv").unlink()
    for arguments, message in (
        (["--data", folder], "holds no test"),
        ([], "no data is given"),
        (["--data", folder, "--pool", folder / "pool.jsonl"], "exclude each other"),
        (["--pool", folder / "pool.jsonl", "--target", "a.jsonl", "--test", "b.jsonl"], "has no name"),
        (["--data", folder, "--part", "3/2"], "--part is '3/2'"),
    ):
        done = run.tsds("evaluate", "pretraining", *arguments, "--out", tmp_path / "x")
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "x").exists()
