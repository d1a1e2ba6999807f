"""Every method on seven real targets: transport cost from held-out targets to what was selected.

    python benchmarks/compare_shared.py [--out DIR] [--targets T ...] [--sizes 1% ...] [--draws 3] [--rows 1000]
    python benchmarks/compare_shared.py --table [--out DIR]

Reads the shared data ($TSDS_SHARED_DATA, else ../shared/data); the first 1,000 rows of a target are used, split into
five folds. Every cell (target, size, draw, fold, method) is a line of DIR/TARGET-SIZE.jsonl; what is there is not done
again, so that the run can be stopped and continued. The table tells, for every target and size, the mean held-out cost
of each method, and whether `auto` is ahead of the best baseline, level (within one standard error of the paired
difference) or behind: of all, and of those that choose different records.
"""

from __future__ import annotations

import argparse
import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tsds.bandwidth import from_texts
from tsds.comparing.cells import Cell
from tsds.comparing.comparison import Comparison, compare
from tsds.comparing.statistics import Interval
from tsds.embeddings.encoders import Setting, make_encoder
from tsds.records import Pool
from tsds.settings import Settings

DATA = Path(os.environ.get("TSDS_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TARGETS = {
    "chemprot": ("domain", "train"), "ag_news": ("domain", "train"), "sci_cite": ("domain", "train"),
    "rt_polarity": ("domain", "train"), "gsm8k": ("instruct", "query"), "bbh": ("instruct", "query"),
    "strategyqa": ("instruct", "query"),
}  # fmt: skip
METHODS = [
    "auto", "auto-repeats", "balanced", "kde", "uniform", "kde-published", "round-robin", "semdedup+round-robin",
    "nearest", "topk", "mmd", "dsir", "random", "random-stratified", "random-length",
]  # fmt: skip
OURS = ("auto", "auto-repeats", "balanced")
#: They may choose a record several times.
REPEATING = ("auto-repeats", "kde-published")
ROWS = 1000


def embedded(pool: str, out: Path) -> tuple[Any, float]:
    """A function from texts to vectors, fitted on a pool, and the bandwidth; the pool's vectors lie in `out`."""
    records = Pool.open(DATA / pool / "pool.jsonl.gz", role="pool")
    encoder = make_encoder("hash", Setting(0))
    batches = [batch.texts for batch in records.batches()]
    encoder.fit(batches)
    path = out / f"{pool}.npy"
    if not path.exists():
        np.save(path, np.concatenate([encoder.encode(texts) for texts in batches]))
    texts = [text for batch in batches for text in batch]
    some = np.random.default_rng(0).choice(len(texts), 512, replace=False)
    return encoder, from_texts([texts[i] for i in np.sort(some)], encoder.encode, "l2").value


def head(target: str, rows: int) -> list[dict[str, Any]]:
    pool, split = TARGETS[target]
    with gzip.open(DATA / pool / "targets" / target / f"{split}.jsonl.gz") as lines:
        return [orjson.loads(line) for line in lines][:rows]


def cells_in(path: Path) -> list[Cell]:
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [Cell.from_json(orjson.loads(line)) for line in lines]


def run(args: argparse.Namespace) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    pools: dict[str, tuple[Any, float]] = {}
    for draws in range(1, args.draws + 1):  # a whole draw of everything before the next
        for size in args.sizes:
            for target in args.targets:
                pool = TARGETS[target][0]
                if pool not in pools:
                    pools[pool] = embedded(pool, args.out)
                encoder, bandwidth = pools[pool]
                records = head(target, args.rows)
                texts = [t for batch in Pool.open(records, role="target").batches() for t in batch.texts]
                settings = Settings(
                    size=size, bandwidth=bandwidth, embeddings=args.out / f"{pool}.npy",
                    target_embeddings=encoder.encode(texts),
                )  # fmt: skip
                path = args.out / f"{target}-{size.rstrip('%')}.jsonl"
                with path.open("ab") as file:

                    def keep(cell: Cell, file: Any = file) -> None:
                        file.write(orjson.dumps({**cell.to_json(), "rows": []}) + b"\n")
                        file.flush()

                    found = compare(
                        DATA / pool / "pool.jsonl.gz", records, settings, args.methods, folds=5, draws=draws,
                        done=cells_in(path), on_cell=keep,
                    )  # fmt: skip
                print(f"{target} {size} {draws} draws: best {found.best}, auto behind {found.behind('auto').mean:.4f}")


def table(args: argparse.Namespace) -> None:
    kept = [cells_in(args.out / f"{t}-{size.rstrip('%')}.jsonl") for t in args.targets for size in args.sizes]
    there = {cell.contender for cells in kept for cell in cells}
    columns = [name for name in args.methods if name in there]
    heads = ["auto against the best baseline of different records", "auto against the best baseline"]
    print("| target, size | cells | " + " | ".join([*columns, *heads]) + " |")
    print("| --- " * (len(columns) + 4) + "|")
    ahead: list[list[float]] = [[], []]
    for target in args.targets:
        for size in args.sizes:
            cells = cells_in(args.out / f"{target}-{size.rstrip('%')}.jsonl")
            if not cells:
                continue
            names = [name for name in args.methods if any(cell.contender == name for cell in cells)]
            found = Comparison(names, cells, 0, 5, 1 + max(cell.draw for cell in cells), None)  # type: ignore[arg-type]
            mean = {name: found.interval(name, "cost").mean for name in names}
            verdicts = []
            for gaps, without in zip(ahead, ((*OURS, *REPEATING), OURS), strict=True):
                others = {name: mean[name] for name in names if name not in without}
                verdicts.append(against_best(found, others, gaps) if others else "")
            least = min(mean.values())
            numbers = [
                f"**{mean[n]:.4f}**" if mean.get(n) == least else f"{mean[n]:.4f}" if n in mean else "-"
                for n in columns
            ]
            count = len(found.values("auto", "cost"))
            print(f"| {target}, {size} | {count} | " + " | ".join([*numbers, *verdicts]) + " |")
    means = [f"{np.mean(gaps):+.4f}" if gaps else "none" for gaps in ahead]
    print(f"\nauto less the best of each row, mean: {means[0]} of different records, {means[1]} of all")


def against_best(found: Comparison, others: dict[str, float], gaps: list[float]) -> str:
    """auto against the best of others, in words; by how much it is behind is added to `gaps`."""
    baseline = min(others, key=lambda name: others[name])
    gap: Interval = found.behind("auto", baseline)
    gaps.append(gap.mean)
    verdict = "ahead" if gap.mean < -gap.error else "level" if gap.mean <= gap.error else "behind"
    return f"{verdict}: {gap.mean:+.4f} ± {gap.error:.4f} to {baseline}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("compare-shared"))
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--sizes", nargs="+", default=["1%", "0.5%", "5%"])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of a target that are used")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--table", action="store_true", help="print the table of what is there")
    args = parser.parse_args()
    table(args) if args.table else run(args)


if __name__ == "__main__":
    main()
