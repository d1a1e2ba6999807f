"""Indexes of a pool's vectors on disk: built once, opened by memory map, used by many tasks.

    FOLDER/
      KIND-DIGEST.faiss   the index
      KIND-DIGEST.json    what it is of, written last

An index belongs to vectors, not to files: it is found again by a digest of them. It holds them coarsely, in a quarter
of a byte to a byte a dimension, since what it finds is measured again from the pool itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from tsds.distances import unit_rows
from tsds.embeddings.scan import Metric
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


def default_folder() -> Path:
    """Where indexes go that were not asked to go elsewhere: $TSDS_INDEX, or the user's cache."""
    return user_cache("index", "TSDS_INDEX")


@dataclass(frozen=True)
class Index:
    """An index on disk.

    Attributes:
      folder, name: where it is.
      kind: how it searches.
      rows, dim, metric: of the vectors.
      lists: of an inverted file; 0 otherwise.
    """

    folder: Path
    name: str
    kind: Kind
    rows: int
    dim: int
    metric: Metric
    lists: int

    @property
    def path(self) -> Path:
        """The file that holds it."""
        return self.folder / f"{self.name}.faiss"

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
            raise InputError("is no whole index", path=self.path, remedy="remove it: it is built again") from error


def find_index(folder: Path, vectors: Vectors, metric: Metric, kind: Kind, digest: str) -> Index | None:
    """The index of these vectors, if it is there."""
    name = _name(vectors, metric, kind, digest)
    try:
        facts = orjson.loads((folder / f"{name}.json").read_bytes())
    except FileNotFoundError:
        return None
    return Index(folder, name, kind, facts["rows"], facts["dim"], facts["metric"], facts["lists"])


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
    """Build the index of these vectors and keep it in a folder.

    Args:
      folder: made if it is not there.
      vectors: [n, d].
      digest: of the vectors, from their scan.
      memory: bytes that may be used.
      seed: of the sample that it is trained on.
      advance: told of rows that were added.

    Raises:
      InputError: if the index does not fit the memory allowed.
    """
    import faiss

    n, dim = len(vectors), vectors.dim
    links = 8 * _LINKS if kind == "hnsw" else 8
    needed = BASE_BYTES + n * (dim / 4 if kind == "ivf" else dim) + n * links + 2 * _BLOCK_BYTES
    check_allowed(memory, needed, "the index takes about {} GB while it is built")
    lists = int(np.clip(_LISTS * np.sqrt(n), 1, n // _TRAINED + 1)) if kind == "ivf" else 0
    made: Any = faiss.index_factory(dim, f"IVF{lists},{_coded(dim)}" if kind == "ivf" else f"HNSW{_LINKS}_SQ8")
    if kind == "hnsw":
        made.hnsw.efConstruction = _BUILD_WIDTH
    else:
        made.cp.seed = seed + 1
    rng = np.random.default_rng(seed)
    some = np.sort(rng.choice(n, min(n, max(20_000, _TRAINED * lists)), replace=False))
    made.train(np.ascontiguousarray(unit_rows(vectors.take(some), metric), dtype=np.float32))
    for _, block in vectors.blocks(vectors.block_rows(_BLOCK_BYTES)):
        made.add(np.ascontiguousarray(unit_rows(block, metric), dtype=np.float32))
        advance(len(block))
    folder.mkdir(parents=True, exist_ok=True)
    index = Index(folder, _name(vectors, metric, kind, digest), kind, n, dim, metric, lists)
    with atomic_file(index.path) as file:
        faiss.write_index(made, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]
    facts = {name: value for name, value in asdict(index).items() if name not in ("folder", "name")}
    with atomic_file(folder / f"{index.name}.json") as file:
        file.write(orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return index


def _coded(dim: int) -> str:
    """How an inverted file holds vectors: half a byte for two dimensions, which is scanned ten times as fast as SQ8."""
    return f"PQ{dim // 2}x4fs" if dim % 2 == 0 else "SQ8"


def _name(vectors: Vectors, metric: Metric, kind: Kind, digest: str) -> str:
    about = f"{len(vectors)} {vectors.dim} {metric} {digest}".encode()
    return f"{kind}-{hashlib.blake2b(about, digest_size=12).hexdigest()}"
