"""Instruction tuning: a language model learns the answers of the selected chats, and is asked the task's questions."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.comparing.measures import Measure
from tsds.embeddings.encoders.models import device_of
from tsds.embeddings.encoders.rendering import Rendered
from tsds.errors import InputError
from tsds.evaluate.answers import best, exact_match, token_f1
from tsds.evaluate.bases import base_of, digest_of, is_there, kept_base
from tsds.evaluate.causal import CausalModel
from tsds.evaluate.data import Example, TargetFiles, read_tests
from tsds.evaluate.decoder import Shape, make_decoder, write_untrained
from tsds.evaluate.experiment import READING, Diet, Fed, tokens_a_second, train_on
from tsds.evaluate.settings import Settling, Training
from tsds.evaluate.stream import Step, equal_tokens
from tsds.evaluate.training import Batch
from tsds.records.dialogue import turns_of
from tsds.scratch import scratch_in
from tsds.stages import Stages

MEASURES = {
    "loss": Measure("answer loss", "mean negative log-likelihood of a token of the test answers, in nats", True),
    "exact_match": Measure("exact match", "share of the generated answers that are the task's answer", False),
    "token_f1": Measure("token F1", "overlap of words of generated and right answers, mean", False),
}
#: Texts that the tokenizer of an estimate is made of.
_FEW = 2000


class Instruction:
    """The experiment of the paper's section 5.1.

    Args:
      model: the folder of a causal language model, or the shape of a decoder to make from the pool.
      sample: texts of the pool, drawn at random, that such a decoder is made on.
      training, settling: how.
      tuning: "full" or "lora".
      test_rows: of the test set, for the loss.
      generated: of these, so many questions are answered in words, with at most `words` tokens.
      device: to compute on.
    """

    measures = MEASURES

    def __init__(
        self, model: Path | Shape, sample: Sequence[str], training: Training, settling: Settling, tuning: str,
        test_rows: int | None, generated: int, words: int, device: str,
    ) -> None:  # fmt: skip
        self.training = training
        self._source, self._sample, self._settling, self._tuning = model, sample, settling, tuning
        self._test_rows, self._generated, self._words = test_rows, generated, words
        self._device = device_of(device)
        self._targets: dict[str, tuple[list[Example], list[Rendered]]] = {}
        self._start: dict[str, Any] = {}
        self._fed = Fed()

    @cached_property
    def _model(self) -> CausalModel:
        training = self.training
        return CausalModel(self._folder, self._device, self._tuning, training.longest, training.precision)

    @cached_property
    def _folder(self) -> Path:
        """Of the model; before a decoder is made, of one without training, to estimate with."""
        if isinstance(self._source, Path):
            return self._source
        if is_there(self._parts):
            return base_of(self._parts)
        write_untrained(Path(self._scratch.name), self._sample[:_FEW], self._source, self.training.longest)
        return Path(self._scratch.name)

    @cached_property
    def _scratch(self) -> tempfile.TemporaryDirectory[str]:
        return scratch_in()

    @cached_property
    def _parts(self) -> tuple[Any, ...]:
        """All that a decoder depends on."""
        how = (self.training.longest, self.training.step_tokens, self.training.padded, self.training.precision)
        return "decoder", 2, self._source, digest_of(self._sample), self._settling, *how

    def lengths(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Tokens of each text, prompt and completion, [n]."""
        return _lengths(self._model.render(texts))

    def speed(self, sample: Sequence[str]) -> float:
        """Tokens trained in a second, from two steps whose outcome is thrown away."""
        model = self._model
        kept, rendered = model.trained(), model.render(sample[:256])
        lengths = _lengths(rendered)
        steps = equal_tokens(lengths, np.ones(len(lengths), np.int64), 3, min(self.training.step_tokens, 2048), 0)
        speed = tokens_a_second(model, steps, lambda step: model.batches(rendered, step, self.training.padded))
        model.restore(kept)
        return speed

    def base_work(self) -> int:
        """Tokens trained to make a decoder, at most."""
        if isinstance(self._source, Path) or is_there(self._parts):
            return 0
        return self._settling.steps * self.training.step_tokens

    def prepare(self, stages: Stages) -> dict[str, object]:
        """The model as it comes, or a decoder made from the pool and kept."""
        facts: dict[str, object] = {"model": "as it comes"}
        if isinstance(self._source, Shape):
            shape = self._source
            self._folder, facts = kept_base(
                self._parts,
                lambda out, state: make_decoder(
                    out, state, self._sample, shape, self.training, self._settling, self._device, stages
                ),
            )
            self.__dict__.pop("_model", None)  # that of the estimate
            self._targets = {}
        self._start = self._model.trained()
        return {**facts, "tuning": self._model.tuning, "weights": self._model.size}

    def work(self, target: TargetFiles) -> int:
        """Reading the test set and answering, in trained tokens."""
        examples, rendered = self._target(target)
        asked = min(self._generated, len(examples))
        return round((sum(len(one.ids) for one in rendered) + asked * self._words) * READING)

    def run(self, target: TargetFiles, diet: Diet | None, seed: int) -> dict[str, float]:
        """Finetune the base on a diet, then read and answer the test set."""
        model = self._model
        values = self._fed.on(diet, seed, lambda: self._train(diet, seed))
        began = time.perf_counter()
        examples, tests = self._target(target)
        total, count = model.answer_loss(tests, self.training.padded)
        values["loss"], values["answer_tokens"] = total / max(count, 1), float(count)
        values["test_reply_tokens"] = count / len(tests)
        if self._generated:
            asked = examples[: self._generated]
            said = model.answers(tests[: len(asked)], self._words)
            pairs = list(zip(said, map(_answers, asked), strict=True))
            values["exact_match"] = float(np.mean([best(exact_match, words, right) for words, right in pairs]))
            values["token_f1"] = float(np.mean([best(token_f1, words, right) for words, right in pairs]))
        values["measure_seconds"] = time.perf_counter() - began
        return values

    def _train(self, diet: Diet | None, seed: int) -> dict[str, float]:
        model, training = self._model, self.training
        model.restore(self._start)
        rendered = [] if diet is None else model.render(diet.texts)
        trained = 0

        def batches(_: int, step: Step) -> list[Batch]:
            nonlocal trained
            made = model.batches(rendered, step, training.padded)
            trained += sum(len(batch.labels) for batch in made)
            return made

        values = train_on(model, diet, _lengths(rendered), batches, training, seed)
        if diet is not None:
            values["trained_tokens"] = float(trained)
            values["reply_tokens"] = float(np.average([one.completion.sum() for one in rendered], weights=diet.counts))
        return values

    def _target(self, target: TargetFiles) -> tuple[list[Example], list[Rendered]]:
        if target.name not in self._targets:
            examples = read_tests(target.test, target.name, self._test_rows)
            for one in examples:
                _check_answered(one, target.test)
            self._targets[target.name] = examples, self._model.render_tests([one.text for one in examples])
        return self._targets[target.name]


def _lengths(rendered: Sequence[Rendered]) -> NDArray[np.int64]:
    return np.array([max(1, len(one.ids)) for one in rendered], np.int64)


def _check_answered(one: Example, path: Path) -> None:
    """Raise InputError if a test ends with no answer: its loss would be that of the question."""
    turns = turns_of(one.text)
    if len(turns) < 2 or turns[-1].role != "assistant":
        raise InputError(
            "no chat that ends with an answer", path=path, row=one.row,
            remedy="instruction measures the last turn of the assistant; add the reference answer as one",
        )  # fmt: skip


def _answers(one: Example) -> tuple[str, ...]:
    """The bare answers; where the record has none, the last turn of the chat."""
    return one.answers or (turns_of(one.text)[-1].content,)
