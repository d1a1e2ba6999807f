"""Where the shared benchmark data lies, for tests that need it; None where it is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_PATH = Path(os.environ.get("TSDS_SHARED_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
SHARED = _PATH if (_PATH / "instruct" / "pool.jsonl.gz").exists() else None

needs_shared = pytest.mark.skipif(SHARED is None, reason="the shared benchmark data is not here (TSDS_SHARED_DATA)")


def shared(path: str) -> Path:
    """A file of the shared data."""
    assert SHARED is not None
    return SHARED / path
