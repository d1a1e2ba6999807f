"""`tsds index`: the index of a pool's vectors, prepared as a selection would, or of those that a store holds."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from tsds.embeddings.store import Store
from tsds.errors import InputError
from tsds.index import Index, Kind, default_folder, folder_of_store, index_of_space
from tsds.inputs import prepare_pool
from tsds.searching import index_of, working
from tsds.settings import Settings
from tsds.stages import Listener, Stages


def index_pool(
    pool: Any, kind: Kind, settings: Settings, folder: Path | None, listener: Listener | None = None
) -> dict[str, Any]:
    """Build the index of a pool, if it is not there; returns what it is.

    Raises:
      InputError: on an unusable pool, or too little memory.
    """
    with contextlib.ExitStack() as stack:
        stages = stack.enter_context(working(settings, listener))
        inputs = prepare_pool(pool, settings, stages)
        stack.callback(inputs.close)
        index = index_of(inputs, settings, kind, folder or default_folder(), stages)
        return _facts(index, inputs.encoder, stages)


def index_store(
    store: Path, kind: Kind, encoder: str | None, settings: Settings, folder: Path | None,
    listener: Listener | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Build the index of each space of a store that is not there; returns what they are.

    Args:
      encoder: of which spaces; all if None.

    Raises:
      InputError: if the store holds no vectors, or none of that encoder; on too little memory.
      RunError: if a shard is damaged.
    """
    spaces = [space for space in Store.existing(store).spaces() if encoder in (None, space.encoder) and space.entries()]
    if not spaces:
        of = f" of encoder {encoder}" if encoder else ""
        raise InputError(f"holds no vectors{of}", path=store, remedy="tsds store ls shows what there is")
    found = []
    for space in spaces:
        with working(settings, listener) as stages:
            with stages.stage("build the index", sum(entry.rows for entry in space.entries())) as advance:
                index = index_of_space(
                    folder or folder_of_store(store), space, settings.metric, kind,
                    memory=stages.engine.memory, seed=settings.seed, advance=advance,
                )  # fmt: skip
            found.append(_facts(index, space.encoder, stages))
    return found


def _facts(index: Index, encoder: str, stages: Stages) -> dict[str, Any]:
    return {
        "index": str(index.path),
        "kind": index.kind,
        "rows": index.rows,
        "dimensions": index.dim,
        "bytes": index.path.stat().st_size,
        "encoder": encoder,
        "stages": {stage.name: round(stage.seconds, 3) for stage in stages.records.values()},
    }
