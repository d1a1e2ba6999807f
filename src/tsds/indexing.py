"""`tsds index`: prepare a pool as a selection would, and build the index of its vectors."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from tsds.embeddings.vectors import Vectors
from tsds.index import Kind, default_folder
from tsds.inputs import prepare
from tsds.records import Pool, array_files, is_vectors
from tsds.searching import index_of, working
from tsds.settings import Settings
from tsds.stages import Listener


def index_pool(
    pool: Any, kind: Kind, settings: Settings, folder: Path | None, listener: Listener | None = None
) -> dict[str, Any]:
    """Build the index of a pool, if it is not there; returns what it is.

    Raises:
      InputError: on an unusable pool, or too little memory.
    """
    with contextlib.ExitStack() as stack:
        stages = stack.enter_context(working(settings, listener))
        inputs = prepare(pool, _first(pool), settings, stages)
        stack.callback(inputs.close)
        index = index_of(inputs, settings, kind, folder or default_folder(), stages)
        return {
            "index": str(index.path),
            "kind": index.kind,
            "rows": index.rows,
            "dimensions": index.dim,
            "bytes": index.path.stat().st_size,
            "encoder": inputs.encoder,
            "stages": {stage.name: round(stage.seconds, 3) for stage in stages.records.values()},
        }


def _first(pool: Any) -> Any:
    """The pool's first record: preparing wants a target, and an index depends on none."""
    if is_vectors(pool):
        return Vectors.of(array_files(pool) or pool, "pool").take([0])  # type: ignore[arg-type]
    return [next(iter(Pool.open(pool, role="pool").batches(1))).texts[0]]
