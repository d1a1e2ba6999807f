"""The texts of the records that take part, and their vectors: from one stream here, or file by file elsewhere.

The records are read up to three times: to choose those that take part (`census.py`), to fit the encoder, and to encode,
where the encoder does not recall what it was fitted on. So no text has to be held and no copy is encoded. An engine
with workers elsewhere reads a file where it is encoded, if there are files enough; else texts are read here and sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Rows, new_array
from tsds.census import BATCH, Census, by_file
from tsds.embeddings.encoders import Gathers, make_encoder
from tsds.embeddings.encoders.gathering import Gathered, merged
from tsds.embeddings.encoders.protocol import Setting
from tsds.embeddings.vectors import Vectors
from tsds.engines import Engine, Span
from tsds.errors import RunError
from tsds.records import Part, Pool, Shorter, atomic_file
from tsds.stages import Advance

#: Rows of a file of vectors that a run which is resumed does not make again.
PART_ROWS = 1 << 16
#: The texts of a part are in memory at once: so many bytes of them, about.
_PART_BYTES = 1 << 28


def texts_of(pool: Pool, census: Census, advance: Advance = lambda rows: None) -> Iterator[list[str]]:
    """The texts of the records that take part, batch by batch; `advance` is told how many."""
    return texts_at(pool, census.rows, advance)


def texts_at(pool: Pool, rows: Rows, advance: Advance = lambda rows: None) -> Iterator[list[str]]:
    """The texts of these records, ascending, batch by batch.

    Raises:
      RunError: if the pool has become shorter.
    """
    held: list[str] = []
    try:
        for some in pool.candidates(rows):
            held += [one.text for one in some]
            if len(held) >= BATCH:
                yield held
                advance(len(held))
                held = []
    except Shorter as error:
        raise RunError(f"the {pool.role} shrank while it was read: {error}") from error
    if held:
        yield held
        advance(len(held))


@dataclass(frozen=True)
class FileTexts:
    """The texts of the records of one file that take part.

    Attributes:
      part: the file.
      rows: [r], the records, counted from its start.
      first: position of the first of them among all candidates.
    """

    part: Part
    rows: Rows
    first: int

    def texts(self) -> Iterator[list[str]]:
        """Batch by batch, wherever this is called."""
        return texts_at(self.part.open(), self.rows)


@dataclass(frozen=True)
class Corpus:
    """The texts of the records that take part, to be read as often as needed: a call starts a pass."""

    pool: Pool
    census: Census

    def __call__(self, advance: Advance = lambda rows: None) -> Iterator[list[str]]:
        return texts_of(self.pool, self.census, advance)

    def __len__(self) -> int:
        return len(self.census)

    def files(self, engine: Engine) -> list[FileTexts] | None:
        """Those of each file, for the workers of an engine; None where one process reads them as well."""
        parts = by_file(self.pool, engine) if self.census.ends else None
        if parts is None:
            return None
        starts = [0, *self.census.ends[:-1]]
        edges = np.searchsorted(self.census.rows, [*starts, self.census.ends[-1]]).tolist()
        return [
            FileTexts(part, self.census.rows[first:last] - start, first)
            for part, start, first, last in zip(parts, starts, edges[:-1], edges[1:], strict=True)
            if first < last
        ]


@dataclass(frozen=True)
class _Gathering:
    """What workers need to gather what an encoder learns from."""

    spec: str
    seed: int
    files: dict[int, FileTexts]  # by their first candidate
    identity: str = "gather"


def gathered_by(engine: Engine, spec: str, seed: int, files: Sequence[FileTexts], advance: Advance) -> Gathered:
    """What the encoder of that name gathers from all files."""
    context = _Gathering(spec, seed, {one.first: one for one in files})
    spans = [(one.first, one.first + len(one.rows)) for one in files]
    return engine.fold("fit the encoder", _gather_there, merged, context, spans, advance)


def _gather_there(context: _Gathering, span: Span) -> Gathered:
    encoder = make_encoder(context.spec, Setting(context.seed))
    assert isinstance(encoder, Gathers)
    return encoder.gather(context.files[span[0]].texts(), span[0])


def part_rows(census: Census | None) -> int:
    """Rows of a file of vectors: fewer where texts are known to be long."""
    mean = 4 * float(census.tokens.mean()) if census else 1.0  # a token is about four bytes
    return min(PART_ROWS, max(1, round(_PART_BYTES / mean)))


Encode = Callable[[Any, Sequence[str]], NDArray[np.float32]]


def encoded_by_file(
    engine: Engine,
    folder: Path,
    files: Sequence[FileTexts],
    encode: Encode,
    context: Any,
    advance: Advance,
    rows: int,
) -> Vectors:
    """As `encoded_in_parts`, each file of the pool read by the worker that encodes it."""
    folder.mkdir(exist_ok=True)
    items = [
        (one, [(folder / f"{one.first + at:012d}.npy", min(rows, len(one.rows) - at)) for at in cuts])
        for one, cuts in ((one, range(0, len(one.rows), rows)) for one in files)
    ]
    for done in engine.each("encode", _encode_file, (encode, context), items):
        advance(done)
    return Vectors.of([path for _, parts in items for path, _ in parts])


def _encode_file(asked: tuple[Encode, Any], item: tuple[FileTexts, list[tuple[Path, int]]]) -> int:
    """Encode the texts of a file of the pool into files of so many vectors each; how many they are."""
    file, parts = item
    gone = [not path.exists() for path, _ in parts]
    wanted = [part for part, absent in zip(parts, gone, strict=True) if absent]
    if wanted:
        rows = file.rows[np.repeat(gone, [size for _, size in parts])]
        texts = recut(FileTexts(file.part, rows, file.first).texts(), [size for _, size in wanted])
        for (path, _), some in zip(wanted, texts, strict=True):
            _encode_part(asked, (path, some))
    return len(file.rows)


def recut(batches: Iterable[Sequence[str]], sizes: Sequence[int]) -> Iterator[list[str]]:
    """A stream of texts in lists of these sizes, which are those of the stream in all."""
    stream, held = iter(batches), list[str]()
    for size in sizes:
        while len(held) < size:
            held += next(stream)
        yield held[:size]
        held = held[size:]


def encoded_in_parts(
    engine: Engine,
    folder: Path,
    texts: Iterable[Sequence[str]],
    count: int,
    encode: Encode,
    context: Any,
    advance: Advance,
    rows: int,
) -> Vectors:
    """Encode a stream of texts into .npy files of some rows each; those that are there already are not made again.

    Args:
      engine: what encodes; its workers must see the folder.
      folder: of the files, which may hold some of an earlier run on the same texts.
      texts: batches.
      count: how many texts there are.
      encode: from the context and texts to vectors; a text's vector must not depend on its batch.
      advance: told of rows that are there.
      rows: of a file.
    """
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{start:012d}.npy" for start in range(0, count, rows)]
    missing = [not path.exists() for path in paths]
    advance(sum(min(rows, count - k * rows) for k, gone in enumerate(missing) if not gone))

    sizes = [min(rows, count - k * rows) for k in range(len(paths))]
    parts = zip(paths, missing, recut(texts, sizes), strict=True)
    wanted = ((path, some) for path, gone, some in parts if gone)
    for done in engine.each("encode", _encode_part, (encode, context), wanted):
        advance(done)
    return Vectors.of(paths)


def _encode_part(asked: tuple[Encode, Any], item: tuple[Path, list[str]]) -> int:
    """Encode the texts of one file and write it; how many they are."""
    (encode, context), (path, texts) = asked, item
    vectors = encode(context, texts)
    with atomic_file(path) as file:
        np.save(file, vectors)
    return len(vectors)


def write_vectors(path: Path, blocks: Iterable[NDArray[np.float32]], count: int, dim: int) -> Vectors:
    """Write blocks of vectors, `count` in all, to a .npy file.

    Raises:
      RunError: if the disk has no room for it.
    """
    out = new_array(path, (count, dim), np.float32)
    start = 0
    for block in blocks:
        out[start : start + len(block)] = block
        start += len(block)
    out.flush()
    del out
    return Vectors.of(path)
