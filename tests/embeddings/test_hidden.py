"""Hidden states against a direct computation, one text at a time; chats by template; cuts and lack of memory told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers

from tests.embeddings import tiny
from tsds.embeddings.encoders import Setting, make_encoder
from tsds.embeddings.encoders.models import in_batches
from tsds.embeddings.encoders.rendering import Renderer
from tsds.errors import InputError, RunError
from tsds.records import Dialogue, TextSpec, Turn

TEXTS = ["the cat sat .", "two and two are four", "a dog", "what is three times three ? nine and four and nine .", "is"]
CHAT = Dialogue([Turn("user", "what is two and two ?"), Turn("assistant", "four .")])


def direct(folder: Path, ids: list[int], layer: int, pooling: str) -> np.ndarray[Any, Any]:
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0].numpy()
    if pooling == "mean":
        row = states.mean(axis=0)
    elif pooling == "last":
        row = states[-1]
    else:
        place = np.arange(1, len(ids) + 1)
        row = (place[:, None] * states).sum(axis=0) / place.sum()
    return np.asarray(row / np.linalg.norm(row))


@pytest.mark.parametrize("pooling", ["mean", "last", "weighted"])
@pytest.mark.parametrize("layer", [0, 1, -1])
@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_pooling_against_a_direct_computation(tmp_path: Path, kind: str, layer: int, pooling: str) -> None:
    folder = getattr(tiny, kind)(tmp_path)
    encoder = make_encoder(f"hidden:{folder}@{layer},{pooling}", Setting())
    words = transformers.AutoTokenizer.from_pretrained(folder)
    wanted = [direct(folder, words(text)["input_ids"], layer, pooling) for text in TEXTS]
    np.testing.assert_allclose(encoder.encode(TEXTS), wanted, atol=2e-6)
    assert encoder.dim == 16


def test_default_is_weighted_for_causal_and_mean_for_masked_models(tmp_path: Path) -> None:
    for kind, pooling in (("causal", "weighted"), ("masked", "mean")):
        folder = getattr(tiny, kind)(tmp_path / kind)
        plain = make_encoder(f"hidden:{folder}", Setting()).encode(TEXTS)
        np.testing.assert_array_equal(plain, make_encoder(f"hidden:{folder}@-1,{pooling}", Setting()).encode(TEXTS))


def test_chats_go_through_the_template_of_the_model(tmp_path: Path) -> None:
    folder = tiny.causal(tmp_path)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    messages = [{"role": turn.role, "content": turn.content} for turn in CHAT.turns]
    ids = words.apply_chat_template(messages, return_dict=False)
    assert words.decode(ids) == "[user] what is two and two ? [assistant] four . </s>"
    encoder = make_encoder(f"hidden:{folder}", Setting())
    found = encoder.encode([CHAT, str(CHAT)])
    np.testing.assert_allclose(found[0], direct(folder, ids, -1, "weighted"), atol=2e-6)
    np.testing.assert_allclose(found[1], direct(folder, words(str(CHAT))["input_ids"], -1, "weighted"), atol=2e-6)
    (one,) = Renderer(words, 64, chats=True).render([CHAT])
    assert one.ids.tolist() == ids
    assert words.decode(one.ids[one.completion]) == "four . </s>"


def test_role_marks_where_there_is_no_template_or_it_refuses(tmp_path: Path) -> None:
    words = tiny.tokenizer(None)
    (one,) = Renderer(words, 64, chats=True).render([CHAT])
    assert one.ids.tolist() == words("<|user|>\nwhat is two and two ?\n<|assistant|>\nfour .</s>\n")["input_ids"]
    assert words.decode(one.ids[one.completion]) == "four . </s>" and not one.unfit
    late = Dialogue([*CHAT.turns, Turn("system", "the cat sat"), Turn("user", "two ?"), Turn("assistant", "nine")])
    refusing = "{{ raise_exception('never') }}"
    (merged,) = Renderer(tiny.tokenizer(), 64, chats=True).render([late])
    assert not merged.unfit and words.decode(merged.ids[merged.completion]) == "four . </s> nine </s>"
    (refused,) = Renderer(tiny.tokenizer(refusing), 64, chats=True).render([CHAT])
    assert refused.unfit and refused.ids.tolist() == one.ids.tolist()
    encoder = make_encoder(f"hidden:{tiny.causal(tmp_path, template=refusing)}", Setting())
    encoder.encode([CHAT])
    assert encoder.report.unfit == 1


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [{"role": "user", "content": "two ?"}, {"role": "assistant", "content": "nine"}]},
        {"conversations": [{"from": "human", "value": "two ?"}, {"from": "gpt", "value": "nine"}]},
        {"instruction": "two ?", "input": "", "output": "nine"},
        {"prompt": "two ?", "completion": "nine"},
        {"prompt": [{"role": "user", "content": "two ?"}], "completion": [{"role": "assistant", "content": "nine"}]},
        {"question": "two ?", "answer": "nine"},
    ],
)
def test_every_layout_knows_who_speaks(record: dict[str, Any]) -> None:
    text = TextSpec().text_of(record)
    assert text == "two ?\nnine"
    assert isinstance(text, Dialogue) and text.turns == (Turn("user", "two ?"), Turn("assistant", "nine"))


def test_long_texts_are_cut_and_counted(tmp_path: Path) -> None:
    folder = tiny.causal(tmp_path, positions=8)
    encoder = make_encoder(f"hidden:{folder}", Setting())
    long = " ".join(["the cat sat"] * 9)
    found = encoder.encode([long, "the cat sat the cat sat the", "two"])
    assert (encoder.report.texts, encoder.report.truncated) == (3, 1)
    np.testing.assert_allclose(found[0], found[1], atol=2e-6)
    shorter = make_encoder(f"hidden:{folder}@max=3", Setting())
    shorter.encode([long, "two and"])
    assert shorter.report.truncated == 1
    assert shorter.fingerprint() != encoder.fingerprint()


def test_fingerprint_tells_weights_apart_and_is_known_before_loading(tmp_path: Path) -> None:
    one, same, other = (tiny.causal(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1)))
    marks = [make_encoder(f"hidden:{folder}", Setting()).fingerprint() for folder in (one, same, other)]
    assert marks[0] == marks[1] != marks[2]
    assert make_encoder(f"hidden:{one}@1", Setting()).fingerprint() != marks[0]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("hidden", "names no model"),
        ("hidden:./nowhere", "no such folder"),
        ("hidden:{folder}@9", "no layer 9"),
        ("hidden:{folder}@median", "unknown setting 'median'"),
        ("hidden:{folder}@most=3", "unknown setting 'most'"),
        ("hidden:{folder}@mean,last", "one layer and one pooling"),
        ("hidden:{empty}", "holds no model"),
    ],
)
def test_wrong_names(tmp_path: Path, spec: str, why: str) -> None:
    (tmp_path / "empty").mkdir()
    folder = tiny.causal(tmp_path / "model")
    with pytest.raises(InputError, match=why):
        make_encoder(spec.format(folder=folder, empty=tmp_path / "empty"), Setting())


def test_batches_come_back_in_order_and_halve_when_memory_runs_out() -> None:
    lengths = [3, 9, 1, 7, 7, 2, 5]
    said: list[str] = []

    def work(batch: list[int]) -> np.ndarray[Any, Any]:
        if len(batch) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate ...")
        return np.array([[i, lengths[i]] for i in batch], np.float32)

    rows = in_batches(lengths, work, tokens=1000, say=said.append)
    np.testing.assert_array_equal(rows, [[i, length] for i, length in enumerate(lengths)])
    halved = [f"out of memory at {n} texts of 9 tokens" for n in (7, 3)]
    assert [line.split(":")[0] for line in said] == halved

    def hopeless(batch: list[int]) -> np.ndarray[Any, Any]:
        raise MemoryError

    with pytest.raises(RunError, match="one text of 9 tokens"):
        in_batches(lengths, hopeless, tokens=1000)

    def broken(batch: list[int]) -> np.ndarray[Any, Any]:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        in_batches(lengths, broken, tokens=1000)
