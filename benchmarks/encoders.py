"""Which variant of the hash encoder selects best, keeps near-duplicates close, and costs least.

    python benchmarks/encoders.py [--quick] [--split dev|test] [--only NAME ...] [--json FILE]

Reads the shared data ($TSDS_SHARED_DATA, else ../shared/data). Every variant embeds both pools and the seven targets; a
stand-in selector, the same for all, takes 1 % of the pool, round-robin over the targets' nearest candidates. What is
measured lies in spaces that no variant produces:

- near: mean cosine of a held-out row to its nearest selected text, in full sparse TF-IDF of 1-2-grams (scikit-learn);
- bits: a held-out word that a unigram model of the selection (half of it, half the pool's) saves over the pool's;
- pure: share of the selection from the sources of the target's own domain (mean of six targets; bbh has none);
- dup, other: 99 % quantile of the distance of a near-duplicate to its original; 1 % quantile of the distance of a
  passage of the pool to its nearest other one; AUC of telling the first kind from the second by distance;
- fit, enc., cpu: seconds for the 75,112 passages of `domain`, read already.

Development only: needs scikit-learn and SciPy. All variants take about ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import faiss
import numpy as np
import orjson
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import normalize

from tsds.embeddings.encoders import hashing
from tsds.embeddings.encoders.directions import SparseRows
from tsds.embeddings.encoders.hashing import HashEncoder, View
from tsds.embeddings.encoders.ngrams import Counts, count_ngrams, mix
from tsds.embeddings.encoders.protocol import Advance, Role, ignore

DATA = Path(os.environ.get("TSDS_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
IN_DOMAIN: dict[str, list[tuple[str, ...]]] = {  # prefixes of sources: strict, and wide where there is a second reading
    "ag_news": [("news_",)],
    "chemprot": [("bio_",), ("bio_", "health_")],
    "rt_polarity": [("movie_",)],
    "sci_cite": [("bio_", "cs_")],
    "gsm8k": [("flan_cot_gsm8k",), ("flan_cot_gsm8k", "flan_cot_aqua")],
    "strategyqa": [("flan_cot_strategyqa",), ("flan_cot_strategyqa", "flan_cot_creak", "commonsenseqa2")],
    "bbh": [],
}
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


def read(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path) as lines:
        return [orjson.loads(line) for line in lines]


def text_of(record: dict[str, Any]) -> str:
    return record["text"] if "text" in record else "\n".join(turn["content"] for turn in record["messages"])


class Target:
    """500 rows (or all queries) to select with, up to 1,000 held out."""

    def __init__(self, folder: Path, split: str, rows: int = 500) -> None:
        shown = folder / ("query.jsonl.gz" if (folder / "query.jsonl.gz").exists() else "train.jsonl.gz")
        self.name = folder.name
        self.texts = [text_of(record) for record in read(shown)][:rows]
        self.held_out = [text_of(record) for record in read(folder / f"{split}.jsonl.gz")][:1000]


class Benchmark:
    """One pool with its targets, and the reference measures on it."""

    def __init__(self, name: str, split: str, part: slice = slice(None), rows: int = 500) -> None:
        self.name = name
        self.records = records = read(DATA / name / "pool.jsonl.gz")[part]
        self.texts = [text_of(record) for record in records]
        self.sources = np.array([record["source"] for record in records])
        row = {record["id"]: i for i, record in enumerate(records)}
        copies = read(DATA / name / "near_duplicates.jsonl.gz") if name == "domain" else []
        copies = [copy for copy in copies if copy["base"] in row]
        self.copies = [copy["text"] for copy in copies]
        self.bases = np.array([row[copy["base"]] for copy in copies], dtype=np.int64)
        self.targets = [Target(folder, split, rows) for folder in sorted((DATA / name / "targets").iterdir())]
        counter = CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", dtype=np.float32)
        counts = counter.fit_transform(self.texts)
        tfidf = TfidfTransformer(sublinear_tf=True)
        self.tfidf = tfidf.fit_transform(counts)
        single = np.array([" " not in word for word in counter.get_feature_names_out()])
        self.words = sp.csr_matrix(counts[:, single])
        total = np.asarray(self.words.sum(axis=0)).ravel() + 1.0
        self.background = total / total.sum()
        held_out = [counter.transform(target.held_out) for target in self.targets]
        self.held_out_tfidf = [tfidf.transform(rows) for rows in held_out]
        self.held_out_words = [np.asarray(rows[:, single].sum(axis=0)).ravel() for rows in held_out]

    def near(self, target: int, chosen: Integers) -> float:
        return float((self.held_out_tfidf[target] @ self.tfidf[chosen].T).max(axis=1).toarray().mean())

    def bits(self, target: int, chosen: Integers) -> float:
        counts = np.asarray(self.words[chosen].sum(axis=0)).ravel()
        model = counts / counts.sum() / 2 + self.background / 2
        words = self.held_out_words[target]
        return float((words * np.log2(model / self.background)).sum() / words.sum())

    def purity(self, target: int, chosen: Integers) -> list[float]:
        sources = self.sources[chosen].tolist()
        return [float(np.mean([s.startswith(kind) for s in sources])) for kind in IN_DOMAIN[self.targets[target].name]]


def round_robin(pool: Floats, target: Floats, size: int) -> Integers:
    """The first `size` distinct candidates over the targets' 1st, 2nd, ... neighbours; in a rank, nearest first."""
    k = min(len(pool), 4 * size // len(target) + 200)
    similarity, neighbour = faiss.knn(target, pool, k, metric=faiss.METRIC_INNER_PRODUCT)
    rank = np.broadcast_to(np.arange(k), neighbour.shape)
    order = neighbour.ravel()[np.lexsort((-similarity.ravel(), rank.ravel()))]
    _, first = np.unique(order, return_index=True)
    chosen = order[np.sort(first)][:size]
    assert len(chosen) == size
    return chosen


def duplicates(pool: Floats, copies: Floats, bases: Integers) -> tuple[float, float, float]:
    """Copy-to-base distances against those of passages to their nearest other one: two quantiles, and the AUC."""
    copy = np.linalg.norm(pool[bases] - copies, axis=1)
    some = np.random.default_rng(0).choice(len(pool), 2000, replace=False)
    similarity, _ = faiss.knn(pool[some], pool, 2, metric=faiss.METRIC_INNER_PRODUCT)
    other = np.sqrt(np.maximum(2 - 2 * similarity[:, 1], 0))
    auc = roc_auc_score(np.repeat([0, 1], [len(copy), len(other)]), np.concatenate([copy, other]))
    return float(np.quantile(copy, 0.99)), float(np.quantile(other, 0.01)), float(auc)


class Sklearn:
    """The reference to beat: HashingVectorizer, TfidfTransformer, TruncatedSVD."""

    def __init__(self) -> None:
        self.hashing = HashingVectorizer(ngram_range=(1, 2), n_features=1 << 18, alternate_sign=False, norm=None)
        self.tfidf = TfidfTransformer(sublinear_tf=True)
        self.svd = TruncatedSVD(256, random_state=0)

    def fit(self, batches: Iterable[Sequence[str]]) -> Sklearn:
        self.svd.fit(self.tfidf.fit_transform(self.hashing.transform([text for batch in batches for text in batch])))
        return self

    def encode(self, texts: Sequence[str]) -> Floats:
        vectors = self.svd.transform(self.tfidf.transform(self.hashing.transform(texts)))
        return np.asarray(normalize(vectors), np.float32)


class Characters(HashEncoder):
    """Character n-grams next to the words, in the buckets of pairs."""

    orders = (3, 4)

    def _counts(self, block: list[str]) -> Counts:
        codes = np.frombuffer("".join(block).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
        row = np.repeat(np.arange(len(block)), [len(text) for text in block])
        words = count_ngrams(block, self.bits)
        is_word = words.bucket < 1 << self.bits
        keys = [np.repeat((words.row << (self.bits + 1)) | words.bucket, words.count * is_word)]
        for order in self.orders:
            value = np.full(max(len(codes) - order + 1, 0), order, dtype=np.uint64)
            for i in range(order):
                value = mix(value ^ codes[i : len(value) + i])
            bucket = (value >> np.uint64(64 - self.bits)).astype(np.int64) | (1 << self.bits)
            inside = row[order - 1 :] == row[: len(value)]
            keys.append(((row[: len(value)] << (self.bits + 1)) | bucket)[inside])
        unique, count = np.unique(np.concatenate(keys), return_counts=True)
        return Counts(len(block), unique >> (self.bits + 1), unique & ((2 << self.bits) - 1), count)


class Reworked(HashEncoder):
    """Axes changed afterwards, view by view: divided by (spread in the pool)^power, centred, or without the first."""

    power = 0.0
    centred = False
    drop = 0

    def fit(self, batches: Iterable[Sequence[str]]) -> Reworked:
        texts = [text for batch in batches for text in batch]
        super().fit([texts])
        vectors = super().encode(texts[:20000])
        self.mean = vectors.mean(axis=0) * self.centred
        self.scale = np.sqrt((vectors**2).mean(axis=0)) ** -self.power
        return self

    def encode(self, texts: Sequence[str], role: Role = "candidate", advance: Advance = ignore) -> Floats:
        vectors = (super().encode(texts) - self.mean) * self.scale
        views = np.hstack([normalize(vectors[:, s][:, self.drop :]) for s in self._spans])
        return np.asarray(views / len(self.views) ** 0.5, np.float32)


class Unlearned(HashEncoder):
    """A random projection of the same weights: the table's rows keep their weight, their directions are random."""

    def fit(self, batches: Iterable[Sequence[str]]) -> Unlearned:
        with mock.patch.object(hashing, "leading_directions", self._random):
            super().fit(batches)
        return self

    @staticmethod
    def _random(rows: SparseRows, width: int, dim: int, seed: int) -> Floats:
        return np.random.default_rng(seed).standard_normal((width, dim), dtype=np.float32)


def variant(
    kind: type[HashEncoder] = HashEncoder, dim: int = 256, seed: int = 0, **settings: Any
) -> Callable[[], HashEncoder]:
    made = type("Variant", (kind,), settings)
    return lambda: made(dim=dim, seed=seed)


MANNER, MATTER = HashEncoder.views
TFIDF = View(idf_power=1, pair_weight=1, repeats=True)
VARIANTS: dict[str, Callable[[], Any]] = {
    "default": variant(),
    "seed 1": variant(seed=1),
    "seed 2": variant(seed=2),
    "dim 128": variant(dim=128),
    "dim 384": variant(dim=384),
    "dim 512": variant(dim=512),
    "one view: TF-IDF": variant(views=(TFIDF,)),
    "one view: TF-IDF, words only": variant(views=(replace(TFIDF, pair_weight=0),)),
    "one view: TF-IDF, 4,096 buckets": variant(views=(TFIDF,), bits=11),
    "one view: manner": variant(views=(MANNER,)),
    "one view: matter": variant(views=(MATTER,)),
    "three views: manner, TF-IDF, matter": variant(views=(MANNER, TFIDF, MATTER)),
    "matter with idf": variant(views=(MANNER, replace(MATTER, idf_power=1))),
    "matter with idf cubed": variant(views=(MANNER, replace(MATTER, idf_power=3))),
    "manner with repeats": variant(views=(replace(MANNER, repeats=True), MATTER)),
    "matter without repeats": variant(views=(MANNER, replace(MATTER, repeats=False))),
    "no pairs": variant(views=(replace(MANNER, pair_weight=0), replace(MATTER, pair_weight=0))),
    "pairs in full": variant(views=(MANNER, replace(MATTER, pair_weight=1))),
    "characters 3-4 with words": variant(Characters),
    "vocabulary 8,192": variant(vocabulary=8192),
    "vocabulary 16,384": variant(vocabulary=16384),
    "vocabulary 65,536": variant(vocabulary=65536),
    "sample 4,096": variant(sample_texts=4096),
    "sample 8,192": variant(sample_texts=8192),
    "sample 32,768": variant(sample_texts=32768),
    "axes times spread^0.25": variant(Reworked, power=-0.25),
    "axes by spread^0.25": variant(Reworked, power=0.25),
    "axes by spread^0.5": variant(Reworked, power=0.5),
    "axes whitened": variant(Reworked, power=1.0),
    "centred": variant(Reworked, centred=True),
    "first axes dropped": variant(Reworked, drop=1),
    "random projection": variant(Unlearned, sample_texts=1),
    "scikit-learn, TF-IDF and SVD": Sklearn,
}
QUICK = ["default", "dim 128", "dim 512", "one view: TF-IDF", "one view: manner", "one view: matter", "sample 4,096"]


def measure(make: Callable[[], Any], benchmarks: Sequence[Benchmark]) -> dict[str, Any]:
    result: dict[str, Any] = {"near": {}, "bits": {}, "purity": {}}
    for benchmark in benchmarks:
        start, cpu = time.perf_counter(), time.process_time()
        encoder = make().fit([benchmark.texts])
        fitted = time.perf_counter()
        pool = encoder.encode(benchmark.texts)
        if benchmark.name == "domain":
            result["fit"], result["encode"] = fitted - start, time.perf_counter() - fitted
            result["cpu"] = time.process_time() - cpu
            result["duplicates"] = duplicates(pool, encoder.encode(benchmark.copies), benchmark.bases)
        for i, target in enumerate(benchmark.targets):
            chosen = round_robin(pool, encoder.encode(target.texts), round(len(benchmark.texts) / 100))
            result["near"][target.name] = benchmark.near(i, chosen)
            result["bits"][target.name] = benchmark.bits(i, chosen)
            result["purity"][target.name] = benchmark.purity(i, chosen)
    return result


def header(names: Iterable[str]) -> str:
    targets = " ".join(f"{name[:8]:>8}" for name in names)
    return f"{'variant':36} | near   bits   pure  | {targets} | dup   other AUC   |  fit enc.  cpu"


def line(name: str, result: dict[str, Any]) -> str:
    """Means over the targets; bits over purity in % of each target; near-duplicates; seconds."""
    strict = [share[0] for share in result["purity"].values() if share]
    near, bits = (np.mean(list(result[key].values())) for key in ("near", "bits"))
    each = " ".join(
        f"{result['bits'][t]:5.2f}/{100 * share[0]:2.0f}" if share else f"{result['bits'][t]:5.2f}   "
        for t, share in ((t, s) for t, s in result["purity"].items())
    )
    copy, other, auc = result["duplicates"]
    return (
        f"{name:36} | {near:.4f} {bits:.4f} {np.mean(strict):.3f} | {each} | {copy:.3f} {other:.3f} {auc:.3f} | "
        f"{result['fit']:4.1f} {result['encode']:4.1f} {result['cpu']:4.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few variants")
    parser.add_argument(
        "--split", choices=["dev", "test"], default="dev", help="held-out rows; dev chose the constants"
    )
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), metavar="NAME", help="these variants")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    arguments = parser.parse_args()
    benchmarks = [Benchmark(name, arguments.split) for name in ("domain", "instruct")]
    print(header(target.name for benchmark in benchmarks for target in benchmark.targets))
    results = {}
    for name in arguments.only or (QUICK if arguments.quick else VARIANTS):
        results[name] = measure(VARIANTS[name], benchmarks)
        print(line(name, results[name]), flush=True)
    print(f"peak memory of the benchmark: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
