"""Indexes of a pool's vectors on disk: built once, opened by memory map, used by many tasks.

    FOLDER/
      NAME.json           what it is of, written last; the name has its kind, and its vectors' digest or the space
      NAME.faiss          the index of a pool's vectors
      NAME-SHARDS.faiss   the index of a store's space, with the digest of its shards

The space of a store grows, and its index is then built again. The new one has a file of its own, so that whoever reads
the facts at any moment finds the file that they are of, also if the build is killed; the old one goes at the end.

An index of a pool belongs to vectors, not to files: it is found again by a digest of them. An index of a store's space
serves every pool whose vectors lie there: it knows the shards that it holds, and with them which of its rows are the
pool's. It holds vectors coarsely, in a quarter of a byte to a byte a dimension, since what it finds is measured again
from the pool itself.
"""

from __future__ import annotations

import glob
import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from tsds.arrays import Rows
from tsds.distances import faiss_seed, unit_rows
from tsds.embeddings.scan import Metric
from tsds.embeddings.space import Space
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.memory import BASE_BYTES, check_allowed
from tsds.records import atomic_file, user_cache

Kind = Literal["ivf", "hnsw"]
KINDS: tuple[Kind, ...] = ("ivf", "hnsw")
#: Lists of an inverted file: this times the root of the pool; and rows a list that it is trained on.
_LISTS, _TRAINED = 4, 48
#: Neighbours of a node of the graph, and candidates looked at while it is built.
_LINKS, _BUILD_WIDTH = 32, 80
_BLOCK_BYTES = 64 << 20
#: How every faiss index begins: four letters, dimensions, rows. To load one of hnsw only for these takes long.
_HEAD = struct.Struct("<4siq")


def default_folder() -> Path:
    """Where indexes go that were not asked to go elsewhere: $TSDS_INDEX, or the user's cache."""
    return user_cache("index", "TSDS_INDEX")


def folder_of_store(store: Path) -> Path:
    """Where the indexes of a store go that were not asked to go elsewhere: they move with it."""
    return store / "index"


@dataclass(frozen=True)
class Index:
    """An index on disk.

    Attributes:
      folder, name: where it is.
      kind: how it searches.
      rows, dim, metric: of the vectors.
      lists: of an inverted file; 0 otherwise.
      shards: of a store's space, names and rows of the shards that it holds, in its order; empty for a pool's.
    """

    folder: Path
    name: str
    kind: Kind
    rows: int
    dim: int
    metric: Metric
    lists: int
    shards: tuple[tuple[str, int], ...] = ()

    @property
    def path(self) -> Path:
        """The file that holds it: facts of one state of a store never meet the rows of another."""
        if not self.shards:
            return self.folder / f"{self.name}.faiss"  # its name has the digest of the vectors already
        digest = hashlib.blake2b(orjson.dumps(self.shards), digest_size=12).hexdigest()
        return self.folder / f"{self.name}-{digest}.faiss"

    def open(self) -> Any:
        """The faiss index, mapped where its kind can be.

        Raises:
          InputError: if its file is gone or damaged.
        """
        import faiss

        try:
            flags = faiss.IO_FLAG_MMAP if self.kind == "ivf" else 0
            return faiss.read_index(str(self.path), flags)
        except RuntimeError as error:
            if not self.path.exists():
                raise InputError("is gone, or was built anew just now", path=self.path, remedy="run again") from error
            raise InputError("is no whole index", path=self.path, remedy="remove it: it is built again") from error

    def is_there(self) -> bool:
        """Whether its file is, with as many rows and dimensions as it should have."""
        try:
            with self.path.open("rb") as file:
                head = file.read(_HEAD.size)
        except OSError:
            return self.path.exists()
        # A file that can't be read or is cut short is there: what is wrong is said when it is opened.
        return len(head) < _HEAD.size or _HEAD.unpack(head)[1:] == (self.dim, self.rows)

    def holds(self, pool: Vectors) -> bool:
        """Whether all shards of a pool are among those of the store that it is of."""
        return {*_shards(pool)} <= {*self.shards}

    def rows_in(self, pool: Vectors) -> Rows:
        """Which row of a pool that it holds each row of a store's index is, [rows], -1 where it is none."""
        ends = np.cumsum([rows for _, rows in self.shards]).tolist()
        begins = {name: end - rows for (name, rows), end in zip(self.shards, ends, strict=True)}
        starts = [start for _, start, _ in pool.files()]
        moves = [begins[name] - start for (name, _), start in zip(_shards(pool), starts, strict=True)]
        first, moved = np.array(starts), np.array(moves)
        stored = pool.stored_rows()
        out = np.full(self.rows, -1, np.int64)
        out[stored + moved[np.searchsorted(first, stored, side="right") - 1]] = np.arange(len(stored))
        return out


def find_index(folder: Path, vectors: Vectors, metric: Metric, kind: Kind, digest: str) -> Index | None:
    """The index of these vectors, or of the store's space that they lie in, if it is there."""
    own = _read(folder, _name(vectors, metric, kind, digest))
    if own is not None:
        return own
    if vectors.centre is not None:  # a store's index is of its vectors as they are
        return None
    spaces = {path.parent if path is not None else Path() for path, _, _ in vectors.files()}
    if len(spaces) > 1:
        return None
    space = spaces.pop()
    found = (_read(place, _space_name(space.name, metric, kind)) for place in (folder, folder_of_store(space.parent)))
    return next((one for one in found if one is not None and one.holds(vectors)), None)


def build_index(
    folder: Path,
    vectors: Vectors,
    metric: Metric,
    kind: Kind,
    digest: str,
    *,
    memory: int | None = None,
    seed: int = 0,
    advance: Callable[[int], None] = lambda rows: None,
) -> Index:
    """Build the index of these vectors, which have this digest; arguments and errors as for index_of_space."""
    name = _name(vectors, metric, kind, digest)
    return _build(Index(folder, name, kind, len(vectors), vectors.dim, metric, 0), vectors, memory, seed, advance)


def index_of_space(
    folder: Path,
    space: Space,
    metric: Metric,
    kind: Kind,
    *,
    memory: int | None = None,
    seed: int = 0,
    advance: Callable[[int], None] = lambda rows: None,
) -> Index:
    """The index of all vectors of a store's space: found in the folder, or built if the space has grown since.

    Args:
      folder: made if it is not there.
      memory: bytes that may be used.
      seed: of the sample that it is trained on.
      advance: told of rows that were added.

    Raises:
      InputError: if the index does not fit the memory allowed.
    """
    vectors, name = space.whole(), _space_name(space.folder.name, metric, kind)
    shards = _shards(vectors)
    there = _read(folder, name)
    if there is not None and there.shards == shards:
        return there
    wanted = Index(folder, name, kind, len(vectors), vectors.dim, metric, 0, shards)
    return _build(wanted, vectors, memory, seed, advance)


def _build(wanted: Index, vectors: Vectors, memory: int | None, seed: int, advance: Callable[[int], None]) -> Index:
    import faiss

    n, dim, kind, metric = wanted.rows, wanted.dim, wanted.kind, wanted.metric
    links = 8 * _LINKS if kind == "hnsw" else 8
    needed = BASE_BYTES + n * (dim / 4 if kind == "ivf" else dim) + n * links + 2 * _BLOCK_BYTES
    check_allowed(memory, needed, "the index takes about {} GB while it is built")
    lists = int(np.clip(_LISTS * np.sqrt(n), 1, n // _TRAINED + 1)) if kind == "ivf" else 0
    made: Any = faiss.index_factory(dim, f"IVF{lists},{_coded(dim, n)}" if kind == "ivf" else f"HNSW{_LINKS}_SQ8")
    if kind == "hnsw":
        made.hnsw.efConstruction = _BUILD_WIDTH
    else:
        made.cp.min_points_per_centroid = 1  # or faiss writes to the terminal that a small pool is small
        made.cp.seed = faiss_seed(seed)
    rng = np.random.default_rng(seed)
    some = np.sort(rng.choice(n, min(n, max(20_000, _TRAINED * lists)), replace=False))
    made.train(np.ascontiguousarray(unit_rows(vectors.take(some), metric), dtype=np.float32))
    for _, block in vectors.blocks(vectors.block_rows(_BLOCK_BYTES)):
        made.add(np.ascontiguousarray(unit_rows(block, metric), dtype=np.float32))
        advance(len(block))
    wanted.folder.mkdir(parents=True, exist_ok=True)
    index = replace(wanted, lists=lists)
    with atomic_file(index.path) as file:
        faiss.write_index(made, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]
    facts = {name: value for name, value in asdict(index).items() if name not in ("folder", "name")}
    with atomic_file(index.folder / f"{index.name}.json") as file:
        file.write(orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    _remove_older(index)
    return index


def _remove_older(index: Index) -> None:
    """Remove the files of other states of the same space; not that of a run which finished just after this one."""
    latest = _read(index.folder, index.name)
    for path in index.folder.glob(f"{glob.escape(index.name)}*.faiss"):
        if path != index.path and (latest is None or path != latest.path):
            path.unlink(missing_ok=True)


def leftovers(folder: Path, spaces: Sequence[str]) -> list[Path]:
    """Files of a store's indexes that serve nobody: what killed builds left, and indexes of other spaces than these."""
    kept: set[Path] = set()
    for facts in folder.glob("*.json"):
        index = _read(folder, facts.stem)
        if index is None:
            continue
        if not index.shards or index.name in {_space_name(one, index.metric, index.kind) for one in spaces}:
            kept |= {facts, index.path}
    return sorted(path for path in folder.glob("*") if path.suffix in (".json", ".faiss", ".part") and path not in kept)


def _shards(vectors: Vectors) -> tuple[tuple[str, int], ...]:
    """The name of each shard's file, empty in memory, and its rows."""
    return tuple((path.name if path is not None else "", rows) for path, _, rows in vectors.files())


def _read(folder: Path, name: str) -> Index | None:
    """The index of this name; None if there is none, or its facts are there and its file is not."""
    try:
        facts = orjson.loads((folder / f"{name}.json").read_bytes())
    except FileNotFoundError:
        return None
    shards = tuple((shard, rows) for shard, rows in facts.pop("shards", ()))
    index = Index(folder, name, shards=shards, **facts)
    return index if index.is_there() else None


def _coded(dim: int, rows: int) -> str:
    """How an inverted file holds vectors: half a byte for two dimensions, which is scanned ten times as fast as SQ8.

    Half a byte is one of sixteen centroids, and a small pool has too few points to place them.
    """
    return f"PQ{dim // 2}x4fs" if dim % 2 == 0 and rows >= 16 * _TRAINED else "SQ8"


def _name(vectors: Vectors, metric: Metric, kind: Kind, digest: str) -> str:
    about = f"{len(vectors)} {vectors.dim} {metric} {digest}".encode()
    return f"{kind}-{hashlib.blake2b(about, digest_size=12).hexdigest()}"


def _space_name(space: str, metric: Metric, kind: Kind) -> str:
    """A space's name has the digest of what encoded it; the index is of all its shards, whichever these are."""
    return f"{kind}-{metric}-{space}"
