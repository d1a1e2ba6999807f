"""Run the command as a user does, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "tsds"]


def tsds(*arguments: object, stdin: bytes | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The finished process, its output as text."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100"},
        timeout=300,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def write_jsonl(path: Path, records: list[dict[str, Any]]) -> Path:
    """Records as JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau".split()


def texts(count: int, seed: int = 0, topics: int = 4) -> list[str]:
    """Sentences on a few topics."""
    import random

    rng = random.Random(seed)
    out = []
    for i in range(count):
        own = WORDS[(i % topics) * 4 : (i % topics) * 4 + 4]
        out.append(" ".join(rng.choice(own + WORDS[-3:]) for _ in range(12)) + f" number {rng.randrange(10**6)}")
    return out
