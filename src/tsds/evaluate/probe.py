"""A linear probe: what an encoder's states tell of the labels, the encoder kept as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.evaluate.classifier import mean_states
from tsds.evaluate.training import padded_rows

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

    def fit(self, tokens: Sequence[NDArray[np.int64]], labels: NDArray[np.int64], fill: int) -> None:
        """Learn the labels of these texts; of a single class there is nothing to learn."""
        self._only = int(labels[0]) if (labels == labels[0]).all() else None
        if self._only is None:
            self._model.fit(self._states(tokens, fill), labels)

    def predict(self, tokens: Sequence[NDArray[np.int64]], fill: int) -> NDArray[np.int64]:
        """The class of each text."""
        if self._only is not None:
            return np.full(len(tokens), self._only)
        return np.asarray(self._model.predict(self._states(tokens, fill)), np.int64)

    def _states(self, tokens: Sequence[NDArray[np.int64]], fill: int, padded: int = 8192) -> NDArray[np.float64]:
        """The mean state of each text, [n, width]; texts of like length are read together."""
        import torch

        order = np.argsort([-len(row) for row in tokens], kind="stable")
        out: NDArray[np.float64] | None = None
        self._encoder.eval()
        start = 0
        with torch.no_grad():
            while start < len(order):
                some = order[start : start + max(1, padded // len(tokens[order[start]]))]
                found = mean_states(self._encoder, *padded_rows([tokens[i] for i in some], fill), self._device)
                if out is None:
                    out = np.zeros((len(tokens), found.shape[1]))
                out[some] = found.double().cpu().numpy()
                start += len(some)
        assert out is not None, "there is a text"
        return out
