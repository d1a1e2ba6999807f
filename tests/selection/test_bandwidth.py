"""The bandwidth tells near-duplicates from other neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.command.run import texts
from tests.search.data import clustered
from tsds.bandwidth import HALF_WEIGHT, from_distances, from_texts, perturbed
from tsds.embeddings.encoders.hashing import HashEncoder
from tsds.embeddings.scan import Metric
from tsds.errors import InputError


def test_from_texts_edited_copies_lie_within_and_others_beyond() -> None:
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(3000)]
    pool = [" ".join(rng.choice(words, 40)) for _ in range(1500)]
    encoder = HashEncoder(dim=256).fit([pool])
    h = from_texts(pool[:300], encoder.encode, "l2")
    first = encoder.encode(pool[300:500])
    second = encoder.encode([perturbed(text, rng) for text in pool[300:500]])
    assert (np.linalg.norm(first - second, axis=1) < h.value).mean() > 0.95
    others = np.linalg.norm(first[:, None] - encoder.encode(pool[500:700])[None], axis=2)
    assert (others < h.value).mean() < 0.001
    cosine = from_texts(pool[:300], encoder.encode, "cosine")
    assert cosine.value == pytest.approx((h.value / np.sqrt(2)) ** 2 / 2 * np.sqrt(2), rel=1e-4)  # d = l2^2 / 2


def test_edits_are_small_and_reproducible() -> None:
    text = texts(1)[0]
    edits = [perturbed(text, np.random.default_rng(seed)) for seed in range(50)]
    assert edits == [perturbed(text, np.random.default_rng(seed)) for seed in range(50)]
    assert sum(edit != text for edit in edits) > 45
    assert all(abs(len(edit.split()) - len(text.split())) <= 3 for edit in edits)
    assert perturbed("one", np.random.default_rng(0)).strip().lower().rstrip(",") == "one"


@pytest.mark.parametrize("text", [".", "?!", "a    ", "! ! ! ! !"])
def test_an_edit_leaves_something_of_a_text(text: str) -> None:
    edits = {perturbed(text, np.random.default_rng(seed)) for seed in range(300)}
    assert len(edits) > 1
    assert all(edit.strip() for edit in edits)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_texts_in_which_the_encoder_sees_nothing_do_not_count(metric: Metric) -> None:
    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[text.count("a"), text.count(" ")] if "a" in text else [0, 0] for text in texts], np.float32)

    some = [f"a a b{' c' * i}" for i in range(8)]
    found = from_texts([*some, ".", "..."], encode, metric)
    assert 0 < found.value < 3 * HALF_WEIGHT  # three edits add three spaces at most
    nothing = from_texts([".", "..."], encode, metric)
    assert nothing.value == 0 and "sees nothing" in nothing.why
    with pytest.raises(InputError, match="NaN"):
        from_texts(some, lambda texts: encode(texts) * np.float32(np.nan), metric)


def test_from_distances_finds_the_valley() -> None:
    rng = np.random.default_rng(0)
    near, far = rng.uniform(0.02, 0.08, 200), rng.normal(0.9, 0.05, 2000)
    h = from_distances(np.concatenate([near, far])).value
    assert 0.08 < h < 0.7


def test_without_a_valley_it_stays_well_below_the_typical_distance() -> None:
    found = from_distances(np.random.default_rng(0).normal(0.9, 0.05, 2000))
    assert found.value == pytest.approx(0.3, rel=0.05)
    assert "no gap" in found.why
    assert from_distances(np.zeros(100)).value == 0


def test_given_embeddings_with_near_duplicates() -> None:
    import tsds

    rng = np.random.default_rng(1)
    pool = rng.standard_normal((4000, 48)).astype(np.float32)
    pool[2000:2400] = pool[:400] + 0.02 * rng.standard_normal((400, 48)).astype(np.float32)
    target = clustered(30, 48) + pool[:30]
    chosen = tsds.select(pool, target, size=100)
    assert chosen.bandwidth is not None
    assert 0.15 < chosen.bandwidth.value < 5  # pairs at 0.14, others beyond 5


@pytest.mark.parametrize("unit", [1e-8, 1e-4, 1e6])
def test_the_unit_of_the_embeddings_changes_nothing(unit: float) -> None:
    import tsds

    rng = np.random.default_rng(1)
    pool = rng.standard_normal((1500, 48)).astype(np.float32)
    pool[750:900] = pool[:150] + 0.02 * rng.standard_normal((150, 48)).astype(np.float32)
    target = pool[:30] + 0.3 * rng.standard_normal((30, 48)).astype(np.float32)
    here = tsds.select(pool, target, size=60, method="kde")
    there = tsds.select(pool * np.float32(unit), target * np.float32(unit), size=60, method="kde")
    assert here.bandwidth is not None and there.bandwidth is not None
    assert there.bandwidth.value / unit == pytest.approx(here.bandwidth.value, rel=1e-3)
    np.testing.assert_array_equal(there.rows, here.rows)
