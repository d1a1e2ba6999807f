"""`tsds evaluate`: from what the user asked for to results on disk."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from tsds.embeddings.encoders.models import device_of
from tsds.engines import Engine, check_engine, engine_named
from tsds.evaluate.asked import asked_for, measure_there
from tsds.evaluate.data import Data
from tsds.evaluate.grid import look_at
from tsds.evaluate.presets import check_extra, default_model, preset_of, rate_of, tuning_of
from tsds.evaluate.results import write_results
from tsds.evaluate.settings import Kind
from tsds.evaluate.tables import Outcome
from tsds.evaluate.training import precision_of
from tsds.parallel import cores
from tsds.stages import Listener, Stages


def evaluate(
    kind: Kind,
    data: Data,
    out: Path,
    *,
    model: str | None = None,
    quick: bool = False,
    tuning: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    part: tuple[int, int] = (1, 1),
    engine: str = "local",
    workers: int | None = None,
    dry_run: bool = False,
    listener: Listener | None = None,
    told: Callable[[dict[str, Any]], None] = lambda estimate: None,
    command: str | None = None,
    **given: Any,
) -> Outcome | None:
    """Train and measure what a grid asks for; one that was stopped goes on where it was.

    Args:
      kind: "pretraining" or "instruction".
      data: pool and targets.
      out: folder of the cells and the results.
      model: a name or folder; the small model that needs no network if None.
      quick: a small grid.
      tuning: "full", "lora" or "auto"; instruction only.
      device: to compute on.
      precision: to train in: "float32", "bfloat16" or "auto", see `precision_of`.
      part: (i, n): of the cells every i-th of n, so that several machines share a grid and a folder.
      engine: "local": cell after cell, each on all cores; "ray" or "ray:ADDRESS": as many at once as there are workers,
        each on one core or one GPU.
      workers: of the engine; all if None.
      dry_run: stop after the estimate.
      listener: told of progress.
      told: the estimate of the whole, before it starts.
      command: that was typed, for the record.
      given: values of `settings.Grid`, and what else `preset_of` takes; None for the preset's.

    Returns:
      The tables; None after a dry run.

    Raises:
      InputError: on unusable input or settings.
      MissingExtra: without the extra `evaluate`.
    """
    check_extra()
    check_engine(engine)
    stages = Stages(listener)
    name = model or default_model(kind)
    asked_rate = given.get("rate")
    preset = preset_of(kind, quick, {key: value for key, value in given.items() if value is not None})
    training = replace(preset.training, precision=precision_of(precision, device_of(device)))
    preset = replace(preset, training=training)
    if kind == "instruction":
        tuning = tuning_of(name, tuning)
        if asked_rate is None:
            preset = replace(preset, training=replace(preset.training, rate=rate_of(name, tuning)))
    data = data.only(preset.grid.targets)
    if quick and not preset.grid.targets:
        data = data.only(list(data.targets)[:1])
    with _workers("local" if dry_run else engine, workers, device) as there:
        with stages.stage("read the pool"):
            pool = look_at(data.pool, preset.sample)
        if not pool.grouped and given.get("methods") is None:
            some = tuple(method for method in preset.grid.methods if method != "random-stratified")
            preset = replace(preset, grid=replace(preset.grid, methods=some))
        grid = preset.grid
        asked = asked_for(kind, name, preset, tuning, device, data, pool, out)
        evaluation = asked.evaluation(stages)
        experiment = evaluation.experiment
        evaluation.check()
        with stages.stage("estimate"), _torch_threads(1 if there else None):
            estimate = evaluation.estimate(there.workers if there else 1)
        told({**estimate, "primary": next(iter(experiment.measures.values())).line})
        if dry_run:
            return None
        evaluation.claim()  # not before the targets are read: what can't be used leaves nothing behind
        base = evaluation.prepare()
        evaluation.run(part, None if there is None else partial(there.each, "cell", measure_there, asked))
        facts = {
            "model": name,
            "base": base,
            "command": command,
            "machine": f"{platform.machine()}, {platform.system()}, {cores()} cores",
            "grid": {f.name: getattr(grid, f.name) for f in fields(grid) if f.init},
            "training": asdict(preset.training),
            "pool": {"name": data.pool.name, "used": pool.used},
            "sizes": evaluation.sizes,
            "estimate": estimate,
        }
        found = evaluation.outcome(facts)
        write_results(found, evaluation, out)
        return found


@contextmanager
def _workers(engine: str, workers: int | None, device: str) -> Iterator[Engine | None]:
    """The cluster that measures cells; None: they are measured here, one after the other."""
    if engine == "local":
        with _torch_threads(workers):
            yield None
        return
    with closing(engine_named(engine, workers, gpus=device_of(device) != "cpu")) as found:
        yield found


@contextmanager
def _torch_threads(count: int | None) -> Iterator[None]:
    """So many threads for torch meanwhile; as many as it has if None."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
