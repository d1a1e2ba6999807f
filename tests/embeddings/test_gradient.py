"""Gradient features against full autograd, example by example; Adam and the weights against references by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

for package in ("torch", "transformers", "peft"):
    pytest.importorskip(package)

import torch

from tests.embeddings import tiny
from tsds.embeddings.encoders import Setting, make_encoder
from tsds.embeddings.encoders.gradient import GradientEncoder, adam_steps
from tsds.embeddings.encoders.lora import LoraModel, LoraSettings
from tsds.embeddings.encoders.projection import Sketch
from tsds.embeddings.encoders.rendering import Renderer
from tsds.embeddings.encoders.warmup import Training, rising_then_falling, warm_up
from tsds.errors import InputError
from tsds.records import Dialogue, Turn

QUESTIONS = ["what is two and two ?", "how many cat sat ?", "what is three times three ?", "a dog ? the dog barked"]
ANSWERS = ["four", "a cat sat .", "three times three is nine .", "dog"]
CHATS = [Dialogue([Turn("user", q), Turn("assistant", a)]) for q, a in zip(QUESTIONS, ANSWERS, strict=True)]
TEXTS: list[str] = [*CHATS, "the cat sat .", "two and two are four and four and nine"]
SMALL = "dim=64,epochs=3,rank=2,rate=0.01,sample=6"


def lora(folder: Path, dtype: Any = torch.float32) -> LoraModel:
    """A tiny model whose adapters are not at their start, where half of the gradients are zero."""
    model = LoraModel(folder, LoraSettings(2, 8, 0.0), 0, "cpu", dtype)
    generator = torch.Generator().manual_seed(3)
    model.read({n: torch.randn(p.shape, generator=generator) * 0.3 for n, p in model.parameters.items()})
    return model


def by_autograd(model: LoraModel, text: str) -> Any:
    """The gradient of the mean loss of the answer's tokens, from the library's own loss on labels."""
    (one,) = Renderer(model.tokenizer, 64, chats=True).render([text])
    labels = torch.where(torch.from_numpy(one.completion), torch.from_numpy(one.ids), -100)
    with torch.enable_grad():
        loss = model.model(input_ids=torch.from_numpy(one.ids)[None], labels=labels[None]).loss
        parts = torch.autograd.grad(loss, list(model.parameters.values()))
    return torch.cat([part.flatten() for part in parts])


def test_gradients_of_a_batch_are_those_of_each_example_alone(tmp_path: Path) -> None:
    model = lora(tiny.causal(tmp_path), torch.float64)
    found = model.gradients(Renderer(model.tokenizer, 64, chats=True).render(TEXTS))
    wanted = torch.stack([by_autograd(model, text) for text in TEXTS])
    assert found.shape == (len(TEXTS), model.size)
    assert float(wanted.abs().max()) > 1e-3
    torch.testing.assert_close(found.double(), wanted, atol=2e-6, rtol=1e-6)


def test_computing_again_gives_the_same_gradients_and_keeps_less(tmp_path: Path) -> None:
    folder, found, kept = tiny.causal(tmp_path), [], []
    for recompute in (False, True):
        model = LoraModel(folder, LoraSettings(2, 8, 0.0), 0, "cpu", torch.float64, recompute=recompute)
        generator = torch.Generator().manual_seed(3)
        model.read({n: torch.randn(p.shape, generator=generator) for n, p in model.parameters.items()})
        numbers = 0

        def count(tensor: Any) -> Any:
            nonlocal numbers
            numbers += tensor.numel()
            return tensor

        rendered = Renderer(model.tokenizer, 64, chats=True).render(TEXTS)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor), torch.enable_grad():
            model.losses(rendered)
        kept.append(numbers)
        found.append(model.gradients(rendered))
    torch.testing.assert_close(found[1], found[0], atol=1e-7, rtol=1e-6)
    assert kept[1] < kept[0] / 2


def test_only_the_answer_counts(tmp_path: Path) -> None:
    model = lora(tiny.causal(tmp_path))
    losses = model.losses(Renderer(model.tokenizer, 64, chats=True).render(CHATS[:1])).detach()
    ids = model.tokenizer("[user] what is two and two ? [assistant] four </s>", add_special_tokens=False)["input_ids"]
    logits = model.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(dim=-1).detach()
    by_hand = -(logits[-3, ids[-2]] + logits[-2, ids[-1]]) / 2  # "four" and the end of the text
    torch.testing.assert_close(losses[0], by_hand)


def test_a_text_whose_answer_was_cut_off_counts_whole(tmp_path: Path) -> None:
    model = lora(tiny.causal(tmp_path))
    (cut,) = Renderer(model.tokenizer, 4, chats=True).render(CHATS[:1])
    assert cut.truncated and not cut.completion.any()
    assert float(model.gradients([cut]).norm()) > 0


@pytest.mark.parametrize("dim", [64, 512])
def test_the_projection_keeps_inner_products_within_its_error_bound(dim: int) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(12, 3000, generator=generator) + 0.5 * torch.randn(3000, generator=generator)
    truth = rows @ rows.T
    bound = np.sqrt(2 / dim) * rows.norm(dim=1)[:, None] * rows.norm(dim=1)[None]
    errors = []
    for seed in range(40):
        small = Sketch(3000, dim, seed).project(rows)
        assert small.shape == (12, dim)
        errors.append(((small @ small.T) - truth) / bound)
    stacked = torch.stack(errors)
    assert float(stacked.abs().max()) < 5.5  # standard deviations
    assert float(stacked.square().mean(dim=0).sqrt().max()) < 1.5
    assert float(stacked.mean(dim=0).abs().max()) < 4.5 / np.sqrt(40)  # unbiased


def test_a_wide_projection_loses_nothing() -> None:
    rows = torch.randn(5, 100, generator=torch.Generator().manual_seed(0))
    small = Sketch(100, 128, 0).project(rows)
    torch.testing.assert_close(small @ small.T, rows @ rows.T)


def test_adam_steps_against_torch(tmp_path: Path) -> None:
    """What torch's Adam does to a weight, for a gradient that comes after some others, is the reference."""
    generator = torch.Generator().manual_seed(0)
    history = torch.randn(7, 30, generator=generator) * 0.1
    weight = torch.zeros(30, requires_grad=True)
    optimizer = torch.optim.AdamW([weight], lr=1.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    for gradient in history:
        weight.grad = gradient.clone()
        optimizer.step()
    state = {key: value.clone() for key, value in optimizer.state[weight].items()}
    candidates = torch.randn(4, 30, generator=generator) * 0.1
    steps = adam_steps(candidates, state["exp_avg"], state["exp_avg_sq"], len(history))
    for candidate, step in zip(candidates, steps, strict=True):
        trial = weight.detach().clone().requires_grad_()
        one = torch.optim.AdamW([trial], lr=1.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
        one.state[trial] = {key: value.clone() for key, value in state.items()}
        before = trial.detach().clone()
        trial.grad = candidate.clone()
        one.step()
        torch.testing.assert_close(before - trial.detach(), step, atol=1e-5, rtol=1e-5)


def test_warm_up_follows_adam_and_its_rates(tmp_path: Path) -> None:
    """One step an epoch without dropout: moments and weights by hand."""
    model = lora(tiny.causal(tmp_path))
    training = Training(epochs=2, batch=8, rate=0.02, rising=0.5, micro=2)
    start = torch.cat([p.detach().flatten() for p in model.parameters.values()])
    rendered = Renderer(model.tokenizer, 64, chats=True).render(TEXTS)
    gradient = torch.stack([by_autograd(model, text) for text in TEXTS]).mean(dim=0)
    gradient = gradient * min(1.0, 1.0 / float(gradient.norm()))
    one, two = warm_up(model, rendered, training, seed=0)
    names = list(model.parameters)
    torch.testing.assert_close(_flat(one.first, names), 0.1 * gradient, atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(_flat(one.second, names), 0.001 * gradient**2, atol=1e-9, rtol=2e-3)
    assert [one.step, two.step] == [1, 2]
    rate = rising_then_falling(training.rate, training.rising, 2)
    assert [one.rate, two.rate] == [rate(0), rate(1)] == [0.02, 0.02]
    moved = start - _flat(one.weights, names)
    large = gradient.abs() > 1e-5
    torch.testing.assert_close(moved[large], 0.02 * gradient.sign()[large], atol=1e-4, rtol=2e-3)


def test_learning_rate_rises_and_falls_linearly() -> None:
    rates = [rising_then_falling(1.0, 0.2, 10)(step) for step in range(10)]
    np.testing.assert_allclose(rates, [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])


def _flat(tensors: dict[str, Any], names: list[str]) -> Any:
    return torch.cat([tensors[name].flatten() for name in names])


def test_features_against_the_whole_computation(tmp_path: Path) -> None:
    """Inner products of candidates and targets are the influence of LESS, from full gradients at every checkpoint."""
    folder = tiny.causal(tmp_path / "model")
    options = SMALL.replace("dim=64", "dim=4096")  # as wide as the adapters: the projection loses nothing
    encoder = make_encoder(f"gradient:{folder}@{options}", Setting(seed=1, folder=tmp_path)).fit([TEXTS])
    assert isinstance(encoder, GradientEncoder)
    candidates, targets = encoder.encode(TEXTS, "candidate"), encoder.encode(CHATS[:3], "target")
    assert candidates.shape == (6, 3 * 4096)
    np.testing.assert_allclose(np.linalg.norm(candidates, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(targets, axis=1), 1, atol=1e-5)
    checkpoints = encoder._checkpoints
    model = LoraModel(folder, LoraSettings(2, 8), 1, "cpu", torch.float32)
    rates = np.array([checkpoint.rate for checkpoint in checkpoints])
    assert rates[1] != rates[2]
    influence = np.zeros((6, 3))
    for checkpoint, rate in zip(checkpoints, rates, strict=True):
        model.read(checkpoint.weights)
        names = list(model.parameters)
        m, v = _flat(checkpoint.first, names), _flat(checkpoint.second, names)
        t = checkpoint.step + 1
        for i, text in enumerate(TEXTS):
            g = by_autograd(model, text)
            gamma = ((0.9 * m + 0.1 * g) / (1 - 0.9**t)) / (((0.999 * v + 0.001 * g**2) / (1 - 0.999**t)).sqrt() + 1e-8)
            for j, target in enumerate(CHATS[:3]):
                h = by_autograd(model, target)
                influence[i, j] += rate / rates.sum() * float(gamma @ h / gamma.norm() / h.norm())
    np.testing.assert_allclose(candidates @ targets.T, influence, atol=2e-3)
    narrow = make_encoder(f"gradient:{folder}@{SMALL.replace('dim=64', 'dim=256')}", Setting(seed=1, folder=tmp_path))
    narrow.fit([TEXTS])
    error = narrow.encode(TEXTS, "candidate") @ narrow.encode(CHATS[:3], "target").T - influence
    assert np.abs(error).max() < 4 * np.sqrt(2 / 256)


def test_same_seed_same_bits_whatever_was_kept(tmp_path: Path) -> None:
    folder = tiny.causal(tmp_path / "model")

    def features(seed: int, place: Path | None) -> tuple[Any, str]:
        said: list[str] = []
        encoder = make_encoder(f"gradient:{folder}@{SMALL}", Setting(seed=seed, folder=place, say=said.append))
        encoder.fit([TEXTS[:2], TEXTS[2:]])
        return encoder.encode(TEXTS), encoder.fingerprint()

    fresh, mark = features(0, None)
    first, mark_too = features(0, tmp_path / "kept")
    kept, _ = features(0, tmp_path / "kept")
    assert mark == mark_too
    np.testing.assert_array_equal(fresh, first)
    np.testing.assert_array_equal(fresh, kept)
    (warm,) = (tmp_path / "kept" / "warm-ups").iterdir()
    (warm / "epoch-2" / "checkpoint.json").unlink()  # killed in the second epoch
    resumed, _ = features(0, tmp_path / "kept")
    np.testing.assert_array_equal(fresh, resumed)
    other, other_mark = features(1, None)
    assert other_mark != mark and not np.allclose(other, fresh)


def test_the_sample_does_not_depend_on_the_order_of_the_pool(tmp_path: Path) -> None:
    folder = tiny.causal(tmp_path)
    texts = [f"the cat sat {i}" for i in range(300)]
    marks = []
    for order in (texts, texts[::-1]):
        encoder = make_encoder(f"gradient:{folder}@sample=20", Setting()).fit([order[:100], order[100:]])
        assert isinstance(encoder, GradientEncoder)
        assert len(encoder._sample or []) == 20
        marks.append(encoder.fingerprint())
    assert marks[0] == marks[1]


def test_roles_have_fingerprints_of_their_own_and_masked_models_are_refused(tmp_path: Path) -> None:
    encoder = make_encoder(f"gradient:{tiny.causal(tmp_path / 'a')}@{SMALL}", Setting()).fit([TEXTS])
    assert encoder.fingerprint("candidate") != encoder.fingerprint("target")
    with pytest.raises(InputError, match="no causal language model"):
        make_encoder(f"gradient:{tiny.masked(tmp_path / 'b')}", Setting())
