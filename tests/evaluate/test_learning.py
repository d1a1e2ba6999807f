"""Models learn what is there to be learned, and nothing where labels are chance."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.evaluate import small
from tsds.embeddings.encoders.rendering import Renderer
from tsds.errors import InputError
from tsds.evaluate.causal import CausalModel
from tsds.evaluate.classifier import Classifier, Finetuning, f1
from tsds.evaluate.data import Data, read, read_tests
from tsds.evaluate.experiment import Diet
from tsds.evaluate.heads import Narrow
from tsds.evaluate.instruction import Instruction
from tsds.evaluate.masked import MaskedModel
from tsds.evaluate.pretraining import Pretraining
from tsds.evaluate.probe import Probe
from tsds.evaluate.settings import Settling, Training
from tsds.evaluate.stream import equal_passes, equal_tokens
from tsds.evaluate.training import precision_of
from tsds.records.dialogue import Dialogue, Turn
from tsds.stages import Stages

TRAINING = Training(epochs=1, rate=3e-3, step_tokens=256, longest=40)
SETTLING = Settling(head_steps=6, steps=20, window=3, gain=0.0, rate=3e-3)
FINETUNING = Finetuning(epochs=6, batch=8, rate=3e-3, longest=40)


def two_topics(model: MaskedModel) -> tuple[Any, Any, Any]:
    """Sentences as tokens, which of two topics each is of, and labels that are chance."""
    rng = random.Random(1)
    topics = [rng.choice(["sea", "sky"]) for _ in range(160)]
    tokens = model.tokens([small.sentence(rng, topic) for topic in topics], 40)
    truth = np.array([topic == "sea" for topic in topics], np.int64)
    chance = np.random.default_rng(0).permutation(truth)
    return tokens, truth, chance


def test_a_classifier_learns_labels_and_not_chance(tmp_path: Path) -> None:
    model = MaskedModel(small.masked(tmp_path / "m"), "cpu")
    tokens, truth, chance = two_topics(model)
    scores = {}
    for name, labels in (("labels", truth), ("chance", chance)):
        classifier = Classifier(model.module.base_model, 2, "cpu", 0)
        classifier.fit(tokens[:80], labels[:80], FINETUNING, 0, 0)
        said = classifier.predict(tokens[80:], 0)
        assert said is not None
        scores[name] = f1(labels[80:], said, 2)["micro_f1"]
    assert scores["labels"] > 0.95 and 0.3 < scores["chance"] < 0.7


def test_a_probe_reads_what_is_there_and_changes_nothing(tmp_path: Path) -> None:
    """Against scikit-learn on states that are computed text by text, without padding."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    model = MaskedModel(small.masked(tmp_path / "m"), "cpu")
    encoder = model.module.base_model
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    tokens, truth, chance = two_topics(model)
    said = {}
    for name, labels in (("labels", truth), ("chance", chance)):
        probe = Probe(encoder, "cpu")
        probe.fit(tokens[:80], labels[:80], 0)
        said[name] = probe.predict(tokens[80:], 0)
    assert f1(truth[80:], said["labels"], 2)["micro_f1"] > 0.95
    assert 0.3 < f1(chance[80:], said["chance"], 2)["micro_f1"] < 0.7
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, before[name])
    with torch.no_grad():
        states = np.array(
            [encoder(input_ids=torch.tensor(row[None])).last_hidden_state[0].mean(0).numpy() for row in tokens]
        )
    scaled = StandardScaler().fit(states[:80])
    regression = LogisticRegression(C=0.03, max_iter=1000).fit(scaled.transform(states[:80]), truth[:80])
    np.testing.assert_array_equal(said["labels"], regression.predict(scaled.transform(states[80:])))
    alone = Probe(encoder, "cpu")
    alone.fit(tokens[:5], np.ones(5, np.int64), 0)
    assert alone.predict(tokens[:3], 0).tolist() == [1, 1, 1]


def test_the_masked_loss_is_of_the_same_hidden_tokens_for_all(tmp_path: Path) -> None:
    """Lower after training on such texts, and what the whole model gives at the hidden tokens."""
    data = Data.of_folder(small.domain(tmp_path / "d"))
    small.masked(tmp_path / "m", head=False)
    rng = random.Random(2)
    texts = [small.sentence(rng, topic) for topic in ("sea", "sky") for _ in range(40)]
    probed = Finetuning(longest=40, classifier="probe")
    experiment = Pretraining(tmp_path / "m", texts, TRAINING, SETTLING, probed, 40, None, "cpu")
    experiment.prepare(Stages())
    assert next(iter(experiment.measures)) == "masked_loss"  # its head is new
    none = experiment.run(data.targets["near"], None, 0)
    trained = experiment.run(data.targets["near"], Diet(texts, np.ones(80, np.int64), tokens=256 * 30), 0)
    assert trained["masked_loss"] < none["masked_loss"] - 0.1
    assert experiment.run(data.targets["near"], None, 1)["masked_loss"] == none["masked_loss"]  # whatever the seed
    model, total, count = experiment._model, 0.0, 0
    tests = model.tokens([one.text for one in read_tests(data.targets["near"].test, "near")], 40)
    step = equal_passes(np.array([len(row) for row in tests]), np.ones(len(tests), np.int64), 1, 4096, 0)[0]
    for batch in model.batches(tests, step, TRAINING.padded, [29, 0]):
        with torch.no_grad():
            scores = model.module(input_ids=torch.tensor(batch.ids), attention_mask=torch.tensor(batch.mask)).logits
        rows = scores.numpy().astype(float)[batch.places]
        rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
        total, count = total - rows[np.arange(len(rows)), batch.labels].sum(), count + len(rows)
    assert none["masked_loss"] == pytest.approx(total / count, abs=1e-4)
    own = Pretraining(small.masked(tmp_path / "own"), texts, TRAINING, SETTLING, probed, 40, None, "cpu")
    assert next(iter(own.measures)) == "score"


def test_masked_training_learns_the_words_of_its_texts(tmp_path: Path) -> None:
    data = Data.of_folder(small.domain(tmp_path / "d"))
    rng = random.Random(2)
    pool = [small.sentence(rng, "sea") for _ in range(60)]
    experiment = Pretraining(
        small.masked(tmp_path / "m", head=False), pool, TRAINING, SETTLING, FINETUNING, 40, None, "cpu"
    )
    base = experiment.prepare(Stages())
    assert base["head"] == "trained on the pool" and base["all_loss_last"] < base["head_loss_first"]
    diet = Diet(pool, np.ones(60, np.int64), tokens=256 * 30)
    first = experiment.run(data.targets["near"], diet, 0)
    assert first["loss_last"] < first["loss_first"] and first["tokens"] == 256 * 30
    assert first["score"] > 0.9
    again = experiment.run(data.targets["near"], diet, 0)
    for name in ("score", "loss_last", "loss_first"):  # cells leave nothing behind, and are the same bits
        assert again[name] == first[name]
    found = Pretraining(tmp_path / "m", pool, TRAINING, SETTLING, FINETUNING, 40, None, "cpu")
    assert found.base_work() == 0 and found.prepare(Stages()) == base  # kept and found again


def test_half_precision_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Data.of_folder(small.chats(tmp_path / "d"))
    folder, rng = small.causal(tmp_path / "m"), random.Random(3)
    texts = [Dialogue([Turn(**turn) for turn in small.chat(rng, "sea")["messages"]]) for _ in range(60)]
    diet = Diet(texts, np.ones(60, np.int64), tokens=256 * 30)
    loss: dict[str, float] = {}
    for precision in ("float32", "bfloat16"):
        training = replace(TRAINING, precision=precision)
        experiment = Instruction(folder, [], training, SETTLING, "full", None, 0, 0, "cpu")
        experiment.prepare(Stages())
        before = experiment.run(data.targets["sea"], None, 0)["loss"]
        loss[precision] = experiment.run(data.targets["sea"], diet, 0)["loss"]
        assert loss[precision] < before - 0.5
        assert {p.dtype for p in experiment._model.module.parameters()} == {torch.float32}
    assert loss["bfloat16"] != loss["float32"] and loss["bfloat16"] == pytest.approx(loss["float32"], abs=0.05)

    for told, found in (({"amx_bf16": True}, "bfloat16"), ({"avx512_bf16": True}, "float32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda told=told: told, raising=False)
        assert precision_of("auto", "cpu") == found and precision_of("bfloat16", "cpu") == "bfloat16"
    for capability, found in (((8, 0), "bfloat16"), ((7, 5), "float32")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, there=capability: there)
        assert precision_of("auto", "cuda:1") == found
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # as in older versions
    assert precision_of("auto", "cpu") == "float32"
    with pytest.raises(InputError, match=r"--precision is 'half' \(auto, float32 or bfloat16\)"):
        precision_of("half", "cpu")


def test_a_base_that_was_cut_off_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tsds.evaluate import training

    monkeypatch.setattr(training, "_KEEP_EVERY", 3)
    pool = [small.sentence(random.Random(i), "sky") for i in range(30)]

    def finish(name: str) -> dict[str, object]:
        monkeypatch.setenv("TSDS_BASES", str(tmp_path / name))
        folder = small.masked(tmp_path / f"m-{name}", head=False)
        return Pretraining(folder, pool, TRAINING, SETTLING, FINETUNING, 10, None, "cpu").prepare(Stages())

    whole = finish("whole")
    calls = []
    real = training._update

    def cut(*given: object) -> float:
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "_update", cut)
    with pytest.raises(KeyboardInterrupt):
        finish("cut")
    left = len(calls)
    assert finish("cut") == whole
    assert len(calls) - left < 26 - 6  # not all of it again


def test_answers_are_learned_from_chats_and_not_from_shuffled_ones(tmp_path: Path) -> None:
    target = Data.of_folder(small.chats(tmp_path / "d")).targets["sea"]
    training = Training(epochs=1, rate=1e-2, step_tokens=256, longest=40)
    experiment = Instruction(small.causal(tmp_path / "m"), [], training, SETTLING, "full", None, 10, 8, "cpu")
    experiment.prepare(Stages())
    texts = [one.text for one in read(target.examples, "sea")]
    answers = [text.turns[1] for text in texts]
    mixed = np.random.default_rng(0).permutation(len(texts))
    control = [Dialogue([text.turns[0], answers[i]]) for text, i in zip(texts, mixed, strict=True)]
    ones = np.ones(len(texts), np.int64)
    none = experiment.run(target, None, 0)
    learned = experiment.run(target, Diet(texts, ones, 256 * 100), 0)
    chance = experiment.run(target, Diet(control, ones, 256 * 100), 0)
    assert learned["loss"] < chance["loss"] - 0.1 < none["loss"] - 1
    assert learned["exact_match"] > chance["exact_match"] and none["exact_match"] == 0
    assert experiment.run(target, None, 0)["loss"] == none["loss"]


def test_scores_at_a_few_places_are_those_of_the_whole_model(tmp_path: Path) -> None:
    import torch

    for module in (MaskedModel(small.masked(tmp_path / "m"), "cpu").module,
                   CausalModel(small.causal(tmp_path / "c"), "cpu", "lora", 40).module.get_base_model()):  # fmt: skip
        narrow = Narrow(module, 20)
        wholes: list[Any] = []
        module.register_forward_hook(lambda *given, wholes=wholes: wholes.append(1))
        ids = torch.arange(12).reshape(2, 6)
        places = torch.zeros(2, 6, dtype=torch.bool)
        places[0, 2] = places[1, 4] = True
        mask = torch.ones_like(ids)
        whole = module(input_ids=ids, attention_mask=mask).logits[places]
        assert torch.allclose(narrow.scores(ids, mask, places), whole, atol=1e-5)
        assert len(wholes) == 1  # not run whole for the scores


@pytest.mark.parametrize("kind", ["Roberta", "DistilBert", "Electra"])
def test_heads_of_other_models_are_taken_apart_or_left_whole(kind: str) -> None:
    import torch
    import transformers

    sizes = {"dim": 16, "hidden_dim": 32, "n_layers": 1, "n_heads": 2} if kind == "DistilBert" else {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    }  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(vocab_size=50, **sizes)
    module = getattr(transformers, f"{kind}ForMaskedLM")(config).eval()
    narrow = Narrow(module, 50)
    ids = torch.arange(2, 14).reshape(2, 6)
    places = torch.zeros(2, 6, dtype=torch.bool)
    places[0, 1] = places[1, 3] = True
    mask = torch.ones_like(ids)
    with torch.no_grad():
        whole = module(input_ids=ids, attention_mask=mask).logits[places]
        wholes: list[Any] = []
        module.register_forward_hook(lambda *given: wholes.append(1))
        assert torch.allclose(narrow.scores(ids, mask, places), whole, atol=1e-5)
    assert len(wholes) == (kind == "Electra")  # its head has a layer between that is not known here


def test_only_adapters_are_trained_where_that_is_asked(tmp_path: Path) -> None:
    model = CausalModel(small.causal(tmp_path / "c"), "cpu", "lora", 40)
    assert model.tuning == "lora" and all("lora" in name for name in model.trained())
    rendered = model.render([small_chat() for _ in range(3)])
    step = equal_tokens(np.array([len(one.ids) for one in rendered]), np.ones(3, np.int64), 1, 24, 0)[0]
    batch = model.batches(rendered, step, 4096)[0]
    assert len(batch.labels) == batch.places.sum() < batch.mask.sum()


def test_of_a_long_test_the_question_is_cut_and_not_the_answer(tmp_path: Path) -> None:
    model = CausalModel(small.causal(tmp_path / "c"), "cpu", "full", 12)
    long = Dialogue([Turn("user", "wave " * 30), Turn("assistant", "the answer is salt")])
    kept, whole = model.render_tests([long])[0], model.render([long])[0]
    assert not whole.completion.any() and len(kept.ids) == 12
    assert kept.completion.sum() == 5 and model.tokenizer.decode(kept.ids[kept.completion]).startswith(
        "the answer is salt"
    )
    assert model.answer_loss([kept], 64)[1] == 5
    short = small_chat()
    assert model.render_tests([short])[0].ids.tolist() == model.render([short])[0].ids[:12].tolist()
    much = model.render_tests([Dialogue([Turn("user", "wave"), Turn("assistant", "salt " * 40)])])[0]
    assert len(much.ids) == 12 and much.completion[1:].all() and not much.completion[0]  # the start of a long answer


def test_of_a_test_of_several_turns_the_last_answer_is_measured(tmp_path: Path) -> None:
    model = CausalModel(small.causal(tmp_path / "c"), "cpu", "full", 60)
    asked = [Turn("user", "what goes with wave ?"), Turn("assistant", "the answer is fish and boat")]
    last = [Turn("user", "what goes with salt ?"), Turn("assistant", "the answer is fish")]
    several = Dialogue([*asked, *last])
    (test,), (trained,) = model.render_tests([several]), model.render([several])
    assert test.ids.tolist() == trained.ids.tolist()
    assert (trained.completion.sum(), model.answer_loss([test], 64)[1]) == (7 + 5, 5)  # the end of each answer counts
    assert model.tokenizer.decode(test.ids[test.completion]) == "the answer is fish <end>"
    model.tokenizer.chat_template = "{% for m in messages %}{{ m.role + ' ' + m.content + ' <end> ' }}{% endfor %}"
    (by_template,) = Renderer(model.tokenizer, 60, chats=True, last=True).render([several])
    assert by_template.completion.sum() == 6 and by_template.completion[-6:].all()


def test_an_answer_ends_where_the_template_ends_it(tmp_path: Path) -> None:
    model = CausalModel(small.causal(tmp_path / "c"), "cpu", "full", 40)
    end = model.tokenizer.convert_tokens_to_ids("<end>")
    assert model._ends == [end]
    turn = "{% for m in messages %}{{ '<|' + m.role + '|> ' + m.content + ' <mask> ' }}{% endfor %}"
    model.tokenizer.chat_template = turn + "{% if add_generation_prompt %}{{ '<|assistant|> ' }}{% endif %}"
    again = CausalModel.__new__(CausalModel)
    again.__dict__ |= {**model.__dict__, "_whole": Renderer(model.tokenizer, 100, chats=True)}
    again.__dict__.pop("_ends")
    assert again._ends == sorted([end, model.tokenizer.mask_token_id])


def small_chat() -> Dialogue:
    """A question and its answer."""
    return Dialogue([Turn("user", "what goes with wave ?"), Turn("assistant", "the answer is salt")])
