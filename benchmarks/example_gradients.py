"""Gradients of single examples by LoRA weights, three ways: python benchmarks/example_gradients.py [--layers L ...].

One backward pass with hooks for the whole batch (encoders/lora.py), a backward pass for each example, and torch.func's
vmap(grad). A model of Llama's architecture, randomly initialised; the rows of all three are compared.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.func import functional_call, grad, vmap

from tsds.embeddings.encoders.lora import LoraModel, LoraSettings
from tsds.embeddings.encoders.models import padded
from tsds.embeddings.encoders.rendering import Rendered


def model_folder(folder: Path, layers: int, width: int) -> Path:
    """A causal model on disk, with a tokenizer that is never asked."""
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    heads = width // 64
    config = LlamaConfig(
        vocab_size=2048, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(2048)}, unk_token="w0"))
    fast: Any = PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer, pad_token="w1").save_pretrained(folder)
    return folder


def one_by_one(model: LoraModel, batch: list[Rendered]) -> Any:
    rows = []
    for one in batch:
        with torch.enable_grad():
            parts = torch.autograd.grad(model.losses([one]).sum(), list(model.parameters.values()))
        rows.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows)


def by_vmap(model: LoraModel, batch: list[Rendered]) -> Any:
    ids, mask = padded([one.ids for one in batch], 0)

    def loss(weights: dict[str, Any], ids: Any, mask: Any) -> Any:
        given = {"input_ids": ids[None], "use_cache": False}  # padding is at the right, after all that counts
        logits = functional_call(model.model, weights, (), given).logits[0, :-1].float()
        each = torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")
        return (each * mask[1:]).sum() / mask[1:].sum()

    weights = {name: parameter.detach() for name, parameter in model.parameters.items()}
    found = vmap(grad(loss), in_dims=(None, 0, 0))(weights, ids, mask)
    return torch.cat([found[name].flatten(1) for name in weights], dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, nargs="*", default=[4, 8])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    lengths = rng.integers(args.tokens // 2, args.tokens + 1, args.batch)
    batch = [Rendered(rng.integers(2, 2048, n), np.ones(n, bool), False, False) for n in lengths]
    print("| layers | way | examples a second | largest difference |")
    print("| --- | --- | --- | --- |")
    for layers in args.layers:
        with tempfile.TemporaryDirectory() as name:
            folder = model_folder(Path(name), layers, args.width)
            model = LoraModel(folder, LoraSettings(args.rank, 4 * args.rank, 0.0), 0, "cpu", torch.float32)
        with torch.no_grad():
            for parameter in model.parameters.values():
                parameter.add_(0.02 * torch.randn_like(parameter))
        ways: dict[str, Callable[[], Any]] = {
            "hooks, one backward pass": lambda: model.gradients(batch),  # noqa: B023
            "one example at a time": lambda: one_by_one(model, batch),  # noqa: B023
            "torch.func, vmap of grad": lambda: by_vmap(model, batch),  # noqa: B023
        }
        truth = one_by_one(model, batch)
        for way, compute in ways.items():
            try:
                found = compute()
            except (RuntimeError, ValueError, TypeError) as error:
                print(f"| {layers} | {way} | fails: {str(error).splitlines()[0][:60]} | |", flush=True)
                continue
            times = []
            for _ in range(3):
                began = time.perf_counter()
                compute()
                times.append(time.perf_counter() - began)
            rate, off = args.batch / float(np.median(times)), float((found - truth).abs().max() / truth.abs().max())
            print(f"| {layers} | {way} | {rate:.1f} | {off:.0e} |", flush=True)


if __name__ == "__main__":
    main()
