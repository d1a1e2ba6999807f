"""Models of a few thousand weights with a vocabulary of a few words, and data on which something can be learned."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")

from tsds.evaluate.data import Data
from tsds.evaluate.running import evaluate
from tsds.evaluate.tables import Outcome

torch.set_num_threads(1)  # these models are too small for two

METHODS = ("none", "full", "random", "auto")
TOPICS = {
    "sea": "wave salt fish boat tide crab".split(),
    "sky": "cloud wind bird star rain moon".split(),
    "farm": "cow barn milk hay plow corn".split(),
}
WORDS = [word for topic in TOPICS.values() for word in topic] + "the and of a answer is what goes with ?".split()


def tokenizer() -> Any:
    """Whole words; with a mask."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    marks = ["<pad>", "<end>", "<unk>", "<mask>", "<|user|>", "<|assistant|>"]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*marks, *WORDS])}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<end>", unk_token="<unk>", mask_token="<mask>",
        additional_special_tokens=marks[4:],
    )  # fmt: skip


def masked(folder: Path, *, head: bool = True) -> Path:
    """A BERT of one layer; without its head for masked tokens if asked, as sentence models are."""
    torch.manual_seed(0)
    words = tokenizer()
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=24, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=48, pad_token_id=0,
    )  # fmt: skip
    model = transformers.BertForMaskedLM(config)
    (model if head else model.bert).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def causal(folder: Path) -> Path:
    """A Llama of one layer."""
    torch.manual_seed(0)
    words = tokenizer()
    config = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=24, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=None, eos_token_id=1,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def sentence(rng: random.Random, topic: str) -> str:
    """Some words of a topic among others."""
    return " ".join(rng.choice([*TOPICS[topic], "the", "and", "of", "a"]) for _ in range(rng.randint(6, 14)))


def domain(folder: Path, rows: int = 240, labelled: int = 60) -> Path:
    """A pool of sentences and two targets whose labels are topics."""
    rng = random.Random(0)
    names = list(TOPICS)
    pool = [{"text": sentence(rng, names[i % 3]), "source": names[i % 3]} for i in range(rows)]
    lines(folder / "pool.jsonl", pool)
    for target, two in (("near", names[:2]), ("far", names[1:])):
        for part in ("train", "test"):
            found = [{"text": sentence(rng, two[i % 2]), "label": two[i % 2]} for i in range(labelled)]
            lines(folder / "targets" / target / f"{part}.jsonl", found)
    return folder


def chat(rng: random.Random, topic: str) -> dict[str, Any]:
    """A question by a word of a topic, the answer its next word."""
    words = TOPICS[topic]
    i = rng.randrange(len(words))
    answer = words[(i + 1) % len(words)]
    dress = " ".join(rng.choice(["the", "and", "of", "a"]) for _ in range(rng.randint(0, 8)))
    turns = [
        {"role": "user", "content": f"{dress} what goes with {words[i]} ?".strip()},
        {"role": "assistant", "content": f"the answer is {answer}"},
    ]
    return {"messages": turns, "answer": answer}


def chats(folder: Path, rows: int = 240, asked: int = 30) -> Path:
    """A pool of chats and a target that is one topic of it."""
    rng = random.Random(0)
    names = list(TOPICS)
    pool = [{"messages": chat(rng, names[i % 3])["messages"], "source": names[i % 3]} for i in range(rows)]
    lines(folder / "pool.jsonl", pool)
    for part in ("query", "test"):
        lines(folder / "targets" / "sea" / f"{part}.jsonl", [chat(rng, "sea") for _ in range(asked)])
    return folder


def lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Records as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def pretrained(tmp_path: Path, out: str, **given: Any) -> Outcome:
    """A grid on the small domain data, with a small model that has a head."""
    folder = tmp_path / "d"
    if not folder.exists():
        masked(tmp_path / "m")
        domain(folder)
    asked = {"methods": METHODS, "sizes": ("10%",), "seeds": 2, "targets": ("near",), "epochs": 20.0, "examples": 20}
    found = evaluate(
        "pretraining", Data.of_folder(folder), tmp_path / out, model=str(tmp_path / "m"), quick=True, device="cpu",
        **(asked | given),
    )  # fmt: skip
    assert found is not None
    return found
