"""The bandwidth where there are vectors and no texts, for pools of which more and more are copies.

    python benchmarks/bandwidth_of_vectors.py [--shared ../shared/data] [--model FOLDER]

3,000 passages of the shared pool; a share of them is replaced by edited copies of others, nine of each. For each share:
h; that from edited texts, for comparison (it does not see the pool); the pairs of copies within h, and how many other
passages lie within h of one. With `--model` also for a sentence encoder: a few minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsds.bandwidth import from_texts, perturbed
from tsds.bandwidth_of_vectors import from_vectors
from tsds.embeddings.encoders.hashing import HashEncoder
from tsds.records import Pool

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
COUNT, COPIES = 3000, 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("TSDS_SHARED_DATA", "../shared/data")))
    parser.add_argument("--model", help="of sentence-transformers: a name or a folder")
    given = parser.parse_args()
    texts = [text for batch in Pool.open(given.shared / "domain" / "pool.jsonl.gz").batches() for text in batch.texts]
    encoders: dict[str, Encode] = {"hash": HashEncoder().fit([texts]).encode}  # unit vectors, as sentence encoders give
    if given.model:
        from sentence_transformers import SentenceTransformer

        encoders["sentence"] = SentenceTransformer(given.model, device="cpu").encode
    rng = np.random.default_rng(0)
    passages = [texts[i] for i in rng.choice(len(texts), COUNT, replace=False)]
    edits = [perturbed(text, rng) for text in passages[: COUNT // (1 + COPIES)] for _ in range(COPIES)]
    print("| encoder | with a near-duplicate | h | h of edited texts | pairs of copies within h | others within h |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, encode in encoders.items():
        plain, copies = encode(passages), encode(edits)
        groups = copies.reshape(-1, COPIES, plain.shape[1])
        whole = np.concatenate([plain[: len(groups), None], groups], axis=1)
        pairs = np.linalg.norm(whole[:, :, None] - whole[:, None], axis=3)[:, *np.triu_indices(1 + COPIES, 1)]
        others = np.sqrt(np.maximum(2 - 2 * plain[:500] @ plain.T, 0))
        from_edits = from_texts(passages[:512], encode, "l2").value
        for share in (0.0, 0.1, 0.25, 0.45, 0.55, 0.75, 0.9, 1.0):
            made = copies[: round(share * len(whole)) * COPIES]
            h = from_vectors(np.concatenate([plain[: COUNT - len(made)], made]), "l2").value
            row = f"{h:.3f} | {from_edits:.3f} | {(pairs < h).mean():.1%}"
            print(f"| {name} | {share:.0%} | {row} | {(others < h).sum(axis=1).mean() - 1:.3f} |")


if __name__ == "__main__":
    main()
