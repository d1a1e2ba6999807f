"""Gathering the mass by shares (shares.py): OR-tools' minimum-cost flow against HiGHS, on programs of real targets.

python benchmarks/gathering.py [--shared ../shared/data] [--size 1%] [--target chemprot]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import tsds
from tsds.transport.flow import optimal_flow
from tsds.transport.network import cheapest_flow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("TSDS_SHARED_DATA", "../shared/data")))
    parser.add_argument("--size", default="1%")
    parser.add_argument("--target", default="chemprot", choices=["chemprot", "ag_news", "sci_cite", "rt_polarity"])
    args = parser.parse_args()
    programs: list[tuple[Any, ...]] = []

    def note(*program: Any, leave: bool) -> Any:
        programs.append(program)
        return cheapest_flow(*program, leave=leave)

    with mock.patch("tsds.shares.cheapest_flow", note):
        folder = args.shared / "domain"
        tsds.select(
            folder / "pool.jsonl.gz",
            folder / "targets" / args.target / "train.jsonl.gz",
            size=args.size,
            method="balanced",
        )
    print("| solver | targets | candidates | edges | seconds | cost |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row, column, cost, supply, capacity in programs:
        sizes = f"{len(supply):,} | {len(capacity):,} | {len(row):,}"
        began = time.perf_counter()
        flow = cheapest_flow(row, column, cost, supply, capacity, leave=True)
        print(f"| OR-tools | {sizes} | {time.perf_counter() - began:.2f} | {flow @ cost:.9f} |", flush=True)
        # HiGHS wants a table with a row for each target.
        place = np.arange(len(row)) - np.searchsorted(row, row)
        costs, columns = np.full((len(supply), place.max() + 1), np.inf), np.zeros((len(supply), place.max() + 1), int)
        costs[row, place], columns[row, place] = cost - cost.min(), column
        outside = np.full(len(supply), 1e3 * (float(np.ptp(cost)) + 1.0))
        began = time.perf_counter()
        found = optimal_flow(costs, columns, supply, capacity, outside=outside)
        total = float(found.mass[row, place] @ cost)
        print(f"| HiGHS | {sizes} | {time.perf_counter() - began:.2f} | {total:.9f} |", flush=True)


if __name__ == "__main__":
    main()
