"""An encoder that tells which process it worked in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Counts of letters."""
    (Path(os.environ["TSDS_TOLD"]) / f"pid-{os.getpid()}").touch()
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
    rows = [np.frombuffer(text.encode(), np.uint8) for text in texts]
    return np.array([[np.count_nonzero(row == letter) for letter in letters] for row in rows], np.float32)


vectors.fingerprint = "letters 1"  # type: ignore[attr-defined]
