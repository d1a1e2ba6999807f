"""Continued pretraining: a masked language model reads what was selected, then learns the target's labels."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.comparing.measures import Measure
from tsds.embeddings.encoders.models import device_of, model_fingerprint
from tsds.errors import InputError
from tsds.evaluate.bases import digest_of, is_there, kept_base
from tsds.evaluate.classifier import Classifier, Finetuning, f1
from tsds.evaluate.data import TargetFiles, labelled, read, read_tests
from tsds.evaluate.experiment import READING, Diet, Fed, tokens_a_second, train_on
from tsds.evaluate.masked import MaskedModel
from tsds.evaluate.probe import Probe
from tsds.evaluate.selecting import drawn_examples
from tsds.evaluate.settings import Settling, Training
from tsds.evaluate.stream import Step, equal_passes, equal_tokens
from tsds.evaluate.training import rising_then_level, settled, train
from tsds.stages import Stages

MEASURES = {
    "score": Measure("F1", "F1 on the test set: micro for ChemProt, macro for the others", False),
    "masked_loss": Measure(
        "masked loss", "mean negative log-likelihood of a hidden token of the test texts, in nats, no label seen", True
    ),
    "micro_f1": Measure("micro F1", "share of the test texts classified right", False),
    "macro_f1": Measure("macro F1", "mean F1 of the classes", False),
}
#: Tokens of the test texts that are hidden at once.
_READ_TOKENS = 4096


class Pretraining:
    """The experiment of the paper's section 5.2.

    Args:
      folder: of the model.
      sample: texts of the pool, drawn at random, to make the base on where the model has no head.
      training, settling, finetuning: how.
      examples: labelled texts that a seed draws, to finetune on.
      test_rows: of the test set.
      device: to compute on.
    """

    def __init__(
        self, folder: Path, sample: Sequence[str], training: Training, settling: Settling, finetuning: Finetuning,
        examples: int, test_rows: int | None, device: str,
    ) -> None:  # fmt: skip
        self.training = training
        self._folder, self._sample, self._settling, self._finetuning = folder, sample, settling, finetuning
        self._examples, self._test_rows, self._device = examples, test_rows, device_of(device)
        self._targets: dict[str, _Labelled] = {}
        self._weights: dict[str, Any] | None = None
        self._fed = Fed()

    @property
    def measures(self) -> dict[str, Measure]:
        """F1 comes first, but the masked loss for a model whose head is new.

        Such a model has learned to predict masked tokens from little text and at the cost of what it knew, so that its
        F1 hardly moves, in-domain texts or not (docs/results.md): it tells no selection from another.
        """
        if not self._model.new_head:
            return MEASURES
        return {"masked_loss": MEASURES["masked_loss"], **MEASURES}

    @cached_property
    def _model(self) -> MaskedModel:
        return self._loaded(self._folder)

    def lengths(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Tokens of each text, special ones included, [n]."""
        return np.array([len(row) for row in self._model.tokens(texts, self.training.longest)], np.int64)

    def speed(self, sample: Sequence[str]) -> float:
        """Tokens trained in a second, from two steps of a model that is thrown away."""
        model = self._loaded(self._folder)
        tokens = model.tokens(sample[:256], self.training.longest)
        steps = _steps(tokens, 3, min(self.training.step_tokens, 2048), 0)
        return tokens_a_second(model, steps, lambda step: model.batches(tokens, step, self.training.padded, [0]))

    def base_work(self) -> int:
        """Tokens trained to make the base, at most."""
        if not self._model.new_head or is_there(self._parts):
            return 0
        head = self._settling.head_steps * self.training.step_tokens
        return round(head * READING) + self._settling.steps * self.training.step_tokens

    def prepare(self, stages: Stages) -> dict[str, object]:
        """A base with a working head: the model as it comes, or with a head trained alone, then with the rest."""
        if not self._model.new_head:
            self._remember(self._model)
            return {"head": "of the model", "new": []}
        folder, facts = kept_base(self._parts, lambda out, state: self._make(out, state, stages))
        self._remember(self._loaded(folder))
        return {**facts, "head": "trained on the pool"}

    def work(self, target: TargetFiles) -> int:
        """Finetuning and testing, in trained tokens."""
        data = self._target(target)
        mean = float(np.mean([len(row) for row in data.tokens[: 2 * self._examples]]))
        labels = min(self._examples, len(data.tokens)) * mean
        learned = labels * READING if self._finetuning.classifier == "probe" else labels * self._finetuning.epochs
        return round(learned + 2 * data.test_total * READING)

    def run(self, target: TargetFiles, diet: Diet | None, seed: int) -> dict[str, float]:
        """Continue from the base on a diet, finetune on the labelled texts of this seed, test."""
        model, data = self._model, self._target(target)
        values = self._fed.on(diet, seed, lambda: self._train(diet, seed))
        began = time.perf_counter()
        values["masked_loss"] = self._masked_loss(data.test_tokens)
        rows = drawn_examples(len(data.tokens), self._examples, seed)
        fill, encoder = int(model.tokenizer.pad_token_id or 0), model.module.base_model
        own = [data.tokens[i] for i in rows]
        said: NDArray[np.int64] | None
        if self._finetuning.classifier == "probe":
            probe = Probe(encoder, self._device)
            probe.fit(own, data.labels[rows], fill)
            said = probe.predict(data.test_tokens, fill)
        else:
            classifier = Classifier(encoder, len(data.classes), self._device, seed, self.training.precision)
            classifier.fit(own, data.labels[rows], self._finetuning, fill, seed)
            said = classifier.predict(data.test_tokens, fill)
        found = dict.fromkeys(("micro_f1", "macro_f1"), math.nan)  # the cell says that they were not measured
        if said is not None:
            found = f1(data.test_labels, said, len(data.classes))
        values |= found
        values["score"] = found["micro_f1" if "chemprot" in target.name.lower() else "macro_f1"]
        values["finetune_seconds"] = time.perf_counter() - began
        return values

    def _train(self, diet: Diet | None, seed: int) -> dict[str, float]:
        assert self._weights is not None, "prepare comes first"
        model, training = self._model, self.training
        model.module.load_state_dict(self._weights)
        tokens = [] if diet is None else model.tokens(diet.texts, training.longest)
        lengths = np.array([len(row) for row in tokens], np.int64)
        return train_on(
            model, diet, lengths, lambda i, step: model.batches(tokens, step, training.padded, [seed, 19, i]), training,
            seed,
        )  # fmt: skip

    def _masked_loss(self, tokens: Sequence[NDArray[np.int64]]) -> float:
        """Of texts in which every model finds the same tokens hidden."""
        import torch

        model = self._model
        lengths = np.array([len(row) for row in tokens], np.int64)
        steps = equal_passes(lengths, np.ones(len(tokens), np.int64), 1, _READ_TOKENS, 0)
        total = count = 0.0
        model.module.eval()
        with torch.no_grad():
            for i, step in enumerate(steps):
                for batch in model.batches(tokens, step, self.training.padded, [29, i]):
                    if len(batch.labels):
                        total, count = total + float(model.loss(batch)), count + len(batch.labels)
        return total / max(count, 1)

    @cached_property
    def _parts(self) -> tuple[Any, ...]:
        """All that the base depends on."""
        how = (self.training.longest, self.training.step_tokens, self.training.padded, self.training.precision)
        return "masked", 2, model_fingerprint(self._folder), digest_of(self._sample), self._settling, *how

    def _loaded(self, folder: Path) -> MaskedModel:
        return MaskedModel(folder, self._device, precision=self.training.precision)

    def _remember(self, model: MaskedModel) -> None:
        self._weights = {name: tensor.detach().clone() for name, tensor in model.module.state_dict().items()}

    def _make(self, out: Path, state: Path, stages: Stages) -> dict[str, Any]:
        model, settling = self._loaded(self._folder), self._settling
        tokens = model.tokens(self._sample, self.training.longest)
        most = settling.head_steps + settling.steps
        losses: dict[str, list[float]] = {}
        parts = (("head", model.head, settling.head_steps, settling.head_rate, 0),
                 ("all", None, settling.steps, settling.rate, settling.head_steps))  # fmt: skip
        with stages.stage("make the base", most) as advance:
            for name, parameters, steps, rate, before in parts:
                order = _steps(tokens, most, self.training.step_tokens, 1)[before : before + steps]
                stream = (
                    model.batches(tokens, step, self.training.padded, [23, before + i]) for i, step in enumerate(order)
                )
                if parameters is not None:
                    for p in model.module.base_model.parameters():
                        p.requires_grad_(False)
                losses[name] = train(
                    model, stream, rising_then_level(rate, 20), 1, parameters=parameters, advance=advance,
                    stop=settled(settling), state=state.with_name(f"{state.name}.{name}"),
                )  # fmt: skip
                for p in model.module.parameters():
                    p.requires_grad_(True)
        model.module.save_pretrained(out)
        model.tokenizer.save_pretrained(out)
        for name in losses:
            state.with_name(f"{state.name}.{name}").unlink(missing_ok=True)
        few = settling.window
        return {
            f"{name}_{what}": value
            for name, found in losses.items()
            for what, value in (
                ("steps", len(found)), ("loss_first", float(np.mean(found[:few]))),
                ("loss_last", float(np.mean(found[-few:]))),
            )
        }  # fmt: skip

    def _target(self, target: TargetFiles) -> _Labelled:
        if target.name not in self._targets:
            self._targets[target.name] = _Labelled(target, self._model, self._finetuning.longest, self._test_rows)
        return self._targets[target.name]


class _Labelled:
    """The labelled texts of a target as tokens and classes."""

    def __init__(self, target: TargetFiles, model: MaskedModel, longest: int, test_rows: int | None) -> None:
        own, test = read(target.examples, target.name), read_tests(target.test, target.name, test_rows)
        names, test_names = labelled(target.examples, own), labelled(target.test, test)
        if not {*names} & {*test_names}:
            raise InputError(
                f"its labels are {_few(test_names)}, those of the examples {_few(names)}", path=target.test,
                remedy="name the classes alike in both",
            )  # fmt: skip
        self.classes = sorted({*names, *test_names})
        number = {name: i for i, name in enumerate(self.classes)}
        self.labels = np.array([number[name] for name in names])
        self.test_labels = np.array([number[name] for name in test_names])
        self.tokens = model.tokens([one.text for one in own], longest)
        self.test_tokens = model.tokens([one.text for one in test], longest)
        self.test_total = sum(map(len, self.test_tokens))


def _few(labels: Sequence[str]) -> str:
    every = sorted({*labels})
    return ", ".join(every[:4]) + (f" and {len(every) - 4} more" if len(every) > 4 else "")


def _steps(tokens: Sequence[NDArray[np.int64]], steps: int, step_tokens: int, seed: int) -> list[Step]:
    lengths = np.array([len(row) for row in tokens], np.int64)
    return equal_tokens(lengths, np.ones(len(tokens), np.int64), steps, step_tokens, seed)
