"""A language model with LoRA adapters: the loss of a completion, and the gradient of each example of a batch at once.

The adapters are linear layers, whose gradient for one example is a sum of outer products of what came in and the
gradient of what went out. Hooks keep both, so one backward pass over a batch gives the gradients of all its examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tsds.embeddings.encoders.models import load, padded, quiet_libraries, stack_of
from tsds.embeddings.encoders.rendering import Rendered
from tsds.errors import InputError

#: The attention's projections, where they have these names; else every linear layer gets an adapter.
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True)
class LoraSettings:
    """By default as LESS was published (Xia et al. 2024, table of hyperparameters).

    Attributes:
      rank, alpha, dropout: of the adapters.
    """

    rank: int = 128
    alpha: int = 512
    dropout: float = 0.1


def with_adapters(base: Any, settings: LoraSettings, seed: int) -> Any:
    """A causal model of transformers with adapters, whose start is drawn from the seed."""
    import torch
    from peft import LoraConfig, get_peft_model

    names = {name.rpartition(".")[2] for name, _ in base.named_modules()}
    targets: Any = [name for name in _ATTENTION if name in names]
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, task_type="CAUSAL_LM",
        target_modules=targets if len(targets) > 1 else "all-linear",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(base, config)


class LoraModel:
    """A causal model whose only trainable weights are its adapters.

    Args:
      folder: of the model.
      settings: of the adapters.
      seed: of their start.
      device, dtype: to compute on, and in.
      recompute: whether the layers' activations are computed again in the backward pass, not kept (gradient
        checkpointing): a third more arithmetic for a fraction of the memory, and the same gradients.

    Attributes:
      tokenizer: of the model.
      parameters: the adapters' weights by name, in a fixed order.
      size: how many numbers they are.
    """

    def __init__(
        self, folder: Path, settings: LoraSettings, seed: int, device: str, dtype: Any, *, recompute: bool = False
    ) -> None:
        quiet_libraries()
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.device = device
        self.tokenizer = load(AutoTokenizer, folder)
        if not self.tokenizer.is_fast:
            raise InputError("its tokenizer gives no places of tokens", path=folder, remedy="use one that is fast")
        base = load(AutoModelForCausalLM, folder, dtype=dtype)
        self.model: Any = with_adapters(base, settings, seed).to(device)
        self.model.eval()
        if recompute:
            _recompute(self.model)
        self.parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.size = sum(p.numel() for p in self.parameters.values())

    def losses(self, batch: Sequence[Rendered]) -> Any:
        """The mean negative log-likelihood of the completion tokens of each example, [b].

        Of an example without a completion token (it was cut off), all tokens count.
        """
        import torch

        ids, mask = padded([one.ids for one in batch], self.tokenizer.pad_token_id or 0)
        wanted = torch.zeros_like(mask)
        for i, one in enumerate(batch):
            marked = one.completion if one.completion[1:].any() else one.ids == one.ids
            wanted[i, : len(marked)] = torch.from_numpy(marked)
        ids, wanted = ids.to(self.device), wanted.to(self.device)[:, 1:].float()
        given = {"input_ids": ids, "attention_mask": mask.to(self.device), "use_cache": False}
        logits = self.model(**given).logits[:, :-1].float()
        each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        return (each * wanted).sum(dim=1) / wanted.sum(dim=1).clamp(min=1)

    def gradients(self, batch: Sequence[Rendered]) -> Any:
        """The gradient of each example's loss by the adapters' weights, [b, size] float32, ordered as `parameters`."""
        import torch

        found: dict[str, Any] = {}
        hooks = [
            module.register_forward_hook(_catch(f"{name}.weight", found))
            for name, module in self.model.named_modules()
            if isinstance(module, torch.nn.Linear) and f"{name}.weight" in self.parameters
        ]
        try:
            with torch.enable_grad():
                torch.autograd.grad(self.losses(batch).sum(), list(self.parameters.values()))
        finally:
            for hook in hooks:
                hook.remove()
        return torch.cat([found[name] for name in self.parameters], dim=1)

    def read(self, weights: dict[str, Any]) -> None:
        """Take over the adapters' weights of a checkpoint."""
        import torch

        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(weights[name])


def _recompute(model: Any) -> None:
    """Let the layers of a model forget their activations.

    Done here and not by the library, which does it in training mode alone: gradients of examples are taken without
    dropout.
    """
    from torch.utils.checkpoint import checkpoint

    layers = stack_of(model, int(model.config.num_hidden_layers))
    if layers is None:
        raise InputError("its layers can't be found, so recompute=1 is not possible", remedy="leave it out")
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)


def _catch(name: str, found: dict[str, Any]) -> Any:
    """A hook for a linear layer that puts the gradient of its weight, for each example of the batch, into `found`."""
    import torch

    def forward(module: Any, inputs: Any, output: Any) -> None:
        into = inputs[0].detach()

        def backward(gradient: Any) -> None:
            found[name] = torch.einsum("bto,bti->boi", gradient.float(), into.float()).flatten(1)

        output.register_hook(backward)

    return forward
