"""Training in float32 against bfloat16 on this machine: tokens a second, and the loss that both reach, side by side.

python benchmarks/precision.py [--shared ../shared/data] [--steps 12] [--threads 1]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch

from tsds.evaluate.masked import MaskedModel
from tsds.evaluate.presets import QUICK, default_model
from tsds.evaluate.stream import equal_tokens
from tsds.evaluate.training import precision_of, train
from tsds.records import Pool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("TSDS_SHARED_DATA", "../shared/data")))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    training, folder = QUICK["pretraining"].training, Path(default_model("pretraining"))
    texts = next(Pool.open(args.shared / "domain" / "pool.jsonl.gz").batches(4096)).texts
    models = {name: MaskedModel(folder, "cpu", precision=name) for name in ("float32", "bfloat16")}
    tokens = models["float32"].tokens(texts, training.longest)
    lengths = np.array([len(row) for row in tokens], np.int64)
    steps = equal_tokens(lengths, np.ones(len(tokens), np.int64), args.steps, training.step_tokens, 1)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    losses: dict[str, list[float]] = {name: [] for name in models}
    for number, step in enumerate(steps):  # in turn, so that what else the machine does meets both
        for name, model in models.items():
            batches = model.batches(tokens, step, training.padded, [number])
            began = time.perf_counter()
            losses[name] += train(model, [batches], lambda _: 2e-4, number)
            seconds[name].append(time.perf_counter() - began)
    print(f"--precision auto takes {precision_of('auto', 'cpu')} on this machine; {args.threads} thread(s)")
    print(f"{'precision':10} {'tokens/s':>9} {'first loss':>11} {'last loss':>10}")
    for name in models:
        speed = training.step_tokens / float(np.median(seconds[name][1:]))  # the first warms up
        print(f"{name:10} {speed:9.0f} {losses[name][0]:11.4f} {losses[name][-1]:10.4f}")


if __name__ == "__main__":
    main()
