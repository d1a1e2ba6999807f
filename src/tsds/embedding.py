"""Embed pool and targets once, for many selections: into a store that `select` finds them in again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tsds.census import take_census
from tsds.corpus import Corpus
from tsds.embeddings.encoders import Role
from tsds.embeddings.encoders.protocol import WARM_UPS
from tsds.embeddings.shards import remove_shard
from tsds.embeddings.store import Store
from tsds.encoding import Embedder
from tsds.engines import Engine
from tsds.errors import InputError, RunError
from tsds.index import folder_of_store, leftovers
from tsds.records import FOUND, Pool, TextSpec
from tsds.scratch import PREFIX, scratch_in
from tsds.stages import Listener, Stages


def embed(
    pool: Any,
    target: Any,
    out: Path,
    encoder: Any,
    seed: int = 0,
    text: TextSpec = FOUND,
    of_target: TextSpec = FOUND,
    *,
    device: str = "auto",
    precision: Any = "float16",
    engine: Engine | None = None,
    on_error: Any = "fail",
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Encode what the store does not have yet of a pool, and of targets if any are given; returns what was done.

    Args:
      pool, target: records, as in `tsds.select`; a target may be None.
      out: the store, made if it is not there.
      text, of_target: where the texts of the pool and of the targets are.
      engine: what encodes; its workers must see the store. This machine if None.

    Raises:
      InputError: on unusable records or an unusable store.
    """
    stages = Stages(listener, engine)
    tasks = {} if target is None else dict(target) if isinstance(target, Mapping) else {"target": target}
    if "pool" in tasks:
        raise InputError("a task can't be called 'pool' here", remedy="give it another name")
    embedder = Embedder(encoder, seed, device, out, precision, None, stages)
    with scratch_in(out.expanduser()) as scratch:
        embedder.scratch = Path(scratch)
        counts = {}
        for name, source in {"pool": pool, **tasks}.items():
            spec = text if name == "pool" else of_target
            records = Pool.open(source, text=spec, ids="unread", on_error=on_error, role=name)
            with stages.stage(f"read the {name}") as advance:
                census = take_census(records, advance=advance, engine=stages.engine)
            corpus = Corpus(records, census)
            if name == "pool":
                embedder.fit(corpus)
            role: Role = "candidate" if name == "pool" else "target"
            vectors = embedder.vectors(corpus, len(corpus), role, f"encode {name}")
            counts[name] = {"read": census.read, "texts": len(census), **embedder.latest, "dimensions": vectors.dim}
        return {
            "store": str(out),
            "encoder": embedder.spec,
            "fingerprint": embedder.encoder.fingerprint(),
            "precision": precision,
            "sources": counts,
            "notes": embedder.notes(),
            "stages": {stage.name: round(stage.seconds, 3) for stage in stages.records.values()},
            "seconds": round(stages.seconds, 3),
        }


def listing(folder: Path) -> list[dict[str, Any]]:
    """Every space of a store: its encoder, rows, dimensions, precision, bytes, and when it was last used."""
    rows = []
    for space in Store.existing(folder).spaces():
        entries = space.entries()
        rows.append(
            {
                "space": space.folder.name,
                "encoder": space.encoder,
                "rows": sum(entry.rows for entry in entries),
                "dimensions": entries[0].dim if entries else 0,
                "precision": space.dtype,
                "shards": len(entries),
                "bytes": sum(path.stat().st_size for path in space.folder.iterdir()),
                "days_unused": space.days_unused(),
                "fingerprint": space.fingerprint,
            }
        )
    return rows


def verify(folder: Path) -> int:
    """Read every byte of a store and return the number of shards, all sound.

    Raises:
      RunError: naming the damaged ones.
    """
    spaces = Store.existing(folder).spaces()
    bad = [f"{space.folder.name}/{why}" for space in spaces for _, why in space.damaged()]
    if bad:
        more = f" and {len(bad) - 3:,} more" if len(bad) > 3 else ""
        raise RunError(f"{folder}: damaged: {'; '.join(bad[:3])}{more} (tsds store gc removes them, select makes them)")
    return sum(len(space.entries()) for space in spaces)


def collect_garbage(folder: Path, unused_days: float | None = None) -> dict[str, Any]:
    """Remove damaged shards, what killed runs left, and spaces unused for so many days with their indexes.

    Returns what went.

    Not to be called while a run adds to the store.
    """
    gone: dict[str, Any] = {"damaged": 0, "leftovers": 0, "spaces": [], "bytes": 0}
    before = _bytes(folder)
    store = Store.existing(folder)
    for space in store.spaces():
        if unused_days is not None and space.days_unused() >= unused_days:
            gone["spaces"].append(f"{space.folder.name} ({space.encoder})")
            space.remove()
            continue
        for name, _ in space.damaged():
            remove_shard(space.folder, name)
            gone["damaged"] += 1
        for path in space.leftovers():
            path.unlink()
            gone["leftovers"] += 1
    for path in store.folder.glob(f"{PREFIX}*"):
        shutil.rmtree(path)
        gone["leftovers"] += 1
    parts = [*store.folder.glob("*.part"), *(store.folder / WARM_UPS).rglob("*.part")]
    indexes = leftovers(folder_of_store(store.folder), [space.folder.name for space in store.spaces()])
    for path in [*parts, *indexes]:
        path.unlink()
        gone["leftovers"] += 1
    gone["bytes"] = before - _bytes(folder)
    return gone


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
