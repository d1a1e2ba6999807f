"""The seven shared targets, end to end: seconds, strength, and what is chosen from where.

python benchmarks/targets.py [--shared ../shared/data] [--size 1%]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import tsds
from tsds.report.data import composition

TARGETS = {
    "chemprot": ("domain", "train"),
    "ag_news": ("domain", "train"),
    "sci_cite": ("domain", "train"),
    "rt_polarity": ("domain", "train"),
    "gsm8k": ("instruct", "query"),
    "bbh": ("instruct", "query"),
    "strategyqa": ("instruct", "query"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("TSDS_SHARED_DATA", "../shared/data")))
    parser.add_argument("--size", default="1%")
    args = parser.parse_args()
    print("| target | examples | seconds | chosen | s | candidates with mass | chosen from (share, lift) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (folder, split) in TARGETS.items():
        began = time.perf_counter()
        pool = args.shared / folder / "pool.jsonl.gz"
        chosen = tsds.select(pool, args.shared / folder / "targets" / name / f"{split}.jsonl.gz", size=args.size)
        seconds = time.perf_counter() - began
        sources = ", ".join(
            f"{g['name']} {g['chosen_share']:.0%} ({g['lift']:.1f}x)" for g in composition(chosen)[:5] if g["chosen"]
        )
        s, m = chosen.answer.neighbors, len(chosen.inputs.targets.mu)
        print(
            f"| {name} | {m:,} | {seconds:.1f} | {len(chosen)} | {s:.0f} | {len(chosen.rows):,} | {sources} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
