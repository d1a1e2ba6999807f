"""Balanced plans of real sizes: seconds after the search, the certified gap, and the work of the solver.

    python benchmarks/balanced.py [--pool N] [--dim D] [--peers]

On generated clustered vectors (benchmarks/synthetic.py): 1,000 targets and 10,000, size 10,000, without a bound on s
and with the default one. With --peers the same linear program with every edge in doubt from the start.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
from synthetic import targets, write_pool

from tsds.balancing import find_balanced
from tsds.embeddings.vectors import Vectors
from tsds.methods.balanced import default_neighbors
from tsds.neighbors import NeighborSearch
from tsds.transport.balanced import balanced_plan


def everything_at_once(distances: np.ndarray, indices: np.ndarray, size: float, s: float | None) -> tuple[float, float]:
    """Cost and seconds of the same program with every edge from the start."""
    with mock.patch("tsds.transport.flow._guess", lambda key, most, supply: (np.zeros(most.shape, bool), most > 0)):
        began = time.perf_counter()
        cost = balanced_plan(distances, None, indices, size, neighbors=s).cost
        return cost, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--peers", action="store_true")
    args = parser.parse_args()
    print(f"{args.pool:,} x {args.dim}, size {args.size:,}\n")
    print(
        "| targets | s | search | balanced after it | neighbours | gap | edges solved of listed | rounds | all edges |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.npy"
        write_pool(str(path), args.pool, args.dim)
        pool = Vectors.of(path)
        for m in (1000, 10_000):
            search = NeighborSearch(pool, targets(m, args.dim), largest_norm=1.001)
            began = time.perf_counter()
            search.rough(int(2.3 * default_neighbors(args.size, m)) + 256)
            searched = time.perf_counter() - began
            for s in (None, default_neighbors(args.size, m)):
                began = time.perf_counter()
                found = find_balanced(search, lambda rows: np.ones(len(rows)), args.size, s, np.full(m, 1 / m))
                seconds = time.perf_counter() - began
                plan, k = found.plan, found.indices.shape[1]
                peer = "not run"
                if args.peers:
                    cost, slow = everything_at_once(found.distances, found.indices, args.size, s)
                    assert abs(cost - plan.cost) < 1e-6 * cost
                    peer = f"{slow:.1f} s"
                print(
                    f"| {m:,} | {s or 'none'} | {searched:.1f} s | {seconds:.1f} s | {k} | {plan.gap:.0e} | "
                    f"{plan.edges:,} of {m * k:,} | {plan.rounds} | {peer} |", flush=True,
                )  # fmt: skip


if __name__ == "__main__":
    main()
