"""Gradients of bergson and TRAK: folders written as those libraries write them give the same selection as the array."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.format import open_memmap

import tsds
from tests.command.run import texts
from tsds.embeddings.vectors import Vectors
from tsds.errors import InputError
from tsds.records import file_facts

ROWS = np.random.default_rng(0).standard_normal((120, 12)).astype(np.float32)
SIZES = {"layers.0.q": 8, "layers.0.v": 4}


def bergson(folder: Path, rows: Any = ROWS, dtype: str = "float32", **more: Any) -> Path:
    """As bergson.data.create_index lays it out."""
    folder.mkdir()
    data = np.asarray(rows, np.float32)
    stored = (data.view(np.uint32) >> 16).astype(np.uint16) if dtype == "bfloat16" else data.astype(dtype)
    stored.tofile(folder / "gradients.bin")
    info = {"attribute_tokens": False, "num_items": len(data), "num_grads": len(data), "grad_sizes": SIZES}
    (folder / "info.json").write_text(json.dumps({**info, "base_dtype": dtype, **more}))
    return folder


def trak(folder: Path, models: int = 1, names: tuple[str, ...] = ("grads", "features")) -> Path:
    """As trak.savers.MmapSaver lays it out."""
    for model in range(models):
        (folder / str(model)).mkdir(parents=True)
        for name in names:
            out = open_memmap(folder / str(model) / f"{name}.mmap", mode="w+", dtype=np.float16, shape=ROWS.shape)
            out[:] = ROWS if name == "grads" else 2 * ROWS
            out.flush()
        (folder / f"id_{model}.json").write_text(json.dumps({model: {"is_featurized": 1, "is_finalized": 1}}))
    (folder / "metadata.json").write_text(json.dumps({"JL dimension": 12, "JL matrix type": "normal"}))
    return folder


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_a_store_of_bergson_is_the_matrix_it_holds(tmp_path: Path, dtype: str) -> None:
    vectors = Vectors.of(bergson(tmp_path / "run", dtype=dtype))
    tolerance = {"bfloat16": 2**-7, "float16": 2**-10}.get(dtype, 0.0)
    read = np.concatenate([block for _, block in vectors.blocks(50)])
    np.testing.assert_allclose(read, ROWS, rtol=tolerance)
    np.testing.assert_array_equal(vectors.take(np.array([7, 3])), read[[7, 3]])


def test_an_old_store_of_bergson_names_its_fields(tmp_path: Path) -> None:
    old = bergson(tmp_path / "run", dtype="float16")
    info = json.loads((old / "info.json").read_text())
    del info["base_dtype"]
    info["dtype"] = {"names": list(SIZES), "formats": ["(8,)<f2", "(4,)<f2"], "itemsize": 24}
    (old / "info.json").write_text(json.dumps(info))
    np.testing.assert_array_equal(Vectors.of(old).take(np.arange(5)), ROWS[:5].astype(np.float16))


def test_select_from_stores(tmp_path: Path) -> None:
    options: dict[str, Any] = {"size": 9, "bandwidth": 0.1, "method": "kde"}
    wanted = tsds.select(ROWS, ROWS[:4] + np.float32(0.01), **options).indices
    pool, aim = bergson(tmp_path / "pool"), bergson(tmp_path / "aim", ROWS[:4] + 0.01)
    for sources in ((pool, aim), (texts(120), texts(4, seed=1))):
        more = {} if sources[0] is pool else {"embeddings": pool, "target_embeddings": str(aim)}
        assert (tsds.select(*sources, **options, **more).indices == wanted).all()


def test_a_folder_of_trak_gives_gradients_and_else_features(tmp_path: Path) -> None:
    half = ROWS.astype(np.float16)
    np.testing.assert_array_equal(Vectors.of(trak(tmp_path / "both")).take(np.arange(120)), half)
    features = trak(tmp_path / "tidied", names=("features",))
    np.testing.assert_array_equal(Vectors.of(features).take(np.arange(120)), 2 * half)
    several = trak(tmp_path / "several", models=2)
    with pytest.raises(InputError, match="2 models' gradients"):
        Vectors.of(several)
    chosen = tsds.select(several / "1" / "grads.mmap", several / "1" / "grads.mmap", size=5, method="nearest")
    assert len(chosen.indices) == 5


def test_what_is_wrong_with_a_store_is_said(tmp_path: Path) -> None:
    short = bergson(tmp_path / "short", num_grads=121)
    cases = [
        (short, "has 5,760 bytes, not 5,808"),
        (bergson(tmp_path / "tokens", attribute_tokens=True), "gradients of tokens"),
        (bergson(tmp_path / "odd", base_dtype="int8"), "gradients as int8"),
        (bergson(tmp_path / "torn", grad_sizes=None), "does not describe"),
    ]
    for path, why in cases:
        with pytest.raises(InputError, match=why):
            tsds.select(path, ROWS[:3], size=5)


def test_a_store_that_is_written_anew_is_another_file_to_a_run_that_is_resumed(tmp_path: Path) -> None:
    store = bergson(tmp_path / "run")
    before, folder = file_facts([store]), store.stat().st_mtime_ns
    assert file_facts([store]) == before
    values = store / "gradients.bin"
    values.write_bytes(values.read_bytes()[::-1])  # the same folder, names and sizes
    os.utime(values, ns=(1, 1))
    assert store.stat().st_mtime_ns == folder
    assert [fact for fact in file_facts([store]) if fact not in before] == [
        {"name": str(values), "bytes": values.stat().st_size, "changed": 1}
    ]
