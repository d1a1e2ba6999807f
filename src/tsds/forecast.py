"""What a run would need, before any work: rows, dimensions, memory, disk, and seconds by stage.

Nothing large is read through: the number of records comes from the sizes of the files and their first bytes (small
files are counted), the speed of encoding from the first records and how many of them are in the store, the speed of
searching from one small product on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tsds.embeddings.encoders import Encoder, Setting, make_encoder
from tsds.embeddings.lookup import text_keys
from tsds.embeddings.store import Store, default_store
from tsds.embeddings.vectors import Vectors
from tsds.encoding import duration
from tsds.memory import selection_bytes
from tsds.methods import method_named
from tsds.methods.auto import LEAST_TARGETS, MOST_TARGETS
from tsds.records import Pool, array_files, count_records, is_store, is_vectors
from tsds.searching import expected_seconds, flops
from tsds.settings import Settings
from tsds.strength import Strength
from tsds.targets import task_sources

#: Records looked at, and those of them that are encoded.
_LOOK, _ENCODE, _ENCODE_SLOW, _WARM = 4096, 1024, 200, 8
#: An encoder's tables and sample, and a block of the pool.
_ENCODER_BYTES, _BLOCK_BYTES = 200_000_000, 256 << 20
#: Seconds of a trial on held-out targets, for each target and example wanted (benchmarks/targets.py).
_TRIAL_SECONDS = 6e-7


def forecast(pool: Any, target: Any, settings: Settings) -> dict[str, Any]:
    """Sizes and estimates, and the same as `lines` for a person.

    Raises:
      InputError: on input that can be seen to be unusable without reading it through.
    """
    tasks = task_sources(target, settings)
    if is_vectors(pool):
        vectors = Vectors.of(array_files(pool) or pool, "pool")
        n, dim, exact = len(vectors), vectors.dim, True
        m = sum(len(Vectors.of(array_files(one) or one, name or "target")) for name, one in tasks.items())
        seconds: dict[str, float] = {"check the vectors": n * dim * 4 / 1.5e9}
        disk = 0.0
    else:
        n, exact, read, encode, dim = _records(pool, "pool", settings)
        m = sum(_records(one, name or "target", settings, encode=False)[0] for name, one in tasks.items())
        seconds = {"read the pool": read * n}
        disk = 0.0
        if settings.embeddings is None:
            seconds |= {"fit the encoder": encode * n * 0.6, "encode": encode * n}
            disk = n * dim * 4.0
    budget = settings.budget
    size = budget.amount if budget.kind == "examples" else n * 0.01
    if budget.kind == "percent":
        size = n * budget.amount / 100
    wide = Strength(size, settings.alpha, settings.scale_or_default, settings.neighbors, settings.effective_size)
    k = min(n, 2 * wide.guess(m))
    seconds["search"], _ = expected_seconds(n, m, dim)
    method = method_named(settings.method)
    if method.weighs:
        seconds["density"] = 0.5 * seconds["search"] + n * dim * 128 / flops(dim)
    if method.tried and m >= LEAST_TARGETS:
        seconds["try settings on held-out targets"] = _TRIAL_SECONDS * method.tried * min(m, MOST_TARGETS) * size
    memory = selection_bytes(n, m * k) + min(_BLOCK_BYTES, n * dim * 4) * 2
    memory += _ENCODER_BYTES if disk else 0
    about = "" if exact else "about "
    lines = [
        f"pool     {about}{n:,} records x {dim} dimensions",
        f"target   {m:,} examples",
        f"memory   about {memory / 1e9:.1f} GB at the peak",
        f"disk     about {disk / 1e9:.2f} GB for vectors while it runs",
        *(f"{name:<34}{duration(s)}" for name, s in seconds.items()),
        f"{'altogether':<34}{duration(sum(seconds.values()))}",
    ]
    return {
        "records": n,
        "records_exact": exact,
        "targets": m,
        "dimensions": dim,
        "peak_bytes": int(memory),
        "disk_bytes": int(disk),
        "seconds": seconds,
        "lines": lines,
    }


def _records(source: Any, role: str, settings: Settings, *, encode: bool = True) -> tuple[int, bool, float, float, int]:
    """Records, whether that is their exact number, seconds to read one and to encode one, dimensions."""
    pool = Pool.open(source, text=settings.text, on_error=settings.on_error, role=role)
    began = time.perf_counter()
    first = next(iter(pool.batches(_LOOK)))
    read = (time.perf_counter() - began) / len(first)
    count, exact = count_records(pool.shards)
    if not encode or settings.embeddings is not None:
        dim = Vectors.of(array_files(settings.embeddings) or settings.embeddings).dim if settings.embeddings else 0
        return count, exact, read, 0.0, dim
    encoder = make_encoder(settings.encoder, Setting(settings.seed, settings.device))
    texts = first.texts[: _ENCODE if not encoder.kept else _ENCODE_SLOW]
    encoder.fit([texts])
    encoder.encode(texts[:_WARM])
    began = time.perf_counter()
    encoder.encode(texts)
    each = (time.perf_counter() - began) / len(texts)
    if encoder.kept or settings.store is not None:
        each *= _missing(encoder, settings, first.texts)
    return count, exact, read, each, encoder.dim


def _missing(encoder: Encoder, settings: Settings, texts: Sequence[str]) -> float:
    """The share of these texts whose vectors are not in the store."""
    folder = settings.store or default_store()
    if not is_store(folder):
        return 1.0
    wanted = encoder.fingerprint("candidate"), settings.store_precision
    for space in Store.existing(folder).spaces():
        if (space.fingerprint, space.dtype) == wanted:
            return 1 - float(space.holds(text_keys(texts, encoder.chats)).mean())
    return 1.0
