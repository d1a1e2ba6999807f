"""A classifier on top of an encoder: finetuned on labelled texts, measured by F1 on others."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Rows
from tsds.embeddings.encoders.models import padded_rows
from tsds.embeddings.encoders.warmup import rising_then_falling
from tsds.errors import InputError
from tsds.evaluate.stream import Step, by_length
from tsds.evaluate.training import Batch, train
from tsds.stages import Advance
from tsds.suggestions import nearest_name

CLASSIFIERS = ("finetuned", "probe")


@dataclass(frozen=True)
class Finetuning:
    """How a classifier is trained.

    Attributes:
      epochs, batch: passes over the labelled texts, and texts of a step.
      rate: the highest learning rate.
      longest: tokens read of a text.
      classifier: "finetuned", or "probe": the encoder is kept as it is (probe.py), and the others mean nothing.
    """

    epochs: int = 5
    batch: int = 16
    rate: float = 1e-4
    longest: int = 128
    classifier: str = "finetuned"

    def __post_init__(self) -> None:
        if self.classifier not in CLASSIFIERS:
            remedy = nearest_name(self.classifier, CLASSIFIERS)
            raise InputError(f"unknown classifier {self.classifier!r}", remedy=remedy)


class Classifier:
    """An encoder, the mean of its hidden states, and one linear layer.

    Args:
      encoder: of transformers; a copy of it is trained.
      classes: how many.
      device, precision: to compute on, and to train in.
      seed: of the layer's weights.
    """

    def __init__(self, encoder: Any, classes: int, device: str, seed: int, precision: str = "float32") -> None:
        import torch

        self.device, self.precision = device, precision
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layer = torch.nn.Linear(int(encoder.config.hidden_size), classes)
            torch.nn.init.normal_(layer.weight, std=0.02)
            torch.nn.init.zeros_(layer.bias)
        parts = {"encoder": copy.deepcopy(encoder), "dropout": torch.nn.Dropout(0.1), "layer": layer}
        self.module = torch.nn.ModuleDict(parts).to(device)

    def scores(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Any:
        """Of each class, [b, classes]."""
        mean = mean_states(self.module["encoder"], ids, mask, self.device)
        return self.module["layer"](self.module["dropout"](mean)).float()

    def loss(self, batch: Batch) -> Any:
        """The summed cross-entropy; `labels` has a class for each row."""
        import torch

        labels = torch.from_numpy(batch.labels).to(self.device)
        return torch.nn.functional.cross_entropy(self.scores(batch.ids, batch.mask), labels, reduction="sum")

    def fit(
        self, tokens: Sequence[NDArray[np.int64]], labels: NDArray[np.int64], settings: Finetuning, fill: int,
        seed: int, advance: Advance = lambda rows: None,
    ) -> list[float]:  # fmt: skip
        """Finetune everything; returns the loss of each step."""
        steps: list[list[Batch]] = []
        for epoch in range(settings.epochs):
            order = np.random.default_rng([seed, 17, epoch]).permutation(len(tokens))
            for start in range(0, len(order), settings.batch):
                some = order[start : start + settings.batch]
                ids, mask = padded_rows([tokens[i] for i in some], fill)
                steps.append([Batch(ids, mask, mask > 0, labels[some])])
        rate = rising_then_falling(settings.rate, 0.1, len(steps))
        return train(self, steps, rate, seed, advance=advance)

    def predict(self, tokens: Sequence[NDArray[np.int64]], fill: int, padded: int = 8192) -> NDArray[np.int64] | None:
        """The class of each text; None where scores are no numbers, as those of an encoder that diverged."""
        import torch

        out = np.zeros(len(tokens), np.int64)
        self.module.eval()
        with torch.no_grad():
            for some, ids, mask in read_by_length(tokens, fill, padded):
                scores = self.scores(ids, mask)
                if not torch.isfinite(scores).all():
                    return None
                out[some] = scores.argmax(dim=1).cpu().numpy()
        return out


def read_by_length(tokens: Sequence[Rows], fill: int, padded: int) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Texts of like length together, at most so many tokens with padding: which, their tokens, which are no padding."""
    lengths = np.array([len(row) for row in tokens], np.int64)
    for some in by_length(Step(np.arange(len(tokens)), lengths), padded):
        yield some, *padded_rows([tokens[i] for i in some], fill)


def mean_states(encoder: Any, ids: NDArray[np.int64], mask: NDArray[np.int64], device: str) -> Any:
    """The mean of an encoder's hidden states over the tokens of each text, [b, width]."""
    import torch

    at, there = torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)
    hidden = encoder(input_ids=at, attention_mask=there).last_hidden_state
    weight = there[:, :, None].to(hidden.dtype)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def f1(truth: NDArray[np.int64], said: NDArray[np.int64], classes: int) -> dict[str, float]:
    """Micro F1 (with one label a text that is the accuracy) and macro F1, the mean over classes.

    A class that is neither there nor predicted does not count.
    """
    right = np.bincount(truth[truth == said], minlength=classes)
    there, predicted = np.bincount(truth, minlength=classes), np.bincount(said, minlength=classes)
    seen = there + predicted > 0
    each = 2 * right[seen] / (there + predicted)[seen]
    return {"micro_f1": float(right.sum() / max(len(truth), 1)), "macro_f1": float(each.mean())}
