"""Size of the page, time to write it and time to open it, for pools of any size: python benchmarks/page.py.

Pools are chats made of questions and answers of the demo's pool, in new pairs. Needs Chromium with its driver.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.report.browser import browser, complaints, open_page
from tsds.demo import pool_path, target_path
from tsds.report.data import facts_of
from tsds.report.explorer import explorer
from tsds.report.page import write_page
from tsds.selecting import run
from tsds.settings import Settings

REPEATS = 5


def write_pool(path: Path, count: int) -> None:
    """So many different chats."""
    with gzip.open(pool_path(), "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as out:
        for i in range(count):
            asked, told = (records[k] for k in rng.integers(len(records), size=2))
            asked = records[i] if i < len(records) else asked
            told = asked if i < len(records) else told
            messages = [asked["messages"][0], told["messages"][-1]]
            out.write(json.dumps({"id": i, "source": asked["source"], "messages": messages}) + "\n")


def opened(page: Path) -> tuple[float, float]:
    """Milliseconds to the first content on screen, and to the end of loading with all sections built."""
    script = """
      const [navigation] = performance.getEntriesByType("navigation");
      const [paint] = performance.getEntriesByName("first-contentful-paint");
      return [paint ? paint.startTime : null, navigation.loadEventEnd];"""
    times: list[Any] = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as driver:
            open_page(driver, page)
            time.sleep(0.5)
            times.append(driver.execute_script(script))
            assert complaints(driver) == []
    return median(one[0] for one in times), median(one[1] for one in times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pools", type=int, nargs="*", default=[1000, 75_000, 1_000_000])
    print("| pool | chosen | page MB | look around s | write the page s | first content ms | loaded ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count in parser.parse_args().pools:
        with tempfile.TemporaryDirectory() as folder:
            pool, page = Path(folder) / "pool.jsonl", Path(folder) / "report.html"
            write_pool(pool, count)
            chosen = run([pool], [target_path()], Settings(size="1%"))
            began = time.perf_counter()
            write_page(facts_of(chosen), explorer(chosen), page)
            wrote = time.perf_counter() - began
            look = next(stage.seconds for stage in chosen.stages if stage.name == "look around")
            first, loaded = opened(page)
            size = page.stat().st_size / 1e6
            row = (
                f"| {count:,} | {len(chosen):,} | {size:.2f} | {look:.2f} | {wrote:.2f} | {first:.0f} | {loaded:.0f} |"
            )
            print(row, flush=True)


if __name__ == "__main__":
    main()
