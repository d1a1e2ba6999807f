"""What the arms of a grid are trained on: draws, conditions, what selects nothing, what is like a selection."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.evaluate import small
from tsds.comparing.cells import Bench
from tsds.errors import InputError
from tsds.evaluate import diets, pretraining
from tsds.evaluate.arms import references_of
from tsds.evaluate.cells import Place
from tsds.evaluate.data import Data, read
from tsds.evaluate.diets import Diets
from tsds.evaluate.experiment import Diet, Fed, train_on
from tsds.evaluate.matched import alike
from tsds.evaluate.selecting import Selector, drawn_examples
from tsds.evaluate.settings import Condition, Grid, Training
from tsds.records import Pool
from tsds.stages import Stages


def test_what_does_not_look_at_the_target_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random texts are the same for two targets: one model is measured on both, and finds what two models find."""
    methods = ("none", "full", "random", "auto")
    given: dict[str, Any] = {"methods": methods, "seeds": 1, "conditions": ("plain", "skewed"), "epochs": 2.0}
    plans: list[dict[str, Any]] = []
    given["told"] = plans.append
    alone = small.pretrained(tmp_path, "alone", targets=("far",), **given)
    trainings: list[Diet | None] = []

    def counted(*args: Any) -> dict[str, float]:
        trainings.append(args[1])
        return train_on(*args)

    monkeypatch.setattr(pretraining, "train_on", counted)
    reads: list[Pool] = []

    class Counted(Pool):
        def texts_at(self, rows: Any) -> list[str]:
            reads.append(self)
            return super().texts_at(rows)

    monkeypatch.setattr(diets, "Pool", Counted)
    both = small.pretrained(tmp_path, "both", targets=("near", "far"), **given)
    assert plans[1]["cells"] == 2 * (1 + 1 + 2 + 2)
    assert trainings.count(None) == 1 and len(trainings) == 1 + 1 + 1 + 4  # of auto one for each target and condition
    assert plans[1]["tokens"] * 4 == plans[0]["tokens"] * 6  # full, random, and auto twice or four times
    for own in alone.tables:
        table = next(t for t in both.tables if t.title == own.title)
        for method in methods:
            for name in ("score", "masked_loss", "tokens"):
                assert table.of(method, name) == own.of(method, name) != {}, (table.title, method, name)
    assert len(reads) == 1 + 1 + 4 and len({id(pool) for pool in reads}) == 1  # a training's texts are read once
    chosen = tmp_path / "both" / "selections" / "far" / "plain" / "10%" / "-" / "random" / "0.json"
    rows = json.loads(chosen.read_text())
    chosen.write_text(json.dumps({**rows, "rows": list(range(24))}))  # as if it had been another for this target
    for path in (tmp_path / "both" / "cells").rglob("random/0.json"):
        path.unlink()
    given |= {"methods": ("random",), "conditions": ("plain",)}
    small.pretrained(tmp_path, "both", targets=("near", "far"), **given)
    assert len(reads) == 6 + 2 and len(trainings) == 7 + 2  # then each target has its own
    other = Diet(["salt wave"], np.ones(1, np.int64), tokens=128)
    fed, losses = Fed(), iter((1.0, 2.0, 3.0))
    found = [fed.on(other, seed, lambda: {"loss": next(losses)})["loss"] for seed in (0, 0, 1)]
    assert found == [1.0, 1.0, 2.0]
    with pytest.raises(ZeroDivisionError):
        fed.on(None, 1, lambda: {"loss": 1 / 0})
    assert fed.on(other, 1, lambda: {"loss": next(losses)})["loss"] == 3.0  # the weights are nobody's after that


def test_draws_are_the_same_for_all_methods_and_differ_by_seed() -> None:
    assert drawn_examples(100, 10, 3).tolist() == drawn_examples(100, 10, 3).tolist()
    assert drawn_examples(100, 10, 3).tolist() != drawn_examples(100, 10, 4).tolist()
    assert drawn_examples(5, 10, 0).tolist() == [0, 1, 2, 3, 4]


def test_conditions_change_what_is_selected(tmp_path: Path) -> None:
    given: dict[str, Any] = {"methods": ("in-domain", "round-robin"), "seeds": 1, "epochs": 1.0,
             "conditions": ("plain", "skewed", "near-duplicates:5%x20"), "targets": ("near", "far")}  # fmt: skip
    plans: list[dict[str, Any]] = []
    found = small.pretrained(tmp_path, "out", told=plans.append, **given)
    assert plans[0]["notes"] == ["skewed draws are of near with far's, of far with near's"]
    assert [table.condition for table in found.tables[:3]] == ["plain", "skewed", "near-duplicates:5%x20"]
    out = tmp_path / "out" / "selections" / "near"
    taken = {path.parts[-5]: json.loads(path.read_text()) for path in out.rglob("round-robin/0.json")}
    assert all(sum(one["counts"]) == 24 for one in taken.values())  # ten percent of the pool without copies
    assert max(taken["near-duplicates%3A5%x20"]["rows"]) >= 240 > max(taken["plain"]["rows"])
    sources = [json.loads(line)["source"] for line in (tmp_path / "d" / "pool.jsonl").read_text().splitlines()]
    farm = {name: np.mean([sources[row] == "farm" for row in taken[name]["rows"]]) for name in ("plain", "skewed")}
    assert farm["plain"] == 0 and farm["skewed"] > 0.2  # four fifths of the examples are of the other target
    targets = tmp_path / "d" / "targets"
    shutil.copytree(targets / "near", targets / "nearest")  # the next of near from now on
    with pytest.raises(InputError, match="another partner in the skewed condition for near"):
        small.pretrained(tmp_path, "out", **given)


def test_arms_without_a_selection_eat_what_the_others_may(tmp_path: Path) -> None:
    """The whole pool has the copies too, and the target's own texts are no more than what is selected."""
    folder = small.domain(tmp_path / "d")
    condition, rows = Condition.parse("near-duplicates:5%x20"), np.arange(240)
    training = Training(epochs=2, rate=1, step_tokens=64, longest=40)
    diets = Diets(
        Data.of_folder(folder), rows, {"10%": 24}, {condition.name: condition}, training, tmp_path / "pools"
    )  # fmt: skip

    def fed(method: str, equal: str, where: str = "") -> Diet:
        found = diets.unselected(Place("near", where, "10%", equal, method, 0).own, 10.0)
        assert found is not None
        return found

    assert len(fed("full-epoch", "tokens").texts) == 240
    whole = fed("full-epoch", "tokens", condition.name)
    assert len(whole.texts) == 240 + 12 * 20 and whole.tokens == 480 * 10
    assert len(fed("in-domain", "tokens").texts) == 60
    assert len(fed("in-domain", "examples").texts) == 24 and fed("in-domain", "examples").passes == 2
    assert len(fed("full", "examples").texts) == 48 and fed("full", "examples").passes == 1
    assert fed("full", "examples").whole == 240 * 10 and fed("full-epoch", "tokens").whole is None


def test_overlap_with_the_test_set_is_counted(tmp_path: Path) -> None:
    folder = small.domain(tmp_path / "d")
    test = (folder / "targets" / "near" / "test.jsonl").read_text().splitlines()
    with (folder / "pool.jsonl").open("a") as file:
        file.writelines(json.dumps({"text": json.loads(line)["text"], "source": "sea"}) + "\n" for line in test[:3])
    data = Data.of_folder(folder)
    own, tests = (read(path, "near") for path in (data.targets["near"].examples, data.targets["near"].test))
    selector = Selector([data.pool], own, None, 20, [one.text for one in tests], "hash", Stages())
    every = selector.select(Grid("pretraining", methods=("random",)).chosen["random"], 240, 0)
    leaked = {json.loads(line)["text"] for line in test}
    texts = [json.loads(line)["text"] for line in (folder / "pool.jsonl").read_text().splitlines()]
    selector.close()
    assert every.leaks >= sum(texts[row] in leaked for row in every.rows) > 0


@pytest.mark.parametrize("like", ["source", "length", "source-length"])
def test_random_candidates_are_like_a_selection(like: str) -> None:
    rng = np.random.default_rng(0)
    tokens, group = rng.integers(1, 20, 5000), rng.integers(-1, 4, 5000).astype(np.int32)
    weight = tokens.astype(float) ** 3 * (group != 2)  # long ones, of all sources but one
    rows = np.sort(rng.choice(5000, 300, replace=False, p=weight / weight.sum()))
    found, counts = alike(tokens, group, rows, np.ones(300, np.int64), like, rng)
    assert len(found) == 300 and counts.max() == 1 and (np.diff(found) > 0).all()
    assert len(np.intersect1d(found, rows)) < 60  # others than those that were selected
    sources = [np.bincount(group[some] + 1, minlength=5).tolist() for some in (rows, found)]
    assert (sources[0] == sources[1]) == ("source" in like)
    lengths = [np.sort(tokens[some]).tolist() for some in (rows, found)]
    assert (lengths[0] == lengths[1]) == ("length" in like)  # there are enough of each
    if like == "source":
        assert abs(tokens[found].mean() - tokens[group != 2].mean()) < 1
    again = alike(tokens, group, rows, np.ones(300, np.int64), like, np.random.default_rng(5))[0]
    assert again.tolist() != found.tolist()


@pytest.mark.parametrize("like", ["source", "source-length"])
def test_a_source_that_is_too_small_goes_round(like: str) -> None:
    """A selection that repeats four of a source's six records seven times each: all six, four or five times."""
    group = np.repeat(np.array([0, 1], np.int32), [6, 50])
    rows, counts = np.array([0, 1, 2, 3, 20]), np.array([7, 7, 7, 7, 2])
    found, times = alike(np.arange(56), group, rows, counts, like, np.random.default_rng(1))
    assert found[:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert times[:6].sum() == 28 and set(times[:6].tolist()) == {4, 5}
    assert (found[6:] >= 6).all() and times[6:].tolist() == [1, 1]


def test_a_grid_has_random_arms_like_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    select, made = Bench.select, []

    def counted(bench: Bench, settings: Any, *rest: Any) -> Any:
        made.append(settings.method)
        return select(bench, settings, *rest)

    monkeypatch.setattr(Bench, "select", counted)
    methods = ("random", "round-robin", "random-source:as=round-robin", "random-length:as=round-robin")
    found = small.pretrained(tmp_path, "out", methods=methods, seeds=1, epochs=1.0)
    assert made == ["random", "round-robin"]  # once for all arms that are like it
    assert found.references == ["random", "round-robin", *methods[2:]]
    pairs = {(row["method"], row["against"]) for row in found.records()}
    assert ("round-robin", "random-source:as=round-robin") in pairs
    records = [json.loads(line) for line in (tmp_path / "d" / "pool.jsonl").read_text().splitlines()]
    folder = tmp_path / "out" / "selections" / "near" / "plain" / "10%" / "-"
    taken = {
        name: [records[row] for row in json.loads((folder / quote(name, safe="=") / "0.json").read_text())["rows"]]
        for name in methods
    }
    sources = {name: Counter(one["source"] for one in some) for name, some in taken.items()}
    assert sources["random-source:as=round-robin"] == sources["round-robin"] != sources["random"]
    assert taken["random-source:as=round-robin"] != taken["round-robin"]
    assert references_of(["auto", "random-length:as=balanced:neighbors=8"]) == ["random-length:as=balanced:neighbors=8"]
    small.lines(tmp_path / "d" / "pool.jsonl", [{"text": one["text"]} for one in records])
    with pytest.raises(InputError, match="random-source:as=round-robin needs a pool of several sources"):
        small.pretrained(tmp_path, "other", methods=methods, seeds=1, epochs=1.0)
