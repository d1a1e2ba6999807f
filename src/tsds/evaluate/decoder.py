"""A small decoder for machines without a network: its tokenizer and its weights come from the pool's own texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tsds.embeddings.encoders.models import quiet_libraries
from tsds.embeddings.encoders.rendering import with_role_marks
from tsds.embeddings.encoders.warmup import rising_then_falling
from tsds.evaluate.causal import CausalModel
from tsds.evaluate.settings import Settling, Training
from tsds.evaluate.stream import equal_tokens
from tsds.evaluate.training import train
from tsds.records.dialogue import turns_of
from tsds.stages import Stages

MARKS = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|tool|>")


@dataclass(frozen=True)
class Shape:
    """How large a decoder is.

    Attributes:
      vocabulary, width, inner, layers, heads: of a Llama with tied embeddings.
    """

    vocabulary: int = 8192
    width: int = 256
    inner: int = 688
    layers: int = 4
    heads: int = 4


#: By the name that --model takes.
SHAPES = {
    "decoder-5m": Shape(),
    "decoder-14m": Shape(width=384, inner=1024, layers=6, heads=6),
}


def make_decoder(
    out: Path, state: Path, sample: Sequence[str], shape: Shape, training: Training, settling: Settling, device: str,
    stages: Stages,
) -> dict[str, Any]:  # fmt: skip
    """Train a tokenizer and a decoder on the sample, once through it or for `settling.steps`; write both to `out`."""
    write_untrained(out, sample, shape, training.longest)
    model = CausalModel(out, device, "full", training.longest, training.precision)
    rendered = model.render(sample)
    lengths = np.array([len(one.ids) for one in rendered], np.int64)
    once = int(lengths.sum()) // training.step_tokens
    count = max(1, min(settling.steps, once))
    steps = equal_tokens(lengths, np.ones(len(lengths), np.int64), count, training.step_tokens, 1)
    stream = (model.batches(rendered, step, training.padded, whole=True) for step in steps)
    rate = rising_then_falling(settling.rate, 0.05, count)
    with stages.stage("make the base", count) as advance:
        losses = train(model, stream, rate, 1, advance=advance, state=state)
    model.module.save_pretrained(out)
    few = settling.window
    return {
        "weights": model.size,
        "steps": count,
        "tokens": count * training.step_tokens,
        "loss_first": float(np.mean(losses[:few])),
        "loss_last": float(np.mean(losses[-few:])),
    }


def write_untrained(out: Path, sample: Sequence[str], shape: Shape, longest: int) -> None:
    """Train the tokenizer, and write it with a decoder of random weights."""
    quiet_libraries()
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocabulary, special_tokens=list(MARKS), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    inner.train_from_iterator((_written(text) for text in sample), trainer)
    fast: Any = PreTrainedTokenizerFast
    tokenizer = fast(
        tokenizer_object=inner, pad_token=MARKS[0], eos_token=MARKS[1], additional_special_tokens=list(MARKS[2:])
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=shape.width, intermediate_size=shape.inner,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.heads,
        max_position_embeddings=max(512, longest), tie_word_embeddings=True, pad_token_id=0, bos_token_id=None,
        eos_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(out)
    tokenizer.save_pretrained(out)


def _written(text: str) -> str:
    turns = turns_of(text)
    return with_role_marks(turns, MARKS[1])[0] if turns else str(text)
