"""Density search by number of cells, length of the prefix and margin: seconds, work and measured recall.

    python benchmarks/density.py [--pool 1000000] [--data FOLDER]

On the data of benchmarks/speed.py; the candidates are the nearest 210 of each of 1,000 targets. `work` is the share of
all candidate-pool pairs whose prefix distance is computed. Seconds are of a first search, medians of three.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from synthetic import targets, write_pool

from tsds import density
from tsds.density import cells as cells_of
from tsds.embeddings.vectors import Vectors
from tsds.neighbors import NeighborSearch

SETTINGS = [(512, 64), (512, 32), (512, 16), (128, 64), (2048, 64)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.data or Path(scratch)
        folder.mkdir(exist_ok=True)
        path = folder / f"pool-{args.pool}-384.npy"
        if not path.exists():
            write_pool(str(path), args.pool, 384)
        pool = Vectors.of(path)
        lists = NeighborSearch(pool, targets(1000, 384), largest_norm=1.001).rough(256)[0][:, :210]
        measure(pool, np.unique(lists))


def measure(pool: Vectors, candidates: np.ndarray) -> None:
    """Print the table."""
    print(f"{len(candidates):,} candidates\n")
    print("| h | cells | prefix | margin | work | seconds | recall | pairs of the sample |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for h, margins in ((0.1, (1.0, 0.7, 0.5)), (0.25, (0.7, 0.5, 0.35)), (0.75, (0.5, 0.35, 0.25))):
        for cells, prefix in SETTINGS if h < 0.5 else SETTINGS[:1]:
            cells_of.CELLS, cells_of.PREFIX = cells, prefix
            for margin in margins:
                seconds = []
                for _ in range(3):
                    search = density.DensitySearch(pool, None, h, largest_norm=1.001)
                    began = time.perf_counter()
                    found = search.search(candidates, margin)
                    seconds.append(time.perf_counter() - began)
                measured = "exact" if margin == 1 else f"{found.recall:.4f}"
                times = f"{found.work:.4f} | {statistics.median(seconds):.2f}"
                print(
                    f"| {h} | {cells} | {prefix} | {margin} | {times} | {measured} | {found.recall_pairs} |", flush=True
                )


if __name__ == "__main__":
    main()
