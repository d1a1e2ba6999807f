"""One machine, growing pools: seconds and memory against the floors of reading and arithmetic.

    python benchmarks/scale.py [--sizes 100000 1000000 3000000 10000000] [--targets 1000] [--method auto] [--data DIR]
    python benchmarks/scale.py --engines local ray ...

Generated float16 vectors (benchmarks/synthetic.py) in shards of a million rows, memory-mapped; each run in a process of
its own. The floors are measured on the same machine beside it: reading all bytes of the shards once, and a float32
matrix product of as many multiply-adds as one exact search takes. From four sizes on, the seconds of each stage are
fitted to all sizes but the largest, as a part that is always there and one that grows with the pool, and foretell the
largest: the cost model of docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.optimize import nnls
from synthetic import pool_blocks, targets

from tsds.stages import peak_mb

SHARD, BLOCK = 1_000_000, 100_000


def write_shards(folder: Path, n: int, dim: int) -> list[Path]:
    """The pool as float16 .npy files, those that are there left as they are: a pool starts a larger one."""
    paths = [folder / f"{dim}-{k // SHARD:03d}-{min(SHARD, n - k)}.npy" for k in range(0, n, SHARD)]
    if all(path.exists() for path in paths):
        return paths
    blocks = pool_blocks(n, dim, block=BLOCK)
    for k, path in enumerate(paths):
        rows = min(SHARD, n - k * SHARD)
        out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(rows, dim))
        for start in range(0, rows, BLOCK):
            block = next(blocks)
            out[start : start + len(block)] = block
        out.flush()
        del out
    return paths


def run(paths: list[str], wanted: str, size: int, method: str, engine: str = "local") -> dict[str, object]:
    """One selection; in a process of its own."""
    import tsds

    began = time.perf_counter()
    found = tsds.select(paths, wanted, size=size, method=method, engine=engine)
    seconds = time.perf_counter() - began
    stages = {stage.name: round(stage.seconds, 2) for stage in found.stages}
    return {"seconds": seconds, "peak_mb": peak_mb(), "stages": stages, "exact": found.answer.exact}


def floors(paths: list[Path], n: int, m: int, dim: int) -> tuple[float, float]:
    """Seconds to read all bytes once, and for n m d multiply-adds in float32."""
    began = time.perf_counter()
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(16 << 20):
                pass
    read = time.perf_counter() - began
    rng = np.random.default_rng(0)
    a = rng.standard_normal((m, dim), dtype=np.float32)
    b = rng.standard_normal((dim, 20_000), dtype=np.float32)
    a @ b
    took = []
    for _ in range(5):
        began = time.perf_counter()
        a @ b
        took.append(time.perf_counter() - began)
    return read, float(np.median(took)) * n / b.shape[1]


def fitted(sizes: list[int], stages: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Of each stage, seconds that are always there and seconds a record: least relative squares, none negative."""
    found = {}
    for name in dict.fromkeys(name for one in stages for name in one):
        n = np.array(sizes, float)
        seconds = np.array([one.get(name, 0.0) for one in stages])
        weight = 1 / np.maximum(seconds, 0.1)
        always, each = nnls(np.stack([weight, n * weight], 1), seconds * weight)[0]
        found[name] = (float(always), float(each))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 1_000_000, 3_000_000, 10_000_000])
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--engines", nargs="+", default=["local"])
    parser.add_argument("--method", default="auto")
    parser.add_argument("--data", type=Path, help="keep the generated data in this folder")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(run(**json.loads(args.one))))
        return
    print(f"{args.targets:,} targets, {args.dim} dimensions, float16, method {args.method}, size 10,000 or 1 %\n")
    print("| pool | engine | GB | seconds | read once | arithmetic of one search | times both | peak GB | stages |")
    print("| --- " * 9 + "|")
    all_stages: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.data or Path(scratch)
        folder.mkdir(exist_ok=True)
        wanted = folder / f"targets-{args.targets}-{args.dim}.npy"
        np.save(wanted, targets(args.targets, args.dim))
        for n in args.sizes:
            paths = write_shards(folder, n, args.dim)
            read, arithmetic = floors(paths, n, args.targets, args.dim)
            asked = {"paths": [str(p) for p in paths], "wanted": str(wanted), "size": min(10_000, n // 100)}
            for engine in args.engines:
                given = json.dumps({**asked, "method": args.method, "engine": engine})
                done = subprocess.run(
                    [sys.executable, __file__, "--one", given], check=True, capture_output=True, text=True
                )
                out = json.loads(done.stdout.splitlines()[-1])
                gb, seconds = sum(path.stat().st_size for path in paths) / 1e9, out["seconds"]
                spent = ", ".join(f"{name} {value:.1f}" for name, value in out["stages"].items() if value >= 0.1)
                if engine == args.engines[0]:
                    all_stages.append(out["stages"])
                print(
                    f"| {n:,} | {engine} | {gb:.2f} | {seconds:.1f} | {read:.1f} | {arithmetic:.1f} | "
                    f"{seconds / (read + arithmetic):.1f} | {out['peak_mb'] / 1000:.2f} | {spent} |", flush=True,
                )  # fmt: skip
    if len(args.sizes) >= 4:
        largest = args.sizes[-1]
        print(f"\n| stage | always | a million records | {largest:,} foretold | taken |")
        print("| --- " * 5 + "|")
        told = 0.0
        for name, (always, each) in fitted(args.sizes[:-1], all_stages[:-1]).items():
            told += always + each * largest
            taken = all_stages[-1].get(name, 0.0)
            print(f"| {name} | {always:.1f} | {1e6 * each:.2f} | {always + each * largest:.1f} | {taken:.1f} |")
        print(f"\nall stages: {told:.0f} s foretold, {sum(all_stages[-1].values()):.0f} s taken")


if __name__ == "__main__":
    main()
