"""Language models of a few thousand weights, made on the spot: a causal and a masked one, with a tokenizer of words."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WORDS = "two and are four the cat sat a dog barked three times is nine what how many user assistant system ? . | < >"
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'system' and not loop.first %}{{ raise_exception('system first') }}"
    "{% endif %}[{{ m['role'] }}] {{ m['content'] }} {% if m['role'] == 'assistant' %}</s> {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


def tokenizer(template: str | None = TEMPLATE) -> transformers.PreTrainedTokenizerFast:
    """Words and punctuation, <s> before every text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    marks = ["<pad>", "<s>", "</s>", "<unk>", "[user]", "[assistant]", "[system]"]
    names = {word: i for i, word in enumerate([*marks, *dict.fromkeys(WORDS.split())])}
    inner = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        additional_special_tokens=["[user]", "[assistant]", "[system]"],
    )  # fmt: skip
    made.chat_template = template
    return made


def causal(folder: Path, *, template: str | None = TEMPLATE, positions: int = 64, seed: int = 0) -> Path:
    """A Llama of two layers in a folder."""
    torch.manual_seed(seed)
    words = tokenizer(template)
    config = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=positions, initializer_range=0.3,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def masked(folder: Path, seed: int = 0) -> Path:
    """A BERT of two layers in a folder."""
    torch.manual_seed(seed)
    words = tokenizer(None)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, initializer_range=0.3, pad_token_id=0,
    )  # fmt: skip
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
