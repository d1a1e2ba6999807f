"""`tsds evaluate pretraining` and `tsds evaluate instruction`: arguments to one call."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from tsds import options as opt
from tsds.arguments import command_line
from tsds.errors import InputError
from tsds.interrupts import if_interrupted
from tsds.screen import Screen

evaluate_app = typer.Typer(
    no_args_is_help=True, help="Train models on what each method selects, and measure whether they get better."
)


@evaluate_app.command()
def pretraining(
    out: opt.EvaluationOut,
    data: opt.Data = None,
    pool: opt.OnePool = None,
    target: opt.NamedTargets = None,
    test: opt.NamedTests = None,
    model: opt.Model = None,
    targets: opt.TargetNames = None,
    methods: opt.Arms = None,
    sizes: opt.Sizes = None,
    seeds: opt.Seeds = None,
    conditions: opt.Conditions = None,
    equal: opt.Equal = None,
    examples: opt.Examples = None,
    test_rows: opt.TestRows = None,
    epochs: opt.Epochs = None,
    rate: opt.Rate = None,
    base_steps: opt.BaseSteps = None,
    base_rate: opt.BaseRate = None,
    classifier: opt.Classifier = None,
    encoder: opt.Encoder = "hash",
    device: opt.Device = "auto",
    precision: opt.TrainingPrecision = "auto",
    quick: opt.Quick = False,
    part: opt.Part = "1/1",
    engine: opt.CellEngine = "local",
    workers: opt.Workers = None,
    dry_run: opt.DryRun = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Continue masked-LM training on what is selected, finetune a classifier on the target's labels, measure its F1."""
    _evaluate("pretraining", locals())


@evaluate_app.command()
def instruction(
    out: opt.EvaluationOut,
    data: opt.Data = None,
    pool: opt.OnePool = None,
    target: opt.NamedTargets = None,
    test: opt.NamedTests = None,
    model: opt.Model = None,
    targets: opt.TargetNames = None,
    methods: opt.Arms = None,
    sizes: opt.Sizes = None,
    seeds: opt.Seeds = None,
    conditions: opt.Conditions = None,
    equal: opt.Equal = None,
    examples: opt.Examples = None,
    test_rows: opt.TestRows = None,
    epochs: opt.Epochs = None,
    rate: opt.Rate = None,
    base_steps: opt.BaseSteps = None,
    base_rate: opt.BaseRate = None,
    tuning: opt.Tuning = "auto",
    encoder: opt.Encoder = "hash",
    device: opt.Device = "auto",
    precision: opt.TrainingPrecision = "auto",
    quick: opt.Quick = False,
    part: opt.Part = "1/1",
    engine: opt.CellEngine = "local",
    workers: opt.Workers = None,
    dry_run: opt.DryRun = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Finetune a language model on the chats that are selected, measure its loss and its answers on the test set."""
    _evaluate("instruction", locals())


def _evaluate(kind: Any, given: dict[str, Any]) -> None:
    screen = Screen(json=given["json"], quiet=given["quiet"])
    grid = {name: _values(given[name]) for name in ("targets", "methods", "sizes", "conditions", "equal")}
    alone = ("seeds", "examples", "test_rows", "epochs", "rate", "base_steps", "base_rate", "classifier", "encoder")
    grid |= {name: given[name] for name in alone if name in given}
    part = _part(given["part"])
    data = _data(given)
    from tsds.evaluate.running import evaluate

    left = "nothing was written" if given["dry_run"] else "the same command goes on with the cells that are kept"
    with if_interrupted(left), screen.progress() as listener:
        found = evaluate(
            kind, data, given["out"], model=given["model"], quick=given["quick"], tuning=given.get("tuning", "auto"),
            device=given["device"], precision=given["precision"], part=part, engine=given["engine"],
            workers=given["workers"], dry_run=given["dry_run"], listener=listener,
            told=lambda plan: screen.planned(plan, alone=given["dry_run"]),
            command=command_line(), **grid,
        )  # fmt: skip
    if found is not None:
        screen.evaluated(found, given["out"])


def _data(given: dict[str, Any]) -> Any:
    from tsds.evaluate.data import Data

    single = given["pool"] is not None or given["target"] or given["test"]
    if given["data"] is not None:
        if single:
            raise InputError("--data and --pool, --target, --test exclude each other", remedy="give one or the other")
        return Data.of_folder(given["data"])
    if given["pool"] is None or not given["target"] or not given["test"]:
        raise InputError("no data is given", remedy="--data DIR, or --pool FILE --target NAME=FILE --test NAME=FILE")
    return Data.of_files(given["pool"], _named(given["target"], "target"), _named(given["test"], "test"))


def _named(values: list[str], flag: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for value in values:
        name, equals, file = value.partition("=")
        if not (name and equals and file):
            raise InputError(f"--{flag} {value} has no name", remedy=f"--{flag} NAME=FILE")
        if name in found:
            raise InputError(f"--{flag} names {name!r} twice", remedy="one file for each name")
        found[name] = Path(file)
    return found


def _values(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _part(value: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", value)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--part is {value!r}", remedy="1/4, 2/4, 3/4 and 4/4 are the parts of four")
    return int(match[1]), int(match[2])
