"""What near-duplicates in the pool and a skewed mix of targets do to each method.

    python benchmarks/robustness.py [duplicates] [injected] [skew]

duplicates: the shared domain pool with and without its 10,000 edited copies of 20 passages (500 each). Targets: 250
rows of ChemProt and 250 of RT polarity, half of them held out. Told are the share of the selection that is such copies,
how many of the 20 passages' groups gave more than one record, and the held-out cost.

injected: the same targets; one percent of the pool, drawn at random, with 1,000 near copies of each, made by moving its
vector a quarter of the bandwidth in a random direction (exact copies are one candidate before any method sees them).

skew: 400 targets of ChemProt with 100 of RT polarity, and the other way round. The minority's held-out rows are moved
to the selection, a fifth of which is theirs (no chosen record takes more than its share); beside it, the same for a
selection made for the minority alone with a fifth of the size. The goal is at most 2 % more.
"""

from __future__ import annotations

import argparse
import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson

import tsds
from tsds.bandwidth import from_texts
from tsds.distances import from_squares, product_squares
from tsds.embeddings.encoders import Setting, make_encoder
from tsds.embeddings.encoders.hashing import HashEncoder
from tsds.transport.between import transport_cost_between
from tsds.transport.network import cheapest_flow

DATA = Path(os.environ.get("TSDS_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "domain"
METHODS = [
    "auto", "balanced", "kde", "uniform", "kde-published", "round-robin", "semdedup+round-robin", "nearest", "topk",
]  # fmt: skip


def texts(path: str) -> list[str]:
    with gzip.open(DATA / path) as lines:
        return [orjson.loads(line)["text"] for line in lines]


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return from_squares(product_squares(a.astype(np.float64), b.astype(np.float64)), "l2")


def partial_cost(d: np.ndarray, room: float) -> float:
    """Moving all rows to columns that take `room` of the mass each."""
    m, b = d.shape
    row, column = np.divmod(np.arange(m * b), b)
    return float(cheapest_flow(row, column, d.ravel(), np.full(m, 1 / m), np.full(b, room)) @ d.ravel())


def duplicates(encoder: HashEncoder, pool: np.ndarray, h: float) -> None:
    with gzip.open(DATA / "near_duplicates.jsonl.gz") as lines:
        edited = [orjson.loads(line) for line in lines]
    base = np.array([record["base"] for record in edited])
    against_copies(encoder, pool, encoder.encode([record["text"] for record in edited]), base, h)


def injected(encoder: HashEncoder, pool: np.ndarray, h: float) -> None:
    rng = np.random.default_rng(0)
    picked = rng.choice(len(pool), len(pool) // 100, replace=False)
    copies = np.empty((1000 * len(picked), pool.shape[1]), np.float32)
    for k, row in enumerate(picked):
        move = rng.standard_normal((1000, pool.shape[1]), dtype=np.float32)
        near = pool[row] + h / 4 * move / np.linalg.norm(move, axis=1, keepdims=True)
        copies[1000 * k : 1000 * k + 1000] = near / np.linalg.norm(near, axis=1, keepdims=True)
    against_copies(encoder, pool, copies, np.repeat(picked, 1000), h)


def against_copies(encoder: HashEncoder, pool: np.ndarray, copies: np.ndarray, base: np.ndarray, h: float) -> None:
    rows = [encoder.encode(texts(f"targets/{name}/train.jsonl.gz")[:250]) for name in ("chemprot", "rt_polarity")]
    seen, held = (np.concatenate([part[start::2] for part in rows]) for start in (0, 1))
    print("| method | cost, plain pool | cost, with copies | copies among the chosen | groups chosen from twice |")
    print("| --- | --- | --- | --- | --- |")
    for method in METHODS:
        costs, share, repeated = [], 0.0, 0
        for crowd in (pool, np.concatenate([pool, copies])):
            more: Any = {} if "published" in method else {"bandwidth": h}
            found = tsds.select(crowd, seen, size=751, method=method, **more)
            rows_of = np.repeat(found.indices, found.counts)
            costs.append(transport_cost_between(distances(held, crowd[rows_of])))
            mine = rows_of[rows_of >= len(pool)] - len(pool)
            share = len(mine) / 751
            repeated = int((np.unique(base[mine], return_counts=True)[1] > 1).sum())
        groups = len(np.unique(base))
        print(f"| {method} | {costs[0]:.4f} | {costs[1]:.4f} | {share:.1%} | {repeated} of {groups} |", flush=True)


def skew(encoder: HashEncoder, pool: np.ndarray, h: float) -> None:
    rows = {
        name: encoder.encode(texts(f"targets/{name}/train.jsonl.gz")[:1000]) for name in ("chemprot", "rt_polarity")
    }
    print("| method | minority | cost in the mix | cost alone, a fifth of the size | more |")
    print("| --- | --- | --- | --- | --- |")
    for few, many in (("rt_polarity", "chemprot"), ("chemprot", "rt_polarity")):
        mix, held = np.concatenate([rows[many][:400], rows[few][:100]]), rows[few][100:400]
        for method in METHODS:
            settings: Any = {} if "published" in method else {"bandwidth": h}
            together = tsds.select(pool, mix, size=751, method=method, **settings)
            alone = tsds.select(pool, rows[few][:100], size=150, method=method, **settings)
            a = partial_cost(distances(held, pool[np.repeat(together.indices, together.counts)]), 5 / 751)
            b = partial_cost(distances(held, pool[np.repeat(alone.indices, alone.counts)]), 1 / 150)
            print(f"| {method} | {few} | {a:.4f} | {b:.4f} | {a / b - 1:+.1%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["duplicates", "injected", "skew"])
    args = parser.parse_args()
    records = texts("pool.jsonl.gz")
    encoder = make_encoder("hash", Setting(0))
    encoder.fit([records[i : i + 4096] for i in range(0, len(records), 4096)])
    pool = np.concatenate([encoder.encode(records[i : i + 4096]) for i in range(0, len(records), 4096)])
    some = np.sort(np.random.default_rng(0).choice(len(records), 512, replace=False))
    h = from_texts([records[i] for i in some], encoder.encode, "l2").value
    for name in args.what:
        {"duplicates": duplicates, "injected": injected, "skew": skew}[name](encoder, pool, h)  # type: ignore[arg-type]
        print()


if __name__ == "__main__":
    main()
