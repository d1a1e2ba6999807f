"""The loop that trains: batches in, one update a step, the same bits for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tsds.errors import InputError
from tsds.evaluate.settings import Settling
from tsds.records import atomic_file
from tsds.stages import Advance

#: Steps between two states of a base on disk.
_KEEP_EVERY = 50


@dataclass(frozen=True)
class Batch:
    """Token rows, and what is to be predicted of them.

    Attributes:
      ids, mask: [b, t], tokens, and which are no padding.
      places: [b, t], at which positions the model's scores are read.
      labels: [k], the token that is right at each of them.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    places: NDArray[np.bool_]
    labels: NDArray[np.int64]


class Trainable(Protocol):
    """A model that can be trained on batches.

    Attributes:
      module: its weights, float32.
      device, precision: what it computes on, and in.
    """

    module: Any
    device: str
    precision: str

    def loss(self, batch: Batch) -> Any:
        """The summed negative log-likelihood of the batch's labels."""


def train(
    model: Trainable,
    steps: Sequence[list[Batch]] | Iterable[list[Batch]],
    rate: Callable[[int], float],
    seed: int,
    *,
    parameters: Sequence[Any] | None = None,
    advance: Advance = lambda rows: None,
    stop: Callable[[list[float]], bool] = lambda losses: False,
    state: Path | None = None,
) -> list[float]:
    """One update of the weights for each step; returns the mean loss of each.

    Args:
      steps: the batches of each step, which share one update.
      rate: learning rate of a step, counted from 0.
      seed: of dropout, together with the number of the step.
      parameters: to train; all that want a gradient if None.
      advance: told of each step.
      stop: asked after each step, with the losses so far.
      state: where weights and moments are kept from time to time, so that a run that was cut off goes on.
    """
    import torch

    trained = [p for p in model.module.parameters() if p.requires_grad] if parameters is None else list(parameters)
    optimizer = torch.optim.AdamW(trained, lr=1.0, weight_decay=0.01)
    losses: list[float] = []
    if state is not None and state.is_file():
        kept = torch.load(state, map_location=model.device, weights_only=True)
        model.module.load_state_dict(kept["weights"])
        optimizer.load_state_dict(kept["optimizer"])
        losses = list(kept["losses"])
    model.module.train()
    began = len(losses)
    for number, batches in enumerate(steps):
        if number < began:
            advance(1)
            continue
        if stop(losses):
            break
        torch.manual_seed(seed * 1_000_003 + number)
        for group in optimizer.param_groups:
            group["lr"] = rate(number)
        losses.append(_update(model, batches, optimizer, trained))
        advance(1)
        if state is not None and len(losses) % _KEEP_EVERY == 0:
            with atomic_file(state) as file:
                whole = {"weights": model.module.state_dict(), "optimizer": optimizer.state_dict(), "losses": losses}
                torch.save(whole, file)
    model.module.eval()
    return losses


def _update(model: Trainable, batches: list[Batch], optimizer: Any, trained: list[Any]) -> float:
    import torch

    count = sum(len(batch.labels) for batch in batches)
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for batch in batches:
        if not len(batch.labels):
            continue
        with computing_in(model.precision, model.device):
            loss = model.loss(batch) / count
        loss.backward()
        total += float(loss.detach())
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    return total


def computing_in(precision: str, device: str) -> Any:
    """Products of matrices in this precision meanwhile; weights and their updates are float32 all the same."""
    import torch

    return nullcontext() if precision == "float32" else torch.autocast(device.partition(":")[0], torch.bfloat16)


def precision_of(asked: str, device: str) -> str:
    """What models are trained in: "float32" or "bfloat16".

    Args:
      asked: one of them, or "auto": bfloat16 where the device has units for such products (GPUs since Ampere, CPUs with
        AMX), which it does several times as fast.
      device: "cpu", "cuda" or "cuda:N".

    Raises:
      InputError: if it is something else.
    """
    import torch

    if asked not in ("auto", "float32", "bfloat16"):
        raise InputError(f"--precision is {asked!r}", remedy="auto, float32 or bfloat16")
    if asked != "auto":
        return asked
    if device.startswith("cuda"):
        able = torch.cuda.get_device_capability(device)[0] >= 8
    else:
        told: Any = getattr(torch.cpu, "get_capabilities", None)  # older versions of torch don't tell: float32 then
        able = told is not None and bool(told().get("amx_bf16"))
    return "bfloat16" if able else "float32"


def rising_then_level(rate: float, rising: int) -> Callable[[int], float]:
    """A rate that rises to `rate` over so many steps and stays."""
    return lambda step: rate * min(1.0, (step + 1) / rising)


def settled(settling: Settling) -> Callable[[list[float]], bool]:
    """Whether the loss of the last window is hardly below that of the one before."""

    def stop(losses: list[float]) -> bool:
        w = settling.window
        if len(losses) < 2 * w or len(losses) % w:
            return False
        before, now = float(np.mean(losses[-2 * w : -w])), float(np.mean(losses[-w:]))
        return now > before * (1 - settling.gain)

    return stop
