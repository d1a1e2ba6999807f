"""Sample data: a small real pool, and a real task."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def pool_path() -> Path:
    """4,000 chats from ten sources, in README.md."""
    return _HERE / "pool.jsonl.gz"


def target_path() -> Path:
    """60 problems of grade-school mathematics with worked answers."""
    return _HERE / "target.jsonl"
