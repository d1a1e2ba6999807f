"""What users may give: files, folders, globs, standard input, objects in memory; and what is told of the rest."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from tests.records.forms import RECORDS, jsonl, zstd
from tsds.errors import InputError, RunError
from tsds.records import Pool, TextSpec, is_vectors, sources
from tsds.scratch import PREFIX, machine


def texts(sources: object, **options: object) -> list[str]:
    with Pool.open(sources, **options) as pool:
        return [text for batch in pool.batches() for text in batch.texts]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.jsonl", "a.txt", "sub/c.jsonl.gz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        content = name.encode() if name.endswith("txt") else b'{"text": "' + name.encode() + b'"}'
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    for name in ("README.md", ".hidden.jsonl", "sub/_SUCCESS"):
        (tmp_path / name).write_text("not a record")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folders_are_read_whole_and_sorted(folder: Path) -> None:
    (folder / "sub" / "up").symlink_to(folder)  # a loop is not followed
    assert texts(folder) == texts(str(folder)) == texts([str(folder)]) == ["a.txt", "b.jsonl", "sub/c.jsonl.gz"]


def test_globs_and_lists_keep_the_order_given(folder: Path) -> None:
    assert texts("*.jsonl") == ["b.jsonl"]
    assert texts("**/*.jsonl*") == ["b.jsonl", "sub/c.jsonl.gz"]
    assert texts([folder / "sub", "a.*", folder / "b.jsonl"]) == ["sub/c.jsonl.gz", "a.txt", "b.jsonl"]
    assert texts(["b.jsonl", "a.txt"]) == ["b.jsonl", "a.txt"]
    assert [shard.name for shard in Pool.open(["b.jsonl", "a.txt"]).shards] == ["b.jsonl", "a.txt"]
    assert [shard.format_name for shard in Pool.open(folder).shards] == ["txt", "jsonl", "jsonl"]


def test_a_file_named_like_a_glob_is_itself(folder: Path) -> None:
    (folder / "x[1].txt").write_text("odd name")
    assert texts("x[1].txt") == ["odd name"]


def test_suffixes_in_capitals(folder: Path) -> None:
    (folder / "X.JSONL").write_bytes(jsonl(RECORDS))
    assert texts("X.JSONL") == [record["text"] for record in RECORDS]


@pytest.mark.parametrize(
    "given",
    [
        ["one", "two"],
        ["a.txt holds it", "b.jsonl"],
        ["b.jsonl", "and this is text."],
        ["line\nbreak.txt"],
        ["nul\0.txt b"],
        ["x" * 5000],
        ["~nobody-at-all/x y"],
        ["what is * in a.txt?"],
    ],
)
def test_a_list_of_texts_is_no_list_of_paths(folder: Path, given: list[str]) -> None:
    assert texts(given) == given


def test_texts_and_dicts_may_be_mixed_in_memory() -> None:
    assert texts(["a", {"text": "b"}, {"prompt": "c"}]) == ["a", "b", "c"]


def test_what_is_no_record_among_objects_can_be_skipped() -> None:
    given = ["a b", None, {"text": "c d"}, {"text": None}, 3]
    with Pool.open(given, on_error="skip") as pool:
        assert [text for batch in pool.batches() for text in batch.texts] == ["a b", "c d"]
        assert (pool.tally.read, pool.tally.used, pool.tally.bad) == (5, 2, 3)
    assert "pool, row 1: the record is null, not an object" in pool.tally.problems[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("c.jsonl", ["c.jsonl", "no such file", "did you mean b.jsonl?"]),
        ("far/away.jsonl", ["far/away.jsonl", "no such file"]),
        (["b.jsonl", "c.jsonl"], ["c.jsonl", "no such file"]),
        ([Path("a text, but a Path")], ["no such file"]),
        ("*.parquet", ["*.parquet", "matches no file"]),
        ("README.md", ["README.md", "unknown kind of file", ".jsonl", ".parquet", ".gz"]),
        ("*.md", ["README.md", "unknown kind of file"]),
        ("x.parquet.gz", ["x.parquet.gz", "unknown kind of file"]),
        (["b.jsonl", "*.jsonl"], ["b.jsonl", "given twice"]),
        ("empty", ["empty", "no file that can be read", ".jsonl"]),
        ("v.npy", ["v.npy", "array of embeddings"]),
        ([], ["no pool is given"]),
        ([Path("b.jsonl"), {"text": "x"}], ["mixes paths with records"]),
        ([{"text": "x"}, 3], ["pool, row 1", "int"]),
        (np.zeros((2, 2)), ["numpy.ndarray"]),
        ((text for text in "ab"), ["generator", "list(...)"]),
        ("x" * 5000, ["can't be read"]),
        ("broken", ["state.json", "save the dataset again"]),
    ],
)
def test_what_cannot_be_read_is_told(folder: Path, given: object, words: list[str]) -> None:
    (folder / "empty").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "state.json").write_text("{}")
    (folder / "broken" / "dataset_info.json").write_text("{}")
    (folder / "x.parquet.gz").write_bytes(b"")
    np.save(folder / "v.npy", np.zeros((2, 2)))
    with pytest.raises(InputError) as caught:
        Pool.open(given)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["b.jsonl.bz2", "sub/C.JSONL.xz", "d.jsonl.zstd", "p.parquet.gz", "t.tsv.part"])
def test_a_folder_does_not_leave_out_what_it_can_not_read(folder: Path, name: str) -> None:
    whole = texts(folder)
    for beside in ("b.jsonl.sha256", "notes.pdf", ".d.jsonl.bz2"):
        (folder / beside).write_bytes(b"no records")
    assert texts(folder) == whole
    (folder / name).write_bytes(b"packed")
    for given in (folder, folder.as_uri()):
        with pytest.raises(InputError, match=rf"{Path(name).name}: is in the folder, and a .* can't be read"):
            Pool.open(given)
    assert texts(f"{folder}/*.jsonl") == ["b.jsonl"]


def test_a_folder_leaves_out_what_describes_its_files(folder: Path) -> None:
    whole = texts(folder)
    (folder / "_old").mkdir()
    names = ("dataset_info.json", "sub/dataset_infos.json", "sub/state.json", "_d.jsonl", "_old/e.jsonl", "_f.csv.part")
    for name in names:
        (folder / name).write_text('{"alpaca": {"file_name": "b.jsonl"}}')
    assert texts(folder) == texts(folder.as_uri()) == whole
    assert texts(folder / "_old" / "e.jsonl", text=TextSpec(template="{alpaca}")) == ['{"file_name":"b.jsonl"}']
    for name in ("b.jsonl", "a.txt", "sub/c.jsonl.gz"):
        (folder / name).unlink()
    (folder / "_old" / "e.jsonl").write_text('{"text": "e"}')
    for name in ("dataset_info.json", "sub/dataset_infos.json", "sub/state.json", "_d.jsonl"):
        (folder / name).unlink()
    assert texts(folder) == ["e"]  # there are no others


@pytest.mark.parametrize("name", ["e.jsonl.gz", "e.csv.zst"])
def test_a_compressed_file_of_no_bytes_is_no_empty_shard(folder: Path, name: str) -> None:
    (folder / name).touch()
    for given in (folder, name):
        with pytest.raises(InputError, match=rf"{name}: holds no bytes: was its download cut\?"):
            Pool.open(given)


def test_on_error_is_checked() -> None:
    with pytest.raises(InputError, match="'fail' or 'skip'"):
        Pool.open(["a"], on_error="ignore")  # type: ignore[arg-type]


def test_datasets_that_are_not_one_table(tmp_path: Path) -> None:
    dataset = datasets.Dataset.from_dict({"text": ["a"]})
    both = datasets.DatasetDict({"train": dataset, "test": dataset})
    with pytest.raises(InputError, match=r"DatasetDict.*one split"):
        Pool.open(both)
    with pytest.raises(InputError, match=r"IterableDataset.*save it to disk"):
        Pool.open(dataset.to_iterable_dataset())
    both.save_to_disk(str(tmp_path / "both"))
    with pytest.raises(InputError, match=r"several splits: train, test.*both/train"):
        Pool.open(tmp_path / "both")
    datasets.DatasetDict({"train": dataset}).save_to_disk(str(tmp_path / "one"))
    assert texts(tmp_path / "one") == ["a"]
    next((tmp_path / "one").rglob("*.arrow")).unlink()
    with pytest.raises(InputError, match=r"missing.*save the dataset again"):
        Pool.open(tmp_path / "one")


def test_is_vectors(folder: Path) -> None:
    np.save(folder / "v.npy", np.zeros((2, 2)))
    np.save(folder / "w.npy", np.zeros((2, 2)))
    assert is_vectors(np.zeros((2, 2)))
    assert is_vectors([np.zeros((2, 2)), np.zeros((2, 2))])
    assert is_vectors("v.npy") and is_vectors("*.npy") and is_vectors([folder / "v.npy", folder / "w.npy"])
    for records in ("b.jsonl", folder / "sub", ["one", "two"], [{"text": "a"}], "-"):
        assert not is_vectors(records)
    assert not is_vectors(datasets.Dataset.from_dict({"text": ["a"]}))
    for mixed in (["b.jsonl", "v.npy"], folder):
        with pytest.raises(InputError, match=r"v\.npy: an array of embeddings among records"):
            is_vectors(mixed)


@pytest.mark.parametrize(
    ("content", "form", "expected"),
    [
        (jsonl(RECORDS), "jsonl", [record["text"] for record in RECORDS]),
        (b"\xef\xbb\xbf\n " + jsonl(RECORDS[:1]), "jsonl", ["plain words"]),
        (b"one\n\ntwo", "txt", ["one", "two"]),
        (b"[INST] one\n[2] two", "txt", ["[INST] one", "[2] two"]),
        (json.dumps([{"text": "one"}, {"text": "two"}], indent=1).encode(), "json", ["one", "two"]),
        (b' ["one",\n "two"]', "json", ["one", "two"]),
    ],
)
def test_standard_input_is_kept_until_closed(
    content: bytes, form: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Pool.open("-") as pool:
        assert [shard.format_name for shard in pool.shards] == [form]
        for _ in range(2):
            assert [text for batch in pool.batches() for text in batch.texts] == expected
        assert pool.write([0], tmp_path / "out").suffix == (".txt" if form == "txt" else ".jsonl")
        assert pool.checksum()[0]["name"] == "standard input"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_copy_of_standard_input_that_a_killed_process_left_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, others = (tmp_path / f"{PREFIX}{machine()}-{pid}-abcdefgh" for pid in (gone.pid, os.getppid()))
    left.touch()
    others.touch()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one")))
    with Pool.open("-") as pool:
        (copy,) = {*tmp_path.iterdir()} - {others}
        assert copy == pool.shards[0].path and copy.stat().st_mode & 0o077 == 0
        assert copy.name.startswith(f"{PREFIX}{machine()}-{os.getpid()}-")
    assert list(tmp_path.iterdir()) == [others]


def test_a_copy_of_standard_input_that_can_not_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def full(path: Path) -> Any:
        os.close(opened(path, os.O_CREAT))
        return opened("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sources.os, "open", lambda path, *how: full(path))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\n" * 9999)))
    said = rf"{tmp_path}/\S+: the copy of standard input can't be written: No space left .*TMPDIR\)"
    with pytest.raises(RunError, match=said):
        Pool.open("-")
    assert list(tmp_path.iterdir()) == []


def test_standard_input_that_can_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Broken())))
    with pytest.raises(InputError, match="standard input: can't be read: Input/output error"):
        Pool.open("-")
    assert list(tmp_path.iterdir()) == []


def test_standard_input_in_a_program(tmp_path: Path) -> None:
    program = (
        "from tsds.records import Pool; pool = Pool.open(['-']);"
        "print(sum(len(batch) for batch in pool.batches()), pool.texts_at([1])[0])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=jsonl(RECORDS),
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        capture_output=True,
        check=True,
    )
    assert ran.stdout.decode().strip() == f"7 {RECORDS[1]['text']}"
    assert list(tmp_path.iterdir()) == []  # removed though nobody closed the pool


def test_errors_in_standard_input_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "a"}\n{"text": ')))
    with pytest.raises(InputError, match="standard input, line 2: malformed JSON"):
        texts("-")


def test_importing_does_not_import_pyarrow_or_datasets() -> None:
    program = "import sys, tsds.records; print([m for m in ('pyarrow', 'datasets', 'pandas') if m in sys.modules])"
    path = str(Path(__file__).parents[2] / "src")
    ran = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, check=True)
    assert ran.stdout.strip() == b"[]"


def test_a_zstd_file_of_several_frames(tmp_path: Path) -> None:
    (tmp_path / "two.txt.zst").write_bytes(zstd(b"one\ntw") + zstd(b"o\nthree\n"))
    assert texts(tmp_path / "two.txt.zst") == ["one", "two", "three"]
