"""Exact search of few and many targets in a million vectors: our call of faiss against the same without our settings.

    python benchmarks/search.py [--pool 349525] [--dim 384] [--k 1024]

Seconds of the processor (all threads), the median of three, both in turn: what else runs on the machine matters less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import faiss
import numpy as np
from synthetic import pool_blocks, targets

from tsds.proposals import knn


def seconds(call: Callable[[], object]) -> float:
    """Of the processor."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=349_525, help="rows: one block of a search in 384 dimensions")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--k", type=int, default=1024)
    args = parser.parse_args()
    rows = np.concatenate(list(pool_blocks(args.pool, args.dim))).astype(np.float32)
    print(f"{args.pool:,} x {args.dim}, k = {args.k}, faiss {faiss.__version__}\n")
    print("| targets | faiss as it is | tsds | times |\n| --- | --- | --- | --- |")
    for m in (10, 30, 100, 300, 1000, 3000):
        queries = targets(m, args.dim).astype(np.float32)
        took = np.array([
            [seconds(lambda: faiss.knn(queries, rows, args.k)), seconds(lambda: knn(queries, rows, args.k))]  # noqa: B023
            for _ in range(3)
        ])  # fmt: skip
        bare, ours = np.median(took, axis=0)
        print(f"| {m:,} | {bare:.2f} | {ours:.2f} | {bare / ours:.1f} |", flush=True)


if __name__ == "__main__":
    main()
