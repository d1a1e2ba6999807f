"""Bases of a test are its own, and a model that is so small has one thread."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSDS_BASES", str(tmp_path / "bases"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
