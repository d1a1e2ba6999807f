"""Gradient features of LESS (Xia et al. 2024, arXiv 2402.04333): what an example would change in the model.

Adapters are warmed up on a sample of the pool, with a checkpoint after each epoch. At a checkpoint, the feature of a
candidate is the step that Adam would take on it, that of a target the gradient of its loss, both by the adapters'
weights and projected at random. Per checkpoint the features have unit norm; weighted by the root of the checkpoint's
learning rate and concatenated, their inner products are the influence of LESS, sum_i eta_i cos_i / sum_i eta_i, and
they have unit norm as TSDS used them.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders.lora import LoraModel, LoraSettings
from tsds.embeddings.encoders.model_encoder import ModelEncoder
from tsds.embeddings.encoders.models import (
    dtype_of,
    in_batches,
    model_folder,
    need,
    read_config,
    reads_at_most,
)
from tsds.embeddings.encoders.projection import Sketch
from tsds.embeddings.encoders.protocol import WARM_UPS, Advance, Role, Setting, ignore
from tsds.embeddings.encoders.rendering import Rendered, Renderer
from tsds.embeddings.encoders.spec import Options
from tsds.embeddings.encoders.warmup import BETAS, EPSILON, Checkpoint, Training, warm_up
from tsds.errors import InputError

_VERSION = 1  # of the arithmetic: raise it whenever the same input may give other bits
#: Of the pool, what warms the adapters up; within these numbers of texts.
_SHARE, _LEAST, _MOST = 0.05, 64, 16384
#: Tokens of a batch: backward passes need several times the memory of a forward pass.
_CPU_TOKENS, _GPU_TOKENS, _BATCH = 2048, 16384, 16


class GradientEncoder(ModelEncoder):
    """Projected gradients of a causal model of transformers with LoRA adapters.

    Args:
      name: folder, or name on the model hub.
      options: `dim` of a checkpoint's features (8,192), `epochs` (4), `rank` (128), `rate` (2e-5), `sample`, texts of
        the warm-up (5 % of the pool), `max`, tokens read of a text (2,048), `recompute=1`, to save memory.
      setting: seed, device, and the folder where the warm-up is kept.
    """

    name = "gradient"
    chats = True

    def __init__(self, name: str, options: Options, setting: Setting) -> None:
        options.known("dim", "epochs", "rank", "rate", "sample", "max", "recompute")
        for package in ("torch", "transformers", "peft"):
            need(package, f"encoder {self.name}", "gradient")
        super().__init__(model_folder(name, f"encoder {self.name}", "gradient"), setting)
        config = read_config(self._folder)
        if not config.causal:
            raise InputError("is no causal language model", path=name, remedy="gradients need a next-token loss")
        self._limit = reads_at_most(config, options.number("max", None))
        self.width = options.number("dim", 8192) or 8192
        rank = options.number("rank", LoraSettings.rank) or LoraSettings.rank
        self._lora = LoraSettings(rank, 4 * rank)
        self._recompute = options.number("recompute", None) is not None
        epochs = options.number("epochs", Training.epochs) or Training.epochs
        self._training = Training(epochs=epochs, rate=options.real("rate", Training.rate))
        self._sample_size = options.number("sample", None)
        self._sample: list[str] | None = None

    def fit(self, batches: Iterable[Sequence[str]]) -> Self:
        """Choose the texts of the warm-up: those with the least seeded digests, whatever their order in the pool."""
        least: list[tuple[int, int, str]] = []  # negated digest, position, text: a heap whose root goes first
        seen = 0
        most = self._sample_size or _MOST
        seed = str(self._setting.seed).encode()
        for batch in batches:
            for text in batch:
                digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=seed).digest()
                entry = (-int.from_bytes(digest), seen, text)
                seen += 1
                if len(least) < most:
                    heapq.heappush(least, entry)
                elif entry > least[0]:
                    heapq.heapreplace(least, entry)
        count = self._sample_size or max(_LEAST, round(_SHARE * seen))
        self._sample = [text for _, _, text in sorted(least, reverse=True)[:count]]
        if not self._sample:
            raise InputError("the pool has no text to warm up on", remedy="give a pool")
        self.__dict__.pop("_checkpoints", None)
        return self

    @property
    def dim(self) -> int:
        """Width of the features: that of a checkpoint's, times the checkpoints."""
        return self.width * self._training.epochs

    def encode(self, texts: Sequence[str], role: Role = "candidate", advance: Advance = ignore) -> NDArray[np.float32]:
        """Embed texts: [n, dim] float32, unit norm."""
        checkpoints, model = self._checkpoints, self._model
        rendered = self._rendered(texts)
        self.report.texts += len(texts)
        self.report.truncated += sum(one.truncated for one in rendered)
        self.report.unfit += sum(one.unfit for one in rendered)
        weights = np.sqrt(checkpoint_weights(checkpoints))
        out = np.zeros((len(texts), self.dim), np.float32)
        share = [
            len(texts) * (c + 1) // len(checkpoints) - len(texts) * c // len(checkpoints)
            for c in range(len(checkpoints))
        ]
        for c, checkpoint in enumerate(checkpoints):
            model.read(checkpoint.weights)

            def work(batch: list[int], checkpoint: Checkpoint = checkpoint) -> NDArray[Any]:
                rows = model.gradients([rendered[i] for i in batch])
                if role == "candidate":
                    rows = adam_steps(rows, *self._moments(checkpoint), checkpoint.step)
                return np.asarray(unit(self._sketch.project(rows)).cpu().numpy())

            told = _Shared(advance, share[c], len(texts))
            part = in_batches(
                [len(one.ids) for one in rendered],
                work,
                tokens=_CPU_TOKENS if self._device == "cpu" else _GPU_TOKENS,
                most=_BATCH,
                advance=told,
                say=self._setting.say,
            )
            out[:, c * self.width : (c + 1) * self.width] = weights[c] * part.reshape(len(texts), -1)
        return out

    def fingerprint(self, role: Role = "candidate") -> str:
        """Identifies the features: weights, settings, the sample of the warm-up, the role and code version."""
        digest = hashlib.blake2b(repr((self._warm_up_mark, self.width, role)).encode(), digest_size=16)
        return f"{self.name}-v{_VERSION}-{role}-{digest.hexdigest()}"

    @property
    def _warm_up_mark(self) -> str:
        """Tells one warm-up from another."""
        if self._sample is None:
            raise ValueError("GradientEncoder before fit: the warm-up needs texts of the pool")
        texts = hashlib.blake2b(digest_size=16)
        for text in self._sample:
            texts.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        settings = (_VERSION, self._lora, self._training, self._limit, self._setting.seed, texts.hexdigest())
        return hashlib.blake2b(repr((self._weights, settings)).encode(), digest_size=16).hexdigest()

    @cached_property
    def _checkpoints(self) -> list[Checkpoint]:
        """The checkpoints of the warm-up, trained now or earlier."""
        assert self._sample is not None or self._warm_up_mark
        folder = self._setting.folder
        place: Path | None = None if folder is None else folder / WARM_UPS / self._warm_up_mark
        self._setting.say(f"warm-up on {len(self._sample or []):,} texts of the pool, {self._training.epochs} epochs")
        return warm_up(
            self._model, self._rendered(self._sample or []), self._training, self._setting.seed, place,
            self._setting.say,
        )  # fmt: skip

    def _rendered(self, texts: Sequence[str]) -> list[Rendered]:
        return Renderer(self._model.tokenizer, self._limit, chats=True).render(texts)

    def _moments(self, checkpoint: Checkpoint) -> tuple[Any, Any]:
        import torch

        flat = [
            torch.cat([kind[n].flatten() for n in self._model.parameters])
            for kind in (checkpoint.first, checkpoint.second)
        ]
        return flat[0].to(self._device), flat[1].to(self._device)

    @cached_property
    def _sketch(self) -> Sketch:
        return Sketch(self._model.size, self.width, self._setting.seed, self._device)

    @cached_property
    def _model(self) -> LoraModel:
        dtype = dtype_of(self._device)
        return LoraModel(self._folder, self._lora, self._setting.seed, self._device, dtype, recompute=self._recompute)


def adam_steps(gradients: Any, first: Any, second: Any, step: int) -> Any:
    """The step that Adam would take next on each gradient alone, without the learning rate.

    Args:
      gradients: [n, p].
      first, second: [p], Adam's moments after `step` steps.
      step: from 1.

    Returns:
      [n, p]: m / (sqrt(v) + epsilon), m and v the moments with the gradient taken in and the bias corrected (equation 2
      of LESS).
    """
    b1, b2 = BETAS
    m = (b1 * first + (1 - b1) * gradients) / (1 - b1 ** (step + 1))
    v = (b2 * second + (1 - b2) * gradients**2) / (1 - b2 ** (step + 1))
    return m / (v.sqrt() + EPSILON)


def checkpoint_weights(checkpoints: Sequence[Checkpoint]) -> NDArray[np.float64]:
    """What each checkpoint counts: its mean learning rate, summing to one."""
    rates = np.array([checkpoint.rate for checkpoint in checkpoints])
    return np.asarray(rates / rates.sum())


def unit(rows: Any) -> Any:
    """Rows of unit norm; zero rows stay."""
    import torch

    return torch.nn.functional.normalize(rows, dim=-1)


class _Shared:
    """Counts a pass over the texts as a share of them: there is a pass for each checkpoint."""

    def __init__(self, advance: Advance, share: int, texts: int) -> None:
        self._advance, self._share, self._texts, self._done = advance, share, texts, 0

    def __call__(self, rows: int) -> None:
        before, self._done = self._done, self._done + rows
        self._advance(self._share * self._done // self._texts - self._share * before // self._texts)
