"""What a dry run foretells, against what the run then does."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsds
from tests.command.run import texts, write_jsonl
from tsds import forecast as foretold
from tsds import parallel
from tsds.embeddings.transforms import Learned
from tsds.errors import InputError
from tsds.forecast import forecast
from tsds.records import files
from tsds.selecting import run
from tsds.settings import Settings


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """A pool of long and short texts, and a target."""
    long = [text if i % 3 else f"{text} {text} {text}" for i, text in enumerate(texts(900))]
    pool = write_jsonl(tmp_path / "pool.jsonl", [{"id": f"r{i}", "text": text} for i, text in enumerate(long)])
    return pool, write_jsonl(tmp_path / "target.jsonl", [{"text": text} for text in texts(12, seed=1)])


def test_a_size_in_tokens_is_as_many_examples_as_in_the_run(data: tuple[Path, Path]) -> None:
    plan = forecast(*data, Settings(size="2k-tokens"))
    assert plan["examples"] == pytest.approx(tsds.select(*data, size="2k-tokens").size, abs=1)


def test_the_tokens_are_those_of_the_field_that_is_named(tmp_path: Path, data: tuple[Path, Path]) -> None:
    pool = write_jsonl(tmp_path / "told.jsonl", [{"text": text, "n": 50} for text in texts(300)])
    assert forecast(pool, data[1], Settings(size="2k-tokens", tokens_field="n"))["examples"] == 40


def test_the_disk_holds_the_vectors_and_what_a_transform_makes_of_them(
    data: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = Learned.write

    def watched(self: Learned, pool: Any, path: Path) -> Any:
        found = write(self, pool, path)
        written.extend(one.stat().st_size for one in path.parent.glob("*.npy") if one.stat().st_size > 100_000)
        return found

    monkeypatch.setattr(Learned, "write", watched)
    for transform in ("pca:96", "normalize"):
        written.clear()
        plan = forecast(*data, Settings(size=9, transform=transform))
        tsds.select(*data, size=9, transform=transform)
        assert len(written) == 2 and plan["disk_bytes"] == pytest.approx(sum(written), rel=0.01)


def test_every_pass_over_the_pool_is_counted(data: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[Path] = []
    chunks = files.chunks

    def watched(path: Path, name: str) -> Generator[bytes, None, None]:
        passes.append(path)
        return chunks(path, name)

    monkeypatch.setattr(files, "chunks", watched)
    tsds.select(*data, size=9).save(data[0].parent / "run")
    # To count, to learn what the encoder needs (few records are recalled to be encoded), for the bandwidth; and then.
    # The one more begins only: the first records tell which fields the texts are from.
    assert passes.count(data[0]) == 3 + foretold._PASSES + 1


def test_the_seconds_of_reading_are_those_of_all_passes(
    data: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = files.chunks

    def slow(path: Path, name: str) -> Generator[bytes, None, None]:
        if path == data[0]:
            time.sleep(0.2)
        return chunks(path, name)

    monkeypatch.setattr(files, "chunks", slow)
    seconds = forecast(*data, Settings(size=9))["seconds"]
    assert seconds["read the pool"] > 0.2 and seconds["fit the encoder"] > 0.2 and seconds["encode"] > 0.2
    assert 0.2 * (foretold._PASSES + 1) < seconds["write and show what was chosen"] < 0.4 * (foretold._PASSES + 1)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"size": 901}, r"size 901 exceeds the 900 records of the pool"),
        ({"device": "cuda"}, "device cuda needs an extra"),
        ({"memory": "1K"}, "--memory allows 1e-06 GB"),
        ({"transform": "pca:999", "encoder": "hash:32"}, "transform pca:999 of vectors that span 32 directions"),
        ({"id_field": "nope"}, r"pool\.jsonl, line 1: .*nope"),
        ({"group_field": "nope"}, r"pool\.jsonl, line 1: .*nope"),
        ({"weight_field": "nope"}, r"target\.jsonl, line 1: field 'nope' is missing"),
        ({"embeddings": np.ones((2, 3)), "target_embeddings": np.ones((12, 3))}, "2 embeddings for 900 records"),
        ({"index": Path("i")}, r"--index means nothing to an exact search \(--search ivf, hnsw or auto\)"),
        (
            {"embeddings": np.ones((900, 3)), "target_embeddings": np.ones((12, 3)), "encoder": "hash:16"},
            r"--encoder means nothing beside --embeddings \(leave out one of them\)",
        ),
        ({"method": "random", "alpha": 0.5}, "--alpha means nothing to method random"),
    ],
    ids=str,
)
def test_what_the_run_refuses_is_refused(
    asked: dict[str, Any], said: str, data: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as where there is none, and so no GPU
    for made in (forecast, run):
        with pytest.raises(InputError, match=said):
            made(*data, Settings(**{"size": 9, **asked}))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"encoder": "hash:16"}, r"--encoder means nothing to a pool of embeddings \(leave out --encoder\)"),
        ({"encoder": len}, "--encoder means nothing to a pool of embeddings"),
        ({"exclude": ["a text"]}, "--exclude compares texts, and the pool has none"),
        ({"embeddings": np.ones((9, 3)), "target_embeddings": np.ones((2, 3))}, "the pool is embeddings already"),
    ],
    ids=str,
)
def test_what_a_pool_of_vectors_has_no_use_for_is_refused(asked: dict[str, Any], said: str, tmp_path: Path) -> None:
    pool, target = tmp_path / "pool.npy", np.ones((2, 3), np.float32)
    np.save(pool, np.ones((9, 3), np.float32))
    for made in (forecast, run):
        with pytest.raises(InputError, match=said):
            made(pool, target, Settings(**{"size": 3, **asked}))


def test_speeds_are_those_of_the_workers_asked_for(data: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "cores", lambda: 64)
    seen: list[int] = []
    look = foretold._look

    def watched(*given: Any) -> Any:
        seen.append(parallel.allowed())
        return look(*given)

    monkeypatch.setattr(foretold, "_look", watched)
    forecast(*data, Settings(size=9, workers=1))
    assert seen == [1]
