"""A masked language model: tokens, masks, and the loss at masked positions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders.models import load, padded_rows, quiet_libraries
from tsds.errors import InputError
from tsds.evaluate.heads import Narrow
from tsds.evaluate.stream import Step, by_length
from tsds.evaluate.training import Batch

#: Of the tokens so many are predicted; of those, so many are hidden and so many replaced, as BERT was trained.
PREDICTED, HIDDEN, REPLACED = 0.15, 0.8, 0.1


class MaskedModel:
    """An encoder with a head that predicts masked tokens.

    Args:
      folder: of the model.
      device, precision: to compute on, and to train in.
      seed: of the head's weights, where the model comes without one.

    Attributes:
      module: the model.
      new_head: names of the weights that the files do not have: a sentence model carries no such head.

    Raises:
      InputError: if it is no masked language model, or its tokenizer has no mask.
    """

    def __init__(self, folder: Path, device: str, seed: int = 0, precision: str = "float32") -> None:
        quiet_libraries()
        import torch
        from transformers import AutoModelForMaskedLM, AutoTokenizer

        self.device, self.precision = device, precision
        self.tokenizer = load(AutoTokenizer, folder)
        if self.tokenizer.mask_token_id is None:
            raise InputError("its tokenizer has no mask token", path=folder, remedy="name a masked language model")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module, told = load(AutoModelForMaskedLM, folder, output_loading_info=True, dtype=torch.float32)
        self.module.to(device).eval()
        inside = {id(p) for p in self.module.base_model.parameters()}
        names = {name for name, p in self.module.named_parameters() if id(p) not in inside}
        self.new_head = sorted(names & set(told["missing_keys"]))
        self._narrow = Narrow(self.module, len(self.tokenizer))
        self._special = np.array(sorted(set(self.tokenizer.all_special_ids)), np.int64)

    @property
    def head(self) -> list[Any]:
        """The weights of the head that are its own: those of the embeddings, which it shares, are not."""
        inside = {id(p) for p in self.module.base_model.parameters()}
        return [p for p in self.module.parameters() if id(p) not in inside]

    def tokens(self, texts: Sequence[str], longest: int) -> list[NDArray[np.int64]]:
        """The tokens of each text, at most so many."""
        most = min(longest, int(getattr(self.module.config, "max_position_embeddings", longest) or longest))
        ids = self.tokenizer(
            [str(text) for text in texts], truncation=True, max_length=most, return_attention_mask=False
        )["input_ids"]
        return [np.asarray(row, np.int64) for row in ids]

    def batches(self, tokens: Sequence[NDArray[np.int64]], step: Step, padded: int, seed: Sequence[int]) -> list[Batch]:
        """The batches of a step, a few tokens of each hidden."""
        rng = np.random.default_rng(list(seed))
        found = []
        for places in by_length(step, padded):
            rows = [tokens[step.texts[i]][: step.tokens[i]] for i in places]
            ids, mask = padded_rows(rows, int(self.tokenizer.pad_token_id or 0))
            can = (mask == 1) & ~np.isin(ids, self._special)
            chosen = can & (rng.random(ids.shape) < PREDICTED)
            labels, kind = ids[chosen], rng.random(ids.shape)
            ids[chosen & (kind < HIDDEN)] = self.tokenizer.mask_token_id
            other = chosen & (kind >= HIDDEN) & (kind < HIDDEN + REPLACED)
            ids[other] = rng.integers(0, len(self.tokenizer), int(other.sum()))
            found.append(Batch(ids, mask, chosen, labels))
        return found

    def loss(self, batch: Batch) -> Any:
        """The summed negative log-likelihood of the hidden tokens."""
        import torch

        ids, mask, places, labels = (
            torch.from_numpy(x).to(self.device) for x in (batch.ids, batch.mask, batch.places, batch.labels)
        )
        return torch.nn.functional.cross_entropy(self._narrow.scores(ids, mask, places), labels, reduction="sum")
