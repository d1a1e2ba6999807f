"""A causal language model: chats as tokens, the loss of completions, and greedy answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders.lora import LoraSettings, with_adapters
from tsds.embeddings.encoders.models import load, padded_rows, quiet_libraries
from tsds.embeddings.encoders.rendering import Rendered, Renderer
from tsds.errors import InputError
from tsds.evaluate.heads import Narrow
from tsds.evaluate.stream import Step, by_length
from tsds.evaluate.training import Batch, computing_in
from tsds.records.dialogue import Dialogue, Turn

#: Tokens of a text before a test is cut: as many as it has.
WHOLE = 1 << 30
_LORA = LoraSettings(rank=16, alpha=32, dropout=0.05)


class CausalModel:
    """A language model, trained whole or through LoRA adapters.

    Args:
      folder: of the model.
      device, precision: to compute on, and to train in.
      tuning: "full" or "lora".
      longest: tokens read of a text.

    Attributes:
      module: what is trained.
    """

    def __init__(self, folder: Path, device: str, tuning: str, longest: int, precision: str = "float32") -> None:
        quiet_libraries()
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.device, self.precision = device, precision
        # A CPU reads in float32: reading is a small part there, and what tells methods apart is small too.
        self._reads_in = precision if device.startswith("cuda") else "float32"
        self.tokenizer = load(AutoTokenizer, folder)
        if not self.tokenizer.is_fast:
            raise InputError("its tokenizer gives no places of tokens", path=folder, remedy="use one that is fast")
        base = load(AutoModelForCausalLM, folder, dtype=torch.float32)
        self.size = sum(p.numel() for p in base.parameters())
        self.tuning = tuning
        inner = base
        if tuning == "lora":
            if self._reads_in == "bfloat16":
                base.to(torch.bfloat16)  # frozen; the adapters stay in float32
            base = with_adapters(base, _LORA, 0)
        self.module = base.to(device)
        self.module.eval()
        self._narrow = Narrow(inner, len(self.tokenizer))
        most = getattr(inner.config, "max_position_embeddings", None) or longest
        self._longest = min(longest, int(most))
        self._renderer = Renderer(self.tokenizer, self._longest, chats=True)
        self._whole = Renderer(self.tokenizer, WHOLE, chats=True, last=True)
        self.positions = int(most)

    def trained(self) -> dict[str, Any]:
        """A copy of the weights that training changes, by name."""
        return {name: p.detach().clone() for name, p in self.module.named_parameters() if p.requires_grad}

    def restore(self, weights: dict[str, Any]) -> None:
        """Take such weights back."""
        import torch

        with torch.no_grad():
            for name, p in self.module.named_parameters():
                if name in weights:
                    p.copy_(weights[name])

    def render(self, texts: Sequence[str]) -> list[Rendered]:
        """Each text as tokens, those of its completions marked; the end of a long one is cut off."""
        return self._renderer.render(texts)

    def render_tests(self, texts: Sequence[str]) -> list[Rendered]:
        """The same, but what is measured is the last answer: it alone is marked; of a long chat the start is cut."""
        return [_answer_kept(one, self._longest) for one in self._whole.render(texts)]

    def batches(self, rendered: Sequence[Rendered], step: Step, padded: int, *, whole: bool = False) -> list[Batch]:
        """The batches of a step; what is predicted are completions, or every token."""
        found = []
        for places in by_length(step, padded):
            cut = [(rendered[step.texts[i]], int(step.tokens[i])) for i in places]
            found.append(self._batch([one.ids[:n] for one, n in cut], [one.completion[:n] for one, n in cut], whole))
        return found

    def loss(self, batch: Batch) -> Any:
        """The summed negative log-likelihood of the labels."""
        import torch

        ids, mask, places, labels = (
            torch.from_numpy(x).to(self.device) for x in (batch.ids, batch.mask, batch.places, batch.labels)
        )
        return torch.nn.functional.cross_entropy(self._narrow.scores(ids, mask, places), labels, reduction="sum")

    def answer_loss(self, rendered: Sequence[Rendered], padded: int) -> tuple[float, int]:
        """The summed negative log-likelihood of all completions, and of how many tokens that is."""
        import torch

        lengths = np.array([len(one.ids) for one in rendered], np.int64)
        every = Step(np.arange(len(rendered)), lengths)
        total, count = 0.0, 0
        self.module.eval()
        with torch.no_grad(), computing_in(self._reads_in, self.device):
            for batch in self.batches(rendered, every, padded):
                if len(batch.labels):
                    total += float(self.loss(batch))
                    count += len(batch.labels)
        return total, count

    def answers(self, rendered: Sequence[Rendered], most: int, rows: int = 32) -> list[str]:
        """What the model writes after each prompt (all before the last completion), greedily, up to so many tokens."""
        import torch

        prompts = [_prompt(one)[-(self.positions - most) :] for one in rendered]
        out = [""] * len(prompts)
        order = np.argsort([-len(one) for one in prompts], kind="stable")
        fill = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.tokenizer.eos_token_id
        self.module.eval()
        for start in range(0, len(order), rows):
            some = order[start : start + rows]
            ids, mask = padded_rows([prompts[i][::-1] for i in some], int(fill or 0))
            given = {  # filled up at the left, so that all go on at the same place
                "input_ids": torch.from_numpy(ids[:, ::-1].copy()).to(self.device),
                "attention_mask": torch.from_numpy(mask[:, ::-1].copy()).to(self.device),
            }
            with torch.no_grad(), computing_in(self._reads_in, self.device):
                said = self.module.generate(
                    **given, max_new_tokens=most, do_sample=False, num_beams=1, pad_token_id=int(fill or 0),
                    eos_token_id=self._ends or None,
                )  # fmt: skip
            words = self.tokenizer.batch_decode(said[:, ids.shape[1] :], skip_special_tokens=True)
            for i, one in zip(some, words, strict=True):
                out[i] = one.partition("<|user|>")[0].strip()
        return out

    @cached_property
    def _ends(self) -> list[int]:
        """Tokens that end an answer: those of the model, and the one that its chat template writes after a turn.

        A model that was not made for chats ends a text with another token than the template it is trained with here.
        """
        ends = self.module.generation_config.eos_token_id
        found = {*(ends if isinstance(ends, list) else [ends]), self.tokenizer.eos_token_id} - {None}
        shown = self._whole.render([Dialogue([Turn("user", "1"), Turn("assistant", "2")])])[0]
        special = {*self.tokenizer.all_special_ids, *self.tokenizer.get_added_vocab().values()}
        found |= set([token for token in shown.ids[shown.completion].tolist() if token in special][-1:])
        return sorted(found)

    def _batch(self, rows: list[NDArray[np.int64]], marks: list[NDArray[np.bool_]], whole: bool) -> Batch:
        ids, mask = padded_rows(rows, int(self.tokenizer.pad_token_id or 0))
        wanted = np.zeros(ids.shape, bool)
        for i, (row, marked) in enumerate(zip(rows, marks, strict=True)):
            wanted[i, : len(row)] = True if whole else marked
        wanted[:, 0] = False  # nothing comes before the first token that could predict it
        places = np.zeros_like(wanted)
        places[:, :-1] = wanted[:, 1:]
        return Batch(ids, mask, places, ids[wanted])


def _answer_kept(one: Rendered, longest: int) -> Rendered:
    """At most so many tokens of a chat: its end, and of an answer longer than that the beginning."""
    over = len(one.ids) - longest
    if over <= 0:
        return one
    start = min(over, max(0, len(_prompt(one)) - 1))  # the token before the answer predicts its first one
    kept = slice(start, start + longest)
    return Rendered(one.ids[kept], one.completion[kept], True, one.unfit)


def _prompt(one: Rendered) -> NDArray[np.int64]:
    """The tokens before the last completion."""
    marked = np.flatnonzero(one.completion)
    if not len(marked):
        return one.ids
    last = marked[-1]
    while last > 0 and one.completion[last - 1]:
        last -= 1
    return one.ids[:last]
