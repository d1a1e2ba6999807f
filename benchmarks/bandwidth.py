"""Which quantile of the distances of edited copies makes a good bandwidth? On the shared near-duplicates.

    python benchmarks/bandwidth.py [--shared ../shared/data]

For each quantile: h (sqrt(2) times it); the share of pairs of real near-duplicates (20 passages, 500 edits each, other
edits than ours) within h; the mean number of unrelated passages of the pool within h of a passage, which should stay
far below one; and what the copies of one passage weigh together under h, sum of 1 / rho, which should be near one.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from tsds.bandwidth import HALF_WEIGHT, perturbed
from tsds.embeddings.encoders.hashing import HashEncoder
from tsds.records import Pool


def texts(path: Path) -> list[str]:
    """All texts of a file."""
    return [text for batch in Pool.open(path).batches() for text in batch.texts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("TSDS_SHARED_DATA", "../shared/data")))
    shared = parser.parse_args().shared / "domain"
    pool, copies = texts(shared / "pool.jsonl.gz"), texts(shared / "near_duplicates.jsonl.gz")
    encoder = HashEncoder().fit([pool, copies])  # the copies are part of the pool, as in use
    rng = np.random.default_rng(0)
    own = [pool[i] for i in rng.choice(len(pool), 512, replace=False)]
    first, second = (encoder.encode([perturbed(text, rng) for text in own]) for _ in range(2))
    edited = np.linalg.norm(first - second, axis=1)
    groups = encoder.encode(copies).reshape(20, 500, -1)
    within = [np.linalg.norm(g[:, None] - g[None], axis=2) for g in groups[:, :250]]
    some = encoder.encode([pool[i] for i in rng.choice(len(pool), 400, replace=False)])
    everyone = encoder.encode(pool)
    others = np.sqrt(np.maximum(2 - 2 * some @ everyone.T, 0))
    print("| quantile | h | pairs of copies within h | others within h | weight of 250: median, largest |")
    print("| --- | --- | --- | --- | --- |")
    for quantile in (0.5, 0.75, 0.9, 0.95, 0.99, 1.0):
        h = HALF_WEIGHT * float(np.quantile(edited, quantile))
        pairs = np.mean([(d < h).mean() for d in within])
        weight = [(1 / np.maximum(0, 1 - (d / h) ** 2).sum(axis=1)).sum() for d in within]
        near = (others < h).sum(axis=1).mean() - 1
        print(f"| {quantile:.2f} | {h:.3f} | {pairs:.1%} | {near:.3f} | {np.median(weight):.2f}, {max(weight):.2f} |")


if __name__ == "__main__":
    main()
