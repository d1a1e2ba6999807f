"""The default encoder: its hashing against plain Python, its weights by hand, and what it promises about bits."""

from __future__ import annotations

import gzip
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsds.embeddings.encoders import gathering, hashing, ngrams
from tsds.embeddings.encoders.directions import SparseRows, leading_directions
from tsds.embeddings.encoders.hashing import HashEncoder

DATA = Path(os.environ.get("TSDS_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "domain"
BITS = 20
U64 = (1 << 64) - 1

POOL = [
    "The cat sat on the mat.",
    "A dog sat on the log, and the cat did not mind.",
    "Interest rates rose by 25 basis points in 2004.",
    "naïve Bayes über alles: Straße, ΣΊΣΥΦΟΣ, İstanbul",
    "数据选择很重要。最优传输",
    "データの選択は大切です",
    "ข้อมูลสำหรับการปรับแต่ง",
    "데이터 선택은 중요하다",
    "🙂🙂 great 👍🏽 movie",
    "!!! ... ???",
    "print(x[i] + y_1) # 3.14",
]
texts_strategy = st.lists(
    st.text(st.sampled_from("aAbß1_ ,.!\n\t\u00a0数据るก🙂é\u0301İΣ\ud800\x00"), max_size=12) | st.text(max_size=20),
    max_size=8,
)


def words_slowly(text: str) -> list[str]:
    """The words of a lower-cased text, one character at a time."""

    def kind(character: str) -> int:
        code = ord(character)
        category = unicodedata.category(character)
        unspaced = any(first <= code <= last for first, last in ngrams._UNSPACED)
        if unspaced and (code >= 0x20000 or category[0] in "LNM"):
            return ngrams.SINGLE
        if code >= 0x20000:
            return ngrams.SEPARATOR
        if category[0] in "LNM" or character == "_":
            return ngrams.WORD
        return ngrams.SINGLE if category[0] == "S" and code > 0x7F else ngrams.SEPARATOR

    words, word = [], ""
    for character in text:
        if kind(character) == ngrams.WORD:
            word += character
            continue
        if word:
            words.append(word)
        word = ""
        if kind(character) == ngrams.SINGLE:
            words.append(character)
    if word:
        words.append(word)
    return words or [c for c in text if not c.isspace()]


def mix_slowly(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & U64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & U64
    return value ^ (value >> 31)


def hash_slowly(word: str) -> int:
    return sum((ord(c) + 1) * pow(ngrams._BASE, i, 1 << 64) for i, c in enumerate(word)) & U64


def counts_slowly(text: str) -> Counter[int]:
    hashes = [hash_slowly(word) for word in words_slowly(text)]
    pairs = [(a * int(ngrams._LEFT) + b * int(ngrams._RIGHT)) & U64 for a, b in pairwise(hashes)]
    return Counter(
        [mix_slowly(h) >> (64 - BITS) for h in hashes] + [(1 << BITS) | mix_slowly(h) >> (64 - BITS) for h in pairs]
    )


def test_character_classes_where_a_range_is_assumed() -> None:
    classes = ngrams.character_classes()
    for code in [*range(0, 0x32000, 7), *range(0xE0000, 0xE0200), 0x10FFFF]:
        character = chr(code)
        if words_slowly(f"x{character}y") == [f"x{character}y"]:
            assert classes[code] == ngrams.WORD
        else:
            expected = words_slowly(f"x{character}y") == ["x", "y"]
            assert classes[code] == (ngrams.SEPARATOR if expected else ngrams.SINGLE)


@given(texts_strategy)
@settings(max_examples=200, deadline=None)
def test_counts_equal_plain_python(texts: list[str]) -> None:
    for block in ngrams.blocks([texts], rows=3):
        counts = ngrams.count_ngrams(block, BITS)
        assert counts.texts == len(block)
        for row, text in enumerate(block):
            of_row = counts.row == row
            found = dict(zip(counts.bucket[of_row].tolist(), counts.count[of_row].tolist(), strict=True))
            assert found == counts_slowly(text)
        order = counts.row * (2 << BITS) + counts.bucket
        assert (np.diff(order) > 0).all()


def test_words() -> None:
    assert words_slowly("the cat's 2 naïve_bayes, été") == ["the", "cat", "s", "2", "naïve_bayes", "été"]
    assert words_slowly("最优 transport🙂") == ["最", "优", "transport", "🙂"]
    assert words_slowly("?! …") == ["?", "!", "…"]


@given(st.lists(st.lists(st.text(max_size=5), max_size=5), max_size=5), st.integers(1, 4))
def test_blocks_keep_all_texts_in_order(batches: list[list[str]], rows: int) -> None:
    cut = list(ngrams.blocks(batches, rows))
    assert [text for block in cut for text in block] == [text.lower() for batch in batches for text in batch]
    assert all(1 <= len(block) <= rows for block in cut)


def test_pieces_of_a_long_text_have_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["the cat's 2 naïve_bayes, 最优 transport🙂 … -- été " * 5, " --- a ---------------------- ", "?! … -- "]
    whole = [ngrams.words([text])[1].tolist() for text in texts]
    for size in range(len("naïve_bayes"), 50):
        monkeypatch.setattr(ngrams, "MAX_CHARACTERS", size)
        assert [ngrams.all_words(text).tolist() for text in texts] == whole


def test_a_very_long_text_is_read_from_its_beginning() -> None:
    size = ngrams.MAX_CHARACTERS
    blocks = list(ngrams.blocks([["İ" * size, "short", "x" * (size + 5)]], rows=10))
    assert [sum(map(len, block)) for block in blocks] == [size, 5, size]
    assert ngrams.count_ngrams(blocks[-1], BITS).count.tolist() == [1]


@pytest.fixture(scope="module")
def encoder() -> HashEncoder:
    return HashEncoder(dim=32).fit([POOL * 3])


def cuts(items: Sequence[str], sizes: Sequence[int]) -> Iterator[Sequence[str]]:
    start = 0
    for size in sizes:
        yield items[start : start + size]
        start += size
    yield items[start:]


@given(st.lists(st.integers(0, 9), max_size=6), st.randoms(use_true_random=False), st.sampled_from([1, 2, 5]))
@settings(max_examples=30, deadline=None)
def test_bits_do_not_depend_on_batches_or_threads(sizes: list[int], random: object, threads: int) -> None:
    texts = [f"{POOL[i % len(POOL)]} {POOL[i * 7 % 5]} {i % 13}" for i in range(40)]
    texts += ["", "zzz unseen", "?!"]
    whole = HashEncoder(dim=24, threads=1).fit([POOL, texts])
    parts = HashEncoder(dim=24, threads=threads).fit(cuts([*POOL, *texts], sizes))
    assert whole.fingerprint() == parts.fingerprint()
    expected = whole.encode(texts)
    assert np.array_equal(expected, np.vstack([parts.encode(part) for part in cuts(texts, sizes)]))
    order = random.sample(range(len(texts)), len(texts))  # type: ignore[attr-defined]
    assert np.array_equal(expected[order], parts.encode([texts[i] for i in order]))


def test_bits_do_not_depend_on_neighbours_across_blocks(encoder: HashEncoder) -> None:
    texts = [f"{POOL[i % len(POOL)]} {i}" for i in range(3 * hashing._BLOCK + 7)]
    whole = encoder.encode(texts)
    for i in (0, 1, hashing._BLOCK - 1, hashing._BLOCK, len(texts) - 1):
        assert np.array_equal(whole[i], encoder.encode([texts[i]])[0])


@given(texts_strategy)
@settings(max_examples=100, deadline=None)
def test_unit_norm_unless_blank(encoder: HashEncoder, texts: list[str]) -> None:
    vectors = encoder.encode(texts)
    assert vectors.shape == (len(texts), 32) and vectors.dtype == np.float32
    expected = [0.0 if not text or text.isspace() else 1.0 for text in texts]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), expected, atol=1e-6)


@pytest.mark.parametrize("pool", [[], [""], [" \n"], ["one"], ["same same", "same same"], ["?"], POOL])
@pytest.mark.parametrize("dim", [1, 2, 7, 300])
def test_any_pool_and_dim(pool: list[str], dim: int) -> None:
    encoder = HashEncoder(dim=dim).fit([pool])
    vectors = encoder.encode(["one two", "?!", "数据", "", "One two"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0, 1], atol=1e-6)
    assert np.array_equal(vectors[0], vectors[4])


def test_scripts_are_told_apart_and_alike() -> None:
    encoder = HashEncoder(dim=64).fit([POOL])

    def nearest(text: str) -> int:
        return int(np.argmax(encoder.encode(POOL) @ encoder.encode([text])[0]))

    assert nearest("最优传输的数据") == 4
    assert nearest("選択のデータ") == 5
    assert nearest("การปรับแต่งข้อมูล") == 6
    assert nearest("선택은") == 7
    assert nearest("👍 🙂") == 8
    assert nearest("STRASSE! naïve, ÜBER") == 3
    assert nearest("25 points") == 2


def test_idf_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Document frequencies are of the whole pool, sampled or not; with directions of ones, the table holds weights."""
    monkeypatch.setattr(hashing, "leading_directions", lambda rows, width, dim, seed: np.ones((width, dim)))
    monkeypatch.setattr(HashEncoder, "sample_texts", 1)
    encoder = HashEncoder(dim=2).fit([["a b a", "a c"], ["A"]])
    assert encoder._column is not None
    expected = {  # manner: all alike; matter: idf^2, pairs half
        "a": [1, 1],
        "b": [1, (np.log(4 / 2) + 1) ** 2],
        "c": [1, (np.log(4 / 2) + 1) ** 2],
        "b a": [1, (np.log(4 / 2) + 1) ** 2 / 2],
    }
    assert len(encoder._table) == 6  # and the pairs a-b, a-c
    for text, weights in expected.items():
        counts = ngrams.count_ngrams([text], encoder.bits)
        column = encoder._column[counts.bucket[-1]]  # pairs come after words
        np.testing.assert_allclose(encoder._table[column], weights, rtol=1e-6)
    # "a b a": a twice (1 + log 2 in matter), b, a-b, b-a
    manner = 1 + 1 + 1 + 1
    matter = (1 + np.log(2)) + (np.log(2) + 1) ** 2 * (1 + 1 / 2 + 1 / 2)
    embedded = np.array([[manner, matter]], dtype=np.float32)
    hashing._scale(embedded, encoder._spans)
    np.testing.assert_allclose(encoder.encode(["a b a"]), embedded, rtol=1e-6)


def test_top_k_of_the_sample_does_not_depend_on_cuts_and_is_bounded() -> None:
    texts = [" ".join(f"w{i * j % 97}" for j in range(i % 23)) for i in range(500)]
    kept = []
    for rows in (1, 7, 500):
        sample, seen = gathering.Sample(texts=50, features=700, seed=3), 0
        for block in ngrams.blocks([texts], rows):
            sample.add(ngrams.count_ngrams(block, BITS), seen)
            seen += len(block)
        counts = sample.gathered(np.zeros(1, np.int64), seen).sampled()
        assert counts.texts <= 50 and len(counts.row) <= 700
        kept.append((counts.texts, counts.row.tolist(), counts.bucket.tolist(), counts.count.tolist()))
    assert kept[0] == kept[1] == kept[2] and kept[0][0] > 20


@pytest.mark.parametrize("features", [700, 3, 1 << 22])
def test_what_pieces_of_the_pool_gathered_makes_the_encoder_that_all_of_it_makes(features: int) -> None:
    class Small(HashEncoder):
        sample_texts, sample_features = 50, features

    texts = [" ".join(f"w{i * j % 97}" for j in range(i % 23)) for i in range(500)]
    whole = Small(dim=8).fit([texts]).fingerprint()
    for cuts in ([250], [1, 2, 490], [100, 100, 300]):  # one piece is empty
        edges = [0, *cuts, len(texts)]
        parts = [Small(dim=8).gather([texts[a:b]], a) for a, b in pairwise(edges)]
        for order in (parts, parts[::-1]):
            assert Small(dim=8).learn(reduce(gathering.merged, order)).fingerprint() == whole


def test_leading_directions_are_the_svd() -> None:
    rng = np.random.default_rng(0)
    dense = (rng.random((300, 80)) < 0.1) * rng.random((300, 80)) * np.linspace(3, 0.1, 80)
    dense[7] = 0
    row, column = np.nonzero(dense)
    rows = SparseRows(np.searchsorted(row, np.arange(301)), column, dense[row, column].astype(np.float32))
    np.testing.assert_allclose(rows.times(np.eye(80, dtype=np.float32)), dense, rtol=1e-6)
    np.testing.assert_allclose(rows.transposed(80).times(np.eye(300, dtype=np.float32)), dense.T, rtol=1e-6)
    found = leading_directions(rows, 80, 10, seed=0)
    np.testing.assert_allclose(found.T @ found, np.eye(10), atol=1e-5)
    exact = np.linalg.svd(dense)[2][:10].T
    cosines = np.linalg.svd(found.T @ exact)[1]
    assert cosines[:8].min() > 0.99
    full = leading_directions(rows, 80, 100, seed=0)
    np.testing.assert_allclose(full.T @ full, np.diag(np.arange(100) < 80), atol=1e-4)


def test_fingerprint_tells_settings_seed_and_pool_apart() -> None:
    encoders = [HashEncoder(dim=8), HashEncoder(dim=9), HashEncoder(dim=8, seed=1)]
    prints = [encoder.fingerprint() for encoder in encoders]
    prints += [encoder.fit([POOL]).fingerprint() for encoder in encoders]
    prints.append(HashEncoder(dim=8).fit([POOL[:-1]]).fingerprint())
    assert len(set(prints)) == len(prints)
    assert prints[3] == HashEncoder(dim=8, threads=1).fit([POOL[:3], POOL[3:]]).fingerprint()


def test_wrong_use_is_told() -> None:
    with pytest.raises(ValueError, match="dim=0"):
        HashEncoder(dim=0)
    with pytest.raises(ValueError, match="seed=-1"):
        HashEncoder(seed=-1)
    with pytest.raises(ValueError, match="before fit"):
        HashEncoder().encode(["a"])


@pytest.mark.skipif(not DATA.exists(), reason=f"no shared data in {DATA}")
def test_near_duplicates_are_closer_than_other_passages() -> None:
    def read(name: str, limit: int) -> list[dict[str, str]]:
        with gzip.open(DATA / name) as lines:
            return [orjson.loads(line) for line, _ in zip(lines, range(limit), strict=False)]

    pool = read("pool.jsonl.gz", 10_000)
    row = {record["id"]: i for i, record in enumerate(pool)}
    copies = [copy for copy in read("near_duplicates.jsonl.gz", 10_000) if copy["base"] in row][::5]
    assert copies
    encoder = HashEncoder().fit([[record["text"] for record in pool]])
    vectors = encoder.encode([record["text"] for record in pool])
    bases = np.array([row[copy["base"]] for copy in copies])
    copy_similarity = (encoder.encode([copy["text"] for copy in copies]) * vectors[bases]).sum(axis=1)
    unique_bases = np.unique(bases)
    similarity = vectors[unique_bases] @ vectors.T
    similarity[np.arange(len(unique_bases)), unique_bases] = -1
    nearest_other = dict(zip(unique_bases.tolist(), similarity.max(axis=1).tolist(), strict=True))
    closer = copy_similarity > np.array([nearest_other[base] for base in bases.tolist()])
    assert closer.mean() > 0.95


def test_recalls_the_vectors_of_what_it_was_fitted_on_once() -> None:
    texts = [f"the {word} of {word}s and {other}" for word in ("cat", "rate", "proof") for other in "abcdefghij"]
    encoder = HashEncoder(dim=16)
    encoder.remember = True
    encoder.fit([texts[:7], texts[7:]])
    told: list[int] = []
    blocks = encoder.recall(told.append)
    assert blocks is not None
    np.testing.assert_array_equal(np.concatenate(list(blocks)), encoder.encode(texts))
    assert sum(told) == len(texts)
    assert encoder.recall() is None
    encoder.recalled_bytes = 100
    assert encoder.fit([texts]).recall() is None
    encoder.remember = False
    encoder.recalled_bytes = 1 << 20
    assert encoder.fit([texts]).recall() is None
