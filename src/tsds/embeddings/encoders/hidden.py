"""Hidden states of any language model, pooled to one vector a text.

Mean, last token, or the mean weighted by position of RDS+ (Ivison et al. 2025, arXiv 2503.01807): token i of a text
weighs i, for in a causal model the later tokens have seen more of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.encoders.model_encoder import ModelEncoder
from tsds.embeddings.encoders.models import (
    dtype_of,
    load,
    model_folder,
    need,
    padded,
    quiet_libraries,
    read_config,
    reads_at_most,
    stack_of,
)
from tsds.embeddings.encoders.protocol import Advance, Role, Setting, ignore
from tsds.embeddings.encoders.rendering import Renderer
from tsds.embeddings.encoders.spec import Options
from tsds.errors import InputError, RunError

_VERSION = 1  # of the arithmetic: raise it whenever the same input may give other bits
POOLINGS = ("mean", "last", "weighted")


class HiddenEncoder(ModelEncoder):
    """States of a causal or masked model of transformers.

    Chats are written with the model's chat template. Texts that are longer than the model reads are cut and counted.

    Args:
      name: folder, or name on the model hub.
      options: a layer (0 is the embeddings, -1 the last) and a pooling, "mean", "last" or "weighted"; `max`, tokens
        read of a text. By default the last layer, weighted for a causal model and the mean for a masked one, 2,048.
      setting: device and where messages go.
    """

    name = "hidden"

    def __init__(self, name: str, options: Options, setting: Setting) -> None:
        options.known("max", words=POOLINGS)
        for package in ("torch", "transformers"):
            need(package, f"encoder {self.name}", "sentence")
        super().__init__(model_folder(name, f"encoder {self.name}", "sentence"), setting)
        self._config = read_config(self._folder)
        self._causal = self._config.causal
        self.chats = self._causal
        layers = [int(word) for word in options.words if word not in POOLINGS]
        poolings = [word for word in options.words if word in POOLINGS]
        if len(layers) > 1 or len(poolings) > 1:
            raise InputError(f"encoder {self.name} takes one layer and one pooling", remedy=f"{name}@-1,mean")
        self.layer = layers[0] if layers else -1
        self.pooling = poolings[0] if poolings else ("weighted" if self._causal else "mean")
        self._limit = reads_at_most(self._config, options.number("max", None))
        depth = self._config.layers
        if depth is not None and not -depth - 1 <= self.layer <= depth:
            raise InputError(f"the model has no layer {self.layer}", remedy=f"0 to {depth}, or -1 to {-depth - 1}")

    def fit(self, batches: Iterable[Sequence[str]]) -> Self:
        """Nothing to learn."""
        return self

    @property
    def dim(self) -> int:
        """Width of the states."""
        return int(self._loaded[1].config.hidden_size)

    def encode(self, texts: Sequence[str], role: Role = "candidate", advance: Advance = ignore) -> NDArray[np.float32]:
        """Embed texts: [n, dim] float32, unit norm; a text without a token is zero."""
        import torch

        tokenizer, model = self._loaded
        device = self._device
        rendered = Renderer(tokenizer, self._limit, chats=self.chats).render(texts)
        self.report.texts += len(texts)
        self.report.truncated += sum(one.truncated for one in rendered)
        self.report.unfit += sum(one.unfit for one in rendered)

        def work(batch: list[int]) -> NDArray[Any]:
            ids, mask = padded([rendered[i].ids for i in batch], tokenizer.pad_token_id or 0)
            if not ids.shape[1]:
                return np.zeros((len(batch), model.config.hidden_size), np.float32)
            with torch.inference_mode():
                mask = mask.to(device)
                states = states_at(model, ids.to(device), mask, self.layer)
                rows = pooled(states.float(), mask, self.pooling)
                return np.asarray(torch.nn.functional.normalize(rows, dim=-1).cpu().numpy())

        return self._in_batches([len(one.ids) for one in rendered], work, advance)

    def fingerprint(self, role: Role = "candidate") -> str:
        """Identifies the vectors: weights and tokenizer, layer, pooling, limit and code version."""
        return self._told_apart(_VERSION, (self.layer, self.pooling, self._limit))

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """Tokenizer and model."""
        quiet_libraries()
        from transformers import AutoModel, AutoTokenizer

        tokenizer = load(AutoTokenizer, self._folder)
        model = load(AutoModel, self._folder, dtype=dtype_of(self._device))
        return tokenizer, model.to(self._device).eval()


class _Reached(Exception):
    """Thrown out of a model when the layer that is wanted has been computed."""


def states_at(model: Any, ids: Any, mask: Any, layer: int) -> Any:
    """States of every token after a layer, [b, t, d]; the layers above it are not computed where they can be found.

    Args:
      model: without a head.
      ids, mask: [b, t].
      layer: 0 is the embeddings, the depth of the model or -1 the last, after the final norm if there is one.
    """
    depth = int(model.config.num_hidden_layers)
    layer %= depth + 1
    if layer == depth:
        return model(input_ids=ids, attention_mask=mask).last_hidden_state
    stack = stack_of(model, depth)
    if stack is None or layer == 0:
        return model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[layer]
    kept: list[Any] = []

    def stop(module: Any, inputs: Any, output: Any) -> None:
        kept.append(output[0] if isinstance(output, tuple) else output)
        raise _Reached

    hook = stack[layer - 1].register_forward_hook(stop)
    try:
        model(input_ids=ids, attention_mask=mask)
    except _Reached:
        return kept[0]
    finally:
        hook.remove()
    raise RunError(f"layer {layer} of the model was never computed")


def pooled(states: Any, mask: Any, pooling: str) -> Any:
    """One vector a text from the states of its tokens.

    Args:
      states: [b, t, d].
      mask: [b, t], 1 for tokens and 0 for padding, which is at the right.
      pooling: "mean"; "last", the last token; "weighted", sum_i i h_i / sum_i i over the tokens i = 1, 2, ...
    """
    import torch

    weights = mask.to(states.dtype)
    if pooling == "last":
        last = mask.sum(dim=1) - 1
        weights = torch.nn.functional.one_hot(last.clamp(min=0), mask.shape[1]).to(states.dtype) * weights
    elif pooling == "weighted":
        weights = weights * torch.arange(1, mask.shape[1] + 1, device=states.device)
    weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.einsum("bt,btd->bd", weights, states)
