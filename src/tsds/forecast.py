"""What a run would need, before any work: rows, dimensions, memory, disk, and seconds by stage.

Nothing large is read through: the number of records comes from the sizes of the files and their first bytes (small
files are counted), the speed of encoding from the first records and how many of them are in the store, the speed of
searching from one small product on this machine. Of files elsewhere the first bytes are read and nothing is kept, but
for arrays and arrow files, which are fetched.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tsds.budget import Size
from tsds.embeddings.encoders import Encoder, Setting, make_encoder
from tsds.embeddings.lookup import text_keys
from tsds.embeddings.store import Store, default_store
from tsds.embeddings.transforms import Transform
from tsds.embeddings.vectors import Vectors
from tsds.encoding import duration
from tsds.errors import BudgetError
from tsds.given import as_given, check_no_texts, check_one_each
from tsds.inputs import opened
from tsds.memory import bytes_of, check_room, selection_bytes
from tsds.methods import method_named
from tsds.methods.auto import LEAST_TARGETS, MOST_TARGETS
from tsds.on_device import search_device
from tsds.parallel import cores, threads
from tsds.records import Glimpse, Pool, array_files, count_records, file_facts, glimpse, is_store, is_vectors
from tsds.searching import expected_seconds, flops
from tsds.settings import Settings
from tsds.strength import Strength
from tsds.targets import task_sources, weights_given

#: Records looked at, and those of them that are encoded.
_LOOK, _ENCODE, _ENCODE_SLOW, _WARM = 4096, 1024, 200, 8
#: An encoder's tables and sample, and a block of the pool.
_ENCODER_BYTES, _BLOCK_BYTES = 200_000_000, 256 << 20
#: Seconds of a trial on held-out targets, for each target and example wanted (benchmarks/targets.py).
_TRIAL_SECONDS = 6e-7
#: Passes over the pool for some of its records, when the vectors are there: what is written, the ids of the table, the
#: facts, the page. A fifth one is for the bandwidth.
_PASSES = 4
#: Bytes by which it is seen how long checksums take.
_SUMMED = 4 << 20


@dataclass(frozen=True)
class Looked:
    """What the first records of a source tell of all.

    Attributes:
      records: how many there are.
      exact: whether that is known.
      tokens: of a record, in the mean.
      read: seconds to read a record.
      passed: seconds to go past a record that is not wanted.
      encode: seconds to encode one, those in the store for nothing.
      fits: whether the encoder reads the pool to learn from it.
      readings: how often the pool is read to be encoded.
      dim: width of the vectors.
    """

    records: int
    exact: bool
    tokens: float
    read: float
    passed: float
    encode: float = 0.0
    fits: bool = False
    readings: int = 0
    dim: int = 0


def forecast(pool: Any, target: Any, settings: Settings) -> dict[str, Any]:
    """Sizes and estimates, and the same as `lines` for a person.

    Raises:
      InputError: on input that can be seen to be unusable without reading it through.
    """
    settings = method_named(settings.method).settings_of(settings)
    search_device(settings.device, settings.engine)  # or it is said that there is none
    with threads(settings.workers or cores()), tempfile.TemporaryDirectory(prefix="tsds-") as scratch:
        return _forecast(pool, task_sources(target, settings), settings, Path(scratch))


def _forecast(pool: Any, tasks: dict[str, Any], settings: Settings, scratch: Path) -> dict[str, Any]:
    seen = glimpse(pool, "pool", scratch)
    looked = None
    seconds: dict[str, float] = {}
    disk = 0.0
    if seen is None and is_vectors(pool):
        check_no_texts(settings)
        vectors = Vectors.of(array_files(pool) or pool, "pool")
        n, dim, exact = len(vectors), vectors.dim, True
        m = sum(len(Vectors.of(array_files(one) or one, name or "target")) for name, one in tasks.items())
    else:
        looked = _look(pool, "pool", settings, seen)
        n, dim, exact = looked.records, looked.dim, looked.exact
        m = sum(_records(one, name or "target", settings, scratch) for name, one in tasks.items())
        seconds["read the pool"] = looked.read * n
        if settings.embeddings is None:
            fit = (looked.read + looked.encode * 0.6) * n if looked.fits else 0.0
            seconds |= {"fit the encoder": fit, "encode": (looked.encode + looked.readings * looked.read) * n}
            disk = n * dim * 4.0
    transform = Transform.parse(settings.transform)
    if transform:
        transform.check(dim, m)
        dim = transform.width(dim)
        disk += n * dim * 4.0
    if looked is None:
        seconds["check the vectors"] = n * dim * 4 / 1.5e9
    if exact:
        _check_size(settings.budget, n)
    size = _examples(settings.budget, n, looked)
    wide = Strength(size, settings.alpha, settings.scale_or_default, settings.neighbors, settings.effective_size)
    k = min(n, 2 * wide.guess(m))
    seconds["search"], _ = expected_seconds(n, m, dim)
    method = method_named(settings.method)
    check_room(bytes_of(settings.memory), n, m, method.room(int(size), m))
    if method.weighs:
        seconds["density"] = 0.5 * seconds["search"] + n * dim * 128 / flops(dim)
    if method.tried and m >= LEAST_TARGETS:
        seconds["try settings on held-out targets"] = _TRIAL_SECONDS * method.tried * min(m, MOST_TARGETS) * size
    if looked is not None:
        passes = _PASSES + (settings.embeddings is None and settings.bandwidth == "auto")
        listed = min(n, m * k) * max(looked.read - looked.passed, 0)  # the table has the ids of all with mass
        seconds["write and show what was chosen"] = passes * looked.passed * n + listed + _summing(_bytes(pool))
    memory = selection_bytes(n, m * k) + min(_BLOCK_BYTES, n * dim * 4) * 2
    memory += _ENCODER_BYTES if looked is not None and settings.embeddings is None else 0
    about = "" if exact else "about "
    lines = [
        f"pool     {about}{n:,} records x {dim} dimensions",
        f"target   {m:,} examples",
        f"memory   about {memory / 1e9:.1f} GB at the peak",
        f"disk     about {disk / 1e9:.2f} GB for vectors while it runs",
        *([f"fetch    {seen.missing / 1e9:.2f} GB from elsewhere, not counted in the seconds"] if seen else []),
        *(f"{name:<34}{duration(s)}" for name, s in seconds.items()),
        f"{'altogether':<34}{duration(sum(seconds.values()))}",
    ]
    return {
        "records": n,
        "records_exact": exact,
        "targets": m,
        "examples": int(size),
        "dimensions": dim,
        "peak_bytes": int(memory),
        "disk_bytes": int(disk),
        "fetch_bytes": seen.missing if seen else 0,
        "seconds": seconds,
        "lines": lines,
    }


def _check_size(budget: Size, n: int) -> None:
    """Raise BudgetError if more examples are asked for than there are records, whatever becomes of them."""
    if budget.kind != "tokens" and (size := budget.examples(n)) > n:
        raise BudgetError(f"size {size:,} exceeds the {n:,} records of the pool", remedy=f"--size {n} at most")


def _examples(budget: Size, n: int, looked: Looked | None) -> float:
    """About how many are selected of n records; of arrays a size in tokens is refused by the run."""
    if budget.kind == "tokens":
        return budget.amount / looked.tokens if looked is not None else budget.amount
    return budget.amount if budget.kind == "examples" else n * budget.amount / 100


def _records(source: Any, role: str, settings: Settings, scratch: Path) -> int:
    """How many records there are, the first of which can be read."""
    seen = glimpse(source, role, scratch)
    pool = opened(source if seen is None else seen.first, role, settings, tuned=False)
    weights_given(pool, next(iter(pool.batches(_LOOK))).rows, settings)
    return count_records(pool.shards)[0] if seen is None else seen.records


def _look(source: Any, role: str, settings: Settings, seen: Glimpse | None) -> Looked:
    """What the first records tell, with the settings' encoder if it is needed."""
    pool = opened(source if seen is None else seen.first, role, settings)
    began = time.perf_counter()
    first = next(iter(pool.batches(_LOOK)))
    read = (time.perf_counter() - began) / len(first)
    passed = _passing(pool, len(first))
    records, exact = count_records(pool.shards) if seen is None else (seen.records, seen.exact)
    looked = Looked(records, exact, float(first.tokens.mean()), read, min(passed, read))
    if settings.embeddings is not None:
        vectors = Vectors.of(as_given(settings.embeddings), "pool embeddings")
        if exact:
            check_one_each(vectors, records, "pool")
        return replace(looked, dim=vectors.dim)
    encoder = make_encoder(settings.encoder, Setting(settings.seed, settings.device))
    texts = first.texts[: _ENCODE if not encoder.kept else _ENCODE_SLOW]
    taken: list[int] = []

    def given() -> Iterator[Sequence[str]]:
        taken.append(len(texts))
        yield texts

    encoder.fit(given())
    encoder.encode(texts[:_WARM])
    began = time.perf_counter()
    encoder.encode(texts)
    encode = (time.perf_counter() - began) / len(texts)
    readings = 1  # also of encoders that recall what they were fitted on, which few records allow
    if encoder.kept or settings.store is not None:
        missing = _missing(encoder, settings, first.texts)
        encode *= missing
        readings += missing > 0  # texts are read to see which are stored, and again to encode the others
    return replace(looked, encode=encode, fits=bool(taken), readings=readings, dim=encoder.dim)


def _passing(pool: Pool, count: int) -> float:
    """Seconds to go past a record, from about the first `count`."""
    began, seen = time.perf_counter(), 0
    for block in pool.shards[0].blocks():
        seen += len(block)
        if seen >= count:
            break
    return (time.perf_counter() - began) / max(seen, 1)


def _bytes(pool: Any) -> int:
    return sum(file["bytes"] or 0 for file in file_facts(pool))


def _summing(size: int) -> float:
    """Seconds that the checksum of so many bytes takes."""
    began = time.perf_counter()
    hashlib.sha256(bytes(_SUMMED))
    return (time.perf_counter() - began) / _SUMMED * size


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
