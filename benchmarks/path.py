"""The regularization path of random lists: seconds to build it, and to ask it.

python benchmarks/path.py [--targets 1000] [--neighbors 5000]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from tsds.transport import RegularizationPath


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--neighbors", type=int, default=5000)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    shape = (args.targets, args.neighbors)
    distances, weights = np.sort(rng.random(shape), axis=1), rng.uniform(0.1, 1, shape)
    indices = rng.integers(1_000_000, size=shape)
    build, ask, sums = [], [], []
    for _ in range(5):
        path = RegularizationPath(distances, weights, indices)
        began = time.perf_counter()
        curve = path.curve
        build.append(time.perf_counter() - began)
        began = time.perf_counter()
        for penalty in np.geomspace(0.01, curve.penalty[-1], 100):
            curve.neighbors(penalty)
        ask.append(time.perf_counter() - began)
        began = time.perf_counter()
        path.point(path.longest / 4)
        sums.append(time.perf_counter() - began)
    print(f"| {args.targets:,} x {args.neighbors:,} | median seconds |\n| --- | --- |")
    print(f"| s for every penalty | {statistics.median(build):.3f} |")
    print(f"| 100 penalties looked up | {statistics.median(ask):.5f} |")
    print(f"| first p, effective size and max p of one point | {statistics.median(sums):.3f} |")


if __name__ == "__main__":
    main()
