"""Near-duplicates share the weight of one example: 20 real passages, each in 500 edited copies."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest

import tsds
from tests.shared import needs_shared, shared
from tsds.embeddings.encoders.hashing import HashEncoder


def _read(path: str) -> list[dict[str, Any]]:
    with gzip.open(shared(path), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@needs_shared
@pytest.mark.parametrize("given", ["texts", "vectors"])
def test_five_hundred_copies_weigh_what_one_passage_weighs(given: str) -> None:
    pool, edited = _read("domain/pool.jsonl.gz")[:30_000], _read("domain/near_duplicates.jsonl.gz")
    bases = sorted({record["base"] for record in edited})
    number = {base: i for i, base in enumerate(bases)}
    texts = {record["id"]: record["text"] for record in pool}
    bases = [base for base in bases if base in texts]
    assert len(bases) >= 15
    group = np.array([number.get(r["id"], -1) for r in pool] + [number[r["base"]] for r in edited])
    wanted = [number[base] for base in bases]
    own: Any = pool + edited
    others = [record["text"] for record in _read("domain/targets/sci_cite/dev.jsonl.gz")[:30]]
    target: Any = [*(texts[base] for base in bases), *others]
    if given == "vectors":  # nothing tells then how far edits of a text are apart
        encoder = HashEncoder().fit([[record["text"] for record in own]])
        own, target = encoder.encode([record["text"] for record in own]), encoder.encode(target)

    def share(method: str, neighbors: float) -> np.ndarray:
        """The mass of each passage's copies, in units of the most that one candidate can get from one target."""
        chosen = tsds.select(own, target, size=100, method=method, neighbors=neighbors)
        assert chosen.answer.exact
        mine = group[chosen.rows]
        mass = np.bincount(mine[mine >= 0], weights=chosen.answer.probability[mine >= 0], minlength=len(number))
        return mass[wanted] * len(target) * chosen.answer.neighbors  # type: ignore[no-any-return, operator]

    shared_out = share("kde", 20)
    assert (shared_out <= 2).all() and (shared_out >= 0.9).all()
    assert (share("uniform", 600) > 150).all()


def test_copies_of_one_text_do_not_crowd_out_others() -> None:
    """A tenth of the pool copied a hundred times with small edits: the mass hardly moves."""
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(200)]
    base = [" ".join(rng.choice(words, 15)) for _ in range(300)]
    copies = [text + "!" * i for text in base[:30] for i in range(1, 100)]
    target = [" ".join(rng.choice(words, 15)) for _ in range(20)]
    plain = tsds.select(base, target, size=30, neighbors=20)
    crowded = tsds.select(base + copies, target, size=30, neighbors=20)
    uniform = tsds.select(base + copies, target, size=30, neighbors=20, method="uniform", copies="keep")
    weight = np.zeros((3, 300))
    origin = np.concatenate([np.arange(300), np.repeat(np.arange(30), 99)])
    for sheet, chosen in zip(weight, (plain, crowded, uniform), strict=True):
        np.add.at(sheet, origin[chosen.rows], chosen.answer.probability)
    assert weight[1][:30].sum() == pytest.approx(weight[0][:30].sum(), abs=0.05)
    assert weight[2][:30].sum() > 2 * weight[0][:30].sum()  # without densities the copies take over
