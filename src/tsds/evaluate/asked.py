"""What an evaluation was asked for, complete and small enough to be sent: every process makes the same of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import tsds
from tsds.embeddings.encoders.models import device_of
from tsds.encoding import marks_of
from tsds.evaluate.bases import PLACE, bases_folder, digest_of
from tsds.evaluate.cells import Place, axes_of
from tsds.evaluate.data import Data
from tsds.evaluate.decoder import SHAPES
from tsds.evaluate.grid import Evaluation, PoolFacts
from tsds.evaluate.held import GRIDS, asked_of
from tsds.evaluate.presets import Preset, experiment_of
from tsds.evaluate.settings import Kind
from tsds.settings import Settings
from tsds.stages import Stages


@dataclass(frozen=True)
class Asked:
    """An evaluation before any model is loaded.

    Attributes:
      kind: which experiment.
      model: a name or folder.
      preset: all settings.
      tuning, device: as `evaluate` takes them.
      data: pool and targets.
      pool: what a pass over the pool found.
      encoder: what tells the vectors of the selection from those of another encoder.
      out: the folder.
      bases: where bases are kept.
      token: tells it from all others, in a worker that is given cells of several.
    """

    kind: Kind
    model: str
    preset: Preset
    tuning: str
    device: str
    data: Data
    pool: PoolFacts
    encoder: list[str]
    out: Path
    bases: Path
    token: str

    def evaluation(self, stages: Stages) -> Evaluation:
        """The grid with its experiment."""
        preset, grid = self.preset, self.preset.grid
        experiment, fingerprint = experiment_of(
            self.kind, self.model, preset, self.pool.sample, self.tuning, self.device
        )
        settings = {
            "tsds_version": tsds.__version__,
            "kind": self.kind,
            "model": fingerprint,
            "training": preset.training,
            "settling": preset.settling,
            "finetuning": preset.finetuning,
            "generated": preset.generated,
            "words": preset.words,
            "tuning": self.tuning,
            "sample": preset.sample,
            "examples": grid.examples,
            "test_rows": grid.test_rows,
            "encoder": grid.encoder,
            "state_of_the_encoder": self.encoder,
            "device": device_of(self.device).partition(":")[0],  # a GPU adds in another order
            "pool": self.pool.known,
            GRIDS: [axes_of(grid, list(self.data.targets))],
            "pool_texts": digest_of(self.pool.probe),
        }
        return Evaluation(
            experiment, self.data, grid, self.pool, self.out, asked_of(settings, self.data, grid.conditions), stages
        )


def asked_for(
    kind: Kind, model: str, preset: Preset, tuning: str, device: str, data: Data, pool: PoolFacts, out: Path
) -> Asked:
    """An evaluation as it was asked for, with absolute paths, since workers stand elsewhere.

    Raises:
      InputError: if there is no such encoder.
    """
    here = Path(model)
    made = kind == "instruction" and model in SHAPES  # whatever is called so here
    named = str(here.absolute()) if here.exists() and not made else model
    bases = bases_folder().absolute()
    selecting: Any = Settings(size=1, encoder=preset.grid.encoder)
    marks = list(marks_of(selecting).values())
    return Asked(kind, named, preset, tuning, device, data.absolute(), pool, marks, out.absolute(), bases, uuid4().hex)


#: The evaluation that this worker has cells of, with its model, by its token.
_held: dict[str, Evaluation] = {}


def measure_there(asked: Asked, places: Sequence[Place]) -> int:
    """Cells of one training in the process of a worker, and how many; the base and the selections are there."""
    if asked.token not in _held:
        _held.clear()
        os.environ[PLACE] = str(asked.bases)
        evaluation = asked.evaluation(Stages())
        evaluation.prepare()
        _held[asked.token] = evaluation
    return _held[asked.token].measure_all(places)
