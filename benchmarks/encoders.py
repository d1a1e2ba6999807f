"""Which variant of the hash encoder selects best, keeps near-duplicates close, and costs least. One command, one table:

    python benchmarks/encoders.py [--quick] [--split dev|test] [--only NAME ...] [--json FILE]

Reads the shared data ($TSDS_SHARED_DATA, else ../shared/data). Every variant embeds both pools and seven targets; a stand-in
selector, the same for all, takes 1 % of the pool round-robin over the targets' nearest candidates. Measured, on held-out rows
of each target and in spaces that no variant produces: the mean cosine to the nearest selected text (full sparse TF-IDF of
words and pairs, scikit-learn), and bits a word by which a unigram model of the selection beats one of the pool. And: the share
of the selection from in-domain sources, near-duplicate distances, seconds. Development only: needs scikit-learn and SciPy.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import faiss
import numpy as np
import orjson
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize

from tsds.embeddings.encoders.hashing import HashEncoder
from tsds.embeddings.encoders.ngrams import Counts, count_ngrams, mix

DATA = Path(os.environ.get("TSDS_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
IN_DOMAIN = {  # prefixes of the sources; strict, and wide where there is a second reading
    "chemprot": [("bio_",)],
    "sci_cite": [("bio_", "cs_")],
    "ag_news": [("news_",)],
    "rt_polarity": [("movie_",)],
    "gsm8k": [("flan_cot_gsm8k",), ("flan_cot_gsm8k", "flan_cot_aqua")],
    "strategyqa": [("flan_cot_strategyqa",), ("flan_cot_strategyqa", "flan_cot_creak", "commonsenseqa2")],
    "bbh": [],
}
Floats = NDArray[np.float32]


def read(path: Path) -> list[dict]:
    with gzip.open(path) as lines:
        return [orjson.loads(line) for line in lines]


def text_of(record: dict) -> str:
    if "text" in record:
        return record["text"]
    return "\n".join(turn["content"] for turn in record["messages"])


@dataclass
class Target:
    name: str
    texts: list[str]
    held_out: list[str]
    near: sp.csr_matrix = field(init=False)  # held-out rows in the reference TF-IDF
    words: NDArray = field(init=False)  # unigram counts of the held-out rows, summed


class Benchmark:
    """One pool with its targets, and the two reference measures on it."""

    def __init__(self, name: str, split: str) -> None:
        self.name = name
        records = read(DATA / name / "pool.jsonl.gz")
        self.texts = [text_of(record) for record in records]
        self.sources = np.array([record["source"] for record in records])
        row = {record["id"]: i for i, record in enumerate(records)}
        self.copies: list[str] = []
        if name == "domain":
            copies = read(DATA / name / "near_duplicates.jsonl.gz")
            self.copies = [copy["text"] for copy in copies]
            self.bases = np.array([row[copy["base"]] for copy in copies])
        self.targets = []
        for folder in sorted((DATA / name / "targets").iterdir()):
            shown = folder / ("query.jsonl.gz" if name == "instruct" else "train.jsonl.gz")
            texts = [text_of(record) for record in read(shown)][:500]
            held_out = [text_of(record) for record in read(folder / f"{split}.jsonl.gz")][:1000]
            self.targets.append(Target(folder.name, texts, held_out))
        counter = CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", dtype=np.float32)
        counts = counter.fit_transform(self.texts)
        tfidf = TfidfTransformer(sublinear_tf=True)
        self.near = tfidf.fit_transform(counts)
        single = np.array([" " not in word for word in counter.get_feature_names_out()])
        self.words = sp.csr_matrix(counts[:, single])
        total = np.asarray(self.words.sum(axis=0)).ravel() + 1.0
        self.background = total / total.sum()
        for target in self.targets:
            target_counts = counter.transform(target.held_out)
            target.near = tfidf.transform(target_counts)
            target.words = np.asarray(target_counts[:, single].sum(axis=0)).ravel()

    def alignment(self, target: Target, chosen: NDArray) -> float:
        """Mean cosine of a held-out row to the nearest chosen text."""
        return float((target.near @ self.near[chosen].T).max(axis=1).toarray().mean())

    def bits(self, target: Target, chosen: NDArray) -> float:
        """Bits a word that the chosen texts' unigram model (smoothed by 2,000 words of the pool) saves over the pool's."""
        counts = np.asarray(self.words[chosen].sum(axis=0)).ravel()
        model = (counts + 2000 * self.background) / (counts.sum() + 2000)
        return float((target.words * np.log2(model / self.background)).sum() / target.words.sum())

    def purity(self, target: Target, chosen: NDArray) -> list[float]:
        return [float(np.char.startswith(self.sources[chosen][:, None], [list(p)]).any(axis=1).mean()) for p in IN_DOMAIN[target.name]]


def round_robin(pool: Floats, target: Floats, size: int) -> NDArray:
    """The first `size` distinct candidates over the targets' 1st, 2nd, ... neighbours; ties of rank go to the nearest."""
    similarity, neighbour = faiss.knn(target, pool, min(len(pool), 4 * size // len(target) + 200), metric=faiss.METRIC_INNER_PRODUCT)
    rank = np.broadcast_to(np.arange(neighbour.shape[1]), neighbour.shape)
    order = neighbour.ravel()[np.lexsort((-similarity.ravel(), rank.ravel()))]
    _, first = np.unique(order, return_index=True)
    return order[np.sort(first)][:size]


def near_duplicates(pool: Floats, copies: Floats, bases: NDArray) -> tuple[float, float]:
    """99 % quantile of copy-to-base distances; 1 % quantile of the distance of pool passages to their nearest other one."""
    copy = np.linalg.norm(pool[bases] - copies, axis=1)
    some = np.random.default_rng(0).choice(len(pool), 2000, replace=False)
    similarity, _ = faiss.knn(pool[some], pool, 2, metric=faiss.METRIC_INNER_PRODUCT)
    other = np.sqrt(np.maximum(2 - 2 * similarity[:, 1], 0))
    return float(np.quantile(copy, 0.99)), float(np.quantile(other, 0.01)), float(np.quantile(other, 0.5)), float((copy < np.quantile(other, 0.01)).mean())
