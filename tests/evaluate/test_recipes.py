"""What `tsds select` writes is what trainers read: the recipes of docs/evaluate.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
datasets = pytest.importorskip("datasets")

import tsds
from tests.evaluate import small


def test_trainers_read_the_chosen_chats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = small.chats(tmp_path / "d")
    chosen = tsds.select(folder / "pool.jsonl", folder / "targets" / "sea" / "query.jsonl", size=12)
    out = chosen.save(tmp_path / "out")
    read = datasets.load_dataset("json", data_files=str(out / "selected.jsonl"), split="train")
    assert read.num_rows == 12 and set(read[0]["messages"][0]) == {"role", "content"}
    assert [row["messages"] for row in read] == [row["messages"] for row in chosen.to_dataset()]
    lines = [json.loads(line) for line in (out / "selected.jsonl").read_text().splitlines()]
    assert all([turn["role"] for turn in line["messages"]] == ["user", "assistant"] for line in lines)


def test_weights_fit_a_sampler_that_draws_anew_each_epoch(tmp_path: Path) -> None:
    import torch
    from torch.utils.data import WeightedRandomSampler

    folder = small.chats(tmp_path / "d")
    chosen = tsds.select(folder / "pool.jsonl", folder / "targets" / "sea" / "query.jsonl", size=12, method="kde")
    assert chosen.weights.shape == (240,)
    generator = torch.Generator().manual_seed(0)
    sampler = WeightedRandomSampler(chosen.weights.tolist(), num_samples=12, replacement=True, generator=generator)
    first, second = list(sampler), list(sampler)
    assert first != second and all(chosen.weights[row] > 0 for row in first + second)
