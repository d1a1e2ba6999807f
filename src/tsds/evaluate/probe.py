"""A linear probe: what an encoder's states tell of the labels, the encoder kept as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.evaluate.classifier import mean_states, read_by_length

#: Inverse strength of the regularization, on states of unit variance.
_C = 0.03


class Probe:
    """A logistic regression on the mean of an encoder's hidden states.

    It costs a reading of the texts where finetuning costs three for each pass, has no chance of its own, and shows what
    the training of the encoder alone has changed.

    Args:
      encoder: of transformers; it is only read.
      device: that it is on.
    """

    def __init__(self, encoder: Any, device: str) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._encoder, self._device = encoder, device
        self._model = make_pipeline(StandardScaler(), LogisticRegression(C=_C, max_iter=1000))
        self._only: int | None = None
        self._fitted = False

    def fit(self, tokens: Sequence[NDArray[np.int64]], labels: NDArray[np.int64], fill: int) -> None:
        """Learn the labels of these texts; of a single class there is nothing to learn, nor where states diverged."""
        self._only = int(labels[0]) if (labels == labels[0]).all() else None
        if self._only is None:
            states = self._states(tokens, fill)
            self._fitted = bool(np.isfinite(states).all())
            if self._fitted:
                self._model.fit(states, labels)

    def predict(self, tokens: Sequence[NDArray[np.int64]], fill: int) -> NDArray[np.int64] | None:
        """The class of each text; None where states are no numbers, as those of an encoder that diverged."""
        if self._only is not None:
            return np.full(len(tokens), self._only)
        states = self._states(tokens, fill)
        if not self._fitted or not np.isfinite(states).all():
            return None
        return np.asarray(self._model.predict(states), np.int64)

    def _states(self, tokens: Sequence[NDArray[np.int64]], fill: int, padded: int = 8192) -> NDArray[np.float64]:
        """The mean state of each text, [n, width]; texts of like length are read together."""
        import torch

        out = np.zeros((len(tokens), int(self._encoder.config.hidden_size)))
        self._encoder.eval()
        with torch.no_grad():
            for some, ids, mask in read_by_length(tokens, fill, padded):
                out[some] = mean_states(self._encoder, ids, mask, self._device).double().cpu().numpy()
        return out
