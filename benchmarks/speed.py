"""Speed, memory and recall side by side: tsds, bare faiss.knn, and the published procedure; one command, one table.

    python benchmarks/speed.py [--pool 1000000] [--targets 1000] [--bandwidth auto] [--runs 3] [--skip published]

Each contender runs in a process of its own, one after another, `runs` times in turn; medians are shown. The data is
generated (benchmarks/synthetic.py): unit norm, clustered, 1 % near-duplicates. Recall is that of the 100 and of the
5,000 nearest neighbours on 20 targets against float64 brute force.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from synthetic import targets, write_pool

from tsds.stages import peak_mb

PENALTY, SIZE, BARE = 5.0, 10_000, (200, 5000)


def run_tsds(pool: Path, wanted: Path, bandwidth: str) -> dict[str, object]:
    """The whole selection, from the memory-mapped file to the drawn rows."""
    from tsds.api import select

    h = bandwidth if bandwidth == "auto" else float(bandwidth)
    began = time.perf_counter()
    found = select(pool, wanted, size=SIZE, alpha=0.5, scale=PENALTY, bandwidth=h)  # type: ignore[arg-type]
    seconds = time.perf_counter() - began
    path, note = found.path, found.answer.note
    assert note is not None and found.bandwidth is not None
    return {
        "stages": {stage.name: stage.seconds for stage in found.stages},
        "seconds": seconds,
        "lists": _first(path.indices),
        "note": f"s {found.answer.neighbors:.0f}, {len(found.answer.rows):,} candidates, "
        f"h {found.bandwidth.value:.3f}, "
        f"density {'exact' if note.exact else f'recall {note.recall:.4f} of {note.recall_pairs} pairs'}",
    }


def run_bare(pool: Path, wanted: Path, k: int) -> dict[str, object]:
    """faiss.knn over the whole pool: what exact search costs at the least."""
    import faiss

    began = time.perf_counter()
    rows, queries = np.load(pool, mmap_mode="r"), np.load(wanted)
    lists = faiss.knn(queries, rows, min(k, len(rows)))[1]
    seconds = time.perf_counter() - began
    return {"stages": {"search": seconds}, "seconds": seconds, "lists": _first(lists), "note": ""}


def run_published(pool: Path, wanted: Path, bandwidth: str) -> dict[str, object]:
    """benchmarks/published.py; bandwidth auto is the published 0.75 there."""
    from published import select

    stages: dict[str, float] = {}
    began = time.perf_counter()
    rows, queries = np.load(pool), np.load(wanted)
    h = 0.75 if bandwidth == "auto" else float(bandwidth)
    chosen, lists, density = select(rows, queries, PENALTY, h, SIZE, 0, stages.__setitem__)
    note = f"{len(density):,} prefetched, h {h}, {len(np.unique(chosen)):,} different of {len(chosen):,} drawn"
    return {"stages": stages, "seconds": time.perf_counter() - began, "lists": _first(lists), "note": note}


def _first(lists: NDArray[np.int64]) -> list[list[int]]:
    return [row[row >= 0].tolist() for row in lists[:20]]


CONTENDERS: dict[str, Callable[[Path, Path, str], dict[str, object]]] = {
    **{f"faiss.knn k={k}": (lambda pool, wanted, h, k=k: run_bare(pool, wanted, k)) for k in BARE},  # type: ignore[misc]
    "tsds": run_tsds,
    "published": run_published,
}


def truth(pool: Path, wanted: Path, k: int) -> list[set[int]]:
    """The k nearest of the first 20 targets, by float64 differences."""
    rows, queries = np.load(pool, mmap_mode="r"), np.load(wanted)[:20].astype(np.float64)
    squares = np.concatenate(
        [
            (np.square(part).sum(axis=1) - 2 * queries @ part.T)
            for start in range(0, len(rows), 50_000)
            for part in [np.asarray(rows[start : start + 50_000], dtype=np.float64)]
        ],
        axis=1,
    )
    return [set(np.argpartition(row, k)[:k].tolist()) for row in squares]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=1_000_000)
    parser.add_argument("--targets", type=int, default=1_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--bandwidth", default="auto")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--skip", nargs="*", default=[])
    parser.add_argument("--data", type=Path, help="keep the generated data in this folder")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        name, pool, wanted = args.one
        result = CONTENDERS[name](Path(pool), Path(wanted), args.bandwidth)
        result["peak_mb"] = peak_mb()
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.data or Path(scratch)
        folder.mkdir(exist_ok=True)
        pool, wanted = folder / f"pool-{args.pool}-{args.dim}.npy", folder / f"targets-{args.targets}-{args.dim}.npy"
        if not pool.exists():
            write_pool(str(pool), args.pool, args.dim)
        np.save(wanted, targets(args.targets, args.dim))
        compare(pool, wanted, args)


def compare(pool: Path, wanted: Path, args: argparse.Namespace) -> None:
    """Run all in turn and print the table."""
    names = [name for name in CONTENDERS if name.split()[0] not in args.skip]
    results: dict[str, list[dict[str, object]]] = {name: [] for name in names}
    for _ in range(args.runs):
        for name in names:
            command = [sys.executable, __file__, "--one", name, str(pool), str(wanted), "--bandwidth", args.bandwidth]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results[name].append(json.loads(out.splitlines()[-1]))
    nearest = {k: truth(pool, wanted, min(k, args.pool // 10)) for k in (100, 5000)}
    middle = {name: statistics.median(float(r["seconds"]) for r in results[name]) for name in names}  # type: ignore[arg-type]
    base = min(middle[name] for name in names if name.startswith("faiss"))
    print(f"{args.pool:,} x {args.dim}, {args.targets:,} targets, lambda {PENALTY:g}, bandwidth {args.bandwidth}\n")
    print("| contender | seconds | x bare | peak GB | recall @100 | recall @5000 | stages (median seconds) | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        runs = results[name]
        stages = {key: statistics.median(r["stages"][key] for r in runs) for key in runs[0]["stages"]}  # type: ignore[index,attr-defined]
        peak = max(float(r["peak_mb"]) for r in runs) / 1000  # type: ignore[arg-type]
        recall = [_recall(runs[0]["lists"], nearest[k], k) for k in (100, 5000)]  # type: ignore[arg-type]
        spent = ", ".join(f"{key} {value:.2f}" for key, value in stages.items() if value >= 0.01)
        times = f"{middle[name]:.2f} | {middle[name] / base:.2f} | {peak:.2f}"
        print(f"| {name} | {times} | {recall[0]} | {recall[1]} | {spent} | {runs[0]['note']} |")


def _recall(lists: list[list[int]], nearest: list[set[int]], k: int) -> str:
    if min(map(len, lists)) < min(k, len(nearest[0])) and k > 100:
        return "not fetched" if max(map(len, lists)) < k else _share(lists, nearest, k)
    return _share(lists, nearest, k)


def _share(lists: list[list[int]], nearest: list[set[int]], k: int) -> str:
    found = [len(set(row[: len(want)]) & want) / len(want) for row, want in zip(lists, nearest, strict=True)]
    return f"{statistics.mean(found):.3f}"


if __name__ == "__main__":
    main()
