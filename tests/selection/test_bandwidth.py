"""The bandwidth tells near-duplicates from other neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.command.run import texts
from tests.search.data import clustered
from tsds.bandwidth import HALF_WEIGHT, from_texts, perturbed
from tsds.bandwidth_of_vectors import Thinned, from_candidates, from_vectors
from tsds.embeddings.encoders.hashing import HashEncoder
from tsds.embeddings.scan import Metric
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.neighbors import NeighborSearch


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


def repetitive(share: float, copies: int, spread: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Unit vectors about 1.06 from their nearest, a share of them copies; and the distances of copies to each other.

    How far copies are from what they copy is "alike", 0.06, or "any" from 0.0003 to 0.2, each scale as likely.
    """
    rng = np.random.default_rng(0)
    n, groups = 3000, round(share * 3000) // (1 + copies)
    plain = rng.standard_normal((n - groups * copies, 64))
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    edit = rng.standard_normal((groups, copies, 64))
    edit /= np.linalg.norm(edit, axis=2, keepdims=True)
    edit *= 0.06 if spread == "alike" else np.exp(rng.uniform(np.log(0.0003), np.log(0.2), (groups, copies, 1)))
    whole = np.concatenate([plain[:groups, None], plain[:groups, None] + edit], axis=1)
    within = np.linalg.norm(whole[:, :, None] - whole[:, None], axis=3)[:, *np.triu_indices(1 + copies, 1)]
    rows = np.concatenate([plain, whole[:, 1:].reshape(-1, 64)])
    return rng.permutation(rows).astype(np.float32), within.ravel()


@pytest.mark.parametrize("spread", ["alike", "any"])
@pytest.mark.parametrize("copies", [1, 9, 200])
@pytest.mark.parametrize("share", [0.08, 0.3, 0.5, 0.6, 0.8, 1.0])
def test_vectors_alone_show_their_near_duplicates(share: float, copies: int, spread: str) -> None:
    rows, within = repetitive(share, copies, spread)
    h = from_vectors(rows, "l2").value
    assert np.quantile(within, 0.95) < h < 0.6
    assert from_vectors(rows, "cosine").value == pytest.approx(h**2 / 2, rel=1e-3)


def test_without_near_duplicates_hardly_any_vectors_lie_within_it() -> None:
    for dim in (2, 8, 64):
        rows = np.random.default_rng(0).standard_normal((2000, dim)).astype(np.float32)
        distances = np.sort(np.linalg.norm(rows[:500, None] - rows[None], axis=2), axis=1)
        h = from_vectors(rows, "l2").value
        assert (distances < h).sum() - 500 < 0.1 * 500
        assert 1 / 6 <= h / np.median(distances[:, 1]) < 1 / 2
    assert from_vectors(np.ones((100, 3), np.float32), "l2").value == 0  # copies of one record
    assert from_vectors(np.tile(rows, (2, 1)), "l2").value == pytest.approx(from_vectors(rows, "l2").value, rel=0.05)
    assert from_vectors(np.ones((1, 3), np.float32), "l2").value == 0


@pytest.mark.parametrize("dim", [2, 3])
def test_a_gap_between_the_lists_of_targets_is_none_of_the_pool(dim: int) -> None:
    """Targets on a grid far apart in a pool without any structure: what is looked at are balls, the pool is none."""
    pool = np.random.default_rng(0).random((100_000, dim)).astype(np.float32)
    side = np.linspace(0.1, 0.9, 5 if dim == 2 else 3)
    targets = np.stack(np.meshgrid(*[side] * dim), axis=-1).reshape(-1, dim).astype(np.float32)
    search = NeighborSearch(Vectors.of(pool), targets, largest_norm=2.0)
    h = from_candidates(search, np.full(len(targets), 1 / len(targets)), "l2").value
    within = np.linalg.norm(pool[:300, None] - pool[None], axis=2) < h
    assert within.sum(axis=1).mean() - 1 < 1
    junk = np.concatenate([targets, np.full((40, dim), 1e3, np.float32)])  # a task of no weight, far from all of it
    search = NeighborSearch(Vectors.of(pool), junk, largest_norm=2.0)
    mu = np.concatenate([np.full(len(targets), 1 / len(targets)), np.zeros(40)])
    assert from_candidates(search, mu, "l2").value < 2 * h


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(0.01, 3))
def test_what_is_left_apart_is_apart(seed: int, dim: int, within: float) -> None:
    x = np.random.default_rng(seed).standard_normal((120, dim)).astype(np.float32)
    left = Thinned.of(x).to(within)
    assert 1 <= len(left) <= len(x) and left.nearest.min() > within * (1 - 1e-5)
    crowd = Thinned.of(x[:1] + np.float32(1e-3) * x).to(1.0)  # more than any one sees
    assert len(crowd) == 1


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
