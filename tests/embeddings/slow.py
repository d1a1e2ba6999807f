"""An encoder to be interrupted: slow, and its vectors are a plain function of the text that a test can compute."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIM = 6


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Six numbers from the digest of each text."""
    rows = [np.frombuffer(hashlib.sha256(t.encode()).digest()[: 4 * DIM], np.uint32) for t in texts]
    return (np.array(rows, np.float64).reshape(-1, DIM) / 2**32).astype(np.float32)


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """The same, at a pace of TSDS_TEST_PACE seconds a text; counts texts in the file TSDS_TEST_COUNT."""
    time.sleep(float(os.environ.get("TSDS_TEST_PACE", "0")) * len(texts))
    if "TSDS_TEST_COUNT" in os.environ:
        with Path(os.environ["TSDS_TEST_COUNT"]).open("a") as file:
            file.write(f"{len(texts)}\n")
    return vectors(texts)


encode.fingerprint = "six numbers"  # type: ignore[attr-defined]
