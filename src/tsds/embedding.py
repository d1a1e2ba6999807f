"""Embed pool and target once, for many selections: .npy files with a row for each record, and what made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tsds.corpus import encode_to, take_census, texts_of
from tsds.embeddings.encoders import make_encoder
from tsds.errors import InputError
from tsds.output import reserved
from tsds.records import Pool, TextSpec, atomic_file
from tsds.stages import Listener, Stages

MANIFEST = "run.json"


def embed(
    pool: Any,
    target: Any,
    out: Path,
    encoder: str,
    seed: int,
    text: TextSpec,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Write `pool.npy`, `target.npy` (or one file a task) and a manifest to a folder; returns the manifest.

    Raises:
      InputError: on unusable records; every record needs text, so that rows and records stay in step.
    """
    stages = Stages(listener)
    maker = make_encoder(encoder, seed)
    records = Pool.open(pool, text=text, role="pool")
    tasks = dict(target) if isinstance(target, Mapping) else {"target": target}
    with reserved(out, overwrite=overwrite) as scratch:
        with stages.stage("read the pool") as advance:
            census = _whole(records, advance)
        with stages.stage("fit the encoder", len(census)) as advance:
            maker.fit(texts_of(records, census, advance))
        shapes = {}
        for name, source in {"pool": records, **tasks}.items():
            one = source if isinstance(source, Pool) else Pool.open(source, text=text, role=name)
            count = census if one is records else _whole(one)
            with stages.stage(f"encode {name}", len(count)) as advance:
                vectors, _ = encode_to(scratch / f"{name}.npy", texts_of(one, count, advance), len(count), maker)
            shapes[f"{name}.npy"] = [len(vectors), vectors.dim]
        manifest = {
            "encoder": maker.fingerprint(),
            "seed": seed,
            "files": shapes,
            "pool": records.checksum(),
            "seconds": stages.seconds,
        }
        with atomic_file(scratch / MANIFEST) as file:
            file.write(orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return manifest


def _whole(records: Pool, advance: Any = lambda rows: None) -> Any:
    census = take_census(records, collapse=False, advance=advance)
    if len(census) != census.read:
        first = int(np.setdiff1d(np.arange(census.read), census.rows)[0])
        raise InputError("has no text", path=records.role, row=first, remedy=f"remove the {census.empty} such records")
    return census
