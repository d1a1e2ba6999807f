"""Sentence models, through sentence-transformers: unit vectors whose angles say how alike two texts are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders.model_encoder import ModelEncoder
from tsds.embeddings.encoders.models import (
    dtype_of,
    model_folder,
    need,
    quiet_libraries,
)
from tsds.embeddings.encoders.protocol import Advance, Role, Setting, ignore
from tsds.embeddings.encoders.spec import Options
from tsds.errors import InputError

_VERSION = 1  # of the arithmetic: raise it whenever the same input may give other bits
#: Names that models give to the prompts of the two roles, the first that is there counts.
_PROMPTS: dict[Role, tuple[str, ...]] = {
    "target": ("query", "search_query"),
    "candidate": ("document", "passage", "search_document", "corpus"),
}


class SentenceEncoder(ModelEncoder):
    """A model of sentence-transformers.

    Candidates get the model's prompt for documents and targets its prompt for queries, where it defines them. Texts
    that are longer than the model reads are cut and counted.

    Args:
      name: folder, or name on the model hub.
      options: `max`, tokens read of a text (the model's own limit if not given).
      setting: device and where messages go; nothing is drawn, the seed makes no difference.
    """

    name = "sentence"
    chats = False

    def __init__(self, name: str, options: Options, setting: Setting) -> None:
        options.known("max")
        self._max = options.number("max", None)
        need("sentence_transformers", f"encoder {self.name}", "sentence")
        super().__init__(model_folder(name, f"encoder {self.name}", "sentence"), setting)

    def fit(self, batches: Iterable[Sequence[str]]) -> Self:
        """Nothing to learn."""
        return self

    @property
    def dim(self) -> int:
        """Width of the model's vectors."""
        return int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str], role: Role = "candidate", advance: Advance = ignore) -> NDArray[np.float32]:
        """Embed texts: [n, dim] float32, unit norm."""
        model, limit = self._model, self._limit
        prompt = self._prompt(role)
        plain = [str(text) for text in texts]
        lengths = [
            len(ids)
            for start in range(0, len(plain), 1024)
            for ids in model.tokenizer([prompt + t for t in plain[start : start + 1024]], truncation=False)["input_ids"]
        ]
        self.report.texts += len(plain)
        self.report.truncated += sum(length > limit for length in lengths)

        def work(batch: list[int]) -> NDArray[Any]:
            rows = model.encode(
                [plain[i] for i in batch],
                batch_size=len(batch),
                prompt=prompt or None,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
            return np.asarray(rows, dtype=np.float32)

        return self._in_batches([min(length, limit) for length in lengths], work, advance)

    def fingerprint(self, role: Role = "candidate") -> str:
        """Identifies the vectors: weights, settings, prompt and code version."""
        return self._told_apart(_VERSION, (self._max, self._prompt(role)))

    @cached_property
    def _prompts(self) -> dict[str, str]:
        """The prompts of the model by name, from its configuration, without loading it."""
        import orjson

        path = self._folder / "config_sentence_transformers.json"
        prompts = orjson.loads(path.read_bytes()).get("prompts") if path.is_file() else None
        return {name: text for name, text in (prompts or {}).items() if text}

    def _prompt_name(self, role: Role) -> str:
        return next((name for name in _PROMPTS[role] if name in self._prompts), "")

    def _prompt(self, role: Role) -> str:
        return self._prompts.get(self._prompt_name(role), "")

    @property
    def _limit(self) -> int:
        return int(self._model.max_seq_length or 1 << 30)

    @cached_property
    def _model(self) -> Any:
        quiet_libraries()
        from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(
                str(self._folder), device=self._device, model_kwargs={"dtype": dtype_of(self._device)}
            )
        except (OSError, ValueError) as error:
            raise InputError(f"the model can't be loaded: {error}", path=self._folder) from error
        model.eval()
        if self._max is not None:
            model.max_seq_length = min(self._max, model.max_seq_length or self._max)
        return model
