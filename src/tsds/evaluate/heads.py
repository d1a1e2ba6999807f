"""A language model's scores at a few positions only: the projection on the vocabulary is most of the work elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Narrow:
    """Computes a model's scores where they are asked for.

    The hidden states and the head are taken apart by the names that transformers gives them, and it is checked once
    that together they give what the model gives; where they do not, the whole model is run.

    Args:
      model: of transformers, causal or masked; with adapters, the model inside them.
      vocabulary: how many tokens there are.
    """

    def __init__(self, model: Any, vocabulary: int) -> None:
        self.model = model
        self._head = self._checked(vocabulary)

    def scores(self, ids: Any, mask: Any, places: Any) -> Any:
        """The scores at these positions: [k, vocabulary], float32.

        Args:
          ids, mask: [b, t], tokens and which are no padding.
          places: [b, t], whether scores are wanted after the token at that position.
        """
        if self._head is None:
            return self.model(input_ids=ids, attention_mask=mask).logits[places].float()
        return self._head(self._hidden(ids, mask)[places]).float()

    def _hidden(self, ids: Any, mask: Any) -> Any:
        return self.model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state

    def _checked(self, vocabulary: int) -> Callable[[Any], Any] | None:
        import torch

        head = _head_of(self.model)
        if head is None:
            return None
        device = next(self.model.parameters()).device
        ids = torch.arange(8, device=device)[None] * max(1, vocabulary // 9) % vocabulary
        mask = torch.ones_like(ids)
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            whole = self.model(input_ids=ids, attention_mask=mask).logits.float()
            parts = head(self._hidden(ids, mask)).float()
        self.model.train(training)
        same = whole.shape == parts.shape and bool(torch.allclose(whole, parts, atol=1e-3, rtol=1e-3))
        return head if same else None


def _head_of(model: Any) -> Callable[[Any], Any] | None:
    """From hidden states to scores, by the names of the parts of a model; None where they have others."""
    for name in ("cls", "lm_head", "predictions"):  # BERT; RoBERTa and most causal models; ALBERT
        if hasattr(model, name):
            return getattr(model, name)  # type: ignore[no-any-return]
    if hasattr(model, "vocab_projector"):  # DistilBERT
        return lambda h: model.vocab_projector(model.vocab_layer_norm(model.activation(model.vocab_transform(h))))
    if hasattr(model, "head") and hasattr(model, "decoder"):  # ModernBERT
        return lambda h: model.decoder(model.head(h))
    return None
