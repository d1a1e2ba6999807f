"""The warm-up of LESS: adapters trained on a sample of the pool, a checkpoint with Adam's moments after each epoch."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tsds.embeddings.encoders.lora import LoraModel
from tsds.embeddings.encoders.protocol import Say, ignore
from tsds.embeddings.encoders.rendering import Rendered
from tsds.parallel import allowed, threads
from tsds.records import atomic_file

BETAS, EPSILON = (0.9, 0.999), 1e-8
_FILE, _FACTS = "checkpoint.safetensors", "checkpoint.json"


@dataclass(frozen=True)
class Training:
    """How the adapters are trained: as LESS was published.

    Attributes:
      epochs, batch: passes over the sample, and examples of a step.
      rate: the highest learning rate.
      rising: share of the steps in which the rate rises to it; then it falls to zero, both linearly.
      micro: examples that go through the model at once.
    """

    epochs: int = 4
    batch: int = 32
    rate: float = 2e-5
    rising: float = 0.03
    micro: int = 4


@dataclass(frozen=True)
class Checkpoint:
    """Adapters after an epoch.

    Attributes:
      weights: by name.
      first, second: Adam's moments, exponential means of gradients and of their squares, by name.
      step: of the optimizer, from 1.
      rate: mean learning rate of the epoch.
      loss: mean training loss of the epoch.
    """

    weights: dict[str, Any]
    first: dict[str, Any]
    second: dict[str, Any]
    step: int
    rate: float
    loss: float


def rising_then_falling(rate: float, rising: float, steps: int) -> Callable[[int], float]:
    """A rate that rises to `rate` over a share of the steps and falls to zero, linearly; of steps counted from 0."""
    up = max(1, round(rising * steps))
    return lambda step: rate * min((step + 1) / up, (steps - step) / max(steps - up, 1))


def warm_up(
    model: LoraModel,
    sample: Sequence[Rendered],
    training: Training,
    seed: int,
    folder: Path | None = None,
    say: Say = ignore,
) -> list[Checkpoint]:
    """Train the adapters; epochs that `folder` holds already are read from there, the others written to it.

    Every epoch draws its order and its dropout from a seed of its own, so a run that goes on after an epoch gives the
    same bits as one that was never interrupted.
    """
    import torch

    done: list[Checkpoint] = []
    optimizer = torch.optim.AdamW(list(model.parameters.values()), training.rate, BETAS, EPSILON, weight_decay=0.0)
    per_epoch = -(-len(sample) // training.batch)
    rate_at = rising_then_falling(training.rate, training.rising, training.epochs * per_epoch)
    for epoch in range(training.epochs):
        place = None if folder is None else folder / f"epoch-{epoch + 1}"
        if place is not None and (place / _FACTS).is_file():
            done.append(read_checkpoint(place, model.device))
            continue
        if done and len(done) == epoch:
            _resume(model, optimizer, done[-1])
        order = np.random.default_rng([seed, epoch]).permutation(len(sample))
        rates, losses = [], []
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed((seed * 1000 + epoch) % 2**63)  # torch knows no larger one
            model.model.train()
            for k in range(per_epoch):
                picks = order[k * training.batch : (k + 1) * training.batch]
                rate = rate_at(epoch * per_epoch + k)
                with threads(allowed()):  # once more: torch may have been loaded since the run began
                    losses.append(_step(model, optimizer, [sample[i] for i in picks], rate, training.micro))
                rates.append(rate)
            model.model.eval()
        states = {name: optimizer.state[p] for name, p in model.parameters.items()}
        checkpoint = Checkpoint(
            {name: p.detach().clone() for name, p in model.parameters.items()},
            {name: state["exp_avg"].clone() for name, state in states.items()},
            {name: state["exp_avg_sq"].clone() for name, state in states.items()},
            (epoch + 1) * per_epoch,
            float(np.mean(rates)),
            float(np.mean(losses)),
        )
        say(f"warm-up, epoch {epoch + 1} of {training.epochs}: mean loss {checkpoint.loss:.3f}")
        if place is not None:
            write_checkpoint(checkpoint, place)
        done.append(checkpoint)
    return done


def _step(model: LoraModel, optimizer: Any, batch: list[Rendered], rate: float, micro: int) -> float:
    import torch

    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    with torch.enable_grad():
        for start in range(0, len(batch), micro):
            loss = model.losses(batch[start : start + micro]).sum() / len(batch)
            loss.backward()
            total += float(loss.detach())
    torch.nn.utils.clip_grad_norm_(list(model.parameters.values()), 1.0)
    optimizer.step()
    return total


def _resume(model: LoraModel, optimizer: Any, checkpoint: Checkpoint) -> None:
    import torch

    model.read(checkpoint.weights)
    for name, parameter in model.parameters.items():
        optimizer.state[parameter] = {
            "step": torch.tensor(float(checkpoint.step)),
            "exp_avg": checkpoint.first[name].clone(),
            "exp_avg_sq": checkpoint.second[name].clone(),
        }


def write_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint to a folder, its facts last: without them it is not there."""
    from safetensors.torch import save

    tensors = {
        f"{kind}/{name}": tensor.contiguous().cpu()
        for kind in ("weights", "first", "second")
        for name, tensor in getattr(checkpoint, kind).items()
    }
    if folder.exists():
        shutil.rmtree(folder)
    with atomic_file(folder / _FILE) as file:
        file.write(save(tensors))
    with atomic_file(folder / _FACTS) as file:
        file.write(orjson.dumps({"step": checkpoint.step, "rate": checkpoint.rate, "loss": checkpoint.loss}))


def read_checkpoint(folder: Path, device: str) -> Checkpoint:
    """What `write_checkpoint` wrote."""
    from safetensors.torch import load_file

    kinds: dict[str, Any] = {"weights": {}, "first": {}, "second": {}}
    for path, tensor in load_file(folder / _FILE, device=device).items():
        kind, _, name = path.partition("/")
        kinds[kind][name] = tensor
    return Checkpoint(**kinds, **orjson.loads((folder / _FACTS).read_bytes()))
