"""Whether scores are of what a run selected: of the same pool, targets and size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tsds.begun import input_checksums
from tsds.errors import InputError
from tsds.inputs import Inputs
from tsds.settings import Settings


def described(inputs: Inputs, settings: Settings, size: int) -> dict[str, Any]:
    """What is compared, under the names that run.json has for it."""
    return {
        "size": size,
        "size_asked": settings.budget.asked,
        "pool": {"used": inputs.candidates.census.used},
        "target": {"used": inputs.targets.census["used"]},
        "inputs": input_checksums(inputs),
    }


def check_same(run: Mapping[str, Any], scores: Mapping[str, Any], path: Path, remedy: str) -> None:
    """Raise InputError, naming what differs, if scores are of another pool, other targets or another size than a run.

    What one of the two doesn't tell is not compared.

    Args:
      run: what run.json holds.
      scores: what `tsds compare` or `tsds evaluate` wrote, or is about to.
      path: where the error is.
    """
    differs = [what for name, what in _ROLES.items() if not _same(run, scores, name)]
    size = run.get("size", {})
    asked = scores.get("size_asked") == size.get("asked")  # in tokens the numbers are not those planned
    # An evaluation is of several sizes, and its rows say of which.
    if "size" in scores and "wanted" in size and not asked and scores["size"] != size["wanted"]:
        differs.append(f"size {scores['size']:,} instead of {size['wanted']:,}")
    if differs:
        raise InputError(f"is not of what the run selected: {', '.join(differs)}", path=path, remedy=remedy)


_ROLES = {"pool": "another pool", "target": "other targets"}


def _same(run: Mapping[str, Any], scores: Mapping[str, Any], name: str) -> bool:
    """Whether both had the same files for it, in any order; where one had none, as many usable records."""
    ours, theirs = (sorted(f["sha256"] for f in one.get("inputs", {}).get(name, [])) for one in (run, scores))
    if ours and theirs:
        return ours == theirs
    counts = [one[name]["used"] for one in (run, scores) if name in one]
    return len(set(counts)) < 2
