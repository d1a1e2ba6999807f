"""Ten tasks on one index against ten exact searches: seconds, recall, and what it costs the selections.

    python benchmarks/index.py [--pool 1000000] [--targets 1000] [--tasks 10] [--kinds ivf] [--data DIR]
    python benchmarks/index.py --model 250000x1000 500000x2000 1000000x1000 1000000x4000

Generated vectors (benchmarks/synthetic.py); every task is a few topics of them. Half of a task's targets select 1,000
records by transport, from the other half the transport cost to these is measured. The searches alone are timed: the
rest of a selection is the same. Also where `--search auto` would change over, by its model; --model holds the model
against what searches of so many records and targets take.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scale import write_shards
from synthetic import targets

from tsds.approximate import IndexedSearch
from tsds.embeddings.scan import scan
from tsds.embeddings.vectors import Vectors
from tsds.index import build_index
from tsds.methods.auto import held_out_cost
from tsds.neighbors import NeighborSearch
from tsds.searching import expected_seconds, flops, worth_it
from tsds.strength import Strength, find_plan

SIZE, LISTED = 1000, 1000


def topics(m: int, dim: int, tasks: int) -> list[np.ndarray]:
    """Targets of each task: those of a large set that are nearest to a random direction."""
    every = targets(m * tasks, dim)
    rng = np.random.default_rng(5)
    found = []
    for _ in range(tasks):
        order = np.argsort(-every @ rng.standard_normal(dim), kind="stable")
        found.append(every[order[: 2 * m : 2]] if len(order) >= 2 * m else every[order[:m]])
    return found


def chosen_by(search: NeighborSearch, mu: np.ndarray) -> np.ndarray:
    """A selection by transport on equal weights, the candidates with most mass."""
    solution = find_plan(search, lambda rows: np.ones(len(rows)), Strength(SIZE), mu)
    i, k = np.nonzero(solution.plan.mass)
    rows, at = np.unique(solution.path.indices[i, k], return_inverse=True)
    mass = np.bincount(at, weights=solution.plan.mass[i, k])
    return np.sort(rows[np.argsort(-mass, kind="stable")[:SIZE]])


def hold_model(sizes: list[str], dim: int, folder: Path) -> None:
    """The seconds that `auto` expects of both searches, and those they take."""
    print("| pool | targets | exact, expected | taken | index, expected | taken | recall | quicker | auto takes it |")
    print("| --- " * 9 + "|")
    built: dict[int, Any] = {}
    for size in sizes:
        n, m = map(int, size.split("x"))
        pool = Vectors.of([str(path) for path in write_shards(folder, n, dim)])
        norm = scan(pool, "l2", "pool").largest_norm
        if n not in built:
            built[n] = build_index(folder / "indexes", pool, "l2", "ivf", f"benchmark-{n}")
        wanted = targets(m, dim)
        expected = expected_seconds(n, m, dim)
        seconds = []
        for search in (
            NeighborSearch(pool, wanted, largest_norm=norm),
            IndexedSearch(pool, wanted, "l2", built[n], largest_norm=norm),
        ):
            began = time.perf_counter()
            search.fetch(LISTED)
            seconds.append(time.perf_counter() - began)
        print(
            f"| {n:,} | {m:,} | {expected[0]:.1f} | {seconds[0]:.1f} | {expected[1]:.1f} | {seconds[1]:.1f} | "
            f"{search.recall:.3f} | {seconds[0] / seconds[1]:.1f} times | {worth_it(n, m, dim)} |", flush=True,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", default=["ivf"], choices=["ivf", "hnsw"])
    parser.add_argument("--model", nargs="+", metavar="RECORDSxTARGETS", help="hold the model of `auto` against these")
    parser.add_argument("--data", type=Path, help="keep the generated data in this folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.data or Path(scratch)
        folder.mkdir(exist_ok=True)
        if args.model:
            hold_model(args.model, args.dim, folder)
            return
        pool = Vectors.of([str(path) for path in write_shards(folder, args.pool, args.dim)])
        norm = scan(pool, "l2", "pool").largest_norm
        tasks = topics(args.targets, args.dim, args.tasks)
        rows: dict[str, list[Any]] = {}
        for kind in ("exact", *args.kinds):
            index = None
            began = time.perf_counter()
            if kind != "exact":
                index = build_index(Path(scratch), pool, "l2", kind, "benchmark")
                print(f"{kind}: built in {time.perf_counter() - began:.0f} s, {index.path.stat().st_size / 1e9:.2f} GB")
            rows[kind] = [task(pool, wanted, norm, index) for wanted in tasks]
        print(f"\n{args.pool:,} x {args.dim}, {args.tasks} tasks of {args.targets // 2:,} targets, lists of {LISTED}\n")
        print("| search | seconds a task | recall | same chosen | held-out cost | to exact |\n" + "| --- " * 6 + "|")
        exact = rows["exact"]
        for kind, found in rows.items():
            cost = np.array([one[2] for one in found])
            same = np.mean([len(np.intersect1d(a[3], b[3])) / SIZE for a, b in zip(found, exact, strict=True)])
            change = (cost / np.array([one[2] for one in exact]) - 1).mean()
            print(
                f"| {kind} | {np.median([one[0] for one in found]):.2f} | {np.mean([one[1] for one in found]):.4f} | "
                f"{same:.3f} | {cost.mean():.4f} | {change:+.3%} |"
            )
        print(f"\nexact searches run at {flops(args.dim) / 1e9:.0f} GFLOP a second; `auto` takes an index")
        for n in (10**5, 10**6, 10**7, 10**8):
            print(
                f"  of {n:>11,} records for 100, 1,000, 10,000 targets:",
                [worth_it(n, m, args.dim) for m in (100, 1000, 10_000)],
            )


def task(pool: Vectors, wanted: np.ndarray, norm: float, index: Any) -> tuple[float, float, float, np.ndarray]:
    """Seconds of the search, its recall, the held-out cost, and the chosen rows."""
    mine, held = wanted[::2], wanted[1::2]
    mu = np.full(len(mine), 1 / len(mine))
    search = (
        NeighborSearch(pool, mine, largest_norm=norm)
        if index is None
        else IndexedSearch(pool, mine, "l2", index, largest_norm=norm)
    )
    began = time.perf_counter()
    search.fetch(LISTED)
    seconds = time.perf_counter() - began
    chosen = chosen_by(search, mu)
    other = NeighborSearch(pool, held, largest_norm=norm)
    return seconds, search.recall, held_out_cost(other, np.full(len(held), 1 / len(held)), chosen, 0), chosen


if __name__ == "__main__":
    main()
