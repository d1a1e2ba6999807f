"""How much nearer than random candidates the nearest are, of targets that the pool has something like and of others.

python benchmarks/far_targets.py [--shared ../shared/data] [--encoder hash:256]

The figure behind a warning (src/tsds/warnings.py): the median distance of 200 targets to their nearest candidate, over
that to random ones. Every tenth record of the shared pools; each with its own targets, those of the other, and made-up
ones.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import os
import tempfile
from pathlib import Path

import numpy as np

import tsds

TARGETS = {
    "domain": ("chemprot/train", "ag_news/train", "sci_cite/train", "rt_polarity/train"),
    "instruct": ("gsm8k/query", "bbh/query", "strategyqa/query"),
}
RUSSIAN = [
    "Кошка спит на тёплой печи, пока идёт снег.",
    "Маленький мальчик потерял вчера синюю шапку.",
    "Поезд из Москвы опоздал на двадцать минут.",
    "Завтра бабушка испечёт пирог из яблок.",
    "Весной река выходит из берегов и заливает луга.",
]
ROWS, EVERY = 200, 10


def made_up(rng: np.random.Generator) -> list[str]:
    """Sentences of words that no language has."""
    letters = np.array(list("bcdfghjklmnpqrstvwxz"))
    return [" ".join("".join(rng.choice(letters, 6)) for _ in range(20)) for _ in range(50)]


def ratio(pool: Path, target: object, encoder: str) -> float:
    """The figure, of one pool and target."""
    found = tsds.select(pool, target, size=20, method="nearest", encoder=encoder)
    return float(np.median(found.answer.nearest)) / found.at_random


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("TSDS_SHARED_DATA", "../shared/data")))
    parser.add_argument("--encoder", default="hash:256", help="hash of some width")
    args = parser.parse_args()
    print("| pool | targets | nearest / random |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        for folder in TARGETS:
            pool = Path(name) / f"{folder}.jsonl"
            with gzip.open(args.shared / folder / "pool.jsonl.gz") as file, pool.open("wb") as some:
                some.writelines(itertools.islice(file, 0, None, EVERY))
            others: dict[str, object] = {"Russian": RUSSIAN, "made-up words": made_up(np.random.default_rng(0))}
            for of, tasks in TARGETS.items():
                for task in tasks:
                    few = Path(name) / f"{task.split('/')[0]}.jsonl"
                    with gzip.open(args.shared / of / "targets" / f"{task}.jsonl.gz") as file, few.open("wb") as some:
                        some.writelines(itertools.islice(file, ROWS))
                    print(f"| {folder} | {few.stem} | {ratio(pool, few, args.encoder):.3f} |", flush=True)
            for title, target in others.items():
                print(f"| {folder} | {title} | {ratio(pool, target, args.encoder):.3f} |", flush=True)


if __name__ == "__main__":
    main()
